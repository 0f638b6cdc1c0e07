import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sha256 } from '../../src/util/index.ts';
import { fileDifferences } from '../../src/verify/file-differences.ts';
import { FileHasher } from '../../src/verify/file-hasher.ts';
import { layerDifferences } from '../../src/verify/layer-differences.ts';
import { withoutDots, readLayerEntries } from '../../src/verify/layer-entries.ts';
import { tar, type TarMember } from '../support/image.ts';

const { signal } = new AbortController();
let dir: string;
let count = 0;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'tsbuild-verify-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function fileOf(bytes: Uint8Array): string {
  const path = join(dir, String(count++));
  writeFileSync(path, bytes);
  return path;
}

describe('the entries of a layer', () => {
  test('are by clean path, in the order of the archive; of a path that comes twice the last one counts', async () => {
    const archive = tar([
      { name: './a/', type: '5' },
      { name: '/a//b', content: 'first' },
      { name: 'c', content: 'c' },
      { name: 'a/./b', content: 'second' },
      { name: 'd', type: '2', link: 'a' },
    ]);
    const { diffId, entries } = await readLayerEntries(fileOf(archive), signal);
    expect(diffId).toBe(sha256(archive));
    expect([...entries].map(([path, { entry, content }]) => [path, entry.type, content])).toEqual([
      ['a', 'directory', undefined],
      ['c', 'file', sha256('c')],
      ['a/b', 'file', sha256('second')],
      ['d', 'symlink', undefined],
    ]);
    // The diff id is that of the tar, however it is compressed (image-spec, config.md).
    expect((await readLayerEntries(fileOf(gzipSync(archive)), signal)).diffId).toBe(diffId);
  });

  test('of an archive that breaks off are an error', async () => {
    const archive = tar([{ name: 'a', content: 'x'.repeat(600) }]);
    await expect(readLayerEntries(fileOf(archive.subarray(0, 1000)), signal)).rejects.toMatchObject({
      code: 'TSB_ARCHIVE',
    });
  });

  test('have paths that say where they are and nothing else (property)', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom('a', '.', '', '..', 'b.')), (names) => {
        expect(withoutDots(names.join('/'))).toBe(names.filter((name) => name !== '' && name !== '.').join('/'));
      }),
    );
  });
});

describe('the digest of a file with holes', () => {
  test('is that of its content with zeros in them, however it is cut (property)', () => {
    const piece = fc.record({ hole: fc.nat(200_000), data: fc.uint8Array({ minLength: 1, maxLength: 50 }) });
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 4 }), fc.nat(100_000), (pieces, rest) => {
        const hasher = new FileHasher({ left: 1e9 });
        const whole: Uint8Array[] = [];
        let offset = 0;
        for (const { hole, data } of pieces) {
          whole.push(Buffer.alloc(hole), data);
          hasher.take(Buffer.from(data), offset + hole);
          offset += hole + data.length;
        }
        whole.push(Buffer.alloc(rest));
        expect(hasher.end(offset + rest)).toBe(sha256(Buffer.concat(whole)));
      }),
      { numRuns: 40 },
    );
  });

  test('of which there are too many for one layer, tells lengths apart without reading them', () => {
    const zeros = { left: 1000 };
    const digestOf = (hole: number): string => {
      const hasher = new FileHasher(zeros);
      hasher.take(Buffer.from('x'), hole);
      return hasher.end(hole + 1);
    };
    expect(digestOf(600)).toBe(sha256(Buffer.concat([Buffer.alloc(600), Buffer.from('x')])));
    // 400 are left for all of its files.
    const [one, other] = [digestOf(2 ** 45), digestOf(2 ** 45 + 1)];
    expect(one).not.toBe(other);
    expect(digestOf(2 ** 45)).toBe(one);
    expect(digestOf(400)).toBe(sha256(Buffer.concat([Buffer.alloc(400), Buffer.from('x')])));
    expect(zeros.left).toBe(0);
  });
});

describe('where two files part', () => {
  const between = async (ours: readonly TarMember[], theirs: readonly TarMember[], ...paths: readonly string[]) =>
    fileDifferences({ image: fileOf(tar(ours)), rebuilt: fileOf(tar(theirs)) }, paths, dir, signal);

  test.each([
    ['in the middle', 'one two', 'one six', 4, 'two', 'six'],
    ['where the rebuilt one ends', 'longer', 'long', 4, 'er', ''],
    ['where the image’s ends', 'long', 'longer', 4, '', 'er'],
    ['at once', '', 'x', 0, '', 'x'],
    ['at bytes that are no text', 'a\u0000', 'a\n', 1, '\\x00', '\\n'],
    ['at a backslash', 'a\\n', 'ab', 1, '\\\\n', 'b'],
    ['with as much of a long one as of another', 'x'.repeat(99), 'y', 0, 'x'.repeat(24), 'y'],
  ])('%s is said, with some bytes from there', async (_, ours, theirs, offset, image, rebuilt) => {
    const found = await between([{ name: './f', content: ours }], [{ name: 'f', content: theirs }], 'f');
    expect(found.get('f')).toEqual({ offset, image, rebuilt });
  });

  test('is looked for in the last of several of one name, whatever the order of the archives', async () => {
    const f = (content: string): TarMember => ({ name: 'f', content });
    const g: TarMember = { name: 'g', content: 'same' };
    const found = await between([f('short'), g, f('a long one')], [g, f('x'), f('a long two')], 'f', 'g');
    expect([...found]).toEqual([['f', { offset: 7, image: 'one', rebuilt: 'two' }]]);
  });

  test('is shown with as many bytes on both sides, wherever pieces of a file end (property)', async () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(text, text, text, async (start, one, two) => {
        // Pieces are as long as what an archive is read by: most of a file is in one, and its end in another.
        const [ours, theirs] = [one, two].map((end) => `${'.'.repeat(65_480)}${start}${end}`) as [string, string];
        const found = (await between([{ name: 'f', content: ours }], [{ name: 'f', content: theirs }], 'f')).get('f');
        let at = 0;
        while (at < ours.length && ours[at] === theirs[at]) at++;
        const shown = { offset: at, image: ours.slice(at, at + 24), rebuilt: theirs.slice(at, at + 24) };
        expect(found).toEqual(one === two ? undefined : shown);
      }),
      { numRuns: 50 },
    );
  });

  test('leaves nothing behind', async () => {
    const before = readdirSync(dir).filter((name) => name.startsWith('compare-'));
    await between([{ name: 'f', content: 'a' }], [{ name: 'f', content: 'b' }], 'f');
    expect(readdirSync(dir).filter((name) => name.startsWith('compare-'))).toEqual(before);
  });

  test('is not said where it is further on than is looked, and nothing else is said in its place', async () => {
    const edge = 256 * 1024 ** 2;
    // Data on both sides of the edge, behind a hole, and the last byte another one.
    const from = mkdtempSync(join(dir, 'large-'));
    const archiveOf = (last: string, ...before: readonly string[]): Buffer => {
      const data = Buffer.alloc(2 << 20, 'some text or other ');
      data.write(last, data.length - 1);
      writeFileSync(join(from, 'data'), data);
      writeFileSync(join(from, 'before'), Buffer.alloc(30_000));
      const seek = String(edge / (1 << 20) - 1);
      execFileSync('dd', ['if=data', 'of=f', 'bs=1M', `seek=${seek}`, 'status=none'], { cwd: from });
      return execFileSync('tar', ['--format=posix', '--mtime=@0', '--sparse', '-c', ...before, 'f'], {
        cwd: from,
        maxBuffer: 1 << 24,
      });
    };
    // Behind another file it comes in other pieces.
    const [one, other] = [fileOf(archiveOf('a')), fileOf(archiveOf('b', 'before'))];
    for (const [image, rebuilt] of [
      [one, other],
      [other, one],
    ] as const)
      // oxfmt-ignore
      expect([...(await fileDifferences({ image, rebuilt }, ['f'], dir, signal))]).toEqual([]);
  });

  test('is looked for in so many files, and of the others the digests are told', async () => {
    const members = (content: string): readonly TarMember[] =>
      Array.from({ length: 60 }, (_, at) => ({ name: `f${String(at).padStart(2, '0')}`, content }));
    const blob = (content: string) => {
      const bytes = tar(members(content));
      return { digest: sha256(bytes), file: fileOf(bytes) };
    };
    const found = await layerDifferences({ layer: 1, image: blob('a'), rebuilt: blob('b') }, dir, signal);
    expect(found).toHaveLength(60);
    const located = found.filter((one) => one.kind === 'entry' && one.content !== undefined);
    expect(located).toHaveLength(50);
    expect(found.at(-1)).toMatchObject({
      path: '/f59',
      what: 'changed',
      fields: [{ field: 'content', image: sha256('a'), rebuilt: sha256('b') }],
    });
  });
});

describe('fields of an entry', () => {
  test('are shown as people read them', async () => {
    const one: TarMember = { name: 'f', content: 'same', mode: 0o4755, uid: 0, gid: 5 };
    const blob = (member: TarMember) => {
      const bytes = tar([member]);
      return { digest: sha256(bytes), file: fileOf(bytes) };
    };
    const fieldsOf = async (other: Partial<TarMember>) => {
      const [found] = await layerDifferences({ layer: 1, image: blob(one), rebuilt: blob({ ...one, ...other }) }, dir, signal); // oxfmt-ignore
      return found?.kind === 'entry' ? found.fields : undefined;
    };
    expect(await fieldsOf({ mode: 0o44 })).toEqual([{ field: 'mode', image: '4755', rebuilt: '0044' }]);
    expect(await fieldsOf({ uid: 1000 })).toEqual([{ field: 'owner', image: '0:5', rebuilt: '1000:5' }]);
    expect(await fieldsOf({ type: '2', link: 'x', content: '' })).toEqual([
      { field: 'type', image: 'file', rebuilt: 'symlink' },
      { field: 'size', image: '4', rebuilt: '0' },
      { field: 'target', image: '', rebuilt: 'x' },
    ]);
  });

  test('tell times to the nanosecond, and such as no calendar has', async () => {
    const archiveOf = (mtime: string) => {
      const from = mkdtempSync(join(dir, 'time-'));
      writeFileSync(join(from, 'f'), '');
      const form = ['--format=posix', `--mtime=${mtime}`, '--pax-option=delete=atime,delete=ctime'];
      const bytes = execFileSync('tar', [...form, '-c', 'f'], { cwd: from });
      return { digest: sha256(bytes), file: fileOf(bytes) };
    };
    const pair = { layer: 1, image: archiveOf('@0'), rebuilt: archiveOf('@1700000000.000000001') };
    expect(await layerDifferences(pair, dir, signal)).toMatchObject([
      { fields: [{ field: 'mtime', image: '1970-01-01T00:00:00Z', rebuilt: '2023-11-14T22:13:20.000000001Z' }] },
    ]);
    const late = { ...pair, rebuilt: archiveOf('@9000000000000') };
    expect(await layerDifferences(late, dir, signal)).toMatchObject([{ fields: [{ rebuilt: '9000000000000Z' }] }]);
  });
});
