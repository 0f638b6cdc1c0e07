import type { ByteString } from '../tree/index.ts';
import { parseNumber } from './tar-numbers.ts';

/** Bytes of a tar block (POSIX.1-1988). */
export const BLOCK = 512;

/** A header block, parsed but not interpreted. */
export interface RawHeader {
  readonly name: ByteString;
  /** The type flag as a character. */
  readonly flag: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: number;
  readonly linkName: ByteString;
  readonly devMajor: number;
  readonly devMinor: number;
  readonly gnu: boolean;
}

/**
 * Parses a header block in the v7, ustar, GNU or star format.
 * Returns the fault's description when the checksum or a number is wrong.
 */
export function parseHeader(block: Buffer): RawHeader | string {
  if (!checksumMatches(block)) return 'the header checksum is wrong';
  const name = field(block, 0, 100);
  const magic = block.toString('latin1', 257, 265);
  const gnu = magic === 'ustar  \0';
  const ustar = magic.startsWith('ustar\0');
  const numbers = {
    mode: parseNumber(block, 100, 8),
    uid: parseNumber(block, 108, 8),
    gid: parseNumber(block, 116, 8),
    size: parseNumber(block, 124, 12),
    mtime: parseNumber(block, 136, 12),
    devMajor: ustar || gnu ? parseNumber(block, 329, 8) : 0,
    devMinor: ustar || gnu ? parseNumber(block, 337, 8) : 0,
  };
  const flag = String.fromCharCode(block[156] ?? 0);
  const { mode, uid, gid, size, mtime } = numbers;
  if (mode === undefined || uid === undefined || gid === undefined || mtime === undefined || size === undefined)
    return 'a number in the header is malformed or too large';
  if (size < 0) return 'the size is negative';
  // Some writers leave rubbish in the device fields of entries that are no devices.
  const isDevice = flag === '3' || flag === '4';
  const { devMajor, devMinor } = numbers;
  if (isDevice && !(inRange(devMajor, 0xfff) && inRange(devMinor, 0xfffff))) return 'the device number is out of range';
  const star = ustar && block.toString('latin1', 508, 512) === 'tar\0';
  const prefix = ustar ? field(block, 345, star ? 131 : 155) : '';
  return {
    name: prefix === '' ? name : `${prefix}/${name}`,
    flag,
    mode: mode & 0o7777,
    uid,
    gid,
    size,
    mtime,
    linkName: field(block, 157, 100),
    devMajor: isDevice ? (devMajor ?? 0) : 0,
    devMinor: isDevice ? (devMinor ?? 0) : 0,
    gnu,
  };
}

function inRange(value: number | undefined, max: number): boolean {
  return value !== undefined && value >= 0 && value <= max;
}

/** A text field: up to the first NUL, or all of it. */
function field(block: Buffer, start: number, length: number): ByteString {
  if (block[start] === 0) return '';
  const end = block.indexOf(0, start);
  return block.toString('latin1', start, end === -1 || end > start + length ? start + length : end);
}

/** Old writers summed signed bytes, so both sums are taken. */
function checksumMatches(block: Buffer): boolean {
  const stated = parseNumber(block, 148, 8);
  let sum = 8 * 0x20;
  let high = 0;
  for (let index = 0; index < BLOCK; index++) {
    if (index === 148) index = 156;
    const byte = block[index] as number;
    sum += byte;
    if (byte > 127) high++;
  }
  return stated === sum || stated === sum - 256 * high;
}

/** Whether a block is all zero, which marks the end of an archive. */
export function isZeroBlock(block: Buffer): boolean {
  for (let index = 0; index < BLOCK; index++) if (block[index] !== 0) return false;
  return true;
}
