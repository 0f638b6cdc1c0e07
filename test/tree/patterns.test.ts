import { expect, test } from 'vitest';
import { PathFilter } from '../../src/tree/index.ts';

function errorOf(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  return undefined;
}

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
  expect(new PathFilter(patterns, []).test(path, PathFilter.start).included).toBe(wanted);
});

test.each([
  ['!', 'illegal exclusion pattern: "!"'],
  ['a[', 'Cannot use pattern "a[": syntax error in pattern'],
  ['[-x]', 'Cannot use pattern "[-x]": syntax error in pattern'],
])('refuses %j', (pattern, message) => {
  expect(errorOf(() => new PathFilter([pattern], []))).toMatchObject({ code: 'TSB_LLB', message });
  expect(errorOf(() => new PathFilter([], [pattern]))).toMatchObject({ code: 'TSB_LLB', message });
});

test('refuses a set that only matching shows to be wrong', () => {
  const filter = new PathFilter([], ['b*[z-a]']);
  expect(errorOf(() => filter.test('bx', PathFilter.start))).toMatchObject({
    code: 'TSB_LLB',
    message: 'Cannot use pattern "b*[z-a]": syntax error in pattern',
  });
});

test('knows where nothing can match', () => {
  const descends = (patterns: readonly string[], dir: string): boolean =>
    new PathFilter(patterns, []).test(dir, PathFilter.start).descend;
  expect(['a', 'a/b', 'b', 'a/c', 'xx', 'xx/z'].map((dir) => descends(['a/b/*', 'x*/y'], dir))).toEqual([
    true, true, false, false, true, false,
  ]); // oxfmt-ignore
  expect(descends(['**/c'], 'any/where')).toBe(true);
});

test('takes time linear in the path for patterns of many stars', { timeout: 10_000 }, () => {
  const stars = `**/*${'a*'.repeat(8)}b`;
  const long = 'a'.repeat(20_000);
  expect(new PathFilter([stars], []).test(long, PathFilter.start)).toMatchObject({ included: false });
  expect(new PathFilter([], [stars]).test(`${long}/${long}b`, PathFilter.start)).toMatchObject({ included: false });
  expect(new PathFilter([], [stars]).test(`${'a/'.repeat(20_000)}c`, PathFilter.start)).toMatchObject({
    included: true,
  });
});
