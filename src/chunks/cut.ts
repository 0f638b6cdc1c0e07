import { sha256 } from '../util/index.ts';

/**
 * Sizes of chunks in bytes: none is cut before `least`, most come out near `usual`, none is longer than `most`. Smaller ones would find more
 * that did not change and cost more in names: 64 KiB are some 16,000 names for a gigabyte.
 */
export const CHUNK_BYTES: { readonly least: number; readonly usual: number; readonly most: number } = {
  least: 16 << 10,
  usual: 64 << 10,
  most: 256 << 10,
};

/** One random number for each byte. They are part of the format: with others, nothing that is there would be found again. */
const GEAR = Uint32Array.from({ length: 256 }, (_, byte) =>
  Number.parseInt(sha256(`tsbuild.chunk-gear.v1 ${byte}`).slice('sha256:'.length, 'sha256:'.length + 8), 16),
);

/** So many of the upper bits must be zero for a cut: more of them before the usual size and fewer after it (FastCDC, "normalized chunking"). */
const BEFORE = mask(18);
const AFTER = mask(14);

function mask(bits: number): number {
  return ((1 << bits) - 1) << (32 - bits);
}

/**
 * Where the first chunk of some bytes ends (FastCDC; Xia et al., USENIX ATC 2016). It follows from the 32 bytes before it, so that the same
 * content is cut in the same places wherever it stands in a file: what is inserted changes one or two chunks.
 * @param end the content's end, or at least `CHUNK_BYTES.most` after `start`
 * @returns the offset after the chunk's last byte
 */
export function cut(bytes: Uint8Array, start: number, end: number): number {
  const { least, usual, most } = CHUNK_BYTES;
  if (end - start <= least) return end;
  const normal = Math.min(start + usual, end);
  const limit = Math.min(start + most, end);
  let print = 0;
  let at = start + least;
  for (; at < normal; at++) {
    print = ((print << 1) + (GEAR[bytes[at] as number] as number)) | 0;
    if ((print & BEFORE) === 0) return at + 1;
  }
  for (; at < limit; at++) {
    print = ((print << 1) + (GEAR[bytes[at] as number] as number)) | 0;
    if ((print & AFTER) === 0) return at + 1;
  }
  return limit;
}
