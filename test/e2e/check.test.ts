import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { describeAsUser, useBench } from '../support/e2e.ts';

/** A file with the warning FromAsCasing, one without any, one that cannot be built. */
const CASING = 'FROM scratch as x\nCOPY a /\n';
const CLEAN = 'FROM scratch\nCOPY a /\n';
const BROKEN = 'FROM scratch\nCOPPY a /\n';

describeAsUser('tsbuild build --check of many files', (who) => {
  const use = useBench(who, { base: false });
  const headings = (out: string): readonly string[] => out.match(/^== .*$/gm) ?? [];

  test('a pattern reports on every file that it names, in one order, and fails when one does', async () => {
    const { bench } = use;
    const cwd = bench.write('many', {
      'api/Dockerfile': CASING,
      'web/Dockerfile': CLEAN,
      'web/Dockerfile.dev': BROKEN,
      '.devcontainer/Dockerfile': CLEAN,
      // None of these is meant.
      'web/Dockerfile.dev.dockerignore': '*',
      'web/Dockerfile.d/x': '',
      '.git/Dockerfile': BROKEN,
      'web/node_modules/p/Dockerfile': BROKEN,
    });
    const { code, out, err } = await bench.tsbuild(['build', '--check', '**/Dockerfile*'], { cwd });
    expect(err).toBe('');
    expect(headings(out)).toEqual([
      '== .devcontainer/Dockerfile: no warnings found.',
      '== api/Dockerfile: 1 warning has been found!',
      '== web/Dockerfile: no warnings found.',
      '== web/Dockerfile.dev: cannot be built',
    ]);
    // Excerpts name the file by the path that an editor opens.
    expect(out).toContain('\napi/Dockerfile:1\n');
    expect(out).toContain('unknown instruction: COPPY (did you mean COPY?)');
    expect(out).toMatch(/\nChecked 4 files: 1 warning in 1 file, 1 file cannot be built\.\n$/);
    expect(code).toBe(1);
  });

  test('one file is called by its path from here, in the text alone', async () => {
    const cwd = use.bench.write('one', { 'api/Dockerfile': CASING });
    for (const words of [['api'], ['-f', 'api/Dockerfile', 'api'], ['api/Dockerfile']]) {
      const { out } = await use.bench.tsbuild(['build', '--check', ...words], { cwd });
      expect(out).toContain('\napi/Dockerfile:1\n');
    }
    const piped = await use.bench.tsbuild(['build', '--check', '-'], { cwd, stdin: CASING });
    expect(piped.out).toContain('\nDockerfile:1\n');
    const { out } = await use.bench.tsbuild(['build', '--call=check,format=json', 'api'], { cwd });
    expect(JSON.parse(out)).toMatchObject({ sources: [{ filename: 'Dockerfile' }] });
  });

  test('files without warnings are 0, and the one report says so', async () => {
    const cwd = use.bench.write('clean', { 'a/Dockerfile': CLEAN, 'b/Dockerfile': CLEAN });
    const { code, out } = await use.bench.tsbuild(['--check', '**/Dockerfile'], { cwd });
    expect(code).toBe(0);
    expect(out).toBe(
      '== a/Dockerfile: no warnings found.\n== b/Dockerfile: no warnings found.\n\nChecked 2 files: no warnings.\n',
    );
  });

  test('several arguments: directories are contexts, files are Dockerfiles, "!" leaves out, twice is once', async () => {
    const { bench } = use;
    const cwd = bench.write('several', {
      'ctx/Dockerfile': CLEAN,
      'ctx/Dockerfile.b': CLEAN,
      'vendor/p/Dockerfile': BROKEN,
      'third/Dockerfile': BROKEN,
      // A file whose name is a pattern is that file.
      'a[b]/Dockerfile': CLEAN,
      '[x]': CLEAN,
      x: BROKEN,
    });
    const words = ['ctx', '[x]', 'ctx/Dockerfile.b', '**/Dockerfile*', '!vendor', '!third/**'];
    const { code, out } = await bench.tsbuild(['build', '--check', ...words], { cwd });
    expect(headings(out).map((line) => line.replace(/:.*/, ''))).toEqual([
      '== ctx/Dockerfile',
      '== [x]',
      '== ctx/Dockerfile.b',
      '== a[b]/Dockerfile',
    ]);
    expect(code).toBe(0);
  });

  test('the same from above and by absolute path', async () => {
    const { bench } = use;
    const top = bench.write('above', {
      'one/Dockerfile': CLEAN,
      'two/Dockerfile': CLEAN,
      'two/vendor/Dockerfile': CASING,
    });
    const cwd = join(top, 'two');
    const up = await bench.tsbuild(['build', '--check', '../**/Dockerfile', '!vendor'], { cwd });
    expect(headings(up.out).map((line) => line.slice(3).replace(/:.*/, ''))).toEqual([
      '../one/Dockerfile',
      '../two/Dockerfile',
    ]);
    const absolute = await bench.tsbuild(['build', '--check', `${top}/*/Dockerfile`], { cwd });
    expect(absolute.out).toContain(`== ${top}/one/Dockerfile: no warnings found.`);
  });

  test('each file has the context that its directory is, or that -f with a pattern is for', async () => {
    const { bench } = use;
    const cwd = bench.write('contexts', {
      'svc/Dockerfile': 'FROM scratch\nCOPY hidden /\n',
      'svc/.dockerignore': 'hidden\n',
    });
    const own = await bench.tsbuild(['build', '--check', '*/Dockerfile'], { cwd });
    expect(own.out).toContain('CopyIgnoredFile');
    const shared = await bench.tsbuild(['build', '--check', '-f', '*/Dockerfile', '.'], { cwd });
    expect(shared).toMatchObject({ code: 0, out: expect.stringContaining('== svc/Dockerfile: no warnings found.') });
  });

  test('one file is reported on as it always was', async () => {
    const cwd = use.bench.write('one', { 'sub/Dockerfile.x': CASING });
    const asFile = await use.bench.tsbuild(['build', '--check', 'sub/Dockerfile.x'], { cwd });
    const asOption = await use.bench.tsbuild(['build', '--check', '-f', 'sub/Dockerfile.x', 'sub'], { cwd });
    expect(asFile).toMatchObject({ code: 1, out: asOption.out });
    expect(asFile.out).toMatch(/^Check complete, 1 warning has been found!\n/);
  });

  test('JSON has the form of one report, with a source for each file', async () => {
    const cwd = use.bench.write('json', { 'a/Dockerfile': CASING, 'b/Dockerfile': CASING, 'c/Dockerfile': BROKEN });
    const { code, out } = await use.bench.tsbuild(['build', '--call=check,format=json', '*/Dockerfile'], { cwd });
    expect(code).toBe(1);
    const report = JSON.parse(out) as Record<string, unknown>;
    const lines = [{ start: { line: 1 }, end: { line: 1 } }];
    const failure = {
      message: 'dockerfile parse error on line 2: unknown instruction: COPPY (did you mean COPY?)',
      location: { sourceIndex: 2, ranges: [{ start: { line: 2 }, end: { line: 2 } }] },
    };
    expect(report).toMatchObject({
      // As protobuf has it, the first index, 0, is left out.
      warnings: [{ location: { ranges: lines } }, { location: { sourceIndex: 1, ranges: lines } }],
      sources: [{ filename: 'a/Dockerfile' }, { filename: 'b/Dockerfile' }, { filename: 'c/Dockerfile' }],
      buildError: failure,
      buildErrors: [failure],
    });
  });

  test('a file that cannot be read is one of the results', async () => {
    const cwd = use.bench.write('unreadable', {
      'a/Dockerfile': { link: '/nonexistent' },
      'b/Dockerfile': { link: '../../../../../etc/passwd' },
      'c/Dockerfile': CLEAN,
    });
    const { code, out } = await use.bench.tsbuild(['build', '--check', '**/Dockerfile'], { cwd });
    expect(headings(out)).toEqual([
      '== a/Dockerfile: cannot be built',
      '== b/Dockerfile: cannot be built',
      '== c/Dockerfile: no warnings found.',
    ]);
    expect(out).not.toContain('root:');
    expect(code).toBe(1);
  });

  test('names cannot speak to the terminal', async () => {
    const cwd = use.bench.write('names', {
      '\u001b[2J/Dockerfile': CLEAN,
      '-f/Dockerfile': CASING,
      'a\n== b': CASING,
    });
    const { out } = await use.bench.tsbuild(['build', '--check', '**/Dockerfile', 'a\n== b'], { cwd });
    expect(headings(out)).toHaveLength(3);
    expect(out).not.toContain('\u001b');
  });

  test.each([
    [['*/Nothing'], 1, 'Cannot check "*/Nothing": no file matches'],
    [['**/*.dockerignore'], 1, 'Cannot check "**/*.dockerignore": no file matches'],
    [['!vendor'], 2, 'there are only patterns of what to leave out'],
    [['*/Dockerfile', 'nothing'], 2, 'Cannot read build context "nothing": there is no such directory'],
    [['-f', 'a/Dockerfile', 'a/Dockerfile'], 2, 'both name Dockerfiles'],
  ])('%j is refused', async (words, exit, message) => {
    const cwd = use.bench.write('refused', { 'a/Dockerfile': CLEAN, 'a/Dockerfile.dockerignore': '' });
    const { code, err } = await use.bench.tsbuild(['build', '--check', ...words], { cwd });
    expect(err).toContain(message);
    expect(code).toBe(exit);
  });

  test('several contexts are for --check alone', async () => {
    const cwd = use.bench.write('refused-build', { 'a/Dockerfile': CLEAN, 'b/Dockerfile': CLEAN });
    for (const words of [['build'], ['build', '--call=outline']]) {
      const { code, err } = await use.bench.tsbuild([...words, 'a', 'b'], { cwd });
      expect(code).toBe(2);
      expect(err).toContain('Cannot use "b": the context is "a"');
    }
  });

  test.skipIf(who.uid === 0)('a directory that may not be read is said, and can be left out', async () => {
    const cwd = use.bench.write('closed', { 'a/Dockerfile': CLEAN, 'shut/Dockerfile': CLEAN });
    chmodSync(join(cwd, 'shut'), 0);
    try {
      const { code, err } = await use.bench.tsbuild(['build', '--check', '**/Dockerfile'], { cwd });
      expect(code).toBe(1);
      expect(err).toMatch(/Cannot look for files of ".*" in ".*shut": permission denied\nhint: /);
      expect((await use.bench.tsbuild(['build', '--check', '**/Dockerfile', '!shut'], { cwd })).code).toBe(0);
    } finally {
      chmodSync(join(cwd, 'shut'), 0o755);
    }
  });
});
