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

/** The table as bytes; `decodeStatTable` reads it back, or refuses it. */
export function encodeStatTable(table: StatTable): Buffer {
  const names = Buffer.from(table.names.join('\0'), 'utf8');
  const numbers = new Uint8Array(table.numbers.buffer, table.numbers.byteOffset, table.numbers.byteLength);
  const header = Buffer.alloc(HEADER);
  header.write(MAGIC, 'latin1');
  header.writeUInt32LE(table.names.length, 12);
  header.writeUInt32LE(names.length, 16);
  const file = Buffer.concat([header, numbers, table.digests, names]);
  file.writeUInt32LE(crc32(file.subarray(12)), 8);
  return file;
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
