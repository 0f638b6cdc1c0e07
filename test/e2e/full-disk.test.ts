import { randomBytes } from 'node:crypto';
import { userInfo } from 'node:os';
import { describe, expect, test } from 'vitest';
import type { Bench } from '../support/bench.ts';
import { describeAsEveryone, useBench } from '../support/e2e.ts';
import { tar } from '../support/image.ts';
import { baseImageTar } from '../support/base-image.ts';

/** Mounting takes root; as others the store's own tests of a full disk must do. */
const canMount = userInfo().uid === 0;

/** Runs `tsbuild` commands one after the other in a mount namespace where the store is on a disk of its own, each with `df` behind it. */
async function onDisk(
  bench: Bench,
  options: string,
  commands: readonly (readonly string[])[],
  store = `${bench.path('disk')}/store`,
): Promise<readonly { readonly text: string; readonly code: number }[]> {
  const disk = bench.path('disk');
  bench.write('disk', {});
  const quote = (words: readonly string[]): string => words.map((word) => `'${word}'`).join(' ');
  const as = (words: readonly string[]): string => quote([...bench.who.prefix, ...words]);
  const script = [
    `mount -t tmpfs -o ${options},mode=0755,uid=${bench.who.uid},gid=${bench.who.gid} none ${disk}`,
    ...commands.map((words) => `${as(words[0] === 'sh' ? words : bench.command(words))} 2>&1; echo "@@ $?"`),
  ].join('\n');
  const { out } = await bench.start(['unshare', '-m', 'sh', '-c', script], { asSelf: true, store }).ended;
  return [...out.matchAll(/([^]*?)@@ (\d+)\n/g)].map((match) => ({ text: match[1] ?? '', code: Number(match[2]) }));
}

const STEP = 'FROM scratch\nADD base.tar /\nRUN head -c 6000000 /dev/urandom > /a\n';

describe.runIf(canMount)('a full disk under the store', () => {
  describeAsEveryone('a full disk', (who) => {
    const use = useBench(who, { base: false });

    test.each([
      [
        'of bytes',
        'size=40m',
        'RUN head -c 60000000 /dev/urandom > /b',
        /\(.*disk\/store\) is full: run "tsbuild prune"/,
      ],
      [
        'of inodes',
        'size=40m,nr_inodes=1500',
        'RUN i=0; while [ $i -lt 1600 ]; do i=$((i+1)); > /f$i; done',
        /can hold no more files \("df -i" shows it\): run "tsbuild prune"/,
      ],
    ])('%s fails the step with what to do, and prune does it (REL-06)', async (_, options, step, hint) => {
      const { bench } = use;
      const files = { 'base.tar': baseImageTar() };
      const full = bench.context(`${STEP}${step}\n`, files);
      const small = bench.context(STEP, files);
      const [failed, pruned, left, again] = await onDisk(bench, options, [
        ['build', full],
        ['prune', '--all'],
        ['du'],
        ['build', small],
      ]);
      expect(failed).toMatchObject({ code: 1, text: expect.stringMatching(hint) as string });
      expect(pruned).toMatchObject({
        code: 0,
        text: expect.stringMatching(/Freed: {2}\d+\.\d+MB/) as string,
      });
      expect(left?.text).toMatch(/Reclaimable: {2}0B\nTotal: {8}2\.\d+MB/);
      expect(again).toMatchObject({ code: 0 });
    });

    test('of a container that never stops printing is read, and it is stopped and removed', async () => {
      const { bench } = use;
      const context = bench.context('FROM scratch\nADD base.tar /\n', { 'base.tar': baseImageTar() });
      const print = 'echo first; while :; do seq 20000; done';
      const filled = `until [ $(df --output=avail -k ${bench.path('disk')} | tail -1) -lt 5000 ]; do sleep 0.1; done`;
      const [, started, , logs, stopped, listed, removed, left] = await onDisk(bench, 'size=40m', [
        ['build', '-q', '-t', 'printer', context],
        ['run', '-d', '--name', 'prints', 'printer', 'sh', '-c', print],
        ['sh', '-c', filled],
        ['sh', '-c', `${bench.command(['logs', 'prints']).join(' ')} | head -1`],
        ['stop', '-t', '0', 'prints'],
        ['ps', '-a', '--format', '{{.Names}} {{.State}}'],
        ['rm', 'prints'],
        ['ps', '-aq'],
      ]);
      expect(started).toMatchObject({ code: 0 });
      expect(logs).toMatchObject({ code: 0, text: 'first\n' });
      expect(stopped).toMatchObject({ code: 0, text: 'prints\n' });
      expect(listed).toMatchObject({ code: 0, text: 'prints exited\n' });
      expect(removed).toMatchObject({ code: 0, text: 'prints\n' });
      expect(left).toMatchObject({ code: 0, text: '' });
    });

    test('prune works where not one byte and not one file is left (REL-06)', async () => {
      const { bench } = use;
      const context = bench.context(STEP, { 'base.tar': baseImageTar() });
      const disk = bench.path('disk');
      const fill = `dd if=/dev/zero of=${disk}/ballast bs=4096 2>/dev/null; i=0; while : > ${disk}/x$i; do i=$((i+1)); done; :`;
      const [built, , refused, pruned, free] = await onDisk(bench, 'size=40m,nr_inodes=1500', [
        ['build', context],
        ['sh', '-c', fill],
        ['build', context],
        ['prune', '--all'],
        ['sh', '-c', `df --output=avail ${disk}/store | tail -1`],
      ]);
      expect(built?.code).toBe(0);
      expect(refused).toMatchObject({
        code: 1,
        text: expect.stringMatching(/no space left on device.*\n.*tsbuild prune/) as string,
      });
      expect(pruned).toMatchObject({ code: 0, text: expect.stringMatching(/Freed: {2}15\.\d+MB/) as string });
      expect(Number(free?.text)).toBeGreaterThan(6000);
    });

    test.each(['type=tar', 'type=local', 'type=oci', 'type=oci,tar=false', 'type=docker'])(
      'under the output %s is told with its path',
      async (type) => {
        const { bench } = use;
        const context = bench.context('FROM scratch\nCOPY file /\n', { file: randomBytes(6_000_000) });
        const dest = `${bench.path('disk')}/result`;
        const command = ['build', '-q', '-o', `${type},dest=${dest}`, context];
        const [failed] = await onDisk(bench, 'size=2m', [command], bench.store);
        expect(failed).toMatchObject({
          code: 1,
          text: expect.stringMatching(/disk\/result": no space left on device\nhint: free space there/) as string,
        });
      },
    );

    test('of an image that does not fit, the file that could not be written and what to do are told', async () => {
      const { bench } = use;
      const big = tar([{ name: 'big', content: Buffer.alloc(50_000_000, 'x') }]);
      const context = bench.context('FROM scratch\nADD big.tar.gz /\nRUN none\n', {
        'big.tar.gz': (await import('node:zlib')).gzipSync(big, { level: 1 }),
      });
      const [failed] = await onDisk(bench, 'size=40m', [['build', context]]);
      expect(failed).toMatchObject({
        code: 1,
        text: expect.stringMatching(
          /no space left on device\nhint: .*disk\/store\) is full: run "tsbuild prune"/,
        ) as string,
      });
    });
  });
});
