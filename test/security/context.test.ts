import { execFileSync } from 'node:child_process';
import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeAsEveryone, useBench } from '../support/e2e.ts';
import { expectFailure } from '../support/sound.ts';
import { readOciArchive } from '../support/tree.ts';
import { WebServer } from '../support/web-server.ts';
import { Victim } from './victim.ts';

const ARCHIVE = ['build', '--progress=plain', '-o', 'type=oci,compression=uncompressed,dest=-'];

describeAsEveryone('contexts', (who) => {
  const use = useBench(who, { base: false });
  let victim: Victim;
  let web: WebServer;
  beforeAll(async () => {
    victim = new Victim(use.bench);
    web = await WebServer.start((_request, response) => response.end('content'));
  });
  afterAll(() => web[Symbol.asyncDispose]());

  test('the files that say how to build are files of the context, and small (CTX-04)', async () => {
    const { bench } = use;
    const link = (to: string) => (path: string) => execFileSync('ln', ['-s', to, path]);
    const kinds: readonly (readonly [kind: string, make: (path: string) => unknown, says: string])[] = [
      ['link-out', link(join(victim.dir, 'hello')), 'no such file'],
      ['link-to-device', link('/dev/zero'), 'no such file'],
      ['fifo', (path) => execFileSync('mkfifo', [path]), 'it is not a regular file but a fifo'],
      ['directory', (path) => execFileSync('mkdir', [path]), 'it is not a regular file but a directory'],
      [
        'large',
        (path) => {
          writeFileSync(path, '');
          truncateSync(path, 200 << 20);
        },
        'more than the limit',
      ],
    ];
    const attack = async (name: string, [kind, make, says]: (typeof kinds)[number]): Promise<void> => {
      const others: Record<string, string> =
        name === 'Dockerfile' ? {} : { Dockerfile: 'FROM scratch\nCOPY file /\n', file: 'x' };
      const context = bench.write(`odd/${name}/${kind}`, others);
      make(join(context, name));
      const outcome = await bench.tsbuild(['build', '-o', 'type=cacheonly', context]);
      victim.expectUntouched(outcome.out, outcome.err);
      expect(outcome.ms, `${name}: ${kind}`).toBeLessThan(60_000);
      // A link that leads nowhere inside the context is no file at all.
      const isAbsent = kind.startsWith('link') && name !== 'Dockerfile';
      expect([name, kind, outcome.code]).toEqual([name, kind, isAbsent ? 0 : 1]);
      if (!isAbsent) expect(outcome.err).toContain(says);
    };
    for (const name of ['Dockerfile', '.dockerignore']) await Promise.all(kinds.map((kind) => attack(name, kind)));
    await Promise.all(kinds.slice(2).map((kind) => attack('Dockerfile.dockerignore', kind)));
  });

  test('checksums are whole and of a known kind (CTX-08)', async () => {
    const { bench } = use;
    const good = '3f39d5c348e5b79d06e842c114e6cc571583bbf44e4b0ebfda1a01ec05745d43';
    const refused = {
      'md5:9a0364b9e99bb480dd25e1f0284c8555': 'unsupported digest algorithm',
      'sha256:ed70': 'invalid checksum digest length',
      [`sha256:${good.toUpperCase()}`]: 'invalid checksum digest',
      'sha256:../../x': 'invalid checksum digest format',
      [good]: 'invalid checksum digest format',
    };
    await Promise.all(
      Object.entries(refused).map(async ([sum, says]) => {
        const context = bench.context(`FROM scratch\nADD --checksum=${sum} ${web.url}/file /\n`);
        expectFailure(await bench.tsbuild(['build', context]), { says: [says] });
      }),
    );
    expect(web.seen).toEqual([]);
  });

  test('names of stages, targets, contexts and images are no paths (CTX-14)', async () => {
    const { bench } = use;
    const stage = (name: string) => bench.context(`FROM scratch AS ${name}\nCOPY Dockerfile /\n`);
    const context = bench.context(
      'FROM scratch AS con\nCOPY Dockerfile /\nFROM scratch AS constructor\nCOPY --from=con /Dockerfile /x\n',
    );
    const refused: readonly (readonly [args: readonly string[], says: string, code: number])[] = [
      ...['../../x', '__proto__'].map((name) => [[stage(name)], `invalid name for build stage: "${name}"`, 1] as const),
      ...['../../x', '__proto__'].map(
        (name) => [[`--target=${name}`, context], `target stage "${name}" could not be found`, 1] as const,
      ),
      ...['../../x', '-x', 'constructor:../x'].map(
        (name) => [['-t', name, context], `"${name}": invalid reference format`, 2] as const,
      ),
      [['--cache-to=type=local,dest=out,tag=../../x', context], '"tag" is not a tag', 2],
    ];
    await Promise.all(
      refused.map(async ([args, says, code]) =>
        expectFailure(await bench.tsbuild(['build', ...args]), { says: [says], code }),
      ),
    );
    await bench.ok(['build', '-t', 'con:constructor', `--build-context=../../x=${bench.dir}`, context]);
    await bench.ok(['build', `--build-context=__proto__=${bench.dir}`, '--secret=id=../../x,src=nothing', context]);
    expect((await bench.ok(['images', '-q'])).out.trim().split('\n')).toHaveLength(1);
    victim.expectUntouched();
  });

  test('files written in a Dockerfile have names, not paths (CTX-15)', async () => {
    const { bench } = use;
    const many = Array.from({ length: 20 }, (_, at) => `${at}`);
    const { stdout, err } = await bench.ok([
      ...ARCHIVE,
      bench.context(`FROM scratch
COPY <<../../up <<../name ${many.map((name) => `<<${name}`).join(' ')} /d/
up
../../up
name
../name
${many.map((name) => `in ${name}\n${name}\n`).join('')}`),
    ]);
    const { tree } = await readOciArchive(stdout);
    const files = Object.entries(tree).map(([path, { content }]) => [path, content]);
    expect(files).toHaveLength(many.length + 3);
    expect(files).toEqual(
      expect.arrayContaining([
        ['/d/up', 'up\n'],
        ['/d/name', 'name\n'],
        ['/d/19', 'in 19\n'],
      ]),
    );
    // As in BuildKit, such a file lies in a tree of its own, where these directories are missing.
    const name = `${victim.dir}/hello`;
    expectFailure(await bench.tsbuild(['build', bench.context(`FROM scratch\nCOPY <<${name} /d/\nx\n${name}\n`)]), {
      says: [`open ${name}: no such file`],
    });
    victim.expectUntouched(err);
  });
});
