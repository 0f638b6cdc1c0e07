import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import { parseStrictJson, TsbuildError } from '../util/index.ts';
import { isObjectName } from './name.ts';

/**
 * A catalog is one entry that stands for many objects: the small ones are in it, of large ones it has the keys of entries of their own.
 * Each generation has all that is known, so that a reader needs the newest alone; see `PackedStore`.
 */
export interface Catalog {
  readonly objects: ReadonlyMap<string, CatalogObject>;
  /** Generations whose numbers were taken and whose content was not there yet: whoever reads may look again. */
  readonly holes: readonly number[];
}

/** An object of a catalog. Times are in seconds since the epoch. */
export interface CatalogObject {
  readonly size: number;
  readonly writtenAt: number;
  /** When it was read or touched last, by what is known. */
  readonly usedAt: number;
  /** Its bytes, or the key of the entry that has them. */
  readonly at: Uint8Array | { readonly key: string };
}

const MAGIC = Buffer.from('tsbuild catalog 1\n');
/** Limits of what is read, in bytes; what is written stays far below. */
export const CATALOG_LIMITS: { readonly packed: number; readonly unpacked: number; readonly index: number } = {
  packed: 64 << 20,
  unpacked: 128 << 20,
  index: 32 << 20,
};
/** What is written: the objects that were used last, as many as fit. */
const KEEP = { objects: 50_000, bytes: 24 << 20 } as const;
/** More holes are old ones, which nobody fills any more. */
const KEEP_HOLES = 4;

/** What a catalog is written as: gzip of a magic line, the length of an index (u32), the index (JSON) and the bytes of the small objects. */
export async function packCatalog({ objects, holes }: Catalog): Promise<Buffer> {
  const data: Uint8Array[] = [];
  const index: (readonly [string, number, number, number, number | string])[] = [];
  let bytes = 0;
  for (const [name, { size, writtenAt, usedAt, at }] of [...objects].toSorted(([, a], [, b]) => b.usedAt - a.usedAt)) {
    if (index.length === KEEP.objects) break;
    if (!(at instanceof Uint8Array)) index.push([name, size, writtenAt, usedAt, at.key]);
    else if (bytes + size <= KEEP.bytes) {
      index.push([name, size, writtenAt, usedAt, bytes]);
      data.push(at);
      bytes += size;
    }
  }
  const json = Buffer.from(JSON.stringify({ holes: holes.slice(-KEEP_HOLES), objects: index }));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(json.length);
  return promisify(gzip)(Buffer.concat([MAGIC, length, json, ...data]));
}

/** @throws TsbuildError `TSB_DIGEST` for what is no catalog, or one that was damaged */
export async function unpackCatalog(packed: Uint8Array, what: string): Promise<Catalog> {
  const fail = (cause?: unknown): TsbuildError =>
    new TsbuildError('TSB_DIGEST', `Cannot use ${what}: it is damaged`, cause === undefined ? {} : { cause });
  try {
    const bytes = await promisify(gunzip)(packed, { maxOutputLength: CATALOG_LIMITS.unpacked });
    const start = MAGIC.length + 4;
    if (!bytes.subarray(0, MAGIC.length).equals(MAGIC) || bytes.length < start) throw fail();
    const length = bytes.readUInt32LE(MAGIC.length);
    if (length > CATALOG_LIMITS.index || start + length > bytes.length) throw fail();
    const maxBytes = CATALOG_LIMITS.index;
    const document = parseStrictJson(bytes.subarray(start, start + length), { what, maxBytes, maxDepth: 4 });
    return readIndex(document as Readonly<Record<string, unknown>>, bytes.subarray(start + length), fail);
  } catch (error) {
    throw error instanceof TsbuildError && error.code === 'TSB_DIGEST' ? error : fail(error);
  }
}

function readIndex(document: Readonly<Record<string, unknown>>, data: Buffer, fail: () => TsbuildError): Catalog {
  const { holes, objects } = document;
  if (!Array.isArray(holes) || !holes.every(isCount) || !Array.isArray(objects)) throw fail();
  const read = new Map<string, CatalogObject>();
  for (const row of objects as readonly unknown[]) {
    if (!Array.isArray(row)) throw fail();
    const [name, size, writtenAt, usedAt, at] = row as readonly unknown[];
    if (typeof name !== 'string' || !isObjectName(name)) throw fail();
    if (!isCount(size) || !isCount(writtenAt) || !isCount(usedAt)) throw fail();
    if (typeof at === 'string' && isObjectName(at)) read.set(name, { size, writtenAt, usedAt, at: { key: at } });
    else if (isCount(at) && at + size <= data.length)
      read.set(name, { size, writtenAt, usedAt, at: data.subarray(at, at + size) });
    else throw fail();
  }
  return { objects: read, holes: (holes as readonly number[]).slice(-KEEP_HOLES) };
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** Two catalogs in one; of an object that both have, the one that was written last, with the later time of use. */
export function mergeCatalogs(one: Catalog, other: Catalog): Catalog {
  const objects = new Map(one.objects);
  for (const [name, object] of other.objects) {
    const known = objects.get(name);
    const later = known === undefined || known.writtenAt <= object.writtenAt ? object : known;
    objects.set(name, { ...later, usedAt: Math.max(object.usedAt, known?.usedAt ?? 0) });
  }
  return { objects, holes: [...new Set([...one.holes, ...other.holes])].toSorted((a, b) => a - b) };
}
