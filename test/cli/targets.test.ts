import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { checkTargets } from '../../src/cli/building/check-targets.ts';
import type { BuildOptions } from '../../src/cli/building/build-display.ts';
import { lastBuild, noteBuild } from '../../src/cli/building/last-build.ts';
import { parseReportTargets } from '../../src/cli/building/report-targets.ts';
import type { Store } from '../../src/store/index.ts';
import { fakeContext } from '../fakes/cli-context.ts';
import { TempDir } from '../tree/support.ts';

let dir: TempDir;
beforeEach(() => {
  dir = new TempDir();
  for (const file of [
    'Dockerfile',
    'Dockerfile.dev',
    'Dockerfile.dev.dockerignore',
    'a/Dockerfile',
    'b/Dockerfile',
    '!odd/Dockerfile',
    '[x]',
  ])
    dir.write(file, 'FROM scratch\n');
});
afterEach(() => dir[Symbol.dispose]());

const usage = (message: RegExp, code = 'TSB_USAGE') =>
  expect.objectContaining({ code, message: expect.stringMatching(message) as string });

describe('what --check is to look at', () => {
  const found = async (words: readonly string[], file?: string): Promise<readonly string[]> => {
    const { targets } = await checkTargets(fakeContext({ cwd: dir.path }), words, file);
    return targets.map(({ path, file: name, label }) => [path, name ?? '-', label].join(' '));
  };
  const several = async (words: readonly string[], file?: string): Promise<boolean> =>
    (await checkTargets(fakeContext({ cwd: dir.path }), words, file)).several;

  test.each<[readonly string[], string | undefined, readonly string[]]>([
    [[], undefined, ['. - Dockerfile']],
    [['.'], undefined, ['. - Dockerfile']],
    [['a'], undefined, ['a - a/Dockerfile']],
    // A file is a Dockerfile, whose context is its directory.
    [['a/Dockerfile'], undefined, ['a a/Dockerfile a/Dockerfile']],
    [['Dockerfile.dev'], undefined, ['. Dockerfile.dev Dockerfile.dev']],
    [['.'], 'Dockerfile.dev', ['. Dockerfile.dev Dockerfile.dev']],
    [['a', 'b'], 'Dockerfile', ['a Dockerfile Dockerfile', 'b Dockerfile Dockerfile']],
    [['?/Dockerfile'], undefined, ['a a/Dockerfile a/Dockerfile', 'b b/Dockerfile b/Dockerfile']],
    [['?/Dockerfile', '!b'], undefined, ['a a/Dockerfile a/Dockerfile']],
    [['!odd'], undefined, ['!odd - !odd/Dockerfile']],
    // A file of that very name is no pattern.
    [['[x]'], undefined, ['. [x] [x]']],
    [['.'], 'Dockerfile*', ['. Dockerfile Dockerfile', '. Dockerfile.dev Dockerfile.dev']],
    [['-'], undefined, ['- - -']],
    [
      ['https://user:secret@example.com/x.git'],
      undefined,
      ['https://user:secret@example.com/x.git - https://xxxxx:xxxxx@example.com/x.git'],
    ],
    // What is named twice is checked once.
    [
      ['.', 'Dockerfile', './Dockerfile', 'Dockerfile*'],
      undefined,
      ['. - Dockerfile', '. Dockerfile.dev Dockerfile.dev'],
    ],
    // A build says what is wrong with it.
    [['none'], undefined, ['none - none']],
  ])('%j with -f %s', async (words, file, targets) => {
    expect(await found(words, file)).toEqual(targets);
  });

  test('may be several, although it is one', async () => {
    expect(await several(['a'])).toBe(false);
    expect(await several(['a', 'b'])).toBe(true);
    expect(await several(['a/Docker*'])).toBe(true);
    expect(await several(['.'], 'Dockerfile.d*v')).toBe(true);
  });

  test.each<[readonly string[], string | undefined, RegExp, string]>([
    [['!a'], undefined, /only patterns of what to leave out/, 'TSB_USAGE'],
    [['a/Dockerfile'], 'Dockerfile', /both name Dockerfiles/, 'TSB_USAGE'],
    [['x*'], undefined, /Cannot check "x\*": no file matches/, 'TSB_NOT_FOUND'],
    [['.'], 'x*', /Cannot check "x\*": no file matches/, 'TSB_NOT_FOUND'],
    [['*.dockerignore'], undefined, /no file matches/, 'TSB_NOT_FOUND'],
  ])('is not %j with -f %s', async (words, file, message, code) => {
    await expect(found(words, file)).rejects.toThrow(usage(message, code));
  });
});

describe('where reports go', () => {
  const targets = (report: readonly string[], { quiet = false, isTaken = false } = {}) =>
    parseReportTargets(fakeContext({ cwd: dir.path }), { report, quiet } as BuildOptions, isTaken);

  test('their names say the form', () => {
    expect(targets(['json', 'a/x.html', 'Y.HTM', 'z.json'])).toEqual([
      { format: 'json', path: undefined },
      { format: 'html', path: 'a/x.html' },
      { format: 'html', path: 'Y.HTM' },
      { format: 'json', path: 'z.json' },
    ]);
    expect(targets(['json'])).toHaveLength(1);
  });

  test.each<[readonly string[], object, RegExp]>([
    [['report'], {}, /the name says no form/],
    [['html'], {}, /the name says no form/],
    [['none/x.html'], {}, /there is no such directory/],
    [['json'], { isTaken: true }, /something else goes to standard output/],
    [['json'], { quiet: true }, /something else goes to standard output/],
    [['json', 'json'], {}, /something else goes to standard output/],
  ])('%j %j is refused', (report, options, message) => {
    expect(() => targets(report, options)).toThrow(usage(message));
  });
});

describe('the last build', () => {
  const options = { file: 'Dockerfile', progress: 'auto' } as BuildOptions;
  /** A store of one fact, which goes through JSON as in the index. */
  function storeOf(start?: unknown): Store {
    let text = start === undefined ? undefined : JSON.stringify(start);
    const facts = {
      put: (_kind: string, _key: string, value: unknown) => void (text = JSON.stringify(value)),
      get: () => (text === undefined ? undefined : { value: JSON.parse(text) as unknown }),
    };
    return { facts } as unknown as Store;
  }

  test('is what was typed, and where', () => {
    const store = storeOf();
    expect(lastBuild(store)).toBeUndefined();
    noteBuild(store, fakeContext({ cwd: '/project' }), 'ctx', options);
    expect(lastBuild(store)).toEqual({ cwd: '/project', path: 'ctx', options });
  });

  test('is not one that cannot be done again, or has credentials in its words', () => {
    const store = storeOf();
    const context = fakeContext({ cwd: '/project' });
    noteBuild(store, context, '-', options);
    noteBuild(store, context, '.', { ...options, file: '-' });
    noteBuild(store, context, 'https://user:secret@example.com/x.git', options);
    noteBuild(store, context, '.', { ...options, buildContext: ['a=https://user:secret@example.com/x.git'] });
    expect(lastBuild(store)).toBeUndefined();
  });

  test.each([[7], [{}], [{ cwd: '/x' }], [{ cwd: '/x', path: 1, options: {} }], [{ cwd: '/x', path: '.' }]])(
    'is none where the store has %j',
    (value) => {
      expect(lastBuild(storeOf(value))).toBeUndefined();
    },
  );
});
