import { readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { describeAsUser, useBench } from '../support/e2e.ts';
import { expectFailure, expectSound } from '../support/sound.ts';

describeAsUser('as with BuildKit', (who) => {
  const use = useBench(who);

  test('a secret may be mounted at a path relative to the working directory', async () => {
    const { bench } = use;
    writeFileSync(bench.path('s'), 'word');
    const context = bench.context(
      'FROM base:1\nWORKDIR /w\nRUN --mount=type=secret,id=s,target=in/s test "$(cat /w/in/s)" = word && echo "it is"" there"\n',
    );
    const { err } = await bench.ok(['build', '--progress=plain', `--secret=id=s,src=${bench.path('s')}`, context]);
    expect(err).toMatch(/it is there/);
    await expectSound(bench);
  });

  test('FROM may name a local directory, for copies, steps and as the result', async () => {
    const { bench } = use;
    const named = bench.write('named', {
      file: 'in the directory',
      'sub/other': 'x',
      '.dockerignore': 'left\n',
      left: 'out',
    });
    const build = async (dockerfile: string, dest: string): Promise<string> =>
      (
        await bench.ok([
          'build',
          '--progress=plain',
          `--build-context=name=${named}`,
          '-o',
          `type=local,dest=${dest}`,
          bench.context(dockerfile, { f: 'f' }),
        ])
      ).err;
    await build('FROM name\n', 'alone');
    expect(readFileSync(bench.path('alone/file'), 'utf8')).toBe('in the directory');
    const copied = 'FROM name\nCOPY f /f\nWORKDIR /made\n';
    await build(copied, 'copied');
    expect(readFileSync(bench.path('copied/f'), 'utf8')).toBe('f');
    expect(readFileSync(bench.path('copied/sub/other'), 'utf8')).toBe('x');
    expect(() => readFileSync(bench.path('copied/left'))).toThrow(/ENOENT/);
    expect(await build(copied, 'again')).toMatch(/COPY f \/f\n#\d+ CACHED/);
    bench.write('named', { file: 'changed' });
    await build(copied, 'changed');
    expect(readFileSync(bench.path('changed/file'), 'utf8')).toBe('changed');
    await expectSound(bench);
  });

  test('COPY --parents of a path that does not exist fails, also beside one that does', async () => {
    const { bench } = use;
    for (const sources of ['/missing', '/a/b /missing', '/a/./missing']) {
      const context = bench.context(
        `FROM base:1 AS stage\nRUN mkdir -p /a/b && echo 1 > /a/b/c\nFROM base:1\nCOPY --from=stage --parents ${sources} /out/\n`,
      );
      expectFailure(await bench.tsbuild(['build', context]), { says: ['missing": not found'] });
    }
    await bench.ok(['build', bench.context('FROM base:1\nCOPY --from=base:1 --parents /missing* /bin/./sh /out/\n')]);
    await expectSound(bench);
  });
});
