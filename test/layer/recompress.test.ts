import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { recompressLayer, type RecompressOptions } from '../../src/layer/index.ts';
import { sha256 } from '../../src/util/index.ts';
import { MemorySink } from './support/memory-sink.ts';

/** More than one block of the encoder, and not all of it the same. */
const CONTENT = Buffer.concat(Array.from({ length: 40_000 }, (_, at) => Buffer.from(`line ${at} of something\n`)));
const FORMS = { none: CONTENT, gzip: gzipSync(CONTENT), zstd: zstdCompressSync(CONTENT) } as const;
const READERS = { none: (bytes: Buffer) => bytes, gzip: gunzipSync, zstd: zstdDecompressSync } as const;
type Kind = keyof typeof FORMS;

let folder: string;
let sink: MemorySink;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tsbuild-recompress-'));
  sink = new MemorySink();
});
afterEach(() => rmSync(folder, { recursive: true }));

function recompress(from: Kind, to: Kind, more: Partial<RecompressOptions> = {}, bytes: Uint8Array = FORMS[from]) {
  const blob = join(folder, 'blob');
  writeFileSync(blob, bytes);
  return recompressLayer({ blob, compression: from, diffId: sha256(CONTENT), to: { kind: to }, sink, ...more });
}

describe('a layer in another compression', () => {
  const kinds = Object.keys(FORMS) as Kind[];
  test.each(kinds.flatMap((from) => kinds.map((to) => [from, to] as const)))(
    'has the same content and diff id: %s to %s',
    async (from, to) => {
      const encoded = await recompress(from, to);
      expect(encoded).toMatchObject({ diffId: sha256(CONTENT), digest: sha256(sink.bytes), size: sink.bytes.length });
      expect(READERS[to](sink.bytes).equals(CONTENT)).toBe(true);
      expect(sink.state).toBe('committed');
    },
  );

  test('has the same bytes whatever its own compression was', async () => {
    await recompress('gzip', 'zstd');
    const first = sink.bytes;
    sink = new MemorySink();
    await recompress('none', 'zstd');
    expect(sink.bytes.equals(first)).toBe(true);
  });

  test('may be empty', async () => {
    const encoded = await recompress('gzip', 'none', { diffId: sha256('') }, gzipSync(''));
    expect(encoded).toMatchObject({ digest: sha256(''), size: 0 });
  });
});

describe('what is no such layer', () => {
  test.each<[string, Kind, Uint8Array]>([
    ['is cut off', 'gzip', FORMS.gzip.subarray(0, -20)],
    ['has another byte in it', 'gzip', Buffer.from(FORMS.gzip.map((byte, at) => (at === 5000 ? byte ^ 0xff : byte)))],
    ['is not compressed as it should be', 'zstd', FORMS.gzip],
    ['is no gzip at all', 'gzip', CONTENT],
  ])('and %s leaves nothing behind', async (_what, from, bytes) => {
    await expect(recompress(from, 'none', {}, bytes)).rejects.toThrow(expect.objectContaining({ code: 'TSB_ARCHIVE' }));
    expect(sink.state).toBe('aborted');
  });

  test('and has another content is refused by its diff id', async () => {
    const diffId = sha256('something else');
    await expect(recompress('gzip', 'zstd', { diffId })).rejects.toThrow(
      expect.objectContaining({
        code: 'TSB_DIGEST',
        message: `Cannot compress a layer anew: its content is not ${diffId}`,
      }),
    );
  });

  test('and is not there is said to be so', async () => {
    const gone = recompressLayer({
      blob: join(folder, 'none'),
      compression: 'gzip',
      diffId: sha256(''),
      to: { kind: 'none' },
      sink,
    });
    await expect(gone).rejects.toThrow('ENOENT');
    expect(sink.state).toBe('aborted');
  });
});

test('who gives up in the middle leaves nothing behind', async () => {
  const controller = new AbortController();
  const reason = new Error('enough');
  let chunks = 0;
  sink.write = () => {
    if (++chunks === 1) controller.abort(reason);
  };
  const large = Buffer.alloc(8 << 20, 'x');
  const ended = recompress('none', 'none', { signal: controller.signal, diffId: sha256(large) }, large);
  await expect(ended).rejects.toBe(reason);
  expect(sink.state).toBe('aborted');
});
