import fs from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { testAsRoot } from '../support/real-root.ts';
import { AT_FDCWD, mknodat, S_IFCHR, setXattr } from '../../src/sys/index.ts';
import { FsTree, LayersTree, resolvePath, shownLayers, toText, walkTree } from '../../src/tree/index.ts';
import { TempDir } from './support.ts';

function list(tree: LayersTree): string[] {
  const paths: string[] = [];
  walkTree(tree, tree.root, undefined, ({ dir, name, node, path }) => {
    let text = '';
    if (node.type === 'file') {
      const fd = tree.open(dir, name);
      text = `=${fs.readFileSync(fd, 'utf8')}`;
      tree.close(fd);
    }
    paths.push(toText(path) + text);
  });
  return paths;
}

const whiteout = (path: string): void => mknodat(AT_FDCWD, path, S_IFCHR, 0, 0);

test('upper layers win, whiteouts hide, opaque directories hide all below', () => {
  using dir = new TempDir();
  dir.write('1/a', 'low');
  dir.write('1/gone', 'low');
  dir.write('1/opaque/low', 'low');
  dir.write('1/merged/low', 'low');
  dir.write('1/file-over-dir/x', 'low');
  dir.write('1/dir-over-file', 'low');
  dir.write('1/back/low', 'low');
  dir.write('2/a', 'high');
  whiteout(join(dir.path, '2/gone'));
  dir.write('2/opaque/high', 'high');
  setXattr(join(dir.path, '2/opaque'), 'user.overlay.opaque', 'y');
  dir.write('2/merged/high', 'high');
  whiteout(join(dir.path, '2/merged/none'));
  dir.write('2/file-over-dir', 'high');
  dir.write('2/dir-over-file/x', 'high');
  whiteout(join(dir.path, '2/back'));
  dir.write('3/back/high', 'high');
  const layers = ['1', '2', '3'].map((name) => join(dir.path, name));
  const tree = new LayersTree(layers, { idShift: 0 });
  expect(list(tree)).toEqual([
    'a=high',
    'back',
    'back/high=high',
    'dir-over-file',
    'dir-over-file/x=high',
    'file-over-dir=high',
    'merged',
    'merged/high=high',
    'merged/low=low',
    'opaque',
    'opaque/high=high',
  ]);
});

test('no layers is an empty tree', () => {
  const tree = new LayersTree([], { idShift: 0 });
  expect(list(tree)).toEqual([]);
  expect(tree.stat(tree.root)).toMatchObject({ type: 'directory', mode: 0o755, uid: 0 });
});

testAsRoot('ids are unshifted, those outside the range are nobody', () => {
  using dir = new TempDir();
  fs.chownSync(dir.write('a'), 100_007, 100_008);
  fs.chownSync(dir.write('b'), 5, 5);
  const tree = new LayersTree([dir.path], { idShift: 100_000 });
  expect(tree.lookup(tree.root, 'a')).toMatchObject({ uid: 7, gid: 8 });
  expect(tree.lookup(tree.root, 'b')).toMatchObject({ uid: 65_534, gid: 65_534 });
});

test('symlinks of a stage are resolved inside the stage (CTX-02)', () => {
  using dir = new TempDir();
  dir.write('root/etc/file', 'stage');
  dir.write('victim/hello', 'canary');
  dir.link('/etc', 'root/link');
  dir.link('../../../victim', 'root/up');
  dir.link('loop2', 'root/loop1');
  dir.link('loop1', 'root/loop2');
  const tree = new LayersTree([join(dir.path, 'root')], { idShift: 0 });
  expect(resolvePath(tree, 'link/file', { followLast: true })).toMatchObject({
    path: 'etc/file',
    node: { type: 'file' },
  });
  expect(resolvePath(tree, 'up/hello', { followLast: true }).node).toBeUndefined();
  expect(resolvePath(tree, 'etc/file/x', { followLast: true })).toMatchObject({ blockedBy: 'etc/file' });
  expect(() => resolvePath(tree, 'loop1/x', { followLast: true })).toThrow('too many levels of symbolic links');
});

test('few of many directories are open, and none once the tree is disposed', () => {
  using dir = new TempDir();
  for (let index = 0; index < 800; index++) dir.write(`${index % 3}/${index >> 2}/${index}/${index}`, 'x');
  const open = (): number =>
    fs.readdirSync('/proc/self/fd').filter((fd) => {
      try {
        return fs.readlinkSync(`/proc/self/fd/${fd}`).startsWith(dir.path);
      } catch {
        return false;
      }
    }).length;
  const tree = new LayersTree(
    ['0', '1', '2'].map((name) => join(dir.path, name)),
    { idShift: 0 },
  );
  expect(list(tree)).toHaveLength(1800);
  expect(open()).toBeGreaterThan(3);
  expect(open()).toBeLessThan(600);
  tree[Symbol.dispose]();
  expect(open()).toBe(0);
  // What was not read yet can still be read, as the contents of a COPY are.
  expect(list(tree)).toHaveLength(1800);
  tree[Symbol.dispose]();
  expect(open()).toBe(0);
});

test('a root that hides all below it does so in the whole stack', () => {
  using dir = new TempDir();
  dir.write('1/a', 'low');
  dir.write('2/b', 'high');
  dir.write('3/c', 'top');
  setXattr(join(dir.path, '2'), 'user.overlay.opaque', 'y');
  const layers = ['1', '2', '3'].map((name) => join(dir.path, name));
  expect(list(new LayersTree(layers, { idShift: 0 }))).toEqual(['b=high', 'c=top']);
  expect(shownLayers(layers)).toEqual(layers.slice(1));
  expect(shownLayers(layers.slice(1))).toEqual(layers.slice(1));
  expect(shownLayers([])).toEqual([]);
});

test('a missing layer is told by name', () => {
  expect(() => new LayersTree(['/does/not/exist'], { idShift: 0 })).toThrow(
    expect.objectContaining({ code: 'TSB_STORE', message: expect.stringContaining('"/does/not/exist"') }),
  );
});

test('nothing done to a tree leaves it, whatever its symlinks say', () => {
  using dir = new TempDir();
  dir.write('victim/hello', 'canary', 0o600);
  dir.mkdir('root');
  dir.link('../victim', 'root/l');
  dir.link('../victim/hello', 'root/f');
  const before = fs.statSync(join(dir.path, 'victim/hello'), { bigint: true });
  using tree = FsTree.open(join(dir.path, 'root'), { idShift: 0 });
  const attributes = { mode: 0o777, uid: 1, gid: 1, mtimeNs: 0n, xattrs: [] };
  expect(() => tree.enter(tree.root, 'l')).toThrow(/ENOTDIR|ELOOP/);
  expect(() => tree.open(tree.root, 'f')).toThrow('ELOOP');
  expect(() => tree.truncateFile(tree.root, 'f', Buffer.from('pwned'))).toThrow('ELOOP');
  expect(() => tree.createFile(tree.root, 'f', attributes, Buffer.from('pwned'))).toThrow('EEXIST');
  expect(() => tree.setAttributes(tree.root, 'f', { mode: 0o777 })).toThrow();
  tree.setAttributes(tree.root, 'f', { uid: 1, gid: 1, mtimeNs: 5n });
  expect(() => tree.link('l/hello', tree.root, 'stolen')).toThrow(/ENOTDIR|ELOOP/);
  for (const name of ['..', '.', '', 'l/hello', '/etc']) {
    expect(() => tree.createFile(tree.root, name, attributes, new Uint8Array())).toThrow('as the name of a file');
  }
  tree.remove(tree.root, 'l');
  tree.remove(tree.root, 'f');
  const after = fs.statSync(join(dir.path, 'victim/hello'), { bigint: true });
  expect([after.mode, after.uid, after.nlink, after.mtimeNs, after.ctimeNs]).toEqual([
    before.mode, before.uid, before.nlink, before.mtimeNs, before.ctimeNs,
  ]); // oxfmt-ignore
  expect(fs.readdirSync(join(dir.path, 'root'))).toEqual([]);
});

test('times keep their nanoseconds, before 1970 too', () => {
  using dir = new TempDir();
  using tree = FsTree.open(dir.path, { idShift: 0 });
  for (const [name, mtimeNs] of [
    ['a', 1_700_000_000_123_456_789n],
    ['b', -1_500_000_001n],
  ] as const) {
    tree.createFile(tree.root, name, { mode: 0o644, uid: 0, gid: 0, mtimeNs, xattrs: [] }, new Uint8Array());
    expect(tree.lookup(tree.root, name)?.mtimeNs).toBe(mtimeNs);
  }
});
