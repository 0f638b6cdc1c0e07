import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import fs from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  decodeSummary,
  encodeSummary,
  LayersTree,
  type ReadableTree,
  resolvePath,
  type SummaryDir,
  type SummaryLeaf,
  SummaryTree,
  type TreeNode,
} from '../../src/tree/index.ts';
import { ColumnWriter } from '../../src/tree/columns.ts';
import { sha256 } from '../../src/util/index.ts';
import { TempDir } from './support.ts';

const node: TreeNode = { type: 'file', mode: 0o644, uid: 0, gid: 0, size: 3, mtimeNs: 5n, linkname: '' };
const dirNode: TreeNode = { ...node, type: 'directory', mode: 0o755, size: 0 };

function dir(entries: Readonly<Record<string, SummaryDir | SummaryLeaf>>, path = ''): SummaryDir {
  return { path, node: dirNode, entries: new Map(Object.entries(entries)) };
}

/** All that a tree tells, by path. Which number the files of several names have is its own business. */
function told<D>(tree: ReadableTree<D>): readonly unknown[] {
  const files = new Map<string, number>();
  const seen: unknown[] = [];
  const visit = (at: D, path: string): void => {
    seen.push([path, tree.stat(at)]);
    for (const name of tree.list(at)) {
      const { hardlink, ...found } = tree.lookup(at, name) as TreeNode;
      const first = hardlink === undefined ? undefined : (files.get(hardlink) ?? files.size);
      if (hardlink !== undefined && first !== undefined) files.set(hardlink, first);
      seen.push([`${path}/${name}`, found, first, tree.knownContent?.(at, name)]);
      if (found.type !== 'directory') continue;
      const child = tree.enter(at, name);
      visit(child, `${path}/${name}`);
      tree.leave(child);
    }
  };
  visit(tree.root, '');
  return seen;
}

const names = fc.string({ minLength: 1, maxLength: 6, unit: 'binary-ascii' }).map((name) => `n${name.replaceAll(/[/\0]/g, '_')}`); // oxfmt-ignore
const common = {
  mode: fc.integer({ min: 0, max: 0o7777 }),
  uid: fc.nat(70_000),
  gid: fc.nat(70_000),
  mtimeNs: fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n }),
};
const leaves: fc.Arbitrary<SummaryLeaf> = fc.oneof(
  fc.record({
    node: fc.record(
      { ...common, type: fc.constant('file' as const), size: fc.maxSafeNat(), linkname: fc.constant(''), hardlink: fc.constantFrom('summary:1', 'summary:2') },
      { requiredKeys: ['mode', 'uid', 'gid', 'mtimeNs', 'type', 'size', 'linkname'] },
    ),
    content: fc.option(fc.string().map((text) => sha256(text)), { nil: undefined }),
  }), // oxfmt-ignore
  fc.record({ node: fc.record({ ...common, type: fc.constantFrom('fifo' as const, 'socket' as const), size: fc.constant(0), linkname: fc.constant('') }) }), // oxfmt-ignore
  fc.record({ node: fc.record({ ...common, type: fc.constantFrom('char' as const, 'block' as const), size: fc.constant(0), linkname: fc.constant(''), device: fc.record({ major: fc.nat(255), minor: fc.nat(255) }) }) }), // oxfmt-ignore
  fc.record({ node: fc.record({ ...common, type: fc.constant('symlink' as const), size: fc.constant(0), linkname: names }) }), // oxfmt-ignore
);
const { dirs } = fc.letrec<{ dirs: SummaryDir; entry: SummaryDir | SummaryLeaf }>((tie) => ({
  entry: fc.oneof({ depthSize: 'small', withCrossShrink: true }, leaves, tie('dirs')),
  dirs: fc
    .tuple(fc.record(common), fc.dictionary(names, tie('entry'), { maxKeys: 5 }))
    .map(([attributes, entries]) => ({
      path: '',
      node: { ...attributes, type: 'directory' as const, size: 0, linkname: '' },
      entries: new Map(Object.entries(entries).sort(([a], [b]) => (a < b ? -1 : 1))),
    })),
}));

describe('the summary of a tree', () => {
  test('says of any tree what the tree does', () => {
    fc.assert(
      fc.property(dirs, (root) => {
        const tree = new SummaryTree(root);
        expect(told(decodeSummary(encodeSummary(tree) as Uint8Array))).toEqual(told(tree));
      }),
      { numRuns: 200 },
    );
  });

  test('says of layers what these do, and has nothing to read', () => {
    using temp = new TempDir();
    temp.write('etc/passwd', 'root', 0o640);
    temp.write('bin/sh', 'x', 0o4755);
    temp.link('bin', 'usr');
    fs.linkSync(join(temp.path, 'bin/sh'), join(temp.path, 'bin/bash'));
    fs.utimesSync(join(temp.path, 'bin/sh'), 1, 1_234_567_890.123456);
    const layers = new LayersTree([temp.path], { idShift: 0 });
    const tree = decodeSummary(encodeSummary(layers) as Uint8Array);
    expect(told(tree)).toEqual(told(layers));
    const { parent, name } = resolvePath(tree, 'usr/sh', { followLast: true });
    expect(tree.missed).toBe(false);
    expect(() => tree.open(parent, name)).toThrow('Cannot read "/bin/sh"');
    expect(tree.missed).toBe(true);
  });

  test('is small: 10,000 files of 100 packages take less than 200 KB', () => {
    const packages = Array.from({ length: 100 }, (_, at) => `package-${sha256(String(at)).slice(7, 15)}`).sort();
    const files = (owner: string): Readonly<Record<string, SummaryLeaf>> =>
      Object.fromEntries(
        Array.from({ length: 100 }, (_, at): [string, SummaryLeaf] => {
          const hash = sha256(`${owner} ${at}`);
          const size = Number.parseInt(hash.slice(8, 13), 16);
          return [`file-${hash.slice(20, 30)}.so`, { node: { ...node, size, mtimeNs: BigInt(owner.length + (at % 7)) * 10n ** 18n } }];
        }).sort(([a], [b]) => (a < b ? -1 : 1)), // oxfmt-ignore
      );
    const bytes = encodeSummary(
      new SummaryTree(dir(Object.fromEntries(packages.map((name) => [name, dir(files(name))])))),
    );
    expect(bytes?.length).toBeLessThan(200_000);
  });

  test('is none where the tree is larger than readers take', () => {
    const many = Object.fromEntries(
      Array.from({ length: 250_001 }, (_, at) => [`f${String(at).padStart(6, '0')}`, { node }]),
    );
    expect(encodeSummary(new SummaryTree(dir(many)))).toBeUndefined();
    let deep = dir({});
    for (let depth = 0; depth < 1001; depth++) deep = dir({ d: deep });
    expect(encodeSummary(new SummaryTree(deep))).toBeUndefined();
  });

  test('leads links that go round in circles to the error that a directory gives', () => {
    const link = { node: { ...node, type: 'symlink' as const, size: 0, linkname: 'b/x' } };
    const tree = decodeSummary(
      encodeSummary(new SummaryTree(dir({ a: link, b: { node: { ...link.node, linkname: 'a' } } }))) as Uint8Array,
    );
    expect(() => resolvePath(tree, 'a', { followLast: true })).toThrow('too many levels of symbolic links');
  });
});

/** A summary of bytes that nobody should have written: columns as `encodeSummary` has them, each after its length. */
function forged(columns: Partial<Record<string, (column: ColumnWriter) => void>>): Buffer {
  const all = ['head', 'names', 'types', 'modes', 'owners', 'times', 'sizes', 'links', 'extra'].flatMap((name) => {
    const column = new ColumnWriter();
    columns[name]?.(column);
    return column.framed();
  });
  return zstdCompressSync(Buffer.concat(all));
}

/** A root with entries of these names, each a file with the given types. */
function withNames(list: readonly string[], types: readonly number[] = list.map(() => 0)): Buffer {
  const zeros = (count: number) => (column: ColumnWriter): void => void Array.from({ length: count }, () => column.number(0)); // oxfmt-ignore
  return forged({
    head: (column) => column.number(1),
    names: (column) => {
      column.number(list.length);
      for (const name of list) column.text(name);
    },
    types: (column) => [4, ...types].forEach((type) => column.number(type)),
    modes: zeros(list.length + 1),
    owners: (column) => [0, 0, 0, ...list.map(() => 1)].forEach((number) => column.number(number)),
    times: (column) => [0, 0, ...list.map(() => 1)].forEach((number) => column.number(number)),
    sizes: zeros(types.filter((type) => type === 0).length),
  });
}

describe('a summary that somebody has forged', () => {
  test('is read where it is what could have been written', () => {
    expect(decodeSummary(withNames(['a', 'b'])).list(decodeSummary(withNames(['a', 'b'])).root)).toEqual(['a', 'b']);
  });

  test.each<[string, Uint8Array]>([
    ['a way out', withNames(['..'])],
    ['a name that is the directory itself', withNames(['.'])],
    ['an empty name', withNames([''])],
    ['a path for a name, beneath a file or elsewhere', withNames(['a', 'a/b'])],
    ['a NUL', withNames(['a\0b'])],
    ['a name twice', withNames(['a', 'a'])],
    ['names out of order', withNames(['b', 'a'])],
    ['a name that is too long', withNames(['a'.repeat(256)])],
    ['a type that does not exist', withNames(['a'], [28])],
    ['a link with content', withNames(['a'], [2 * 4 + 2])],
    ['fewer entries than it says', forged({ head: (c) => c.number(1), names: (c) => c.number(3), types: (c) => c.number(4), modes: (c) => c.number(0), owners: (c) => [0, 0, 0].forEach((n) => c.number(n)), times: (c) => [0, 0].forEach((n) => c.number(n)) })],
    ['millions of entries', forged({ head: (c) => c.number(1), names: (c) => c.number(5_000_000), types: (c) => c.number(4), modes: (c) => c.number(0), owners: (c) => [0, 0, 0].forEach((n) => c.number(n)), times: (c) => [0, 0].forEach((n) => c.number(n)) })],
    ['another version', forged({ head: (c) => c.number(2) })],
    ['more bytes than its tree', Buffer.from(zstdCompressSync(Buffer.concat([zstdDecompressSync(withNames(['a'])), Buffer.from([0])])))],
    ['so much that it is a bomb', zstdCompressSync(Buffer.alloc(64 << 20))],
    ['too many bytes', Buffer.alloc(400 * 1024)],
    ['anything', Buffer.from('anything')],
    ['nothing', Buffer.alloc(0)],
  ])('with %s is refused as a whole', (_, bytes) => {
    expect(() => decodeSummary(bytes)).toThrow('Cannot use the summary of a file tree: it ');
  }); // oxfmt-ignore

  test('by changing any byte is refused, or is some tree', () => {
    const text = zstdDecompressSync(withNames(['a', 'b', 'dir'], [0, 0, 8]));
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.nat(255), (at, value) => {
        const bytes = Buffer.from(text);
        bytes[at] = value;
        try {
          told(decodeSummary(zstdCompressSync(bytes)));
        } catch (error) {
          expect(String(error)).toContain('Cannot use the summary');
        }
      }),
      { numRuns: 500 },
    );
  });
});
