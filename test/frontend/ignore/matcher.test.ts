import { describe, expect, test } from 'vitest';
import { IgnoreMatcher, parseIgnoreFile } from '../../../src/frontend/ignore/index.ts';
import { isTsbuildError } from '../../../src/util/index.ts';
import { PatternMatcher } from '../../../src/patterns/index.ts';

function ignores(text: string, path: string): boolean {
  return IgnoreMatcher.fromFile({ name: '.dockerignore', text }).ignored(path, false).ignored;
}

describe('parseIgnoreFile', () => {
  test('drops comments and blanks, cleans paths', () => {
    const text = '\uFEFF# comment\n\n  /a/../b/  \r\n #x\n! /c\n./d//e\n/\n!\n';
    expect(parseIgnoreFile({ name: 'i', text })).toEqual(['b', '#x', '!c', 'd/e', '/', '!']);
  });

  test('refuses a line longer than Go reads', () => {
    const text = `a\n${'x'.repeat(70_000)}\n`;
    expect(() => parseIgnoreFile({ name: '.dockerignore', text })).toThrow(
      'Cannot read ignore file ".dockerignore": line 2 is longer than 65535 bytes',
    );
  });
});

describe('patterns', () => {
  test.each([
    ['a', 'a', true],
    ['a', 'a/b/c', true],
    ['a', 'b/a', false],
    ['a', 'ab', false],
    ['*', '.git', true],
    ['*.md', 'x.md', true],
    ['*.md', 'd/x.md', false],
    ['*/*.md', 'd/x.md', true],
    ['**/*.md', 'x.md', true],
    ['**/*.md', 'a/b/x.md', true],
    ['**/node_modules', 'a/node_modules/b/c', true],
    ['a/**', 'a', false],
    ['a/**', 'a/b/c', true],
    ['a/**/c', 'a/c', true],
    ['a/**/c', 'a/b/b/c', true],
    ['**', 'a/b', true],
    ['a?c', 'abc', true],
    ['a?c', 'a/c', false],
    ['?', '👽', true],
    ['[a-c]x', 'bx', true],
    ['[!a]x', '!x', true],
    ['[^a]x', 'bx', true],
    ['a.b', 'axb', false],
    ['a+(b)|c{d}$', 'a+(b)|c{d}$', true],
    ['\\*', '*', true],
    ['\\*', 'a', false],
    ['../a', '../a', true],
    ['a^b?', 'a^bc', false],
    ['*\n!a', 'a', false],
    ['*\n!a', 'a/b', false],
    ['!a\n*', 'a', true],
    ['*\n!a\na/b', 'a/b', true],
    ['a\n!a/b\na/b/c', 'a/b/c', true],
    ['a\n!a/b\na/b/c', 'a/b/d', false],
    ['*.md\n!README*.md', 'README-x.md', false],
    ['docs\n!docs/**/*.txt', 'docs/a/b.txt', false],
    ['', 'a', false],
  ])('%j on %j', (text, path, ignored) => {
    expect(ignores(text, path)).toBe(ignored);
  });

  test.each([
    ['!', 'illegal exclusion pattern: "!"'],
    ['[', 'Cannot use pattern "[": syntax error in pattern'],
    ['a[]b', 'Cannot use pattern "a[]b": syntax error in pattern'],
    ['a\\', 'Cannot use pattern "a\\\\": syntax error in pattern'],
  ])('%j is refused', (text, message) => {
    try {
      ignores(text, 'x');
      expect.unreachable();
    } catch (error) {
      if (!isTsbuildError(error, 'TSB_IGNORE')) throw error;
      expect(error.message).toBe(message);
    }
  });

  test('a set that only matching shows to be wrong is refused then', () => {
    const matcher = new PatternMatcher(['b*[z-a]']);
    expect(() => matcher.matchesBelow('bx')).toThrow('Cannot use pattern "b*[z-a]": syntax error in pattern');
  });
});

describe('walking', () => {
  test('what the parents matched holds for their entries', () => {
    const matcher = new IgnoreMatcher(['a', '!a/keep', 'a/keep/not']);
    const a = matcher.ignored('a', true);
    const keep = matcher.ignored('a/keep', true, a.info);
    expect(a.ignored).toBe(true);
    expect(matcher.ignored('a/x', false, a.info).ignored).toBe(true);
    expect(keep.ignored).toBe(false);
    expect(matcher.ignored('a/keep/x', false, keep.info).ignored).toBe(false);
    expect(matcher.ignored('a/keep/not', false, keep.info).ignored).toBe(true);
  });

  test.each([
    [['a'], 'a', true],
    [['a', '!b'], 'a', true],
    [['a', '!a/b'], 'a', false],
    [['a', '!a/b/c'], 'a/b', false],
    [['a', '!a/b/c'], 'a/x', true],
    [['a', '!a/b'], 'a/b', true],
    [['a', '!*/x'], 'a', false],
    [['a', '!b*/x'], 'a', true],
    [['a', '!**/x'], 'a/b/c', false],
    [['a', '!a/[x]/y'], 'a/x', false],
  ])('%j lets %s be skipped: %s', (patterns, directory, skip) => {
    expect(new IgnoreMatcher(patterns).canSkipDir(directory)).toBe(skip);
  });
});

describe('hostile patterns (PAR-08)', { timeout: 10_000 }, () => {
  test.each([
    '**/*a*a*a*a*a*b', '*a*a*a*a*a*b', `${'*a'.repeat(200)}b`, `${'**/'.repeat(200)}b`, `${'a/**/'.repeat(100)}b`, '**/*[ab]*[ab]*[ab]*c',
    `${'?*'.repeat(200)}b`, `*${'\\a*'.repeat(100)}b`, '[!-~]*[!-~]*[!-~]*b',
  ])('%s does not try every way', (pattern) => {
    const matcher = new IgnoreMatcher([pattern]);
    for (const path of ['a'.repeat(4000), 'a/'.repeat(2000), `${'a'.repeat(200)}/`.repeat(15)])
      expect(matcher.ignored(`${path}x`, false).ignored).toBe(false);
  }); // oxfmt-ignore

  test('a hundred thousand patterns, and paths of ten thousand elements', () => {
    const lines = Array.from({ length: 100_000 }, (_, at) => (at % 3 === 0 ? `!dir${at}/*.x` : `**/x${at}/*.y?`));
    const matcher = IgnoreMatcher.fromFile({ name: '.dockerignore', text: lines.join('\n') });
    expect(matcher.ignored('dir3/a.x', false).ignored).toBe(false);
    expect(matcher.ignored('b/x1/a.yz', false).ignored).toBe(true);
    expect(new IgnoreMatcher(['**/z', '!a/b', '*']).ignored('a/'.repeat(10_000) + 'z', false).ignored).toBe(true);
  });

  test.each(['!', '[', 'a[', '\\', 'a\\', '!\\', '[]', '[z-a]'])('%j is refused, whatever the path', (text) => {
    expect(() => [ignores(text, 'zz'), ignores(text, 'a')]).toThrow(expect.objectContaining({ code: 'TSB_IGNORE' }));
  });
});

test('a deep path takes linear time', { timeout: 10_000 }, () => {
  const matcher = new IgnoreMatcher(['**/*ab', 'foo', '!x']);
  let info = matcher.ignored('a', true).info;
  for (let depth = 1; depth < 2000; depth++) info = matcher.ignored(`${'a/'.repeat(depth)}a`, true, info).info;
  expect(info).toHaveLength(3);
});
