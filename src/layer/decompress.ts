import { closeSync, openSync, readSync } from 'node:fs';
import type { Transform } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { type ArchiveCompression, isTsbuildError, messageOf, TsbuildError } from '../util/index.ts';
import { ZstdFrameScanner } from './zstd-frames.ts';

/** Loaded at the first use: it takes some 1 ms, and to run a container that is unpacked nothing is decompressed. */
const zlib = (): typeof import('node:zlib') => process.getBuiltinModule('node:zlib');

/** Bounds for what comes out of a compressed stream (security rule 8). */
export interface DecompressLimits {
  /** Bytes of output. */
  readonly maxBytes: number;
  /** Output bytes per input byte, looked at once the output is larger than `ratioFrom` bytes. */
  readonly maxRatio: number;
  readonly ratioFrom: number;
}

/** No image layer in use comes near: 10 GiB of zeros as gzip have a ratio of 1000. */
export const DEFAULT_LIMITS: DecompressLimits = { maxBytes: 256 * 2 ** 30, maxRatio: 200, ratioFrom: 2 ** 30 };

/** A piece that has been inflated is still in the processor's cache when it is hashed and written. */
const CHUNK = 256 << 10;

/** The bytes of a file in chunks of up to 256 KiB; each is valid for a while only, so copy what is kept. */
export function* readChunks(file: string | number): Generator<Buffer> {
  const fd = typeof file === 'number' ? file : openSync(file, 'r');
  try {
    // Several in turn: a decompressor may still read the one before.
    const buffers = Array.from({ length: 8 }, () => Buffer.allocUnsafeSlow(CHUNK));
    for (let index = 0, position = 0; ; index++) {
      const buffer = buffers[index % buffers.length] as Buffer;
      const count = readSync(fd, buffer, 0, CHUNK, position);
      if (count === 0) return;
      position += count;
      yield count === CHUNK ? buffer : buffer.subarray(0, count);
    }
  } finally {
    if (typeof file !== 'number') closeSync(fd);
  }
}

/**
 * Decompresses while the consumer works: the inflater runs on libuv's pool and is at most 1 MiB ahead. The decoders that
 * are of our own let others run between blocks.
 * @throws TsbuildError `TSB_ARCHIVE` when the stream is damaged, cut off, followed by other bytes, or a bomb
 */
export async function* decompress(
  input: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  compression: ArchiveCompression,
  limits: DecompressLimits = DEFAULT_LIMITS,
): AsyncGenerator<Buffer> {
  const meter = { in: 0, out: 0 };
  const source = decode(metered(input, meter), compression, meter);
  for await (const chunk of source) {
    meter.out += chunk.length;
    if (meter.out > limits.maxBytes || (meter.out > limits.ratioFrom && meter.out > meter.in * limits.maxRatio)) {
      throw new TsbuildError(
        'TSB_ARCHIVE',
        `Cannot decompress the archive: ${meter.in} bytes became more than ${meter.out - chunk.length}, which looks like a decompression bomb`,
      );
    }
    yield chunk;
  }
}

async function* metered(
  input: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  meter: { in: number },
): AsyncGenerator<Uint8Array> {
  for await (const chunk of input) {
    meter.in += chunk.length;
    yield chunk;
  }
}

function decode(
  input: AsyncIterable<Uint8Array>,
  compression: ArchiveCompression,
  meter: { in: number },
): AsyncIterable<Buffer> {
  // Pieces are objects, four of them at most: of a stream of bytes a reader that comes late gets all that waits copied into one buffer,
  // and the pieces themselves, which nobody can release then, pile up until they are collected (190 MB: 30 to 60 MB of them).
  const options = { chunkSize: CHUNK, readableObjectMode: true, readableHighWaterMark: 4 };
  switch (compression) {
    case 'none':
      return asBuffers(input);
    case 'gzip':
      return throughStream(input, zlib().createGunzip(options), meter);
    case 'zstd':
      // containerd and buildah make windows of 8 MiB at most; 27 is zstd's own limit without --long.
      return throughStream(
        wholeFrames(input),
        zlib().createZstdDecompress({ ...options, params: { [zlib().constants.ZSTD_d_windowLogMax]: 27 } }),
        meter,
      );
    case 'bzip2':
      return inTurns(async () => (await import('./codecs/bzip2.ts')).bunzip2(input));
    case 'xz':
      return inTurns(async () => (await import('./codecs/xz.ts')).unxz(input));
  }
}

/**
 * Hands the event loop over after every block: from a file's chunks all else would wait until the end.
 * @param decoder one of our own, which is loaded now: few archives need it, and it computes tables
 */
async function* inTurns(decoder: () => Promise<AsyncIterable<Buffer>>): AsyncGenerator<Buffer> {
  for await (const block of await decoder()) {
    yield block;
    await setImmediate();
  }
}

async function* asBuffers(input: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  for await (const chunk of input)
    yield Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
}

async function* wholeFrames(input: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const scanner = new ZstdFrameScanner();
  for await (const chunk of input) yield* scanner.split(chunk);
}

async function* throughStream(
  input: AsyncIterable<Uint8Array>,
  stream: Transform & { readonly bytesWritten: number },
  meter: { in: number },
): AsyncGenerator<Buffer> {
  let failure: { readonly error: unknown } | undefined;
  const feed = async (): Promise<void> => {
    for await (const chunk of input) {
      if (stream.destroyed || stream.readableEnded) break;
      if (!stream.write(chunk)) await drained(stream);
    }
    stream.end();
  };
  const feeding = feed().catch((error: unknown) => {
    failure ??= { error };
    stream.destroy();
  });
  try {
    for await (const chunk of stream) yield chunk as Buffer;
  } catch (error) {
    failure ??= { error };
  } finally {
    stream.destroy();
  }
  await feeding;
  if (failure) {
    const { error } = failure;
    if (isTsbuildError(error)) throw error;
    throw new TsbuildError('TSB_ARCHIVE', `Cannot decompress the archive: ${messageOf(error)}`, { cause: error });
  }
  // Node stops without an error at zeros behind the last member.
  if (stream.bytesWritten !== meter.in) {
    const extra = meter.in - stream.bytesWritten;
    throw new TsbuildError('TSB_ARCHIVE', `Cannot decompress the archive: ${extra} bytes follow the compressed data`);
  }
}

async function drained(stream: Transform): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = (): void => {
      stream.off('drain', done);
      stream.off('close', done);
      stream.off('end', done);
      resolve();
    };
    stream.on('drain', done);
    stream.on('close', done);
    stream.on('end', done);
  });
}
