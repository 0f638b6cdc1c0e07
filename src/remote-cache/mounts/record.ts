import { type Descriptor, type Guard, guardFor } from '../../image/index.ts';
import { canonicalDigest, type Digest, hexOf, parseStrictJson, TsbuildError } from '../../util/index.ts';
import { type Author, decodeAuthor, MAX_RECORD_BYTES, textAt, timeAt } from '../steps/record.ts';

/** What a cache mount is known by on every machine. It is no part of any step's key. */
export interface MountName {
  /** Of `--mount=type=cache,id=…`, within its namespace; where none is given, its target. */
  readonly id: string;
  /** Of the step that a new one starts with files of (`from=`, `uid=`, `mode=`): one that starts otherwise is another. */
  readonly base?: Digest;
}

/** A blob of a mount. */
export type MountBlob = Pick<Descriptor, 'mediaType' | 'digest' | 'size'>;

/** What a shared cache has of one cache mount. The newest one takes the place of those before. */
export interface MountRecord {
  readonly scope: string;
  /** 64 hexadecimal digits: what it was asked for by. */
  readonly name: string;
  readonly mount: MountName;
  /** In milliseconds since the epoch. */
  readonly writtenAt: number;
  readonly author: Author;
  /** The list of its files, and the packs with their content. */
  readonly tree: MountBlob;
  readonly packs: readonly MountBlob[];
  /** Bytes of all files, and their number. */
  readonly bytes: number;
  readonly files: number;
}

const TREE_TYPE = 'application/vnd.tsbuild.mount.tree.v1+zstd';
const PACK_TYPE = 'application/vnd.tsbuild.mount.pack.v1+zstd';
const MAX_BLOBS = 2001;
const MAX_ID = 1000;

/** The name of a mount's record: 64 hexadecimal digits, the same on every machine. */
export function mountRecordName({ id, base }: MountName): string {
  return hexOf(canonicalDigest('tsbuild.mount.v1', base === undefined ? [id] : [id, base]));
}

/** The blob of a mount that lists its files. */
export function treeBlob({ digest, size }: Pick<MountBlob, 'digest' | 'size'>): MountBlob {
  return { mediaType: TREE_TYPE, digest, size };
}

/** A blob of a mount with chunks of its files. */
export function packBlob({ digest, size }: Pick<MountBlob, 'digest' | 'size'>): MountBlob {
  return { mediaType: PACK_TYPE, digest, size };
}

/**
 * Its blobs are `layers`, as those of a step's record are: what looks after a place need not know the difference.
 * @throws TsbuildError `TSB_EXPORT` for what no reader takes
 */
export function encodeMountRecord({ tree, packs, ...record }: MountRecord): Buffer {
  if (record.mount.id.length > MAX_ID)
    throw new TsbuildError('TSB_EXPORT', `its id has more than ${MAX_ID} characters`, {
      hint: 'give it a shorter one: --mount=type=cache,id=NAME',
    });
  const bytes = Buffer.from(JSON.stringify({ version: 1, ...record, layers: [tree, ...packs] }));
  if (bytes.length > MAX_RECORD_BYTES || packs.length >= MAX_BLOBS)
    throw new TsbuildError('TSB_EXPORT', 'its record is larger than readers take');
  return bytes;
}

/**
 * Reads a record, which anybody may have written.
 * @param expected what it was asked for by: a sound record in the place of another one is none
 * @throws TsbuildError `TSB_IMAGE` naming the place in the document
 */
export function decodeMountRecord(
  bytes: Uint8Array,
  expected: Pick<MountRecord, 'scope' | 'name'>,
  what: string,
): MountRecord {
  const guard = guardFor(what);
  const document = guard.object(parseStrictJson(bytes, { what, maxBytes: MAX_RECORD_BYTES }), '');
  if (document['version'] !== 1) throw guard.fail('version', 'is not 1: a newer tsbuild wrote it');
  if (document['scope'] !== expected.scope) throw guard.fail('scope', 'is another one than that it is kept in');
  const { id, base } = guard.object(document['mount'], 'mount');
  const mount: MountName = {
    id: textAt(guard, id, 'mount.id', MAX_ID),
    ...(base === undefined
      ? {}
      : { base: guard.descriptor({ mediaType: PACK_TYPE, digest: base, size: 0 }, 'mount.base').digest }),
  };
  if (document['name'] !== expected.name || mountRecordName(mount) !== expected.name)
    throw guard.fail('name', 'is another one than that it is kept under');
  const blobs = guard.list(document['layers'], 'layers', MAX_BLOBS).map((value, at): MountBlob => {
    const { mediaType, digest, size } = guard.descriptor(value, `layers[${at}]`);
    if (mediaType !== (at === 0 ? TREE_TYPE : PACK_TYPE)) throw guard.fail(`layers[${at}].mediaType`, 'is another one');
    return { mediaType, digest, size };
  });
  const [tree, ...packs] = blobs;
  if (tree === undefined) throw guard.fail('layers', 'is empty');
  return {
    ...expected,
    mount,
    writtenAt: timeAt(guard, document['writtenAt'], 'writtenAt'),
    author: decodeAuthor(guard, document['author']),
    tree,
    packs,
    bytes: countAt(guard, document['bytes'], 'bytes'),
    files: countAt(guard, document['files'], 'files'),
  };
}

function countAt(guard: Guard, value: unknown, path: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw guard.fail(path, 'is not a number from 0 on');
}
