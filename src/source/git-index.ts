import { fromBytes, type ByteString } from '../tree/index.ts';
import { TsbuildError } from '../util/index.ts';

/** An entry of a git index. */
export interface IndexEntry {
  /** From the top of the working tree. */
  readonly path: ByteString;
  /** `submodule`: a directory that has an index of its own. */
  readonly type: 'file' | 'symlink' | 'submodule';
}

/** Bytes of an entry before the object's name: times, device, inode, mode, owner, size. */
const STAT_BYTES = 40;
/** Entries of an index take at least so much, which bounds what a header may claim. */
const MIN_ENTRY_BYTES = STAT_BYTES + 20 + 2 + 2;
const EXTENDED = 0x4000;
const TYPES: Readonly<Record<number, IndexEntry['type']>> = { 0o100: 'file', 0o120: 'symlink', 0o160: 'submodule' };

/**
 * Reads an index of git (gitformat-index(5), versions 2, 3 and 4). It lies in a checkout that may be anybody's: what does not add up is
 * an error, and nothing is believed but names.
 * @throws TsbuildError `TSB_CONTEXT` when it is damaged, or of a kind that names only a part of the files
 */
export function parseGitIndex(bytes: Uint8Array): readonly IndexEntry[] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (buffer.length < 12 || buffer.toString('latin1', 0, 4) !== 'DIRC') throw damaged('it is none');
  const version = buffer.readUInt32BE(4);
  if (version < 2 || version > 4) throw damaged(`its version is ${version}`);
  // Which hash a repository has stands in its configuration; only with the right one do the entries fit.
  const found = readEntries(buffer, version, 20) ?? readEntries(buffer, version, 32);
  if (!found) throw damaged('its entries do not fit');
  requireWhole(buffer, found.end, found.hashBytes);
  return found.entries;
}

function readEntries(
  buffer: Buffer,
  version: number,
  hashBytes: number,
): { readonly entries: readonly IndexEntry[]; readonly end: number; readonly hashBytes: number } | undefined {
  const count = buffer.readUInt32BE(8);
  if (count * MIN_ENTRY_BYTES > buffer.length * (version === 4 ? 2 : 1)) return undefined;
  const entries: IndexEntry[] = [];
  const limit = buffer.length - hashBytes;
  let path = '';
  let at = 12;
  for (let index = 0; index < count; index++) {
    const flagsAt = at + STAT_BYTES + hashBytes;
    if (flagsAt + 2 > limit) return undefined;
    const type = TYPES[buffer.readUInt32BE(at + 24) >>> 9];
    if (type === undefined) return undefined;
    let nameAt = flagsAt + 2;
    if (version >= 3 && (buffer.readUInt16BE(flagsAt) & EXTENDED) !== 0) nameAt += 2;
    let kept = '';
    if (version === 4) {
      const strip = readVarint(buffer, nameAt, limit);
      if (!strip || strip.value > path.length) return undefined;
      kept = path.slice(0, path.length - strip.value);
      nameAt = strip.end;
    }
    const end = buffer.indexOf(0, nameAt);
    if (end < 0 || end >= limit) return undefined;
    path = kept + fromBytes(buffer.subarray(nameAt, end));
    if (!isCleanPath(path)) return undefined;
    entries.push({ path, type });
    // Before version 4 entries are padded with 1 to 8 NULs to a multiple of eight bytes.
    at = version === 4 ? end + 1 : at + ((end - at + 8) & ~7);
  }
  return at <= limit ? { entries, end: at, hashBytes } : undefined;
}

/** The number of gitformat-pack(5)'s "offset encoding". */
function readVarint(buffer: Buffer, start: number, limit: number): { value: number; end: number } | undefined {
  let value = 0;
  for (let at = start; at < limit && at < start + 4; at++) {
    const byte = buffer[at] ?? 0;
    value = at === start ? byte & 0x7f : ((value + 1) << 7) | (byte & 0x7f);
    if ((byte & 0x80) === 0) return { value, end: at + 1 };
  }
  return undefined;
}

/** Extensions in lower case must be understood: a split or sparse index does not name all files. */
function requireWhole(buffer: Buffer, start: number, hashBytes: number): void {
  for (let at = start; at + 8 <= buffer.length - hashBytes; at += 8 + buffer.readUInt32BE(at + 4)) {
    const name = buffer.toString('latin1', at, at + 4);
    if (!/^[A-Z]/.test(name))
      throw new TsbuildError('TSB_CONTEXT', `Cannot use the git index: it is ${name === 'link' ? 'split' : 'sparse'}`, {
        hint: 'write a whole one: git update-index --no-split-index && git sparse-checkout disable; or use --context-perms=preserve',
      });
  }
}

function isCleanPath(path: ByteString): boolean {
  return path !== '' && path.split('/').every((name) => name !== '' && name !== '.' && name !== '..');
}

function damaged(why: string): TsbuildError {
  return new TsbuildError('TSB_CONTEXT', `Cannot read the git index: ${why}`, {
    hint: 'see what "git status" says, or use --context-perms=preserve',
  });
}
