import { type Digest, Hasher } from './digest.ts';

/** A value that `canonicalDigest` can hash. Numbers must be integers. */
export type Canonical =
  | string
  | number
  | boolean
  | null
  | undefined
  | Uint8Array
  | readonly Canonical[]
  | { readonly [key: string]: Canonical };

/**
 * sha256 over a typed, length-prefixed encoding, so that no two different values share bytes (security rule 11):
 * object keys are sorted by UTF-16 order, absent and undefined keys are the same, arrays keep their order.
 * @param tag names what is hashed and the version of its format, e.g. `tsbuild.exec.v1`
 */
export function canonicalDigest(tag: string, value: Canonical): Digest {
  const hasher = new Hasher();
  write(hasher, tag);
  write(hasher, value);
  return hasher.digest();
}

function write(hasher: Hasher, value: Canonical): void {
  if (value === null || value === undefined) hasher.update('n;');
  else if (typeof value === 'string') hasher.update(`s${Buffer.byteLength(value)}:${value}`);
  else if (typeof value === 'boolean') hasher.update(value ? 'b1;' : 'b0;');
  else if (typeof value === 'number') {
    if (!Number.isSafeInteger(value)) throw new RangeError(`Cannot hash the number ${value}: it is not an integer`);
    hasher.update(`i${value};`);
  } else if (value instanceof Uint8Array) hasher.update(`x${value.length}:`).update(value);
  else if (Array.isArray(value)) {
    const items = value as readonly Canonical[];
    hasher.update(`a${items.length}:`);
    for (const item of items) write(hasher, item);
  } else {
    const entries = Object.entries(value as { readonly [key: string]: Canonical }).filter(
      ([, item]) => item !== undefined,
    );
    entries.sort(([a], [b]) => (a < b ? -1 : 1));
    hasher.update(`o${entries.length}:`);
    for (const [key, item] of entries) {
      write(hasher, key);
      write(hasher, item);
    }
  }
}
