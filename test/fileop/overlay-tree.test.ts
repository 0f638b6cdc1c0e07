import fs from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type OverlayEntry, OverlayTree } from '../../src/fileop/overlay-tree.ts';
import { FsTree, LayersTree, type NodeAttributes, type TreeNode, type WritableTree } from '../../src/tree/index.ts';
import { sha256 } from '../../src/util/index.ts';
import { TempDir } from '../tree/support.ts';

const me = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
const NOW = 1_700_000_000_000_000_000n;
const attributes = (mode: number): NodeAttributes => ({ ...me, mode, mtimeNs: 1_000_000_000n, xattrs: [] });

/** What a build may stand on: files, directories in directories, a symbolic link. */
function makeBase(path: string): void {
  for (const dir of ['a', 'a/b', 'b']) fs.mkdirSync(join(path, dir), { mode: 0o755 });
  for (const file of ['c', 'a/c', 'a/b/a', 'b/b']) fs.writeFileSync(join(path, file), file, { mode: 0o644 });
  fs.symlinkSync('a/c', join(path, 'b/a'));
}

interface Operation {
  readonly kind: 'mkdir' | 'file' | 'truncate' | 'symlink' | 'fifo' | 'link' | 'chmod' | 'remove' | 'renew';
  readonly path: readonly string[];
  readonly other: readonly string[];
  readonly mode: number;
}

// So few that they meet: what was made is removed, and what was removed is made again.
const paths = fc.constantFrom('a', 'b', 'c', 'd', 'a/b', 'a/c', 'a/d', 'b/b', 'b/d', 'd/a', 'a/b/a', 'a/b/c');
const operations = fc.array(
  fc.record<Operation>({
    kind: fc.constantFrom('mkdir', 'file', 'truncate', 'symlink', 'fifo', 'link', 'chmod', 'remove', 'renew'),
    path: paths.map((path) => path.split('/')),
    other: paths.map((path) => path.split('/')),
    mode: fc.constantFrom(0o600, 0o711, 0o755, 0o4750),
  }),
  { minLength: 5, maxLength: 25, size: 'max' },
);

/** The directory that a path is in, without following links; undefined where there is none. */
function parentOf<D>(tree: WritableTree<D>, path: readonly string[]): D | undefined {
  let dir = tree.root;
  for (const name of path.slice(0, -1)) {
    if (tree.lookup(dir, name)?.type !== 'directory') return undefined;
    dir = tree.enter(dir, name);
  }
  return dir;
}

/** Does what may be done: names of what is made must be free. */
function apply<D>(tree: WritableTree<D>, { kind, path, other, mode }: Operation): void {
  const dir = parentOf(tree, path);
  const name = path.at(-1) ?? '';
  if (dir === undefined) return;
  const node = tree.lookup(dir, name);
  if (kind === 'remove') {
    if (node !== undefined) tree.remove(dir, name);
  } else if (kind === 'renew') {
    if (node !== undefined) tree.remove(dir, name);
    tree.mkdir(dir, name, attributes(mode));
  } else if (kind === 'chmod') {
    if (node !== undefined && node.type !== 'symlink') tree.setAttributes(dir, name, { mode });
  } else if (kind === 'truncate') {
    if (node?.type === 'file') tree.truncateFile(dir, name, Buffer.from(`new ${mode}`));
  } else if (node === undefined) {
    if (kind === 'mkdir') tree.mkdir(dir, name, attributes(mode));
    else if (kind === 'file') tree.createFile(dir, name, attributes(mode), Buffer.from(`made ${path.join('/')}`));
    else if (kind === 'symlink') tree.symlink(dir, name, other.join('/'), attributes(mode));
    else if (kind === 'fifo') tree.mkfifo(dir, name, attributes(mode));
    else {
      const from = parentOf(tree, other);
      if (from !== undefined && tree.lookup(from, other.at(-1) ?? '')?.type === 'file')
        tree.link(other.join('/'), dir, name);
    }
  }
}

/** What is at a path, as whoever reads the result sees it. */
interface Seen {
  readonly type: string;
  readonly mode: number;
  readonly content: string;
  /** All names of the same file. */
  names: string;
}
type Picture = ReadonlyMap<string, Seen>;

function seen(node: Pick<TreeNode, 'type' | 'mode' | 'linkname'>, content: string): Seen {
  return { type: node.type, mode: node.mode, content: node.linkname || content, names: '' };
}

function pictureOf<D>(tree: WritableTree<D>): Picture {
  const all = new Map<string, Seen>();
  const names = new Map<string, string[]>();
  const look = (dir: D, prefix: string): void => {
    const list = tree.list(dir);
    expect(list).toEqual([...list].sort());
    for (const name of list) {
      const node = tree.lookup(dir, name);
      if (node === undefined) throw new Error(`"${prefix}${name}" is listed and not there`);
      all.set(prefix + name, seen(node, node.type === 'file' ? contentOf(tree, dir, name, node) : ''));
      const same = node.hardlink === undefined ? [] : (names.get(node.hardlink) ?? []);
      same.push(prefix + name);
      if (node.hardlink !== undefined) names.set(node.hardlink, same);
      if (node.type === 'directory') look(tree.enter(dir, name), `${prefix}${name}/`);
    }
  };
  look(tree.root, '');
  for (const same of names.values()) setNames(all, same);
  return all;
}

function setNames(all: Picture, names: readonly string[]): void {
  for (const name of names.length > 1 ? names : []) {
    const one = all.get(name);
    if (one !== undefined) one.names = [...names].sort().join(' ');
  }
}

function contentOf<D>(tree: WritableTree<D>, dir: D, name: string, node: TreeNode): string {
  const known = tree.knownContent?.(dir, name);
  if (known !== undefined) return known;
  const fd = tree.open(dir, name, node);
  try {
    return sha256(fs.readFileSync(fd));
  } finally {
    tree.close(fd, dir, name, node);
  }
}

/** A layer on what is below it, by the rules of the image-spec: whiteouts hide what is below and nothing of the layer's own. */
function layered(base: Picture, entries: readonly OverlayEntry[]): Picture {
  const result = new Map([...base].map(([path, one]) => [path, { ...one }]));
  const dropBelow = (path: string): void => {
    for (const each of result.keys()) if (path === '' || each.startsWith(`${path}/`)) result.delete(each);
  };
  for (const { path, type } of entries) {
    if (type !== 'whiteout') continue;
    const slash = path.lastIndexOf('/');
    const [parent, name] = [path.slice(0, Math.max(0, slash)), path.slice(slash + 1)];
    if (name === '.wh..wh..opq') dropBelow(parent);
    else {
      const hidden = `${parent === '' ? '' : `${parent}/`}${name.slice('.wh.'.length)}`;
      expect(result.has(hidden), `a whiteout for "${hidden}", which is not there`).toBe(true);
      dropBelow(hidden);
      result.delete(hidden);
    }
  }
  const links = new Map<string, string[]>();
  for (const entry of entries) {
    const { path, type, attributes: has, content, linkname } = entry;
    if (type === 'whiteout' || path === '') continue;
    const parent = path.slice(0, Math.max(0, path.lastIndexOf('/')));
    if (parent !== '') expect(result.get(parent)?.type, `the directory of "${path}"`).toBe('directory');
    if (type !== 'directory') dropBelow(path);
    if (type === 'hardlink') {
      const first = result.get(linkname);
      if (first === undefined) throw new Error(`"${path}" is a link to "${linkname}", which comes later or never`);
      result.set(path, { ...first });
      links.set(linkname, [...(links.get(linkname) ?? [linkname]), path]);
      continue;
    }
    result.set(path, seen({ type, mode: has.mode, linkname }, type === 'file' ? digestOf(content) : ''));
  }
  for (const names of links.values()) setNames(result, names);
  return result;
}

function digestOf(content: OverlayEntry['content']): string {
  if (content === undefined || content instanceof Uint8Array) return sha256(content ?? '');
  const fd = content.open();
  try {
    return sha256(fs.readFileSync(fd));
  } finally {
    content.close(fd);
  }
}

describe('changes in memory', () => {
  test('look like the same changes to files, and make the layer that leads there (property)', () => {
    using base = new TempDir();
    makeBase(base.path);
    const below = new LayersTree([base.path], { idShift: 0 });
    const before = pictureOf(new OverlayTree(below, NOW));
    fc.assert(
      fc.property(operations, (all) => {
        using real = new TempDir();
        makeBase(real.path);
        const [changed, model] = [new OverlayTree(below, NOW), FsTree.open(real.path, { idShift: 0 })];
        try {
          for (const one of all) {
            apply(model, one);
            apply(changed, one);
          }
          const wanted = pictureOf(model);
          expect(pictureOf(changed)).toEqual(wanted);
          const entries = changed.entries();
          expect(entries.map(({ path }) => path)).toEqual(entries.map(({ path }) => path).toSorted());
          expect(new Set(entries.map(({ path }) => path)).size).toBe(entries.length);
          expect(layered(before, entries)).toEqual(wanted);
          // Asked a second time it is the same layer.
          const brief = ({ path, type, linkname }: OverlayEntry): string => `${type} ${path} ${linkname}`;
          expect(changed.entries().map(brief)).toEqual(entries.map(brief));
        } finally {
          model[Symbol.dispose]();
        }
      }),
      { numRuns: 30 },
    );
  });
});
