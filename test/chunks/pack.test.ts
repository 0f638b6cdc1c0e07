import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { appendFileSync, chmodSync, existsSync, linkSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'; // oxfmt-ignore
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type ChunkTree, decodeTree, encodeTree, type PackedTree, packTree, unpackTree } from '../../src/chunks/index.ts'; // oxfmt-ignore
import { type Digest, sha256 } from '../../src/util/index.ts';

const LIMITS = { bytes: 1e9, entries: 100_000 };
const common = { idShift: 0, idCount: 2 ** 32 - 2, limits: LIMITS };

/** A directory that travels, and a place where its packs are. */
class Trip {
  readonly root: string = mkdtempSync(join(tmpdir(), 'tsbuild-chunks-'));
  readonly source: string = join(this.root, 'source');
  readonly packs = new Map<Digest, string>();
  base: ChunkTree | undefined;
  #count = 0;

  constructor() {
    mkdirSync(this.source);
  }

  fresh(): string {
    const dir = join(this.root, String(this.#count++));
    mkdirSync(dir);
    return dir;
  }

  /** Packs the source, and leaves at the place what was made. @returns with the bytes that were sent */
  async pack(dir: string = this.source, more: object = {}): Promise<PackedTree & { readonly sent: number }> {
    const base = this.base === undefined ? {} : { base: this.base };
    const options = { ...common, dir, memory: `${dir}.memory`, into: this.fresh(), now: Date.now(), ...base, ...more };
    const packed = await packTree({ ...options, signal: new AbortController().signal });
    for (const { digest, path } of packed.made) this.packs.set(digest, path);
    this.base = decodeTree(readFileSync(packed.tree.path), 'test', LIMITS);
    return { ...packed, sent: packed.tree.size + packed.made.reduce((sum, { size }) => sum + size, 0) };
  }

  async unpack(tree: ChunkTree | undefined = this.base): Promise<string> {
    if (tree === undefined) throw new Error('nothing was packed');
    const dir = this.fresh();
    const places = { packs: this.packs, dir, memory: `${dir}.memory`, work: this.fresh() };
    await unpackTree({ ...common, ...places, tree, now: Date.now(), signal: new AbortController().signal, what: 'test' }); // oxfmt-ignore
    return dir;
  }
}

/** Everything that is seen of a directory, with contents. */
function look(dir: string): string {
  const format = '%P %y %m %U %G %T@ %l\n';
  const names = execFileSync('find', [dir, '-printf', format], { encoding: 'latin1' });
  const sums = execFileSync('sh', ['-c', 'find . -type f -exec sha256sum {} + | sort'], {
    cwd: dir,
    encoding: 'latin1',
  });
  return [...names.split('\n').toSorted(), sums].join('\n');
}

let trip: Trip;
beforeEach(() => {
  trip = new Trip();
});
afterEach(() => rmSync(trip.root, { recursive: true }));

test('a directory comes out as it went in', async () => {
  const { source } = trip;
  mkdirSync(join(source, 'deep/er'), { recursive: true });
  writeFileSync(join(source, 'deep/er/large'), randomBytes(3 << 20));
  writeFileSync(join(source, 'deep/empty'), '');
  writeFileSync(Buffer.concat([Buffer.from(`${source}/`), Buffer.from([0xff, 0x66])]), 'no UTF-8');
  writeFileSync(join(source, '.wh.file'), 'a name like any other');
  writeFileSync(join(source, 'private'), 'x', { mode: 0o400 });
  writeFileSync(join(source, 'a.b'), 'sorts after what is in a');
  mkdirSync(join(source, 'a'));
  writeFileSync(join(source, 'a/file'), 'x');
  symlinkSync('/usr/bin/python3', join(source, 'python'));
  symlinkSync('../../..', join(source, 'deep/out'));
  mkdirSync(join(source, 'sticky'));
  chmodSync(join(source, 'sticky'), 0o1777);
  utimesSync(join(source, 'deep'), 1_234_567_890.5, 1_234_567_890.25);
  chmodSync(source, 0o711);
  const packed = await trip.pack();
  expect(packed).toMatchObject({ skipped: 0, changing: 0, kept: [] });
  expect(look(await trip.unpack())).toBe(look(source));
});

test('names of one file become files, and what is no file stays behind', async () => {
  const { source } = trip;
  writeFileSync(join(source, 'one'), 'x');
  linkSync(join(source, 'one'), join(source, 'two'));
  execFileSync('mkfifo', [join(source, 'pipe')]);
  writeFileSync(join(source, 'tool'), 'x');
  chmodSync(join(source, 'tool'), 0o6755);
  expect(await trip.pack()).toMatchObject({ skipped: 1 });
  const dir = await trip.unpack();
  expect(readdirSync(dir)).toEqual(['one', 'tool', 'two']);
  expect(statSync(join(dir, 'two')).nlink).toBe(1);
  expect(statSync(join(dir, 'tool')).mode & 0o7777).toBe(0o755);
});

test('only what changed is sent, and only that is read', async () => {
  const { source } = trip;
  for (let at = 0; at < 50; at++) writeFileSync(join(source, `f${at}`), randomBytes(200_000));
  const first = await trip.pack();
  expect(first.sent).toBeGreaterThan(50 * 200_000);
  // Another time of last change is another list of files, and no content.
  utimesSync(join(source, 'f7'), 1e9, 1e9);
  expect((await trip.pack()).sent).toBeLessThan(20_000);
  writeFileSync(join(source, 'f3'), randomBytes(200_000));
  appendFileSync(join(source, 'f4'), 'more');
  rmSync(join(source, 'f5'));
  const next = await trip.pack();
  expect(next.sent).toBeGreaterThan(200_000);
  expect(next.sent).toBeLessThan(500_000);
  expect(look(await trip.unpack())).toBe(look(source));
  // Who restored it knows it as well.
  const restored = await trip.unpack();
  const again = await trip.pack(restored);
  expect(again).toMatchObject({ made: [], newBytes: 0 });
  expect(again.tree.digest).toBe(next.tree.digest);
});

test('a file is read again when anything about it shows that it changed', async () => {
  const file = join(trip.source, 'file');
  writeFileSync(file, 'before');
  utimesSync(file, 1e9, 1e9);
  await trip.pack();
  // The same size and the same time of last change.
  writeFileSync(file, 'behind');
  utimesSync(file, 1e9, 1e9);
  await trip.pack();
  expect(readFileSync(join(await trip.unpack(), 'file'), 'utf8')).toBe('behind');
});

test('packs are left behind when most of what is in them is out of use', async () => {
  const { source } = trip;
  for (let at = 0; at < 10; at++) writeFileSync(join(source, `f${at}`), randomBytes(100_000));
  await trip.pack();
  for (let at = 0; at < 4; at++) writeFileSync(join(source, `f${at}`), randomBytes(100_000));
  expect(await trip.pack()).toMatchObject({ kept: [{}], made: [{}] });
  for (let at = 4; at < 7; at++) rmSync(join(source, `f${at}`));
  // What is left of the first pack comes with the new one.
  const { kept, made } = await trip.pack();
  expect([kept.length, made.length]).toEqual([1, 1]);
  expect(look(await trip.unpack())).toBe(look(source));
});

test('many builds leave no more packs than a reader likes to ask for', async () => {
  const { source } = trip;
  for (let at = 0; at < 70; at++) {
    writeFileSync(join(source, `f${at}`), `build ${at}`);
    const { kept, made } = await trip.pack();
    expect(kept.length + made.length).toBeLessThanOrEqual(27);
  }
  expect(look(await trip.unpack())).toBe(look(source));
});

test('files that are too much do not travel, however little of a disk they take', async () => {
  writeFileSync(join(trip.source, 'sparse'), '');
  truncateSync(join(trip.source, 'sparse'), 2e12);
  await expect(trip.pack()).rejects.toMatchObject({ code: 'TSB_EXPORT', message: 'it has more than 1.00GB' });
  rmSync(join(trip.source, 'sparse'));
  for (let at = 0; at < 5; at++) writeFileSync(join(trip.source, `f${at}`), '');
  await expect(trip.pack(undefined, { limits: { bytes: 1, entries: 3 } })).rejects.toThrow(/more than 3 files/);
});

describe('what was kept and is not what it was said to be', () => {
  async function withFile(): Promise<ChunkTree> {
    writeFileSync(join(trip.source, 'file'), 'content');
    await trip.pack();
    return trip.base as ChunkTree;
  }

  test('a pack that is missing, damaged or larger than said', async () => {
    const tree = await withFile();
    const [path = ''] = trip.packs.values();
    const bytes = readFileSync(path);
    for (const other of [bytes.subarray(0, 10), Buffer.from('nonsense')]) {
      writeFileSync(path, other);
      await expect(trip.unpack()).rejects.toMatchObject({ code: 'TSB_DIGEST' });
    }
    writeFileSync(path, bytes);
    const small = { ...tree, packs: tree.packs.map((pack) => ({ ...pack, length: 3 })) };
    await expect(trip.unpack(small)).rejects.toThrow(/cannot be decompressed to 3 bytes/);
    trip.packs.clear();
    await expect(trip.unpack()).rejects.toThrow(/pack 0 is missing/);
  });

  test('a chunk with another content', async () => {
    const tree = await withFile();
    const lying = { ...tree, chunks: tree.chunks.map((chunk) => ({ ...chunk, digest: sha256('other') })) };
    await expect(trip.unpack(lying)).rejects.toThrow(/is not what it is said to be/);
  });

  test('a memory that is nonsense is none', async () => {
    await withFile();
    writeFileSync(`${trip.source}.memory`, 'nonsense');
    expect(await trip.pack()).toMatchObject({ made: [] });
  });

  test('owners beyond what can be stored', async () => {
    const tree = await withFile();
    const entries = tree.entries.map((entry) => (entry.path === '' ? entry : { ...entry, uid: 2 ** 32 - 2 }));
    await expect(trip.unpack({ ...tree, entries })).rejects.toMatchObject({ code: 'TSB_ARCHIVE' });
  });

  test('is not written through anything, even where nobody looked at its list', async () => {
    const tree = await withFile();
    const [root, file] = tree.entries;
    if (root === undefined || file === undefined) throw new Error('no entries');
    const outside = join(trip.root, 'outside');
    mkdirSync(outside);
    for (const target of [outside, '../outside', '/etc']) {
      const link = { ...file, path: 'link', type: 'symlink', mode: 0o777, target } as const;
      const entries = [root, link, { ...file, path: 'link/evil' }];
      expect(() => decodeTree(encodeTree({ ...tree, entries }), 'test', LIMITS)).toThrow(/no directory of the tree/);
      await trip.unpack({ ...tree, entries }).catch(() => undefined);
      expect(existsSync(join(outside, 'evil'))).toBe(false);
      expect(existsSync('/etc/evil')).toBe(false);
    }
  });
});
