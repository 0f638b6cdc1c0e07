import fs from 'node:fs';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ArchiveFile } from '../../src/exporter/index.ts';
import { isTsbuildError, sha256, TsbuildError } from '../../src/util/index.ts';
import { archive, dir as directory, entry, file, gnuLong, hardlink, header, pax, symlink } from '../layer/support/tar-vectors.ts'; // prettier-ignore
import { openStore, type TestStore } from '../store/support.ts';
import { tar } from '../support/image.ts';
import { testTask } from '../support/task.ts';
import { TempDir } from '../tree/support.ts';

let opened: TestStore;
let dir: TempDir;
beforeAll(() => {
  opened = openStore();
  dir = new TempDir();
});
afterAll(() => {
  opened[Symbol.dispose]();
  dir[Symbol.dispose]();
});

async function open(bytes: Uint8Array): Promise<ArchiveFile> {
  const path = join(dir.path, 'in.tar');
  fs.writeFileSync(path, bytes);
  return ArchiveFile.open(testTask(), opened.store.blobs, { path });
}

/** What an archive has under names, as text; undefined for nothing. */
async function read(bytes: Uint8Array, ...names: readonly string[]): Promise<(string | undefined)[]> {
  using found = await open(bytes);
  return names.map((name) => {
    if (!found.has(name)) {
      expect(found.size(name)).toBeUndefined();
      return undefined;
    }
    const text = found.read(name, 1 << 20).toString('latin1');
    expect(Buffer.concat([...found.stream(name)].map((chunk) => Buffer.from(chunk))).toString('latin1')).toBe(text);
    expect(found.size(name)).toBe(text.length);
    return text;
  });
}

describe('files of an archive', () => {
  test('have their names in any spelling, and never one above the top', async () => {
    const bytes = archive(file('./a', '1'), file('/b', '2'), file('d//e/../f', '3'), file('../../g', '4'));
    expect(await read(bytes, 'a', './a', '/a', 'b', 'd/f', 'd/./f', 'g', '../g', 'd/e', '')).toEqual(
      ['1', '1', '1', '2', '3', '3', '4', '4', undefined, undefined], // prettier-ignore
    );
  });

  test('of one name are the last of them, also where it is none any more', async () => {
    expect(await read(archive(file('a', 'old'), file('./a', 'new')), 'a')).toEqual(['new']);
    expect(await read(archive(file('a', 'old'), directory('a/')), 'a')).toEqual([undefined]);
    expect(await read(archive(file('a', 'old'), symlink('a', 'b'), file('b', 'linked')), 'a')).toEqual(['linked']);
    expect(await read(archive(symlink('a', 'b'), file('b', 'linked'), file('a', 'own')), 'a')).toEqual(['own']);
    expect(await read(archive(file('a', 'old'), header({ name: 'a', type: '6' })), 'a')).toEqual([undefined]);
  });

  test('may be links to others, from where they are, and on and on', async () => {
    // As `docker save` wrote layers that several images have, and as GNU tar packs hard links.
    const bytes = archive(
      file('one/layer.tar', 'layer'),
      symlink('two/layer.tar', '../one/layer.tar'),
      symlink('three/layer.tar', '../two/./layer.tar'),
      hardlink('four', 'three/layer.tar'),
      symlink('early', 'late'),
      file('late', 'late'),
      symlink('up', '../../../one/layer.tar'),
    );
    expect(await read(bytes, 'two/layer.tar', 'three/layer.tar', 'four', 'early', 'up')).toEqual([
      'layer',
      'layer',
      'layer',
      'late',
      'layer',
    ]);
  });

  test('that are links to nothing, to themselves, or in too many steps are none', async () => {
    const chain = Array.from({ length: 20 }, (_, at) => symlink(`s${at}`, `s${at + 1}`));
    const bytes = archive(symlink('gone', 'nowhere'), symlink('self', 'self'), symlink('x', 'y'), symlink('y', 'x'), symlink('host', '/etc/passwd'), ...chain, file('s20', 'end')); // prettier-ignore
    expect(await read(bytes, 'gone', 'self', 'x', 'host', 's0', 's19')).toEqual([undefined, undefined, undefined, undefined, undefined, 'end']); // prettier-ignore
  });

  test('have names of any length and bytes', async () => {
    const long = `${'d'.repeat(120)}/${'f'.repeat(200)}`;
    const bytes = archive(gnuLong('L', long), file('short', '1'), pax({ path: `p/${long}` }), file('short', '2'));
    expect(await read(bytes, long, `p/${long}`, 'short')).toEqual(['1', '2', undefined]);
    expect(await read(archive(file(Buffer.from([0x61, 0xff]), '1')), 'a\u00ff')).toEqual(['1']);
  });

  test('with holes are left out: no tool writes images so', async () => {
    const sparse = pax({ 'GNU.sparse.size': '100', 'GNU.sparse.map': '0,1' });
    expect(await read(archive(sparse, file('s', 'x'), file('next', 'n')), 's', 'next')).toEqual([undefined, 'n']);
  });

  test('may be empty, or end at any place of a block', async () => {
    const contents = [0, 1, 511, 512, 513, 1024, 100_000].map((size) => 'x'.repeat(size));
    const bytes = archive(...contents.map((text, at) => file(String(at), text)));
    expect(await read(bytes, ...contents.map((_, at) => String(at)))).toEqual(contents);
  });

  test('are read no further than is asked for, and are not there when they are not', async () => {
    using found = await open(archive(file('a', 'x'.repeat(101))));
    expect(() => found.read('a', 100)).toThrow(expect.objectContaining({ code: 'TSB_IMAGE' }));
    expect(found.read('a', 101)).toHaveLength(101);
    for (const use of [() => found.read('b', 1), () => [...found.stream('b')], () => found.place('b')])
      expect(use).toThrow(expect.objectContaining({ code: 'TSB_NOT_FOUND' }));
  });

  test('are found whatever the archive is compressed with, and however large it is (property)', async () => {
    const sizes = fc.array(fc.oneof(fc.nat(2000), fc.integer({ min: 200_000, max: 400_000 })), { minLength: 1, maxLength: 5 }); // prettier-ignore
    const packs = [(bytes: Buffer) => bytes, gzipSync, zstdCompressSync];
    await fc.assert(
      fc.asyncProperty(sizes, fc.constantFrom(...packs), async (all, pack) => {
        const contents = all.map((size, at) => Buffer.alloc(size, `${at}:${size};`).toString('latin1'));
        const members = contents.map((content, at) => ({ name: `f${at}`, content }));
        expect(await read(pack(tar(members)), ...members.map(({ name }) => name))).toEqual(contents);
      }),
      { numRuns: 15 },
    );
  });
});

describe('the archive itself', () => {
  test('has the digest of its tar, whatever it is compressed with', async () => {
    const bytes = archive(file('a', 'x'));
    for (const packed of [bytes, gzipSync(bytes), zstdCompressSync(bytes)]) {
      using found = await open(packed);
      expect(await found.diffId(testTask())).toBe(sha256(bytes));
    }
  });

  test.each<[string, Uint8Array, string]>([
    ['nothing', Buffer.alloc(0), 'it is empty'],
    ['an end alone', archive(), 'it is empty'],
    ['text', Buffer.from('hello '.repeat(200)), 'the header checksum is wrong'],
    ['one that is cut off', entry({ name: 'a' }, 'x'.repeat(2000)).subarray(0, 1000), 'the archive is cut off'],
    ['gzip that is cut off', gzipSync(archive(file('a', 'x'))).subarray(0, 60), 'Cannot decompress the archive'],
    ['gzip with bytes behind it', Buffer.concat([gzipSync(archive(file('a', 'x'))), Buffer.from('x')]), 'Cannot decompress the archive'],
    ['xz', Buffer.from('fd377a585a000004', 'hex'), 'xz, which is not supported'],
    ['bzip2', Buffer.from('BZh91AY&SY'), 'bzip2, which is not supported'],
  ])('that is %s is refused by its name', async (_what, bytes, why) => {
    const error = await open(bytes).then((found) => { found[Symbol.dispose](); return undefined; }, (failure: unknown) => failure);
    expect(isTsbuildError(error, 'TSB_ARCHIVE') && error.message).toMatch(/^Cannot import archive ".*in\.tar": /);
    expect((error as Error).message).toContain(why);
  }); // prettier-ignore

  test('from a stream is kept until it is disposed, and leaves nothing behind, read or not', async () => {
    const { blobs, root } = opened.store;
    const left = (): string[] => fs.readdirSync(join(root, 'ingest'), { recursive: true, withFileTypes: true }).filter((one) => one.isFile()).map(({ name }) => name); // prettier-ignore
    async function* stream(bytes: Buffer): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < bytes.length; at += 300) yield bytes.subarray(at, at + 300);
    }
    const bytes = archive(file('a', 'x'.repeat(1000)));
    for (const packed of [bytes, gzipSync(bytes)]) {
      const found = await ArchiveFile.open(testTask(), blobs, { stream: stream(packed), name: '-' });
      expect(found.what).toBe('archive "-"');
      expect(found.read('a', 2000)).toHaveLength(1000);
      expect(left()).not.toEqual([]);
      found[Symbol.dispose]();
      expect(left()).toEqual([]);
    }
    await expect(ArchiveFile.open(testTask(), blobs, { stream: stream(bytes.subarray(0, 900)), name: '-' })).rejects.toThrow('cut off'); // prettier-ignore
    expect(left()).toEqual([]);
  });

  test('that becomes shorter while it is read is said to have changed', async () => {
    using found = await open(archive(file('a', 'x'.repeat(5000))));
    fs.truncateSync(found.path, 1000);
    expect(() => found.read('a', 10_000)).toThrow(expect.objectContaining({ code: 'TSB_CHANGED' }));
    expect(() => [...found.stream('a')]).toThrow(expect.objectContaining({ code: 'TSB_CHANGED' }));
  });

  test('ends with its task', async () => {
    const path = join(dir.path, 'in.tar');
    fs.writeFileSync(path, archive(file('a', 'x')));
    const task = testTask();
    const reason = new TsbuildError('TSB_CANCELED', 'Canceled: enough');
    task.controller.abort(reason);
    await expect(ArchiveFile.open(task, opened.store.blobs, { path })).rejects.toBe(reason);
  });
});
