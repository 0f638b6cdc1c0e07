import type { SparseRegion } from './entry.ts';
import type { PaxRecord } from './pax.ts';
import { BLOCK } from './tar-header.ts';
import { parseDecimal, parseNumber } from './tar-numbers.ts';

/** Regions and map bytes beyond these are taken for an attack (CVE-2026-32288, CVE-2025-58183 of Go's archive/tar). */
const MAX_REGIONS = 65_536;
const MAX_SPARSE_MAP = 1 << 20;

/** Adds the regions of an old GNU sparse header or extension block; the next block is an extension when true is returned. */
export function readOldGnuRegions(block: Buffer, start: number, count: number, into: SparseRegion[]): boolean | string {
  for (let index = 0; index < count; index++) {
    const at = start + index * 24;
    // An unused slot ends the list.
    if (block[at] === 0) break;
    const offset = parseNumber(block, at, 12);
    const length = parseNumber(block, at + 12, 12);
    if (offset === undefined || length === undefined) return 'a number in the sparse map is malformed';
    if (into.length >= MAX_REGIONS) return 'the sparse map has too many regions';
    into.push({ offset, length });
  }
  // Any byte but NUL, as for GNU tar and Go: who reads it otherwise sees content where they see a map.
  return block[start + count * 24] !== 0;
}

/** What PAX records say about a sparse file. */
export interface PaxSparse {
  readonly realSize: number;
  /** Undefined for format 1.0, whose map precedes the data. */
  readonly regions?: SparseRegion[];
}

/** Reads the GNU.sparse records of formats 0.0, 0.1 and 1.0; undefined when there are none. */
export function readPaxSparse(records: readonly PaxRecord[]): PaxSparse | undefined | string {
  let major: string | undefined;
  let minor: string | undefined;
  let size: string | undefined;
  let realSize: string | undefined;
  let map: string | undefined;
  const listed: string[] = [];
  let sparse = false;
  for (const { key, value } of records) {
    if (!key.startsWith('GNU.sparse.')) continue;
    sparse = true;
    const text = value.toString('latin1');
    if (key === 'GNU.sparse.major') major = text;
    else if (key === 'GNU.sparse.minor') minor = text;
    else if (key === 'GNU.sparse.size') size = text;
    else if (key === 'GNU.sparse.realsize') realSize = text;
    else if (key === 'GNU.sparse.map') map = text;
    else if (key === 'GNU.sparse.offset' || key === 'GNU.sparse.numbytes') {
      // Format 0.0 repeats the two keys, in turn.
      if ((listed.length % 2 === 0) !== (key === 'GNU.sparse.offset')) return 'the sparse map is malformed';
      listed.push(text);
    }
  }
  if (!sparse) return undefined;
  const real = parseDecimal(realSize ?? size ?? '');
  if (real === undefined) return 'the sparse file has no valid size';
  if (major === '1' && minor === '0') return { realSize: real };
  if (major !== undefined && !(major === '0' && (minor === '0' || minor === '1')))
    return 'the sparse format is unknown';
  const numbers = map === undefined ? listed : map === '' ? [] : map.split(',');
  const regions = toRegions(numbers);
  return typeof regions === 'string' ? regions : { realSize: real, regions };
}

function toRegions(numbers: readonly string[]): SparseRegion[] | string {
  if (numbers.length % 2 !== 0) return 'the sparse map is malformed';
  if (numbers.length / 2 > MAX_REGIONS) return 'the sparse map has too many regions';
  const regions: SparseRegion[] = [];
  for (let index = 0; index < numbers.length; index += 2) {
    const offset = parseDecimal(numbers[index] ?? '');
    const length = parseDecimal(numbers[index + 1] ?? '');
    if (offset === undefined || length === undefined) return 'a number in the sparse map is malformed';
    regions.push({ offset, length });
  }
  return regions;
}

/** Collects the map of format 1.0: decimal numbers, a line each, in whole blocks before the data. */
export class SparseMapReader {
  #text = '';
  #lines = 0;
  #wanted: number | undefined;

  /** Takes the next block. Gives the regions when the map is complete, undefined when more blocks are needed. */
  push(block: Buffer): SparseRegion[] | undefined | string {
    this.#text += block.toString('latin1', 0, BLOCK);
    if (this.#text.length > MAX_SPARSE_MAP) return 'the sparse map is too large';
    for (let at = block.indexOf(0x0a); at !== -1 && at < BLOCK; at = block.indexOf(0x0a, at + 1)) this.#lines++;
    if (this.#wanted === undefined) {
      const end = this.#text.indexOf('\n');
      if (end === -1) return 'the sparse map is malformed';
      const count = parseDecimal(this.#text.slice(0, end));
      if (count === undefined) return 'the sparse map is malformed';
      if (count > MAX_REGIONS) return 'the sparse map has too many regions';
      this.#wanted = 1 + 2 * count;
    }
    if (this.#lines < this.#wanted) return undefined;
    return toRegions(this.#text.split('\n', this.#wanted).slice(1));
  }
}

/** Checks that regions are in order, within the file, and hold exactly `stored` bytes. Returns the fault's description. */
export function checkRegions(regions: readonly SparseRegion[], realSize: number, stored: number): string | undefined {
  let end = 0;
  let total = 0;
  for (const { offset, length } of regions) {
    if (length < 0 || offset < end || offset + length > realSize) return 'the sparse map has regions out of order';
    end = offset + length;
    total += length;
  }
  return total === stored ? undefined : 'the sparse map does not match the stored data';
}
