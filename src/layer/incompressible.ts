/** Bytes in a run, and between the starts of runs. */
const RUN = 1024;
const STRIDE = 16 * 1024;
/** Bits per byte from which a block counts as random. Compressed archives and media have 7.99 and more. */
const THRESHOLD = 7.97;

const counts = new Uint32Array(256);

/**
 * Whether a block looks random or already compressed, by the entropy of its bytes in runs of 1 KiB every 16 KiB
 * (about 0.1 ms for 1 MiB). Blocks under 256 KiB are too small a sample and count as compressible.
 */
export function isIncompressible(block: Uint8Array): boolean {
  if (block.length < STRIDE * 16) return false;
  counts.fill(0);
  let total = 0;
  for (let start = 0; start + RUN <= block.length; start += STRIDE) {
    for (let index = start; index < start + RUN; index++) {
      const byte = block[index] as number;
      counts[byte] = (counts[byte] as number) + 1;
    }
    total += RUN;
  }
  let sum = 0;
  for (const count of counts) if (count > 0) sum += count * Math.log2(count);
  // A finite sample of random bytes shows a little less than 8 bits: 255 / (2 ln 2 total).
  const bias = 255 / (2 * Math.LN2 * total);
  return Math.log2(total) - sum / total + bias >= THRESHOLD;
}

const MAX_STORED = 65_535;

let scratch = Buffer.alloc(0);

/**
 * The bytes as stored deflate blocks (RFC 1951 section 3.2.4), starting and ending on byte boundaries. In a reused buffer,
 * valid until the next call.
 */
export function storedBlocks(block: Uint8Array, last: boolean): Buffer {
  const pieces = Math.max(1, Math.ceil(block.length / MAX_STORED));
  const size = block.length + pieces * 5;
  if (scratch.length < size) scratch = Buffer.allocUnsafeSlow(size);
  const output = scratch.subarray(0, size);
  let at = 0;
  for (let piece = 0; piece < pieces; piece++) {
    const start = piece * MAX_STORED;
    const length = Math.min(MAX_STORED, block.length - start);
    output[at] = last && piece === pieces - 1 ? 1 : 0;
    output.writeUInt16LE(length, at + 1);
    output.writeUInt16LE(MAX_STORED - length, at + 3);
    output.set(block.subarray(start, start + length), at + 5);
    at += 5 + length;
  }
  return output;
}
