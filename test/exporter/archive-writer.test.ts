import { setTimeout } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { ArchiveWriter } from '../../src/exporter/archive-writer.ts';
import type { ByteSink } from '../../src/exporter/sink.ts';
import { type TarEntry, TarReader } from '../../src/layer/index.ts';

interface Read {
  readonly entry: TarEntry;
  readonly content: string;
}

function read(bytes: Uint8Array): Read[] {
  const found: { entry: TarEntry; content: string }[] = [];
  const reader = new TarReader({
    entry: (entry) => void found.push({ entry, content: '' }),
    data: (chunk) => {
      const last = found.at(-1);
      if (last) last.content += chunk.toString('latin1');
    },
    end: () => undefined,
  });
  reader.push(Buffer.from(bytes));
  reader.finish();
  return found;
}

function memory(write: (chunk: Uint8Array) => void | Promise<void> = () => undefined): ByteSink & { bytes(): Buffer } {
  const chunks: Buffer[] = [];
  return {
    async write(chunk) {
      await write(chunk);
      chunks.push(Buffer.from(chunk));
    },
    commit: async () => undefined,
    bytes: () => Buffer.concat(chunks),
    [Symbol.asyncDispose]: async () => undefined,
  };
}

describe('the tar around blobs', () => {
  test('has fixed owners, modes and times, and whole blocks', async () => {
    const sink = memory();
    await using archive = new ArchiveWriter(sink);
    await archive.directory('blobs');
    await archive.file('blobs/a', 3, async (write) => write(Buffer.from('abc')));
    await archive.file('empty', 0, async () => undefined);
    await archive.end();
    expect(sink.bytes().length % 512).toBe(0);
    const common = { uid: 0, gid: 0, mtime: expect.objectContaining({ sec: 0 }) };
    expect(read(sink.bytes())).toEqual([
      { entry: expect.objectContaining({ ...common, path: 'blobs/', type: 'directory', mode: 0o755 }), content: '' },
      { entry: expect.objectContaining({ ...common, path: 'blobs/a', type: 'file', mode: 0o444 }), content: 'abc' },
      { entry: expect.objectContaining({ ...common, path: 'empty', type: 'file', mode: 0o444 }), content: '' },
    ]);
  });

  test('takes a buffer that is filled again after each write, also by a slow sink', async () => {
    const sink = memory(async () => setTimeout(1));
    await using archive = new ArchiveWriter(sink);
    const buffer = Buffer.alloc(1000);
    await archive.file('a', 26_000, async (write) => {
      for (let letter = 0; letter < 26; letter++) {
        buffer.fill(97 + letter);
        await write(buffer);
      }
    });
    await archive.end();
    const expected = Array.from({ length: 26 }, (_, letter) => String.fromCharCode(97 + letter).repeat(1000)).join('');
    expect(read(sink.bytes())[0]?.content).toBe(expected);
  });

  test.each([1, 2, 3, 4, 5, 6])("tells the sink's own error when its write number %d fails", async (count) => {
    let writes = 0;
    const sink = memory(() => {
      if (++writes === count) throw new Error('the disk is full');
    });
    const work = async (): Promise<void> => {
      await using archive = new ArchiveWriter(sink);
      await archive.directory('blobs');
      await archive.file('blobs/a', 4, async (write) => {
        await write(Buffer.from('ab'));
        await write(Buffer.from('cd'));
      });
      await archive.end();
    };
    await expect(work()).rejects.toThrow('the disk is full');
  });

  test('refuses content of another size than was said', async () => {
    const work = async (): Promise<void> => {
      await using archive = new ArchiveWriter(memory());
      await archive.file('a', 4, async (write) => write(Buffer.from('abc')));
      await archive.end();
    };
    await expect(work()).rejects.toThrow('Size mismatch');
  });

  test('ends when its content cannot be had, with the reason', async () => {
    const work = async (): Promise<void> => {
      await using archive = new ArchiveWriter(memory());
      await archive.file('a', 4, async (write) => {
        await write(Buffer.from('ab'));
        throw new Error('the blob is damaged');
      });
    };
    await expect(work()).rejects.toThrow('the blob is damaged');
  });
});
