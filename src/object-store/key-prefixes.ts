import { TsbuildError } from '../util/index.ts';
import { isObjectName } from './name.ts';

/** How names of objects become keys of a bucket, with the attributes that BuildKit has for it. */
export interface KeyPrefixes {
  /** Before all keys. */
  readonly prefix: string;
  /** In place of `blobs/` at the beginning of a name. Default `blobs/`. */
  readonly blobsPrefix: string;
  /** Before all other names. Default `manifests/`. */
  readonly manifestsPrefix: string;
}

const BLOBS = 'blobs/';

/** The key for a name, or for the beginning of one. */
export function keyOfName({ prefix, blobsPrefix, manifestsPrefix }: KeyPrefixes, name: string): string {
  return prefix + (name.startsWith(BLOBS) ? blobsPrefix + name.slice(BLOBS.length) : manifestsPrefix + name);
}

/** The name that a key stands for; undefined for what others keep in the bucket. */
export function nameOfKey(prefixes: KeyPrefixes, key: string): string | undefined {
  const { prefix, blobsPrefix, manifestsPrefix } = prefixes;
  // Where one prefix begins like the other, a key with the longer one is taken to be of that.
  const both = [
    [prefix + blobsPrefix, BLOBS],
    [prefix + manifestsPrefix, ''],
  ] as const;
  for (const [start, named] of both.toSorted(([a], [b]) => b.length - a.length)) {
    const name = key.startsWith(start) ? named + key.slice(start.length) : undefined;
    if (name !== undefined && isObjectName(name) && keyOfName(prefixes, name) === key) return name;
  }
  return undefined;
}

/**
 * Checks a prefix of keys that a user gave.
 * @throws TsbuildError `TSB_USAGE`
 */
export function checkPrefix(attribute: string, prefix: string): string {
  const isPath = prefix.split('/').every((part) => part !== '.' && part !== '..');
  // eslint-disable-next-line no-control-regex
  if (isPath && prefix.length <= 300 && !prefix.startsWith('/') && !/[\u0000-\u001f\u007f\\?#]/.test(prefix))
    return prefix;
  throw new TsbuildError(
    'TSB_USAGE',
    `Cannot use ${attribute}=${JSON.stringify(prefix)}: it is no beginning of a key`,
    {
      hint: 'it does not begin with a slash, and has no part "." or ".."; for example: prefix=team/app/',
    },
  );
}
