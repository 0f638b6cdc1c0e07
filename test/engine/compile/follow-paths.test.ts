import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { followPaths } from '../../../src/engine/compile/follow-paths.ts';
import { hostIgnore } from '../../../src/engine/compile/host-ignore.ts';
import { ContextTree, toText, walkTree } from '../../../src/tree/index.ts';

const dir = directory();
afterAll(() => rmSync(dir, { recursive: true }));

function directory(): string {
  const dir = mkdtempSync(join(tmpdir(), 'tsbuild-follow-'));
  mkdirSync(join(dir, 'real/deep'), { recursive: true });
  mkdirSync(join(dir, 'other/empty'), { recursive: true });
  writeFileSync(join(dir, 'real/deep/a'), '');
  writeFileSync(join(dir, 'real/b'), '');
  writeFileSync(join(dir, 'other/c'), '');
  writeFileSync(join(dir, 'x [1]'), '');
  symlinkSync('real/deep', join(dir, 'link'));
  symlinkSync('/link/a', join(dir, 'far'));
  symlinkSync('loop', join(dir, 'loop'));
  return dir;
}

/** What a source with these attributes consists of. */
function sourceOf({
  follow = [],
  include = [],
  exclude = [],
}: Readonly<Record<string, readonly string[]>>): readonly string[] {
  const followed = followPaths(ContextTree.open(dir, { xattrs: false }), follow);
  const ignore = hostIgnore(exclude, [...include, ...followed]);
  const tree = ContextTree.open(dir, { xattrs: false, ...(ignore === undefined ? {} : { ignore }) });
  const found: string[] = [];
  walkTree(tree, tree.root, undefined, ({ path }) => void found.push(toText(path)));
  return found;
}

describe('a local source with paths to follow', () => {
  test.each<[string, readonly string[], readonly string[]]>([
    ['is a file and the directories above it', ['real/deep/a'], ['real', 'real/deep', 'real/deep/a']],
    ['is a whole directory', ['/real/'], ['real', 'real/b', 'real/deep', 'real/deep/a']],
    ['is a link and what it leads to', ['link'], ['link', 'real', 'real/deep', 'real/deep/a']],
    [
      'is every link on the way, absolute ones from the top',
      ['far'],
      ['far', 'link', 'real', 'real/deep', 'real/deep/a'],
    ],
    ['has what a wildcard stands for', ['re*/b', 'f?r'], ['far', 'link', 'real', 'real/b', 'real/deep', 'real/deep/a']],
    ['takes names that look like patterns as they are', ['x [[]1]'], ['x [1]']],
    ['ends where links go in circles', ['loop'], ['loop']],
    ['stays beneath its top', ['../../other/c'], ['other', 'other/c']],
    ['has nothing where there is nothing', ['missing/too'], []],
  ])('%s', (_what, follow, expected) => {
    expect(sourceOf({ follow })).toEqual(expected);
  });

  test('is everything when that is asked for, and with a wildcard for nothing', () => {
    const all = sourceOf({});
    expect(all).toHaveLength(11);
    expect(sourceOf({ follow: ['/'] })).toEqual(all);
    expect(sourceOf({ follow: ['none*'] })).toEqual(all);
  });

  test('has includes besides, and lacks what is excluded', () => {
    expect(sourceOf({ follow: ['link'], include: ['other/c'], exclude: ['real/deep/a'] })).toEqual([
      'link', 'other', 'other/c', 'real', 'real/deep',
    ]); // oxfmt-ignore
  });

  test('includes no directory for which there is no pattern', () => {
    expect(sourceOf({ include: ['**/a'] })).toEqual(['real', 'real/deep', 'real/deep/a']);
  });
});
