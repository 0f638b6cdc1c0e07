import { expect, test } from 'vitest';
import { hasWildcards, matchGlob, PatternList } from '../../src/tree/index.ts';

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
  ['[]a]', ']', undefined],
  ['[-]', '-', undefined],
  ['[x-]', 'x', undefined],
  ['[-x]', 'x', undefined],
  ['\\', 'a', undefined],
  ['[a-b-c]', 'a', undefined],
  ['[', 'a', undefined],
  ['[^', 'a', undefined],
  ['[^bc', 'a', undefined],
])('matchGlob(%j, %j) is %s, as filepath.Match of Go', (pattern, name, wanted) => {
  expect(matchGlob(pattern, name)).toBe(wanted);
});

test('wildcards may be escaped', () => {
  expect([hasWildcards('a\\*'), hasWildcards('a*'), hasWildcards('[a]'), hasWildcards('a?'), hasWildcards('a')]).toEqual([
    false, true, true, true, false,
  ]); // oxfmt-ignore
});

test.each([
  [['**'], 'file', true],
  [['**'], 'dir/file', true],
  [['**/'], 'file', true],
  [['**/**'], 'dir/file', true],
  [['dir/**'], 'dir/file', true],
  [['dir/**'], 'file', false],
  [['**/dir2/*'], 'dir/dir2/file', true],
  [['**/dir2/*'], 'dir/dir2/dir2/file', true],
  [['**file'], 'dir/file', true],
  [['**/file'], 'file', true],
  [['*/f'], 'a/f', true],
  [['dir'], 'dir/sub/file', true],
  [['dir', '!dir/sub'], 'dir/sub/file', false],
  [['*', '!a'], 'a', false],
  [['!a', '*'], 'a', true],
  [['a[b-d]e'], 'ace', true],
  [['a\\*b'], 'a*b', true],
  [['/a/'], 'a', true],
  [['./a/../b'], 'b', true],
  [['a.(x)'], 'a.(x)', true],
])('patterns %j and path %j: %s', (patterns, path, wanted) => {
  expect(new PatternList(patterns).match(path, []).matched).toBe(wanted);
});

test.each([['!'], ['a['], ['[-x]']])('refuses %j', (pattern) => {
  expect(() => new PatternList([pattern])).toThrow('Cannot use pattern');
});

test('knows where nothing can match', () => {
  const list = new PatternList(['a/b/*', 'x*/y']);
  expect(['a', 'a/b', 'b', 'a/c', 'xx', 'xx/z'].map((dir) => list.canMatchBelow(dir))).toEqual([
    true, true, false, false, true, false,
  ]); // oxfmt-ignore
  expect(new PatternList(['**/c']).canMatchBelow('any/where')).toBe(true);
});
