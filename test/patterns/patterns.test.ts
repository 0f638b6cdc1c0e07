import { describe, expect, test } from 'vitest';
import { cleanPath, hasWildcards, matchPath, PatternMatcher, relativePattern } from '../../src/patterns/index.ts';

describe('matchPath', () => {
  test.each([
    ['abc', 'abc', true],
    ['*', 'abc', true],
    ['*c', 'abc', true],
    ['a*', 'a', true],
    ['a*', 'ab/c', false],
    ['a*/b', 'abc/b', true],
    ['a*b*c*d*e*/f', 'axbxcxdxe/f', true],
    ['a*b*c*d*e*/f', 'axbxcxdxexxx/fff', false],
    ['a*b?c*x', 'abxbbxdbxebxczzx', true],
    ['a*b?c*x', 'abxbbxdbxebxczzy', false],
    ['ab[c]', 'abc', true],
    ['ab[b-d]', 'abc', true],
    ['ab[e-g]', 'abc', false],
    ['ab[^c]', 'abc', false],
    ['ab[^e-g]', 'abc', true],
    ['a\\*b', 'a*b', true],
    ['a\\*b', 'ab', false],
    ['a?b', 'a☺b', true],
    ['a[^a]b', 'a☺b', true],
    ['a???b', 'a☺b', false],
    ['[a-ζ]*', 'α', true],
    ['*[a-ζ]', 'A', false],
    ['a?b', 'a/b', false],
    ['a*b', 'a/b', false],
    ['[\\]a]', ']', true],
    ['[\\-]', '-', true],
    ['[x\\-]', '-', true],
    ['[x\\-]', 'z', false],
    ['[!a]', '!', true],
    ['.*', '.hidden', true],
    ['*', '.hidden', true],
    ['*x', 'xxx', true],
  ])('%j on %j is %s, as filepath.Match of Go', (pattern, name, wanted) => {
    expect(matchPath(pattern, name)).toBe(wanted);
  });

  test.each([
    ['[]a]', ']'],
    ['[-]', '-'],
    ['[x-]', 'x'],
    ['[-x]', 'x'],
    ['\\', 'a'],
    ['[a-b-c]', 'a'],
    ['[', 'a'],
    ['[^', 'a'],
    ['[^bc', 'a'],
  ])('%j is refused on %j', (pattern, name) => {
    expect(() => matchPath(pattern, name)).toThrow('syntax error in pattern');
  });

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
    ['[^a]', '/', true],
    ['*[^a]*', 'c/', false],
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

test('wildcards may be escaped', () => {
  expect([hasWildcards('a\\*'), hasWildcards('a*'), hasWildcards('[a]'), hasWildcards('a?'), hasWildcards('a')]).toEqual([
    false, true, true, true, false,
  ]); // oxfmt-ignore
});

describe('cleanPath', () => {
  test.each([
    ['', '.'],
    ['/', '/'],
    ['a//b/./c/..', 'a/b'],
    ['/../a', '/a'],
    ['../../a', '../../a'],
    ['a/../..', '..'],
    ['!a/..', '.'],
    ['a/', 'a'],
    ['./', '.'],
  ])('%j is %j', (path, cleaned) => {
    expect(cleanPath(path)).toBe(cleaned);
  });
});

describe('hostile input', { timeout: 10_000 }, () => {
  test('stars that cannot match take linear time', () => {
    expect(new PatternMatcher(['**/*a*a*a*a*a*?b']).matchesBelow(`${'a'.repeat(4000)}b/c`)).toBe(true);
    expect(new PatternMatcher(['**/*a*a*a*a*a*[b]']).matchesBelow('a'.repeat(20_000))).toBe(false);
    expect(new PatternMatcher(['**/*?a?b?']).matchesBelow('ab/'.repeat(30_000))).toBe(false);
    expect(matchPath('*a*a*a*a*a*b', 'a'.repeat(4000))).toBe(false);
  });

  test('many patterns', () => {
    const many = new PatternMatcher(Array.from({ length: 50_000 }, (_, index) => `**/*a*a*b${index}`));
    expect(many.matchesBelow('a'.repeat(200))).toBe(false);
  });
});

test.each([
  ['', ''],
  [' /a/../b/ ', 'b'],
  ['! /c', '!c'],
  ['!', '!'],
  ['/', '/'],
  ['./d//e', 'd/e'],
])('the pattern %j relative to its directory is %j', (pattern, relative) => {
  expect(relativePattern(pattern)).toBe(relative);
});

test('a pattern that is longer than any expression may be is still one', () => {
  const long = ']]]]]]]]FROM scratch'.repeat(8000);
  const matcher = new PatternMatcher([long]);
  expect(matcher.match('a/b').matched).toBe(false);
  expect(matcher.match(long).matched).toBe(true);
});
