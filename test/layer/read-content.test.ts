import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { readContent } from '../../src/layer/index.ts';
import { sha256 } from '../../src/util/index.ts';

const MIB = 1 << 20;
/** 48 MiB that inflate much faster than the reader below takes them. */
const content = Buffer.concat(Array.from({ length: 48 }, () => Buffer.concat([randomBytes(1024), Buffer.alloc(MIB)])));

describe.each([
  ['gzip', gzipSync(content, { level: 1 })],
  ['zstd', zstdCompressSync(content)],
] as const)('%s', (compression, blob) => {
  test('memory stays bounded when whoever takes the pieces is slow', async () => {
    const before = process.memoryUsage().arrayBuffers;
    let [most, largest] = [0, 0];
    const { diffId } = await readContent({ source: [blob], compression }, async (piece) => {
      largest = Math.max(largest, piece.length);
      most = Math.max(most, process.memoryUsage().arrayBuffers - before);
      await sleep(2);
    });
    expect(diffId).toBe(sha256(content));
    // Pieces one by one and not what waits copied together, and each freed once it was taken: nothing is left to the collector.
    expect(largest).toBeLessThanOrEqual(256 << 10);
    expect(most).toBeLessThan(8 * MIB);
  });
});
