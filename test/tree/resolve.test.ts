import fs from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  AT_FDCWD,
  close,
  inodeKey,
  O_DIRECTORY,
  O_PATH,
  O_NOFOLLOW,
  O_RDONLY,
  openat,
  openat2,
  statat,
} from '../../src/sys/index.ts';
import { FsTree, type Located, type ReadableTree, resolvePath, splitPath } from '../../src/tree/index.ts';
import { errnoOf, isTsbuildError } from '../../src/util/index.ts';
import { RESOLVE_IN_ROOT } from '../sys/constants.ts';
import { TempDir } from './support.ts';

let dir: TempDir;
beforeEach(() => {
  dir = new TempDir();
});
afterEach(() => dir[Symbol.dispose]());

/** What is found of a path, with all handles given back. */
function find(path: string, followLast = true): Located<unknown> | string {
  using tree = FsTree.open(dir.path, { idShift: 0 });
  try {
    const located = resolvePath(counted(tree), path, { followLast });
    located.release();
    expect(open).toBe(0);
    return located;
  } catch (error) {
    expect(open).toBe(0);
    if (isTsbuildError(error)) return error.message;
    throw error;
  }
}

let open = 0;
/** A tree that counts handles which were not given back. */
function counted<D>(tree: ReadableTree<D>): ReadableTree<D> {
  open = 0;
  return new Proxy(tree, {
    get(target, key) {
      if (key === 'enter') open++;
      if (key === 'leave') open--;
      const value = Reflect.get(target, key, target) as unknown;
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

/** The inode that the kernel finds within the root; else its error. */
function byKernel(path: string, followLast: boolean): string {
  const root = openat(AT_FDCWD, dir.path, O_RDONLY | O_DIRECTORY);
  try {
    const flags = O_PATH | (followLast ? 0 : O_NOFOLLOW);
    const fd = openat2(root, path === '' ? '.' : path, { flags, resolve: RESOLVE_IN_ROOT });
    try {
      return inodeKey(statat(fd, ''));
    } finally {
      close(fd);
    }
  } catch (error) {
    return errnoOf(error) ?? String(error);
  } finally {
    close(root);
  }
}

describe('names of a path', () => {
  test.each([
    ['', []],
    ['/', []],
    ['.', []],
    ['a/./b//c/', ['a', 'b', 'c']],
    ['../a', ['..', 'a']],
    ['...', ['...']],
  ])('%j are %j', (path, names) => expect(splitPath(path)).toEqual(names));

  test('have no NUL, at which the kernel would end them', () => {
    expect(() => splitPath('a\0/../../etc')).toThrow(expect.objectContaining({ code: 'TSB_LLB' }));
  });
});

describe('a path in a tree', () => {
  beforeEach(() => {
    dir.write('etc/passwd', 'root');
    dir.mkdir('usr/bin');
    dir.write('usr/bin/sh', '#!');
    dir.link('usr/bin', 'bin');
    dir.link('/usr/bin', 'abs');
    dir.link('../../../../etc', 'usr/up');
    dir.link('nowhere/at/all', 'dangling');
    dir.link('loop', 'loop');
    dir.link('.', 'here');
    dir.link('etc/passwd', 'file');
  });

  test.each<[string, string, string | undefined]>([
    ['', '', 'directory'],
    ['/', '', 'directory'],
    ['../..', '', 'directory'],
    ['etc/passwd', 'etc/passwd', 'file'],
    ['/etc/../etc/./passwd', 'etc/passwd', 'file'],
    ['bin/sh', 'usr/bin/sh', 'file'],
    ['abs/sh', 'usr/bin/sh', 'file'],
    ['bin/..', 'usr', 'directory'],
    ['usr/up/passwd', 'etc/passwd', 'file'],
    ['here/here/bin', 'usr/bin', 'directory'],
    ['file', 'etc/passwd', 'file'],
    ['dangling', 'nowhere/at/all', undefined],
    ['dangling/x', 'nowhere/at/all/x', undefined],
    ['new/dir', 'new/dir', undefined],
    ['new/../bin/sh', 'usr/bin/sh', 'file'],
    ['bin/new/a', 'usr/bin/new/a', undefined],
  ])('%j is %j', (path, whole, type) => {
    const found = find(path);
    expect(found).toMatchObject({ path: whole, name: whole.slice(whole.lastIndexOf('/') + 1) });
    expect(typeof found === 'string' ? found : found.node?.type).toBe(type);
  });

  test('leaves its last link alone where that is wanted, and no other', () => {
    expect(find('bin', false)).toMatchObject({ path: 'bin', node: { type: 'symlink', linkname: 'usr/bin' } });
    expect(find('abs/sh', false)).toMatchObject({ path: 'usr/bin/sh' });
    expect(find('loop', false)).toMatchObject({ node: { type: 'symlink' } });
    expect(find('dangling', false)).toMatchObject({ path: 'dangling', node: { type: 'symlink' } });
  });

  test('tells what has to be made, from the deepest directory that is there', () => {
    expect(find('usr/lib/x/y')).toMatchObject({
      path: 'usr/lib/x/y',
      missing: ['lib', 'x', 'y'],
      blockedBy: undefined,
    });
    expect(find('dangling/z')).toMatchObject({ missing: ['nowhere', 'at', 'all', 'z'] });
  });

  test('tells which file stands where a directory is needed', () => {
    expect(find('etc/passwd/x')).toMatchObject({ node: undefined, blockedBy: 'etc/passwd' });
    expect(find('file/x')).toMatchObject({ node: undefined, blockedBy: 'etc/passwd' });
  });

  test('that goes round in circles is an error, and one of forty links is not', () => {
    expect(find('loop/x')).toBe('Cannot resolve "/loop/x": too many levels of symbolic links');
    for (let at = 0; at < 41; at++) dir.link(at === 0 ? 'etc' : `c${at - 1}`, `c${at}`);
    expect(find('c39/passwd')).toMatchObject({ path: 'etc/passwd' });
    expect(find('c40/passwd')).toMatch(/too many levels/);
    expect([byKernel('c39/passwd', true), byKernel('c40/passwd', true)]).toEqual([
      expect.stringContaining(':'),
      'ELOOP',
    ]);
  });
});

interface Item {
  readonly at: readonly string[];
  readonly link: string | undefined;
  readonly file: boolean;
}

/** Makes what can be made of these in the empty directory. */
function build(items: readonly Item[]): void {
  fs.rmSync(dir.path, { recursive: true });
  fs.mkdirSync(dir.path);
  for (const { at, link, file } of items) {
    const path = (depth: number): string => join(dir.path, ...at.slice(0, depth));
    // Through no link: the test is not to leave its own directory.
    const isLink = (_: string, index: number): boolean =>
      fs.lstatSync(path(index), { throwIfNoEntry: false })?.isSymbolicLink() === true;
    try {
      if (at.some(isLink)) continue;
      fs.mkdirSync(path(at.length - 1), { recursive: true });
      if (link !== undefined) fs.symlinkSync(link === '' ? '.' : link, path(at.length));
      else if (file) fs.writeFileSync(path(at.length), '', { flag: 'wx' });
      else fs.mkdirSync(path(at.length));
    } catch (error) {
      if (!['EEXIST', 'ENOTDIR'].includes(errnoOf(error) ?? '')) throw error;
    }
  }
}

test('leads where the kernel leads within a root, whatever links there are (property)', () => {
  const name = fc.constantFrom('a', 'b', 'c', 'd');
  const part = fc.oneof({ weight: 4, arbitrary: name }, fc.constantFrom('..', '.', ''));
  const path = fc.array(part, { minLength: 1, maxLength: 5 }).map((names) => names.join('/'));
  const item = fc.record({
    at: fc.array(name, { minLength: 1, maxLength: 3 }),
    link: fc.option(path, { nil: undefined }),
    file: fc.boolean(),
  });
  const paths = fc.array(path, { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(fc.array(item, { maxLength: 10 }), paths, fc.boolean(), (items, asked, followLast) => {
      build(items);
      for (const one of asked) {
        // A slash at the end makes the kernel follow the last link, and want a directory; a path here is one of names.
        const names = splitPath(one).join('/');
        const kernel = byKernel(names, followLast);
        const found = find(names, followLast);
        if (kernel === 'ELOOP') expect(found).toMatch(/too many levels/);
        else if (kernel.includes(':')) expect(typeof found === 'string' ? found : inodeOf(found.path)).toBe(kernel);
        // "x/.." of what is no directory is an error to the kernel, and nothing here.
        else if (typeof found !== 'string' && found.node) expect(JSON.stringify([names, items])).toContain('..');
      }
    }),
    { numRuns: 150 },
  );
});

/** The inode of a path, whose links have all been followed. */
function inodeOf(path: string): string {
  const root = openat(AT_FDCWD, dir.path, O_RDONLY | O_DIRECTORY);
  try {
    return inodeKey(statat(root, path === '' ? '.' : path));
  } finally {
    close(root);
  }
}
