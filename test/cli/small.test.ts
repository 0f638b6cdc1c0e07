import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import type { BuildOptions } from '../../src/cli/building/build-display.ts';
import { recallKey } from '../../src/cli/building/recall-key.ts';
import { reportError } from '../../src/cli/report.ts';
import { storeRoot } from '../../src/cli/store-root.ts';
import { formatAge, formatTable } from '../../src/cli/lists/table.ts';
import { TsbuildError } from '../../src/util/index.ts';
import { fakeContext } from '../fakes/cli-context.ts';

const dir = fs.mkdtempSync(join(tmpdir(), 'tsbuild-cli-test-'));
afterAll(() => fs.rmSync(dir, { recursive: true, force: true }));

/** Controls of ASCII and of Latin-1, line separators, and letters among them. */
const control = fc
  .array(fc.integer({ max: 0xff, min: 0 }), { maxLength: 12 })
  .map((codes) => String.fromCharCode(...codes));

describe('tables', () => {
  test('have aligned columns, and no spaces at ends of lines', () => {
    expect(
      formatTable(
        ['NAME', 'SIZE'],
        [
          ['a', '1 kB'],
          ['longer', ''],
        ],
      ),
    ).toBe('NAME    SIZE\na       1 kB\nlonger\n');
  });

  test('end at the edge of a terminal, by the last column only', () => {
    const rows = [['a-name-of-its-own', 'what it is and what it is for, at length']];
    expect(formatTable(['NAME', 'ABOUT'], rows, 45)).toBe(
      'NAME               ABOUT\na-name-of-its-own  what it is and what it is\u2026\n',
    );
    expect(formatTable(['NAME', 'ABOUT'], rows, 10)).toContain('a-name-of-its-own  what it is and what\u2026\n');
    expect(formatTable(['NAME', 'ABOUT'], rows)).toContain('at length\n');
    // As many as a store may have records.
    const many = Array.from({ length: 150_000 }, () => ['a', 'b']);
    expect(formatTable(['NAME', 'ABOUT'], many).length).toBe('NAME  ABOUT\n'.length + 150_000 * 'a     b\n'.length);
  });

  test('what images say of themselves cannot add lines or control the terminal', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(control, fc.string()), { maxLength: 5 }), (rows) => {
        const text = formatTable(['A', 'B'], rows);
        expect(text.split('\n')).toHaveLength(rows.length + 2);
        // A tab is no more than a space; everything else could move the cursor or begin a sequence.
        // oxlint-disable-next-line no-control-regex
        expect(text.replaceAll(/[\n\t]/g, '')).not.toMatch(/[\0-\x1f\x7f-\x9f]/);
      }),
    );
  });

  test.each([
    [0, 'just now'],
    [999, 'just now'],
    [1000, '1 second ago'],
    [59_999, '59 seconds ago'],
    [60_000, '1 minute ago'],
    [7_200_000, '2 hours ago'],
    [86_400_000, '1 day ago'],
    [14 * 86_400_000, '2 weeks ago'],
    [31 * 86_400_000, '1 month ago'],
    [800 * 86_400_000, '2 years ago'],
    // A clock that was set back.
    [-5000, 'just now'],
  ])('%d ms are %s', (ms, text) => {
    expect(formatAge(ms)).toBe(text);
  });
});

describe('a failure on standard error', () => {
  const said = async (thrown: unknown, debug = false): Promise<string> => {
    const context = fakeContext();
    await reportError(context, thrown, { debug });
    expect(context.out()).toBe('');
    return context.err();
  };

  test('is what was being done, and what to do', async () => {
    const error = new TsbuildError('TSB_USAGE', 'Cannot use x: y', { hint: 'write z' });
    expect(await said(error)).toBe('error: Cannot use x: y\nhint: write z\n');
    expect(await said(new TsbuildError('TSB_USAGE', 'Cannot use x'))).toBe('error: Cannot use x\n');
  });

  test('of tsbuild itself asks for a report; with --debug, stacks of all causes are shown', async () => {
    expect(await said(new TypeError('x is undefined'))).toMatch(
      /^error: x is undefined\nThis is a fault of tsbuild itself/,
    );
    expect(await said(new TypeError('x'))).not.toContain('small.test.ts');
    const error = new TsbuildError('TSB_STORE', 'outer', { cause: new Error('inner') });
    const text = await said(error, true);
    expect(text).toMatch(/^error: outer\n/);
    expect(text).toContain('Error: inner');
    expect(text).toContain('small.test.ts');
  });

  test('cannot control the terminal, whoever worded it', async () => {
    const text = await said(new TsbuildError('TSB_REGISTRY', '\u001b[2Jgone', { hint: '\u001b]0;title\u0007' }));
    expect(text).not.toMatch(/[\u001b\u0007]/);
  });

  test('is the first of several', async () => {
    const error = new SuppressedError(new Error('second'), new TsbuildError('TSB_STORE', 'first'));
    expect(await said(error)).toBe('error: first\n');
  });
});

describe('the place of the store', () => {
  test.each([
    [{ TSBUILD_ROOT: '/own', XDG_DATA_HOME: '/data', HOME: '/home/u' }, '/own'],
    [{ TSBUILD_ROOT: '', XDG_DATA_HOME: '/data', HOME: '/home/u' }, '/data/tsbuild'],
    // The XDG specification: relative paths are to be ignored.
    [{ XDG_DATA_HOME: 'data', HOME: '/home/u' }, '/home/u/.local/share/tsbuild'],
    [{ HOME: '/home/u' }, '/home/u/.local/share/tsbuild'],
  ])('%j gives %s', (env, path) => {
    expect(storeRoot(fakeContext({ env }))).toBe(path);
  });
});

describe('what names a build that can be remembered', () => {
  const key = (options: Partial<BuildOptions> = {}, env: Record<string, string> = {}, path = '.'): string | undefined =>
    recallKey(fakeContext({ cwd: dir, env }), path, { progress: 'auto', ...options });

  test('is the same for the same, whatever is said about it and however it is shown', () => {
    expect(key()).toBeDefined();
    expect(key({ progress: 'plain', quiet: true, iidfile: 'x' })).toBe(key());
    expect(key({ tag: ['a'] })).toBe(key({ tag: ['a'] }));
    expect(key({}, { UNRELATED: '1' })).toBe(key());
  });

  test.each<[string, Partial<BuildOptions>, Record<string, string>]>([
    ['a tag', { tag: ['a'] }, {}],
    ['a target', { target: 'a' }, {}],
    ['a build argument', { buildArg: ['A=1'] }, {}],
    ['an output', { output: ['type=oci,dest=x'] }, {}],
    ['the time of the image', {}, { SOURCE_DATE_EPOCH: '0' }],
  ])('%s makes another', (_name, options, env) => {
    const other = key(options, env);
    expect(other).toBeDefined();
    expect(other).not.toBe(key());
  });

  test('a bare build argument counts with the variable behind it', () => {
    const options = { buildArg: ['TOKEN'] };
    const all = [key(options), key(options, { TOKEN: '' }), key(options, { TOKEN: '1' }), key(options, { TOKEN: '2' })];
    // What is not set, and what is set to nothing, differ for the Dockerfile.
    expect(new Set(all).size).toBe(4);
  });

  test('a Dockerfile that appears where it is looked for first makes another', () => {
    const before = key({ file: 'Other' });
    fs.writeFileSync(join(dir, 'Other'), '');
    expect(key({ file: 'Other' })).not.toBe(before);
  });

  test.each<[string, Partial<BuildOptions>, string?]>([
    ['without the cache', { cache: false }],
    ['with secrets', { secret: ['id=x'] }],
    ['from standard input', {}, '-'],
    ['with a Dockerfile from standard input', { file: '-' }],
    ['of a repository', {}, 'https://example.test/x.git'],
    ['with an option that is not known yet', { invented: 'x' } as Partial<BuildOptions>],
  ])('builds %s are not remembered', (_name, options, path) => {
    expect(key(options, {}, path)).toBeUndefined();
  });
});
