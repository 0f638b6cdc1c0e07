import { writeSync } from 'node:fs';
import { crc32 } from 'node:zlib';

/** Numbers per entry: mode, size, mtime, ctime (seconds and nanoseconds), inode (high and low half), device (major and minor). */
export const COLUMNS = 10;
const MAGIC = 'tsbstat2';
/** magic, crc32 of the rest, number of entries, bytes of the names. */
const HEADER = 24;
const DIGEST_BYTES = 32;

/** The content of a stat cache file, column by column, so that reading 20,000 entries makes few objects. */
export interface StatTable {
  readonly names: readonly string[];
  /** `COLUMNS` numbers per entry. */
  readonly numbers: Float64Array;
  /** 32 bytes per entry. */
  readonly digests: Buffer;
}

/** A table that is written: its entries from one position to another, asked for as they are needed. */
export interface StatColumns {
  readonly count: number;
  readonly names: (from: number, to: number) => readonly string[];
  readonly numbers: (from: number, to: number) => Float64Array;
  readonly digests: (from: number, to: number) => Uint8Array;
}

/** Entries written at once: a table of a large context is never in memory as a whole. */
const PIECE = 4096;

/** Writes a table to a new file, for `decodeStatTable`. */
export function writeStatTable(fd: number, { count, names, numbers, digests }: StatColumns): void {
  const pieces = <T>(make: (from: number, to: number) => T): T[] =>
    Array.from({ length: Math.ceil(count / PIECE) }, (_, piece) =>
      make(piece * PIECE, Math.min(count, (piece + 1) * PIECE)),
    );
  // The header tells their length, so these alone are made first. NUL stands between two.
  const texts = pieces((from, to) => Buffer.from(`${from > 0 ? '\0' : ''}${names(from, to).join('\0')}`, 'utf8'));
  const header = Buffer.alloc(HEADER);
  header.write(MAGIC, 'latin1');
  header.writeUInt32LE(count, 12);
  header.writeUInt32LE(
    texts.reduce((total, { length }) => total + length, 0),
    16,
  );
  let crc = crc32(header.subarray(12));
  let position = HEADER;
  const write = (bytes: Uint8Array): void => {
    crc = crc32(bytes, crc);
    position += writeFully(fd, bytes, position);
  };
  pieces((from, to) => write(asBytes(numbers(from, to))));
  pieces((from, to) => write(digests(from, to)));
  for (const text of texts) write(text);
  header.writeUInt32LE(crc, 8);
  writeFully(fd, header, 0);
}

function asBytes({ buffer, byteOffset, byteLength }: Float64Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** @returns the number of bytes */
function writeFully(fd: number, bytes: Uint8Array, position: number): number {
  for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at, bytes.length - at, position + at);
  return bytes.length;
}

/** Undefined when the bytes are not a whole, undamaged file of this version. */
export function decodeStatTable(file: Buffer): StatTable | undefined {
  if (file.length < HEADER || file.toString('latin1', 0, 8) !== MAGIC) return undefined;
  const count = file.readUInt32LE(12);
  const nameBytes = file.readUInt32LE(16);
  const numbersEnd = HEADER + count * COLUMNS * 8;
  const digestsEnd = numbersEnd + count * DIGEST_BYTES;
  if (file.length !== digestsEnd + nameBytes || crc32(file.subarray(12)) !== file.readUInt32LE(8)) return undefined;
  const text = file.toString('utf8', digestsEnd, digestsEnd + nameBytes);
  const names = count === 0 ? [] : text.split('\0');
  if (names.length !== count) return undefined;
  // A copy where the buffer is not aligned to 8 bytes.
  const aligned = (file.byteOffset + HEADER) % 8 === 0;
  const numbers = aligned
    ? new Float64Array(file.buffer, file.byteOffset + HEADER, count * COLUMNS)
    : new Float64Array(Uint8Array.from(file.subarray(HEADER, numbersEnd)).buffer);
  return { names, numbers, digests: file.subarray(numbersEnd, digestsEnd) };
}
