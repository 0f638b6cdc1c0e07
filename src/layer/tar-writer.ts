import type { Timespec } from '../sys/index.ts';
import type { ByteString } from '../tree/index.ts';
import { isAscii } from './byte-string.ts';
import type { TarEntry } from './entry.ts';
import { formatPax } from './pax.ts';
import { BLOCK } from './tar-header.ts';

/** What a `TarWriter` is told about an entry; fields that are absent are 0 or empty. */
export interface TarEntryInput {
  /** As it shall stand in the archive, without leading slash. Directories get their trailing slash here. */
  readonly path: ByteString;
  readonly type: TarEntry['type'];
  /** Permission bits; layers of Windows images have the type's bits as well. */
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  /** Bytes of content that follow; only for files. */
  readonly size?: number;
  /** Written in whole seconds. */
  readonly mtime?: Pick<Timespec, 'sec'>;
  readonly linkPath?: ByteString;
  readonly devMajor?: number;
  readonly devMinor?: number;
  /** Written as they are: the caller chooses. */
  readonly xattrs?: ReadonlyMap<ByteString, Buffer> | undefined;
  /** PAX records besides. */
  readonly pax?: ReadonlyMap<ByteString, ByteString>;
}

const FLAGS = {
  file: 0x30,
  hardlink: 0x31,
  symlink: 0x32,
  char: 0x33,
  block: 0x34,
  directory: 0x35,
  fifo: 0x36,
} as const;

/** The largest numbers that ustar's octal fields hold. */
const MAX_OCTAL_7 = 0o7777777;
const MAX_OCTAL_11 = 0o77777777777;

/** Where a `TarWriter` puts its bytes. */
export interface TarTarget {
  /** A place for `length` (at most one block) bytes, filled with whatever was there before. Valid until the next call. */
  reserve(length: number): { readonly buffer: Buffer; readonly offset: number };
  write(bytes: Uint8Array): void;
}

/**
 * Writes tar headers in one dialect: ustar, preceded by a PAX header where something does not fit (long or non-ASCII
 * names, big numbers, times before 1970, xattrs), never GNU. Owners are numeric, times whole seconds, PAX records
 * sorted: the same entries give the same bytes, and the same as Go's `archive/tar` in `FormatPAX`, with which BuildKit
 * writes layers. Content is up to the caller, followed by `pad`.
 */
export class TarWriter {
  readonly #target: TarTarget;
  #common: CommonFields | undefined;
  readonly #paxFields = new CommonFields(0x78, undefined);

  constructor(target: TarTarget) {
    this.#target = target;
  }

  /** Writes the header of an entry, after which `size` bytes of content and `pad(size)` are due. */
  header(entry: TarEntryInput): void {
    const path = entry.type === 'directory' && !entry.path.endsWith('/') ? `${entry.path}/` : entry.path;
    const split = splitPath(path);
    const pax = paxRecords(entry, path, split === undefined);
    if (pax) {
      const data = formatPax(pax);
      this.#block(this.#paxFields, [paxName(path)], { size: data.length });
      this.#target.write(data);
      this.pad(data.length);
    }
    const flag = FLAGS[entry.type];
    if (!this.#common?.suits(flag, entry)) this.#common = new CommonFields(flag, entry);
    this.#block(this.#common, pax || !split ? [asciiHead(path)] : split, entry);
  }

  /** Zeros up to the block boundary after `size` bytes of content. */
  pad(size: number): void {
    const over = size % BLOCK;
    if (over === 0) return;
    const { buffer, offset } = this.#target.reserve(BLOCK - over);
    buffer.fill(0, offset, offset + BLOCK - over);
  }

  /** The end marker. */
  end(): void {
    for (let count = 0; count < 2; count++) {
      const { buffer, offset } = this.#target.reserve(BLOCK);
      buffer.fill(0, offset, offset + BLOCK);
    }
  }

  #block(
    { block, sum }: CommonFields,
    [name, prefix = '']: readonly [ByteString, ByteString?],
    entry: Partial<TarEntryInput>,
  ): void {
    const { buffer, offset } = this.#target.reserve(BLOCK);
    const { size = 0, linkPath = '' } = entry;
    const seconds = entry.mtime?.sec ?? 0;
    block.copy(buffer, offset);
    let total = sum + text(buffer, offset, name);
    total += octal(buffer, offset + 124, 11, size > MAX_OCTAL_11 ? 0 : size);
    total += octal(buffer, offset + 136, 11, seconds < 0 || seconds > MAX_OCTAL_11 ? 0 : seconds);
    if (linkPath !== '') total += text(buffer, offset + 157, asciiHead(linkPath));
    if (prefix !== '') total += text(buffer, offset + 345, prefix);
    octal(buffer, offset + 148, 6, total);
  }
}

/** A header with the fields that entries in a row mostly have alike: making it anew for each takes several times as long. */
class CommonFields {
  readonly block: Buffer = Buffer.alloc(BLOCK);
  /** Of its bytes, where those of the checksum count as spaces. */
  readonly sum: number;
  readonly #flag: number;
  readonly #entry: Partial<TarEntryInput>;

  /** @param entry undefined for the header of a PAX header, which has no device numbers */
  constructor(flag: number, entry: Partial<TarEntryInput> | undefined) {
    this.#flag = flag;
    this.#entry = entry ?? {};
    const { block } = this;
    const { mode = 0, uid = 0, gid = 0, devMajor = 0, devMinor = 0 } = this.#entry;
    block[156] = flag;
    // The checksum is six digits, a NUL and a space.
    block[155] = 0x20;
    this.sum =
      8 * 0x20 +
      flag +
      octal(block, 100, 7, mode & 0o177777) +
      octal(block, 108, 7, uid > MAX_OCTAL_7 ? 0 : uid) +
      octal(block, 116, 7, gid > MAX_OCTAL_7 ? 0 : gid) +
      text(block, 257, 'ustar\u000000') +
      (entry ? octal(block, 329, 7, devMajor) + octal(block, 337, 7, devMinor) : 0);
  }

  suits(flag: number, { mode, uid, gid, devMajor, devMinor }: Partial<TarEntryInput>): boolean {
    const mine = this.#entry;
    return (
      flag === this.#flag &&
      mode === mine.mode &&
      uid === mine.uid &&
      gid === mine.gid &&
      devMajor === mine.devMajor &&
      devMinor === mine.devMinor
    );
  }
}

/** Writes bytes and returns their sum. */
function text(buffer: Buffer, offset: number, bytes: ByteString): number {
  let sum = 0;
  for (let index = 0; index < bytes.length; index++) {
    const byte = bytes.charCodeAt(index);
    buffer[offset + index] = byte;
    sum += byte;
  }
  return sum;
}

/** Writes `digits` octal digits and returns the sum of their bytes; the byte after them stays as it is. */
function octal(buffer: Buffer, offset: number, digits: number, value: number): number {
  let sum = digits * 0x30;
  let rest = value;
  let index = offset + digits - 1;
  for (; index >= offset && rest > 0x3fff_ffff; index--) {
    const high = Math.floor(rest / 8);
    const digit = rest - high * 8;
    buffer[index] = 0x30 + digit;
    sum += digit;
    rest = high;
  }
  // Small integers, as nearly all of them are, take a fraction of the time.
  for (let small = rest | 0; index >= offset; index--, small >>= 3) {
    buffer[index] = 0x30 | (small & 7);
    sum += small & 7;
  }
  return sum;
}

function fits(name: ByteString): boolean {
  return name.length <= 100 && isAscii(name);
}

/** Name and prefix fields for a path, or undefined when it needs a PAX record (Go, `splitUSTARPath`). */
function splitPath(path: ByteString): readonly [ByteString, ByteString?] | undefined {
  if (fits(path)) return [path];
  if (path.length > 256 || !isAscii(path)) return undefined;
  // The slash that divides them is in neither field; a directory's own last slash is not it.
  const slash = path.lastIndexOf('/', Math.min(155, path.length - 2));
  if (slash <= 0 || path.length - slash - 1 > 100) return undefined;
  return [path.slice(slash + 1), path.slice(0, slash)];
}

/** What a reader without PAX sees of a name: the ASCII of it, cut to the field and not as a directory (Go, `templateV7Plus`). */
function asciiHead(name: ByteString): ByteString {
  if (fits(name)) return name;
  const ascii = asciiOf(name);
  return ascii.length <= 100 ? ascii : withoutSlashes(ascii.slice(0, 100));
}

/** The name of the PAX header before an entry (Go, `writePAXHeader`). */
function paxName(path: ByteString): ByteString {
  const slash = path.lastIndexOf('/') + 1;
  return withoutSlashes(asciiOf(`${path.slice(0, slash)}PaxHeaders.0/${path.slice(slash)}`).slice(0, 100));
}

function asciiOf(name: ByteString): ByteString {
  return name.replaceAll(/[^\u0001-\u007f]/g, '');
}

function withoutSlashes(name: ByteString): ByteString {
  return name.replace(/\/+$/, '');
}

function paxRecords(
  entry: TarEntryInput,
  path: ByteString,
  longPath: boolean,
): Map<ByteString, Buffer | ByteString> | undefined {
  const { uid = 0, gid = 0, size = 0, linkPath = '', xattrs, pax } = entry;
  const seconds = entry.mtime?.sec ?? 0;
  const small = uid <= MAX_OCTAL_7 && gid <= MAX_OCTAL_7 && size <= MAX_OCTAL_11;
  if (small && seconds >= 0 && seconds <= MAX_OCTAL_11 && !longPath && linkPath === '' && !xattrs && !pax)
    return undefined;
  const records = new Map<ByteString, Buffer | ByteString>(pax);
  if (!fits(linkPath)) records.set('linkpath', linkPath);
  if (uid > MAX_OCTAL_7) records.set('uid', String(uid));
  if (gid > MAX_OCTAL_7) records.set('gid', String(gid));
  if (size > MAX_OCTAL_11) records.set('size', String(size));
  if (seconds < 0 || seconds > MAX_OCTAL_11) records.set('mtime', String(seconds));
  if (xattrs) for (const [name, value] of xattrs) records.set(`SCHILY.xattr.${name}`, value);
  if (records.size === 0 && !longPath) return undefined;
  // The prefix field is not used with a PAX header.
  if (!fits(path)) records.set('path', path);
  return records;
}
