import { describe, expect, test } from 'vitest';
import {
  clean,
  IgnoreMatcher,
  matchPath,
  parseIgnoreFile,
  PatternMatcher,
} from '../../../src/frontend/ignore/index.ts';
import { isTsbuildError } from '../../../src/util/index.ts';

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

describe('matchPath', () => {
  test.each([
    ['*', 'a', true],
    ['*', '.a', true],
    ['*', 'a/b', false],
    ['a*/b', 'axx/b', true],
    ['a*b*c', 'aXbXbc', true],
    ['a*b*c', 'aXbXbcd', false],
    ['a/**/b', 'a/x/b', true],
    ['a/**/b', 'a/x/y/b', false],
    ['{a,b}', 'a', false],
    ['[a-c]', 'b', true],
    ['[^a-c]', 'b', false],
    ['[\\]a]', ']', true],
    ['\\a', 'a', true],
    ['?', '👽', true],
    ['', '', true],
  ])('%j on %j', (pattern, name, matches) => {
    expect(matchPath(pattern, name)).toBe(matches);
  });

  test.each(['[', '[]', '[a', '[a-]', '[-a]', '\\', 'a[\\'])('%j is refused', (pattern) => {
    expect(() => matchPath(pattern, 'a')).toThrow('syntax error in pattern');
  });
});

describe('clean', () => {
  test.each([
    ['', '.'],
    ['/', '/'],
    ['a//b/./c/..', 'a/b'],
    ['/../a', '/a'],
    ['../../a', '../../a'],
    ['a/../..', '..'],
    ['!a/..', '.'],
  ])('%j is %j', (path, cleaned) => {
    expect(clean(path)).toBe(cleaned);
  });
});

describe('hostile input', { timeout: 10_000 }, () => {
  test('stars that cannot match take linear time', () => {
    expect(new PatternMatcher(['**/*a*a*a*a*a*?b']).matchesBelow(`${'a'.repeat(4000)}b/c`)).toBe(true);
    expect(new PatternMatcher(['**/*a*a*a*a*a*[b]']).matchesBelow('a'.repeat(20_000))).toBe(false);
    expect(new PatternMatcher(['**/*?a?b?']).matchesBelow('ab/'.repeat(30_000))).toBe(false);
    expect(matchPath('*a*a*a*a*a*b', 'a'.repeat(4000))).toBe(false);
  });

  test('many patterns and a deep path', () => {
    const many = new PatternMatcher(Array.from({ length: 50_000 }, (_, index) => `**/*a*a*b${index}`));
    expect(many.matchesBelow('a'.repeat(200))).toBe(false);
    const matcher = new IgnoreMatcher(['**/*ab', 'foo', '!x']);
    let info = matcher.ignored('a', true).info;
    for (let depth = 1; depth < 2000; depth++) info = matcher.ignored(`${'a/'.repeat(depth)}a`, true, info).info;
    expect(info).toHaveLength(3);
  });
});
