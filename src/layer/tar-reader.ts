import type { ByteString } from '../tree/index.ts';
import { TsbuildError } from '../util/index.ts';
import { quote } from './byte-string.ts';
import type { EntryType, SparseRegion, TarEntry } from './entry.ts';
import { parsePax, type PaxRecord } from './pax.ts';
import { checkRegions, readOldGnuRegions, readPaxSparse, SparseMapReader } from './sparse.ts';
import { BLOCK, isZeroBlock, parseHeader, type RawHeader } from './tar-header.ts';
import { parseDecimal, parseNumber, parsePaxTime } from './tar-numbers.ts';

/** Receives what a `TarReader` finds, in the order of the archive. Whatever it throws ends the reading. */
export interface TarHandler {
  entry(entry: TarEntry): void;
  /** Content of the last entry; `offset` is its place in the file, which jumps in sparse files. Valid during the call. */
  data(chunk: Buffer, offset: number): void;
  /** The entry's content is complete. */
  end(entry: TarEntry): void;
}

/** Limits against hostile archives (CVE-2022-2879 and many others). */
const MAX_META_BYTES = 1 << 20;
const MAX_META_HEADERS = 16;
const MAX_GLOBAL_HEADERS = 10_000;
const XATTR_PREFIX = 'SCHILY.xattr.';

const TYPES: Readonly<Record<string, EntryType>> = {
  '0': 'file',
  '\0': 'file',
  '7': 'file',
  S: 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'char',
  '4': 'block',
  '5': 'directory',
  '6': 'fifo',
};

type State = 'header' | 'meta' | 'sparse-header' | 'sparse-map' | 'data' | 'skip' | 'end';

/** What extended headers said about the entry that follows; of two of a kind the last counts, alone. */
interface Meta {
  pax: readonly PaxRecord[];
  longName: ByteString | undefined;
  longLink: ByteString | undefined;
  count: number;
}

/**
 * Reads a tar archive that is pushed in chunks of any size: v7, ustar, PAX, GNU and star headers, GNU sparse files
 * in all four formats. Content is passed on without copying. What readers disagree about follows Go's archive/tar, as
 * containerd uses it: global headers are ignored and end what was said of the next file, of two extended headers the last
 * counts alone, PAX sizes are only for the next file (CVE-2025-62518), links and directories have no content, a lone zero
 * block is an error, and what follows the end marker is ignored.
 * An archive may lack the end marker.
 */
export class TarReader {
  readonly #handler: TarHandler;
  readonly #carry = Buffer.alloc(BLOCK);
  #carried = 0;
  #state: State = 'header';
  #sawZeroBlock = false;
  #meta: Meta = noMeta();
  #globalCount = 0;
  #metaFlag = '';
  #metaData: Buffer = Buffer.alloc(0);
  #metaUsed = 0;
  /** Bytes of the current run of content, meta data or padding that are still to come. */
  #left = 0;
  #padding = 0;
  #entry: TarEntry | undefined;
  #regions: readonly SparseRegion[] = [];
  #region = 0;
  #offset = 0;
  #stored = 0;
  #oldSparse: { header: RawHeader; regions: SparseRegion[]; realSize: number } | undefined;
  #mapReader: { reader: SparseMapReader; header: RawHeader; realSize: number } | undefined;
  #lastName: ByteString | undefined;

  constructor(handler: TarHandler) {
    this.#handler = handler;
  }

  /** Whether the end marker was read. */
  get ended(): boolean {
    return this.#state === 'end';
  }

  /** @throws TsbuildError `TSB_ARCHIVE` naming the entry */
  push(chunk: Uint8Array): void {
    const bytes = Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    let at = 0;
    while (at < bytes.length && this.#state !== 'end') {
      if (this.#state === 'meta' || this.#state === 'data' || this.#state === 'skip') {
        at = this.#run(bytes, at);
        continue;
      }
      if (this.#carried === 0 && bytes.length - at >= BLOCK) {
        this.#block(bytes.subarray(at, at + BLOCK));
        at += BLOCK;
        continue;
      }
      const length = Math.min(BLOCK - this.#carried, bytes.length - at);
      bytes.copy(this.#carry, this.#carried, at, at + length);
      this.#carried += length;
      at += length;
      if (this.#carried === BLOCK) {
        this.#carried = 0;
        this.#block(this.#carry);
      }
    }
  }

  /**
   * The input is at its end.
   * @throws TsbuildError `TSB_ARCHIVE` when it ends within an entry.
   */
  finish(): void {
    if (this.#state === 'end') return;
    if (this.#state !== 'header' || this.#carried > 0 || this.#meta.count > 0) this.#fail('the archive is cut off');
    this.#state = 'end';
  }

  #fail(reason: string): never {
    const what =
      this.#lastName === undefined ? 'Cannot read the archive' : `Cannot read archive entry ${quote(this.#lastName)}`;
    throw new TsbuildError('TSB_ARCHIVE', `${what}: ${reason}`);
  }

  /** Handles bytes of a run, whose length is known; returns where it stopped. */
  #run(bytes: Buffer, at: number): number {
    const length = Math.min(this.#left, bytes.length - at);
    const end = at + length;
    if (this.#state === 'meta') this.#metaUsed += bytes.copy(this.#metaData, this.#metaUsed, at, end);
    else if (this.#state === 'data') this.#content(bytes, at, end);
    this.#left -= length;
    if (this.#left > 0) return end;
    if (this.#state === 'meta') this.#endMeta();
    else if (this.#state === 'data') this.#endEntry();
    this.#state = this.#padding > 0 ? 'skip' : 'header';
    this.#left = this.#padding;
    this.#padding = 0;
    return end;
  }

  #content(bytes: Buffer, start: number, end: number): void {
    if (this.#entry?.sparse === undefined) {
      this.#handler.data(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end), this.#offset);
      this.#offset += end - start;
      return;
    }
    for (let at = start; at < end;) {
      const region = this.#regions[this.#region];
      if (region === undefined) return;
      const length = Math.min(region.length - this.#offset, end - at);
      if (length > 0) this.#handler.data(bytes.subarray(at, at + length), region.offset + this.#offset);
      at += length;
      this.#offset += length;
      if (this.#offset === region.length) {
        this.#region++;
        this.#offset = 0;
      }
    }
  }

  #block(block: Buffer): void {
    switch (this.#state) {
      case 'header':
        this.#header(block);
        break;
      case 'sparse-header':
        this.#sparseHeader(block);
        break;
      case 'sparse-map':
        this.#sparseMap(block);
        break;
      default:
    }
  }

  #header(block: Buffer): void {
    if (block[0] === 0 && isZeroBlock(block)) {
      if (this.#meta.count > 0) this.#fail('an extended header is followed by no entry');
      if (this.#sawZeroBlock) this.#state = 'end';
      this.#sawZeroBlock = true;
      return;
    }
    if (this.#sawZeroBlock) this.#fail('a lone zero block stands before an entry');
    const header = parseHeader(block);
    if (typeof header === 'string') {
      this.#fail(this.#lastName === undefined ? header : `after it, ${header}`);
    }
    const { flag } = header;
    if (flag === 'x' || flag === 'g' || flag === 'L' || flag === 'K') this.#startMeta(header);
    else this.#startEntry(header, block);
  }

  #startMeta(header: RawHeader): void {
    if (header.size > MAX_META_BYTES) this.#fail('an extended header is larger than 1 MiB');
    if (++this.#meta.count > MAX_META_HEADERS) this.#fail('too many extended headers stand before one entry');
    this.#metaFlag = header.flag;
    this.#metaData = Buffer.alloc(header.size);
    this.#metaUsed = 0;
    this.#state = 'meta';
    this.#left = header.size;
    this.#padding = padding(header.size);
    if (header.size === 0) {
      this.#endMeta();
      this.#state = 'header';
    }
  }

  #endMeta(): void {
    if (this.#metaFlag === 'x') {
      const records = parsePax(this.#metaData);
      if (typeof records === 'string') this.#fail(`in the entry after it, ${records}`);
      this.#meta.pax = records;
    } else if (this.#metaFlag === 'g') {
      const records = parsePax(this.#metaData);
      if (typeof records === 'string') this.#fail(`in a global header, ${records}`);
      // Global headers are ignored, but not without end.
      this.#meta = noMeta();
      if (++this.#globalCount > MAX_GLOBAL_HEADERS) this.#fail('the archive has too many global headers');
    } else {
      const end = this.#metaData.indexOf(0);
      const name = this.#metaData.toString('latin1', 0, end === -1 ? this.#metaData.length : end) || undefined;
      if (this.#metaFlag === 'L') this.#meta.longName = name;
      else this.#meta.longLink = name;
    }
    this.#metaData = Buffer.alloc(0);
  }

  #startEntry(raw: RawHeader, block: Buffer): void {
    const named = this.#meta.longName ?? lastRecord(this.#meta.pax, 'path') ?? raw.name;
    this.#lastName = named;
    // Archives from before ustar mark directories by a slash.
    const header = raw.flag === '\0' && named.endsWith('/') ? { ...raw, flag: '5' } : raw;
    if (header.flag === 'S') {
      if (!header.gnu) this.#fail('it is a sparse file in a header that has no map');
      const regions: SparseRegion[] = [];
      const realSize = parseNumberAt(block, 483);
      if (realSize === undefined) this.#fail('the sparse file has no valid size');
      this.#oldSparse = { header, regions, realSize };
      const more = readOldGnuRegions(block, 386, 4, regions);
      if (typeof more === 'string') this.#fail(more);
      if (more) this.#state = 'sparse-header';
      else this.#endOldSparse();
      return;
    }
    const sparse = readPaxSparse(this.#meta.pax);
    if (typeof sparse === 'string') this.#fail(sparse);
    if (sparse === undefined) this.#emit(header, this.#storedSize(header));
    else if (TYPES[header.flag] !== 'file') this.#fail('it has a sparse map but is no file');
    else if (sparse.regions) this.#emit(header, this.#storedSize(header), sparse.regions, sparse.realSize);
    else {
      this.#mapReader = { reader: new SparseMapReader(), header, realSize: sparse.realSize };
      this.#stored = this.#storedSize(header);
      this.#state = 'sparse-map';
    }
  }

  #sparseHeader(block: Buffer): void {
    const sparse = this.#oldSparse;
    if (!sparse) return;
    const more = readOldGnuRegions(block, 0, 21, sparse.regions);
    if (typeof more === 'string') this.#fail(more);
    if (!more) this.#endOldSparse();
  }

  #endOldSparse(): void {
    const sparse = this.#oldSparse;
    if (!sparse) return;
    this.#oldSparse = undefined;
    this.#emit(sparse.header, this.#storedSize(sparse.header), sparse.regions, sparse.realSize);
  }

  #sparseMap(block: Buffer): void {
    const map = this.#mapReader;
    if (!map) return;
    this.#stored -= BLOCK;
    if (this.#stored < 0) this.#fail('the sparse map is larger than the stored data');
    const regions = map.reader.push(block);
    if (typeof regions === 'string') this.#fail(regions);
    if (regions === undefined) return;
    this.#mapReader = undefined;
    this.#emit(map.header, this.#stored, regions, map.realSize);
  }

  /** Bytes in the archive that belong to the entry; a PAX size wins over the header's. */
  #storedSize(header: RawHeader): number {
    const text = lastRecord(this.#meta.pax, 'size');
    if (TYPES[header.flag] !== 'file') return 0;
    if (text === undefined) return header.size;
    return parseDecimal(text) ?? this.#fail('the PAX size is malformed or too large');
  }

  #emit(header: RawHeader, stored: number, regions?: readonly SparseRegion[], realSize?: number): void {
    if (regions) {
      const fault = checkRegions(regions, realSize ?? 0, stored);
      if (fault !== undefined) this.#fail(fault);
    }
    const entry = this.#makeEntry(header, realSize ?? stored, regions);
    this.#meta = noMeta();
    this.#entry = entry;
    this.#lastName = entry.path;
    this.#regions = regions?.filter((region) => region.length > 0) ?? [];
    this.#region = 0;
    this.#offset = 0;
    this.#handler.entry(entry);
    this.#left = stored;
    this.#padding = padding(stored);
    this.#state = 'data';
    if (stored === 0) {
      this.#endEntry();
      this.#state = 'header';
    }
  }

  #endEntry(): void {
    const entry = this.#entry;
    this.#entry = undefined;
    if (entry) this.#handler.end(entry);
  }

  #makeEntry(header: RawHeader, size: number, sparse?: readonly SparseRegion[]): TarEntry {
    const { pax } = this.#meta;
    const type = TYPES[header.flag];
    if (type === undefined) this.#fail(`its type ${JSON.stringify(header.flag)} is unknown`);
    let path = header.name;
    let linkPath = header.linkName;
    let { uid, gid } = header;
    let mtime = { sec: header.mtime, nsec: 0 };
    let sparseName: ByteString | undefined;
    let xattrs: Map<ByteString, Buffer> | undefined;
    for (const { key, value } of pax) {
      if (key.startsWith(XATTR_PREFIX)) {
        (xattrs ??= new Map()).set(key.slice(XATTR_PREFIX.length), value);
        continue;
      }
      // An empty value takes the record back: the header's own field holds.
      const text = value.toString('latin1');
      if (key === 'path') path = text === '' ? header.name : text;
      else if (key === 'linkpath') linkPath = text === '' ? header.linkName : text;
      else if (key === 'uid') uid = text === '' ? header.uid : this.#decimal(key, text);
      else if (key === 'gid') gid = text === '' ? header.gid : this.#decimal(key, text);
      else if (key === 'mtime' && text !== '')
        mtime = parsePaxTime(text) ?? this.#fail('the PAX mtime is malformed or too large');
      else if (key === 'GNU.sparse.name' && sparse && header.flag !== 'S') sparseName = text || undefined;
    }
    path = sparseName ?? this.#meta.longName ?? path;
    linkPath = this.#meta.longLink ?? linkPath;
    if (!validId(uid) || !validId(gid)) this.#fail(`its owner ${uid}:${gid} is out of range`);
    return {
      path,
      type,
      mode: header.mode,
      uid,
      gid,
      size,
      mtime,
      linkPath: type === 'symlink' || type === 'hardlink' ? linkPath : '',
      devMajor: header.devMajor,
      devMinor: header.devMinor,
      ...(xattrs ? { xattrs } : {}),
      ...(sparse ? { sparse } : {}),
    };
  }

  #decimal(key: string, text: string): number {
    return parseDecimal(text) ?? this.#fail(`the PAX ${key} is malformed or too large`);
  }
}

function noMeta(): Meta {
  return { pax: [], longName: undefined, longLink: undefined, count: 0 };
}

function lastRecord(records: readonly PaxRecord[], key: string): ByteString | undefined {
  for (let index = records.length - 1; index >= 0; index--) {
    const record = records[index];
    if (record?.key === key) return record.value.length === 0 ? undefined : record.value.toString('latin1');
  }
  return undefined;
}

function parseNumberAt(block: Buffer, start: number): number | undefined {
  const value = parseNumber(block, start, 12);
  return value === undefined || value < 0 ? undefined : value;
}

/** 2^32 - 1 means "no id" to the kernel. */
function validId(id: number): boolean {
  return id >= 0 && id < 2 ** 32 - 1;
}

function padding(size: number): number {
  const over = size % BLOCK;
  return over === 0 ? 0 : BLOCK - over;
}
