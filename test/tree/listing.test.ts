import { chmodSync, linkSync, mkdirSync, mkdtempDisposableSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  checksumAndList,
  checksumTree,
  ContextTree,
  type ListedNode,
  listTree,
  parseListedNode,
  type Selector,
  type TreeListing,
} from '../../src/tree/index.ts';
import { whole } from './support.ts';

function names(listing: TreeListing, id: string): Record<string, ListedNode | undefined> {
  const lines = JSON.parse(listing.directories.get(id)?.text ?? '[]') as string[];
  return Object.fromEntries(
    lines.flatMap((name, at) => (at % 2 === 0 ? [[name, parseListedNode(lines[at + 1] ?? '')]] : [])),
  );
}

/** The listing of a path of the selected ones. */
function at(listing: TreeListing, match: string, ...path: string[]): Record<string, ListedNode | undefined> {
  let id = names(listing, listing.root)[match]?.id ?? '';
  for (const name of path) id = names(listing, id)[name]?.id ?? '';
  return names(listing, id);
}

function list(dir: string, ...selectors: readonly Partial<Selector>[]): TreeListing {
  const tree = ContextTree.open(dir);
  const all = selectors.map((selector) => ({ ...whole, ...selector }));
  const { digest, listing } = checksumAndList(tree, all, 'context');
  expect(digest).toBe(checksumTree(tree, all, 'context'));
  expect(listTree(tree, all, 'context')).toEqual(listing);
  return listing;
}

describe('a list of what was read', () => {
  test('has names, attributes, beginnings of digests, and counts of files', () => {
    using dir = mkdtempDisposableSync(join(tmpdir(), 'tsbuild-listing-'));
    mkdirSync(join(dir.path, 'src/deep'), { recursive: true });
    writeFileSync(join(dir.path, 'src/deep/a.txt'), 'hello');
    writeFileSync(join(dir.path, 'src/b.txt'), '', { mode: 0o640 });
    chmodSync(join(dir.path, 'src/b.txt'), 0o640);
    symlinkSync('deep/a,b', join(dir.path, 'src/link'));
    const listing = list(dir.path, {});
    expect(at(listing, '')['src']).toMatchObject({ type: 'directory', mode: '755', files: 3 });
    const src = at(listing, '', 'src');
    expect(Object.keys(src)).toEqual(['b.txt', 'deep', 'link']);
    expect(src['b.txt']).toMatchObject({ type: 'file', mode: '640', uid: '0', gid: '0' });
    expect(src['link']).toMatchObject({ type: 'symlink', link: 'deep/a,b' });
    // sha256 of "hello" begins with 2cf24dba5fb0a30e.
    expect(at(listing, '', 'src', 'deep')['a.txt']?.content).toBe('2cf24dba5fb0a30e');
  });

  test('directories that are the same are one, wherever they are', () => {
    using dir = mkdtempDisposableSync(join(tmpdir(), 'tsbuild-listing-'));
    for (const name of ['x', 'y']) {
      mkdirSync(join(dir.path, name));
      writeFileSync(join(dir.path, name, 'same'), 'same');
    }
    const listing = list(dir.path, {});
    const { x, y } = at(listing, '');
    expect(x?.id).toBe(y?.id);
    // The selection, its root, and the directory that is there twice.
    expect(listing.directories.size).toBe(3);
  });

  test('selected paths are named from the root of the tree', () => {
    using dir = mkdtempDisposableSync(join(tmpdir(), 'tsbuild-listing-'));
    mkdirSync(join(dir.path, 'a/b'), { recursive: true });
    for (const name of ['a/1.ts', 'a/2.ts', 'a/3.js', 'a/b/4.ts']) writeFileSync(join(dir.path, name), name);
    const wild = list(dir.path, { path: '/a/*.ts', wildcard: true });
    expect(Object.keys(names(wild, wild.root))).toEqual(['a/1.ts', 'a/2.ts']);
    const two = list(dir.path, { path: '/a/b' }, { path: '/a/3.js' });
    expect(Object.keys(names(two, two.root))).toEqual(['a/b', 'a/3.js']);
    expect(Object.keys(at(two, 'a/b'))).toEqual(['4.ts']);
    const filtered = list(dir.path, { include: ['**/*.js'] });
    expect(Object.keys(at(filtered, '', 'a'))).toEqual(['3.js']);
  });

  test('the mode of a directory counts only where the directory itself is read', () => {
    using dir = mkdtempDisposableSync(join(tmpdir(), 'tsbuild-listing-'));
    mkdirSync(join(dir.path, 'd'));
    const rootOf = (contents: boolean): string => list(dir.path, { path: '/d', contents }).root;
    const before = [rootOf(true), rootOf(false)];
    chmodSync(join(dir.path, 'd'), 0o700);
    expect([rootOf(true) === before[0], rootOf(false) === before[1]]).toEqual([true, false]);
  });

  test('which names are one file is told', () => {
    using dir = mkdtempDisposableSync(join(tmpdir(), 'tsbuild-listing-'));
    writeFileSync(join(dir.path, 'a'), 'x');
    linkSync(join(dir.path, 'a'), join(dir.path, 'b'));
    expect(at(list(dir.path, {}), '')['b']?.link).toBe('=a');
  });

  test('of a directory with very many names there is the digest and the number of files', () => {
    using dir = mkdtempDisposableSync(join(tmpdir(), 'tsbuild-listing-'));
    mkdirSync(join(dir.path, 'many'));
    for (let index = 0; index < 10_001; index++) writeFileSync(join(dir.path, 'many', String(index)), '');
    const listing = list(dir.path, {});
    const many = at(listing, '')['many'];
    expect(many?.files).toBe(10_001);
    expect(listing.directories.has(many?.id ?? '')).toBe(false);
    writeFileSync(join(dir.path, 'many', '77'), 'changed');
    expect(at(list(dir.path, {}), '')['many']?.id).not.toBe(many?.id);
  });

  test.each(['', 'x644,0,0,,', 'f', 'f9,0,0,,', '{}'])('what is no line is none: %j', (line) => {
    expect(parseListedNode(line)?.content ?? '').toBe('');
  });
});
