import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import type { Bench } from '../support/bench.ts';
import { describeAsUser, useBench } from '../support/e2e.ts';
import { useLonelyBench } from '../support/one-id.ts';
import { expectSound } from '../support/sound.ts';
import { staticProgram } from '../support/static-program.ts';

/** What a step's program was told of the peers of its sockets, when tsbuild is started behind these words. */
async function toldOfPeers(bench: Bench, ...before: readonly string[]): Promise<readonly string[]> {
  const program = { text: staticProgram('peers'), mode: 0o755 };
  const context = bench.context('FROM base:1\nCOPY peers /\nRUN /peers\n', { peers: program });
  const command = bench.command(['build', '--progress=plain', '--no-cache', context]);
  const { code, err } = await bench.start([...before, ...command]).ended;
  expect(code, err).toBe(0);
  return [...err.matchAll(/^#\d+ \d+\.\d+ (.*)$/gm)].map(([, line]) => line ?? '');
}

/** As unix(7) and socket(7) have it. */
const TOLD = [
  'pair: the process 0:0 0,10, 12 bytes',
  'server: the process 0:0 0,10, 12 bytes',
  'by a thread: the process 1000:50 4,10,20, 12 bytes',
  'client: the process 1000:50 4,10,20, 12 bytes',
  'of four bytes: 0, a pid and 7, 4 bytes',
  'of less than none: -1 Invalid argument',
  'no buffer: -1 Bad address',
  'no length: -1 Bad address',
  'one group: -1 Result not representable, 12 bytes',
  'no descriptor: Bad file descriptor',
  'no socket: Not a socket',
  'type: 1',
  'level: Not supported',
  'no peer: the process -1:-1, 12 bytes',
  'daemon: the process 33:33 33, 12 bytes',
];

const use = useLonelyBench();

test('who is at the other end of a unix socket is told as who he became, with one id', async () => {
  expect(await toldOfPeers(use.bench)).toEqual(TOLD);
  await expectSound(use.bench);
});

test('where no process gives its descriptors, it is told as the kernel has it', async () => {
  const { bench } = use;
  const program = bench.path('without-call');
  execFileSync('cc', [
    '-Wall',
    '-Werror',
    '-o',
    program,
    fileURLToPath(new URL('../support/without-call.c', import.meta.url)),
  ]);
  const pidfdGetfd = '438';
  const told = await toldOfPeers(bench, program, pidfdGetfd);
  expect(told).toContainEqual(expect.stringMatching(/^client: the process 0:0\b/));
  expect(told).toHaveLength(TOLD.length);
});

describeAsUser('where there are ids for everybody', (who) => {
  const all = useBench(who);

  test('the kernel says the same', async () => {
    expect(await toldOfPeers(all.bench)).toEqual(TOLD);
  });
});
