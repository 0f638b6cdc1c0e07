import { execFileSync } from 'node:child_process';
import { mkdtempSync, openSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type LayerCompression, type LayerEntry, LayerEncoder, writeLayerFromEntries } from '../../src/layer/index.ts';
import { toByteString } from '../../src/tree/index.ts';
import { sha256 } from '../../src/util/index.ts';
import { MemorySink } from './support/memory-sink.ts';
import { readTar } from './support/read-tar.ts';

let base: string;
beforeAll(() => {
  base = mkdtempSync(join(tmpdir(), 'tsbuild-write-'));
});
afterAll(() => rmSync(base, { recursive: true }));

async function write(
  entries: readonly LayerEntry[],
  compression: LayerCompression = { kind: 'none' },
  clampTime?: number,
  clampAfter?: number,
): Promise<Buffer> {
  const sink = new MemorySink();
  await writeLayerFromEntries(entries, sink, { compression, clampTime, clampAfter });
  return sink.bytes;
}

/** Bytes that deflate can do something with, the same every time. */
function text(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = 1;
  for (let index = 0; index < length; index++) {
    state = (state * 48_271) % 2_147_483_647;
    bytes[index] = 97 + (state % (1 + (index % 20)));
  }
  return bytes;
}

function noise(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = 7;
  for (let index = 0; index < length; index++) {
    state = (state * 48_271) % 2_147_483_647;
    bytes[index] = state >> 8;
  }
  return bytes;
}

const FIXED: readonly LayerEntry[] = [
  { path: 'bin', type: 'directory', mode: 0o755, mtime: { sec: 1_700_000_000 } },
  { path: 'bin/sh', type: 'symlink', mode: 0o777, linkPath: 'busybox', mtime: { sec: 1_700_000_000 } },
  { path: 'bin/su', type: 'file', mode: 0o4755, size: 3, content: Buffer.from('su\n'), mtime: { sec: 1_700_000_000 } },
  { path: 'bin/su2', type: 'hardlink', mode: 0o4755, linkPath: 'bin/su', mtime: { sec: 1_700_000_000 } },
  {
    path: toByteString('dir/ä'),
    type: 'file',
    mode: 0,
    content: text(5000),
    uid: 3_000_000_000,
    gid: 65_535,
    mtime: { sec: -1 },
  },
  { path: `dir/${'x'.repeat(120)}/${'y'.repeat(90)}`, type: 'file', mode: 0o600, mtime: { sec: 2 ** 33 } },
  { path: `dir/${'z'.repeat(200)}`, type: 'symlink', linkPath: `../${'t'.repeat(200)}`, mtime: { sec: 0 } },
  { path: 'fifo', type: 'fifo', mode: 0o600 },
  {
    path: 'ping',
    type: 'file',
    mode: 0o755,
    content: Buffer.from('x'),
    xattrs: new Map([
      ['user.b', Buffer.from('2')],
      ['security.capability', Buffer.from([1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])],
    ]),
  },
  { path: 'random', type: 'file', mode: 0o644, content: noise(2_500_000) },
  { path: 'text', type: 'file', mode: 0o644, content: text(2_500_000) },
];

describe('TarWriter', () => {
  test('REP-09: a fixed tree gives fixed bytes, uncompressed and as gzip', async () => {
    expect(sha256(await write(FIXED))).toMatchInlineSnapshot(
      `"sha256:95d9aa28e0273d9599368db5a01d5bdb3503e67b6ba8586728de77e5019dbbd9"`,
    );
    expect(sha256(await write(FIXED, { kind: 'gzip' }))).toMatchInlineSnapshot(
      `"sha256:fe4b44931ecd09230362a3dd212dd94a171a71a677344065c5ef337dc001dc9e"`,
    );
    expect(sha256(await write(FIXED, { kind: 'gzip', level: 6 }))).toMatchInlineSnapshot(
      `"sha256:b449b82e183a322292a74b3666010ea13d58d790ae0aec72b684834decb8dd2d"`,
    );
  });

  test('what is written is read back', async () => {
    const read = readTar(await write(FIXED));
    expect(read.length).toBe(FIXED.length);
    for (const [index, wanted] of FIXED.entries()) {
      const found = read[index];
      expect(found).toMatchObject({
        type: wanted.type,
        mode: wanted.mode ?? 0,
        uid: wanted.uid ?? 0,
        gid: wanted.gid ?? 0,
        linkPath: wanted.linkPath ?? '',
        mtime: { sec: wanted.mtime?.sec ?? 0, nsec: 0 },
        path: wanted.type === 'directory' ? `${wanted.path}/` : wanted.path,
      });
      if (wanted.content instanceof Uint8Array) expect(found?.data.equals(wanted.content)).toBe(true);
      expect(found?.xattrs).toEqual(wanted.xattrs && new Map([...wanted.xattrs].toReversed()));
    }
  });

  test('GNU tar and Python see the same (REP-13)', async () => {
    const path = join(base, 'fixed.tar');
    writeFileSync(path, await write(FIXED));
    const script = `
import sys, tarfile, json
with tarfile.open(sys.argv[1]) as t:
    print(json.dumps([[m.name, m.type.decode(), m.mode, m.uid, m.gid, m.size, int(m.mtime), m.linkname] for m in t]))`;
    const python = JSON.parse(
      execFileSync('/usr/bin/python3', ['-c', script, path], { encoding: 'utf8' }),
    ) as unknown[];
    const flags = { file: '0', hardlink: '1', symlink: '2', char: '3', block: '4', directory: '5', fifo: '6' };
    expect(python).toEqual(
      FIXED.map((entry) => [
        Buffer.from(entry.path, 'latin1').toString(),
        flags[entry.type],
        entry.mode ?? 0,
        entry.uid ?? 0,
        entry.gid ?? 0,
        entry.content instanceof Uint8Array ? entry.content.length : 0,
        entry.mtime?.sec ?? 0,
        entry.linkPath ?? '',
      ]),
    );
    const gnu = execFileSync('tar', ['tf', path, '--quoting-style=literal'], { encoding: 'latin1' });
    expect(gnu.trimEnd().split('\n')).toEqual(
      FIXED.map((entry) => (entry.type === 'directory' ? `${entry.path}/` : entry.path)),
    );
    const extracted = execFileSync('tar', ['xOf', path, 'text'], { maxBuffer: 1 << 23 });
    expect(extracted.equals(text(2_500_000))).toBe(true);
  });

  const name = fc
    .uint8Array({ minLength: 1, maxLength: 60 })
    .map((bytes) => Buffer.from(bytes.map((byte) => (byte === 0 || byte === 0x2f ? 0x61 : byte))).toString('latin1'));
  const entry = fc.record({
    path: fc.array(name, { minLength: 1, maxLength: 8 }).map((names) => names.join('/')),
    type: fc.constantFrom('file', 'symlink', 'hardlink', 'directory', 'fifo') as fc.Arbitrary<'file' | 'directory'>,
    mode: fc.nat(0o7777),
    uid: fc.nat(2 ** 32 - 2),
    gid: fc.nat(2 ** 32 - 2),
    mtime: fc.record({ sec: fc.integer({ min: -(2 ** 40), max: 2 ** 40 }) }),
    linkPath: name,
    content: fc.uint8Array({ maxLength: 2000 }),
    xattrs: fc.dictionary(fc.constantFrom('user.a', 'user.b=c', 'user.d'), fc.uint8Array({ maxLength: 20 })),
  });

  test('REP-17: any entries survive, and are written to the same bytes again', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(entry, { maxLength: 6 }), async (list) => {
        const entries = list.map((made): LayerEntry => {
          const link = ['symlink', 'hardlink'].includes(made.type);
          // A key with "=" cannot be told from its value in a PAX record.
          const xattrs = new Map(
            Object.entries(made.xattrs)
              .filter(([key]) => !key.includes('='))
              .map(([key, value]) => [key, Buffer.from(value)]),
          );
          return {
            ...made,
            linkPath: link ? made.linkPath : '',
            ...(xattrs.size > 0 ? { xattrs } : { xattrs: undefined }),
          };
        });
        const tar = await write(entries);
        const again = readTar(tar).map((found): LayerEntry => ({ ...found, content: found.data }));
        expect((await write(again)).equals(tar)).toBe(true);
        expect(again.length).toBe(entries.length);
      }),
      { numRuns: 60 },
    );
  });

  test('times after another bound become the epoch too, and none is later than that', async () => {
    const at = (sec: number): LayerEntry => ({ path: `f${sec}`, type: 'file', mode: 0o644, mtime: { sec } });
    const times = async (epoch: number, after: number): Promise<readonly number[]> =>
      readTar(await write([at(10), at(20), at(30)], { kind: 'none' }, epoch, after)).map(({ mtime }) => mtime.sec);
    expect(await times(25, 10)).toEqual([10, 25, 25]);
    expect(await times(25, 20)).toEqual([10, 20, 25]);
    expect(await times(15, 40)).toEqual([10, 15, 15]);
    expect(await times(25, 0)).toEqual([25, 25, 25]);
  });

  test('REP-10: times after the epoch become it, others stay', async () => {
    const times = [99, 100, 101, 0, -1, 2 ** 33];
    const entries = times.map((sec, index): LayerEntry => ({ path: String(index), type: 'file', mtime: { sec } }));
    const read = readTar(await write(entries, { kind: 'none' }, 100));
    expect(read.map((found) => found.mtime.sec)).toEqual([99, 100, 100, 0, -1, 100]);
  });
});

describe('content', () => {
  test('from paths, directory fds and fds, large and small, with digests', async () => {
    const dirfd = openSync(base, 'r');
    const large = text(5_000_001);
    writeFileSync(join(base, 'large'), large);
    writeFileSync(join(base, 'small'), 'small');
    const fd = openSync(join(base, 'large'), 'r');
    const tar = await write(
      [
        { path: 'a', type: 'file', size: large.length, content: { path: join(base, 'large'), digest: sha256(large) } },
        { path: 'b', type: 'file', size: 5, content: { dirfd, path: 'small', digest: sha256('small') } },
        { path: 'c', type: 'file', size: large.length, content: { fd } },
        { path: 'd', type: 'file', size: 0, content: { path: '/does/not/exist' } },
      ],
      { kind: 'gzip' },
    );
    const read = readTar(gunzipSync(tar));
    expect(read.map((found) => sha256(found.data))).toEqual([
      sha256(large),
      sha256('small'),
      sha256(large),
      sha256(''),
    ]);
  });

  test('the sha256 of what was read is told, whatever its size', async () => {
    const contents = ['', 'small', text(1 << 20), text(3_000_001)].map((content) => Buffer.from(content));
    const told: string[] = [];
    const entries = contents.map((content, index): LayerEntry => {
      writeFileSync(join(base, `told${index}`), content);
      const fd = openSync(join(base, `told${index}`), 'r');
      return {
        path: `told${index}`,
        type: 'file',
        size: content.length,
        content: { fd, onDigest: (digest) => told.push(digest) },
      };
    });
    await write(entries, { kind: 'none' });
    expect(told).toEqual(contents.map((content) => sha256(content)));
  });

  test('that everything was read is told before the layer is finished', async () => {
    const sink = new MemorySink();
    const entries: LayerEntry[] = [{ path: 'f', type: 'file', content: text(3_000_001) }];
    let state: string | undefined;
    await writeLayerFromEntries(entries, sink, { compression: { kind: 'gzip' }, onRead: () => (state = sink.state) });
    expect(state).not.toBe('committed');
    expect(sink.state).toBe('committed');
    const failing = new MemorySink();
    const onRead = (): void => {
      throw new Error('not this time');
    };
    const writing = writeLayerFromEntries(entries, failing, { compression: { kind: 'gzip' }, onRead });
    await expect(writing).rejects.toThrow('not this time');
    expect(failing.state).not.toBe('open');
  });

  test.each<[string, (path: string) => LayerEntry]>([
    ['shorter than stated', (path) => ({ path: 'f', type: 'file', size: 6000, content: { path } })],
    [
      'other than its digest',
      (path) => ({ path: 'f', type: 'file', size: 5000, content: { path, digest: sha256('other') } }),
    ],
    ['a symlink by now', (path) => ({ path: 'f', type: 'file', size: 5, content: { path: `${path}-link` } })],
    ['gone', (path) => ({ path: 'f', type: 'file', size: 5, content: { path: `${path}-none` } })],
  ])('a file that is %s ends the layer', async (_name, make) => {
    const path = join(base, 'changing');
    writeFileSync(path, text(5000));
    rmSync(`${path}-link`, { force: true });
    symlinkSync(path, `${path}-link`);
    const sink = new MemorySink();
    const writing = writeLayerFromEntries([make(path)], sink, { compression: { kind: 'gzip' } });
    await expect(writing).rejects.toThrow(expect.objectContaining({ name: 'TsbuildError' }) as Error);
    expect(sink.state).toBe('aborted');
    truncateSync(path);
  });
});

describe('LayerEncoder', () => {
  const data = Buffer.concat([text(3_000_000), noise(2_000_000), text(100), noise(1_200_000)]);

  async function encode(kind: LayerCompression['kind'], parallel: number, piece: number): Promise<Buffer> {
    const sink = new MemorySink();
    const encoder = new LayerEncoder(sink, { kind }, parallel);
    for (let at = 0; at < data.length; at += piece) {
      encoder.write(data.subarray(at, at + piece));
      if (encoder.congested) await encoder.ready();
    }
    const layer = await encoder.finish();
    expect(layer).toEqual({
      diffId: sha256(data),
      digest: sha256(sink.bytes),
      size: sink.bytes.length,
      uncompressedSize: data.length,
    });
    return sink.bytes;
  }

  test.each(['none', 'gzip', 'zstd'] as const)(
    '%s: the bytes depend on neither parallelism nor the pieces written',
    async (kind) => {
      const one = await encode(kind, 1, 1 << 20);
      expect((await encode(kind, 4, 70_001)).equals(one)).toBe(true);
      const decoded = kind === 'gzip' ? gunzipSync(one) : kind === 'zstd' ? zstdDecompressSync(one) : one;
      expect(decoded.equals(data)).toBe(true);
    },
  );

  test('gzip: one member that other tools read, random data stored, text compressed', async () => {
    const bytes = await encode('gzip', 2, 1 << 20);
    expect(sha256(execFileSync('gzip', ['-dc'], { input: bytes, maxBuffer: 1 << 24 }))).toBe(sha256(data));
    expect(bytes.length).toBeLessThan(5_000_000);
    expect([...bytes.subarray(0, 10)]).toEqual([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]);
  });

  test.each(['none', 'gzip', 'zstd'] as const)('%s: nothing at all', async (kind) => {
    const sink = new MemorySink();
    const layer = await new LayerEncoder(sink, { kind }).finish();
    expect(layer.diffId).toBe(sha256(''));
    if (kind === 'gzip') expect(gunzipSync(sink.bytes).length).toBe(0);
  });

  test.each(['none', 'gzip', 'zstd'] as const)('%s: a sink that fails ends the writing', async (kind) => {
    const sink = new MemorySink();
    let writes = 0;
    sink.write = () => {
      if (++writes > 1) throw new Error('disk full');
    };
    const run = async (): Promise<void> => {
      const encoder = new LayerEncoder(sink, { kind }, 1);
      for (let count = 0; count < 100; count++) {
        encoder.write(noise(500_000));
        if (encoder.congested) await encoder.ready();
      }
      await encoder.finish();
    };
    await expect(run()).rejects.toThrow('disk full');
  });
});
