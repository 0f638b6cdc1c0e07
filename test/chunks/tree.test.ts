import { zstdCompressSync } from 'node:zlib';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type ChunkTree, decodeTree, encodeTree, type TreeEntry } from '../../src/chunks/index.ts';
import { sha256 } from '../../src/util/index.ts';

const LIMITS = { bytes: 1e9, entries: 1000 };
const mtime = { sec: 1_700_000_000, nsec: 5 };
const root: TreeEntry = { path: '', type: 'directory', mode: 0o755, uid: 0, gid: 0, mtime };
const tree: ChunkTree = {
  packs: [{ digest: sha256('pack'), size: 100, length: 30 }],
  chunks: [
    { digest: sha256('a'), length: 10, pack: 0, offset: 0 },
    { digest: sha256('b'), length: 20, pack: 0, offset: 10 },
  ],
  entries: [
    root,
    { ...root, path: 'a' },
    { ...root, path: 'a/file', type: 'file', mode: 0o644, uid: 1000, gid: 50, chunks: [0, 1, 0] },
    { ...root, path: 'a/link', type: 'symlink', mode: 0o777, target: '/usr/bin/python3' },
    { ...root, path: 'a.b', type: 'file', mode: 0o600, chunks: [] },
    { ...root, path: 'z\u00ff', mtime: { sec: -5, nsec: 0 } },
  ],
};

/** A tree as it is written, and as anybody may write one. */
interface Document {
  version: number;
  packs: unknown[][];
  chunks: { digests: string; lengths: number[]; packs: number[]; offsets: number[] };
  entries: unknown[][];
}

/** The document of a tree, changed. */
function changed(change: (document: Document) => void): Buffer {
  const document: Document = {
    version: 1,
    packs: tree.packs.map(({ digest, size, length }) => [digest, size, length]),
    chunks: {
      digests: Buffer.concat(tree.chunks.map(({ digest }) => Buffer.from(digest.slice(7), 'hex'))).toString('base64'),
      lengths: [10, 20],
      packs: [0, 0],
      offsets: [0, 10],
    },
    entries: [
      ['', 'd', 0o755, 0, 0, 1, 2, 0],
      ['d', 'd', 0o755, 0, 0, 1, 2, 0],
      ['d/f', 'f', 0o644, 0, 0, 1, 2, [0, 1]],
      ['l', 'l', 0o777, 0, 0, 1, 2, '/etc'],
    ],
  };
  change(document);
  return zstdCompressSync(JSON.stringify(document));
}

test('a tree is read as it was written', () => {
  expect(decodeTree(encodeTree(tree), 'test', LIMITS)).toEqual(tree);
  expect(
    decodeTree(
      changed(() => undefined),
      'test',
      LIMITS,
    ).entries,
  ).toHaveLength(4);
});

describe('a tree of somebody who means harm is refused', () => {
  const row =
    (...cells: readonly unknown[]) =>
    (document: Document): void => {
      document.entries.push([...cells]);
    };
  const attacks: Readonly<Record<string, (document: Document) => void>> = {
    'a path that leads out': row('m/../../x', 'f', 0o644, 0, 0, 0, 0, []),
    'a path to the parent': row('..', 'd', 0o755, 0, 0, 0, 0, 0),
    'a path to itself': row('m/.', 'd', 0o755, 0, 0, 0, 0, 0),
    'an absolute path': row('/m', 'f', 0o644, 0, 0, 0, 0, []),
    'a path with an empty name': row('m//x', 'f', 0o644, 0, 0, 0, 0, []),
    'a path with a NUL': row('m\u0000x', 'f', 0o644, 0, 0, 0, 0, []),
    'a path that is no bytes': row('m\u0100', 'f', 0o644, 0, 0, 0, 0, []),
    'a name that is too long': row('m'.repeat(256), 'f', 0o644, 0, 0, 0, 0, []),
    'a file behind a symlink': row('l/passwd', 'f', 0o644, 0, 0, 0, 0, []),
    'a file in a file': row('d/f/x', 'f', 0o644, 0, 0, 0, 0, []),
    'a file in no directory': row('m/x', 'f', 0o644, 0, 0, 0, 0, []),
    'the same name twice': row('l', 'f', 0o644, 0, 0, 0, 0, []),
    'names out of order': row('a', 'f', 0o644, 0, 0, 0, 0, []),
    'a device': row('m', 'c', 0o644, 0, 0, 0, 0, [8, 0]),
    'a pipe': row('m', 'p', 0o644, 0, 0, 0, 0, 0),
    'a hard link': row('m', 'h', 0o644, 0, 0, 0, 0, 'd/f'),
    'a setuid file': row('m', 'f', 0o4755, 0, 0, 0, 0, []),
    'a setgid file': row('m', 'f', 0o2755, 0, 0, 0, 0, []),
    'a mode with other bits': row('m', 'f', 0o100644, 0, 0, 0, 0, []),
    'an owner below nobody': row('m', 'f', 0o644, -1, 0, 0, 0, []),
    'a chunk that is not there': row('m', 'f', 0o644, 0, 0, 0, 0, [2]),
    'a link to nothing': row('m', 'l', 0o777, 0, 0, 0, 0, ''),
    'a time without end': row('m', 'f', 0o644, 0, 0, 1e300, 0, []),
    'content without end, of one chunk': row(
      'm',
      'f',
      0o644,
      0,
      0,
      0,
      0,
      Array.from({ length: 200_000 }, () => 1),
    ),
    'more names than allowed': (document) => {
      for (let at = 0; at < 1000; at++) row(`m${String(at).padStart(4, '0')}`, 'f', 0o644, 0, 0, 0, 0, [])(document);
    },
    'no root': (document) => {
      document.entries.shift();
    },
    'a root that is a link': (document) => (document.entries[0] = ['', 'l', 0o777, 0, 0, 0, 0, '/']),
    'a chunk beyond its pack': (document) => (document.chunks.offsets = [0, 11]),
    'a chunk of no pack': (document) => (document.chunks.packs = [0, 1]),
    'a chunk of no length': (document) => (document.chunks.lengths = [0, 20]),
    'a chunk that is too long': (document) => {
      document.packs[0]![2] = 1 << 20;
      document.chunks.lengths = [10, 1 << 19];
    },
    'columns of different lengths': (document) => void document.chunks.offsets.pop(),
    'a pack that unpacks to too much': (document) => (document.packs[0]![2] = 1 << 30),
    'packs that unpack to too much together': (document) => {
      for (let at = 0; at < 100; at++) document.packs.push([sha256(String(at)), 10, 100 << 20]);
    },
    'another version': (document) => (document.version = 2),
  };
  test.each(Object.entries(attacks))('%s', (_, change) => {
    const limits = { bytes: 3e6, entries: 1000 };
    expect(() => decodeTree(changed(change), 'tree of a test', limits)).toThrow(/Cannot use tree of a test: /);
  });

  test('what does not decompress, or to too much', () => {
    expect(() => decodeTree(Buffer.from('nonsense'), 'test', LIMITS)).toThrow(/cannot be decompressed/);
    expect(() => decodeTree(zstdCompressSync(Buffer.alloc(200 << 20)), 'test', LIMITS)).toThrow(
      /cannot be decompressed/,
    );
  });

  test('whatever it says', () => {
    const cell = fc.oneof(fc.string(), fc.integer(), fc.constantFrom('', '..', 'd', 'f', 'l', 0, 0o755, null), fc.array(fc.nat(3))); // oxfmt-ignore
    fc.assert(
      fc.property(fc.array(fc.array(cell, { maxLength: 9 }), { maxLength: 5 }), (rows) => {
        const bytes = changed((document) => document.entries.push(...rows));
        try {
          const { entries } = decodeTree(bytes, 'test', LIMITS);
          const directories = new Set(entries.flatMap(({ path, type }) => (type === 'directory' ? path : [])));
          for (const { path } of entries.slice(1)) {
            expect(path.split('/')).not.toContain('..');
            expect(directories.has(path.slice(0, Math.max(0, path.lastIndexOf('/'))))).toBe(true);
          }
        } catch (error) {
          expect(error).toMatchObject({ code: 'TSB_IMAGE' });
        }
      }),
    );
  });
});
