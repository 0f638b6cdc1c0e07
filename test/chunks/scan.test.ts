import { execFileSync } from 'node:child_process';
import { existsSync, linkSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'; // oxfmt-ignore
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { constants, zstdDecompressSync } from 'node:zlib';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type ChunkTree, decodeTree, packTree } from '../../src/chunks/index.ts';
import { identityOf, type KnownFile, Memory, writeMemory } from '../../src/chunks/memory.ts';
import { PackWriter } from '../../src/chunks/pack-writer.ts';
import { loadPrint } from '../../src/chunks/prints.ts';
import { walk } from '../../src/chunks/walk.ts';
import { AT_FDCWD, close, O_DIRECTORY, O_RDONLY, openat, statat } from '../../src/sys/index.ts';
import { sha256 } from '../../src/util/index.ts';

const LIMITS = { bytes: 1e9, entries: 10_000 };
const { signal } = new AbortController();
let root: string;
let count = 0;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'tsbuild-scan-'));
});
// Paths are longer than what removes one path after the other takes.
afterEach(() => execFileSync('rm', ['-rf', root]));

function fresh(): string {
  const dir = join(root, String(count++));
  mkdirSync(dir);
  return dir;
}

/** The tree of a directory as whoever restores it reads it. */
async function sent(dir: string, more: object = {}): Promise<ChunkTree> {
  const common = { idShift: 0, idCount: 2 ** 32 - 2, limits: LIMITS, now: Date.now(), signal };
  const { tree } = await packTree({ ...common, dir, memory: join(root, 'memory'), into: fresh(), ...more });
  return decodeTree(readFileSync(tree.path), 'test', LIMITS);
}

/** Paths in the order of a walk. */
function walked(dir: string): string[] {
  const fd = openat(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY);
  try {
    return [...walk(fd)].map(({ path }) => path);
  } finally {
    close(fd);
  }
}

/** Descriptors of this process that a directory or something beneath it is open under: others come and go. */
function openBeneath(dir: string): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(dir);
    } catch {
      return false;
    }
  }).length;
}

describe('a walk', () => {
  test('tells a directory before what is in it, and names by their bytes', () => {
    const dir = fresh();
    for (const name of ['b', 'a', 'a.b', 'a/z', 'a/Z', 'é', '~']) {
      if (name === 'a') mkdirSync(join(dir, name));
      else if (!name.startsWith('a/')) writeFileSync(join(dir, name), '');
    }
    for (const name of ['z', 'Z']) writeFileSync(join(dir, 'a', name), '');
    expect(walked(dir)).toEqual(['', 'a', 'a/Z', 'a/z', 'a.b', 'b', '~', Buffer.from('é').toString('latin1')]);
  });

  test('goes through no link, and holds no descriptor when it is given up', () => {
    const dir = fresh();
    mkdirSync(join(dir, 'd/e/f'), { recursive: true });
    symlinkSync('/', join(dir, 'out'));
    symlinkSync('d', join(dir, 'within'));
    expect(walked(dir)).toEqual(['', 'd', 'd/e', 'd/e/f', 'out', 'within']);
    const fd = openat(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY);
    let most = 0;
    for (const { path } of walk(fd)) {
      most = Math.max(most, openBeneath(dir));
      if (path === 'd/e/f') break;
    }
    close(fd);
    // The root, and those on the way.
    expect([most, openBeneath(dir)]).toEqual([4, 0]);
  });

  test('leaves out what went away since its directory was read', () => {
    const dir = fresh();
    for (const name of ['a', 'b', 'c']) mkdirSync(join(dir, name));
    const fd = openat(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY);
    const seen: string[] = [];
    for (const { path } of walk(fd)) {
      seen.push(path);
      if (path !== 'a') continue;
      rmSync(join(dir, 'b'), { recursive: true });
      rmSync(join(dir, 'c'), { recursive: true });
      writeFileSync(join(dir, 'c'), 'a file now');
    }
    close(fd);
    expect(seen).toEqual(['', 'a', 'c']);
  });
});

describe('what is sent of a directory can be read', () => {
  test('with paths that are longer than a path may be: these stay behind, and all else travels', async () => {
    const dir = fresh();
    writeFileSync(join(dir, 'file'), 'x');
    // As `mkdir` and `cd` by turns make it, beyond what one path can name (PATH_MAX).
    const name = 'n'.repeat(250);
    execFileSync('sh', ['-c', `for i in $(seq 17); do mkdir ${name}; cd ${name} 2>/dev/null; done; echo x >deep`], { cwd: dir }); // oxfmt-ignore
    const { entries } = await sent(dir);
    const paths = entries.map(({ path }) => path);
    expect(paths).toContain('file');
    expect(paths).toContain(`${`${name}/`.repeat(16)}deep`);
    expect(Math.max(...paths.map((path) => path.length))).toBeLessThanOrEqual(4095);
  });

  // Where a file system has room for such times: those of most disks end in the year 2446.
  test.runIf(existsSync('/dev/shm'))('with times that no reader takes', async () => {
    const dir = mkdtempSync('/dev/shm/tsbuild-scan-');
    try {
      writeFileSync(join(dir, 'future'), '');
      writeFileSync(join(dir, 'past'), '');
      execFileSync('touch', ['-d', '@4000000000000', join(dir, 'future')]);
      execFileSync('touch', ['-d', '@-4000000000000', join(dir, 'past')]);
      const { entries } = await sent(dir);
      expect(entries.slice(1).map(({ path, mtime }) => [path, mtime.sec])).toEqual([
        ['future', 2 ** 40],
        ['past', -(2 ** 40)],
      ]);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });

  test('as owners that are none in a step, who are its root, and shifted ones as a step sees them', async () => {
    const dir = fresh();
    writeFileSync(join(dir, 'f'), '');
    const { uid } = statat(AT_FDCWD, join(dir, 'f'));
    const ownersWith = async (idShift: number, idCount: number): Promise<readonly number[]> =>
      (await sent(dir, { idShift, idCount })).entries.map((entry) => entry.uid);
    expect(await ownersWith(uid, 1)).toEqual([0, 0]);
    expect(await ownersWith(uid + 1, 65_536)).toEqual([0, 0]);
    if (uid > 0) expect(await ownersWith(uid - 1, 2)).toEqual([1, 1]);
  });

  test('whatever directories, files, links and second names there are (property)', async () => {
    const name = fc.constantFrom('a', 'b', 'a.b', 'A', '-', '~x', 'a b', 'ü');
    const made = fc.record({
      path: fc.array(name, { minLength: 1, maxLength: 3 }),
      kind: fc.constantFrom('directory', 'file', 'symlink', 'link'),
      size: fc.constantFrom(0, 1, 70_000),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(made, { maxLength: 12 }), async (all) => {
        const dir = fresh();
        const contents = new Map<string, Buffer>();
        for (const { path, kind, size } of all) {
          const at = join(dir, ...path);
          // A file may be where a directory is wanted, and names may be taken.
          const [parent] = [join(at, '..')];
          try {
            mkdirSync(parent, { recursive: true });
            const content = Buffer.alloc(size, path.join('/'));
            if (kind === 'directory') mkdirSync(at);
            else if (kind === 'symlink') symlinkSync(path.join('/'), at);
            else if (kind === 'file' || contents.size === 0) writeFileSync(at, content, { flag: 'wx' });
            else linkSync(join(dir, [...contents.keys()][0] ?? ''), at);
            if (kind === 'link' && contents.size > 0)
              contents.set(path.join('/'), [...contents.values()][0] ?? content);
            else if (kind === 'file' || kind === 'link') contents.set(path.join('/'), content);
          } catch (error) {
            expect(error).toMatchObject({ code: expect.stringMatching(/EEXIST|ENOTDIR|ELOOP|ENOENT/) as string });
          }
        }
        const { entries, chunks } = await sent(dir);
        expect(entries.map(({ path }) => path)).toEqual(walked(dir));
        const files = entries.filter(({ type }) => type === 'file');
        expect(files.map(({ path }) => Buffer.from(path, 'latin1').toString()).toSorted()).toEqual(
          [...contents.keys()].toSorted(),
        );
        // The chunks of a file are its content, in order.
        for (const { path, chunks: own = [] } of files) {
          const content = contents.get(Buffer.from(path, 'latin1').toString()) ?? Buffer.alloc(0);
          let offset = 0;
          for (const number of own) {
            const { digest, length } = chunks[number] ?? { digest: undefined, length: 0 };
            expect(sha256(content.subarray(offset, (offset += length)))).toBe(digest);
          }
          expect(offset).toBe(content.length);
        }
      }),
      { numRuns: 40 },
    );
  });
});

describe('what is remembered of a directory', () => {
  const digest = fc.nat(50).map((seed) => sha256(`chunk ${seed}`));
  // What a chunk's digest names has one length and one look.
  const chunk = digest.map((one) => ({
    digest: one,
    length: Number.parseInt(one.slice(7, 11), 16),
    print: one.slice(7, 15),
  }));
  const files = fc
    .uniqueArray(fc.tuple(fc.string({ unit: 'binary-ascii', maxLength: 10 }), fc.constantFrom('', '1 2 3'), fc.array(chunk, { maxLength: 5 })), { selector: ([path]) => path, maxLength: 8 })
    .map((rows) => new Map(rows.map(([path, identity, chunks]): [string, KnownFile] => [path, { identity, chunks }]))); // oxfmt-ignore

  test('is read as it was written, and replaced as a whole (property)', () => {
    const path = join(root, 'memory');
    fc.assert(
      fc.property(files, (known) => {
        writeMemory(path, known);
        const memory = Memory.read(path);
        for (const { chunks } of known.values())
          for (const one of chunks) expect(memory.similar(one.print)).toEqual(one);
        expect(memory.similar('no such print')).toBeUndefined();
      }),
      { numRuns: 40 },
    );
    expect(existsSync(`${path}.new`)).toBe(false);
  });

  test('holds for a file that nothing shows a change of, and for no other', () => {
    const path = join(root, 'file');
    writeFileSync(path, 'content');
    const stat = statat(AT_FDCWD, path);
    const chunks = [{ digest: sha256('content'), length: 7, print: 'p' }];
    const memory = new Memory(new Map([['file', { identity: identityOf(stat), chunks }]]));
    expect(memory.unchanged('file', statat(AT_FDCWD, path))).toEqual(chunks);
    expect(memory.unchanged('other', stat)).toBeUndefined();
    for (const field of [
      'size',
      'mtimeSec',
      'mtimeNsec',
      'ctimeSec',
      'ctimeNsec',
      'mode',
      'inoLow',
      'inoHigh',
    ] as const)
      expect(memory.unchanged('file', { ...stat, [field]: stat[field] + 1 }), field).toBeUndefined();
    // One that could have changed without a trace is known by its content only.
    const recent = new Memory(new Map([['file', { identity: '', chunks }]]));
    expect(recent.unchanged('file', stat)).toBeUndefined();
    expect(recent.similar('p')).toEqual(chunks[0]);
  });

  test('is nothing where it is damaged, of another version or names what is no digest', () => {
    const path = join(root, 'memory');
    const one = { digest: sha256('a'), length: 1, print: 'p' };
    const written = (known: typeof one): Buffer => {
      writeMemory(path, new Map([['f', { identity: 'i', chunks: [known] }]]));
      return readFileSync(path);
    };
    const good = written(one);
    expect(Memory.read(path).similar('p')).toEqual(one);
    for (const bytes of [
      good.subarray(0, -1),
      Buffer.alloc(0),
      Buffer.from('{}'),
      written({ ...one, digest: 'sha256:x' }),
    ]) {
      writeFileSync(path, bytes);
      expect(Memory.read(path).similar('p')).toBeUndefined();
    }
    expect(Memory.read(join(root, 'none')).similar('p')).toBeUndefined();
  });

  test('tells bytes apart by their look, with their number', async () => {
    const print = await loadPrint();
    expect(print(Buffer.from('abc'))).toBe(print(Uint8Array.of(97, 98, 99)));
    const looks = ['', 'a', 'b', 'aa', 'ab', 'abc'].map((text) => print(Buffer.from(text)));
    expect(new Set(looks).size).toBe(looks.length);
  });
});

describe('packs', () => {
  test('have chunks one after the other, as one zstd frame with a checksum (RFC 8878)', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { minLength: 1, maxLength: 10 }),
        (chunks) => {
          const writer = new PackWriter(fresh(), 3);
          // Whoever reads chunks reads the next ones into the same buffer.
          const buffer = Buffer.alloc(300);
          const places = chunks.map((chunk) => {
            buffer.set(chunk);
            return writer.add(buffer.subarray(0, chunk.length));
          });
          writer.finish();
          writer.finish();
          const [pack, ...others] = writer.packs;
          if (pack === undefined) throw new Error('No pack was written');
          expect(others).toEqual([]);
          const bytes = readFileSync(pack.path);
          expect([sha256(bytes), bytes.length]).toEqual([pack.digest, pack.size]);
          expect(bytes.readUInt32LE(0)).toBe(0xfd2fb528);
          // Content_Checksum_flag of the frame header descriptor.
          expect((bytes[4] ?? 0) & 0b100).toBe(0b100);
          const content = zstdDecompressSync(bytes, { params: { [constants.ZSTD_d_windowLogMax]: 27 } });
          expect(content.length).toBe(pack.length);
          for (const [at, { pack: number, offset }] of places.entries()) {
            const chunk = chunks[at] ?? Buffer.alloc(0);
            expect(number).toBe(3);
            expect(content.subarray(offset, offset + chunk.length)).toEqual(Buffer.from(chunk));
          }
        },
      ),
      { numRuns: 40 },
    );
  });

  test('are none where there are no chunks, and another one where one is full', () => {
    const empty = new PackWriter(fresh(), 0);
    empty.finish();
    expect(empty.packs).toEqual([]);
    const writer = new PackWriter(fresh(), 7);
    const [large, small] = [Buffer.alloc((32 << 20) - 10), Buffer.alloc(10)];
    const places = [large, small, small, large].map((bytes) => writer.add(bytes));
    writer.finish();
    expect(places).toEqual([
      { pack: 7, offset: 0 },
      { pack: 7, offset: (32 << 20) - 10 },
      { pack: 8, offset: 0 },
      { pack: 8, offset: 10 },
    ]);
    expect(writer.packs.map(({ length }) => length)).toEqual([32 << 20, 32 << 20]);
  });
});
