import { resolve } from 'node:path';
import type { CacheExport, CacheImport } from './request.ts';
import { Attributes, type Fail, parseAttributes, parseCsvLine } from '../exporter/index.ts';
import { parseReference, type Reference, withDefaultTag } from '../image/index.ts';
import { isDigest, messageOf, suggest, TsbuildError } from '../util/index.ts';

const FORM_KEYS = ['mode', 'compression', 'compression-level', 'image-manifest', 'oci-mediatypes'];
type Flag = '--cache-from' | '--cache-to';
type CacheType = 'registry' | 'local' | 'inline';

const KEYS: Readonly<Record<Flag, Readonly<Partial<Record<CacheType, readonly string[]>>>>> = {
  '--cache-from': { registry: ['ref'], local: ['src', 'tag', 'digest'] },
  '--cache-to': {
    registry: ['ref', 'ignore-error', ...FORM_KEYS],
    local: ['dest', 'tag', 'ignore-error', ...FORM_KEYS],
    inline: ['mode', 'ignore-error'],
  },
};

/** BuildKit's types that are not here, with what to do instead. */
const UNSUPPORTED: Readonly<Record<string, string>> = {
  inline: 'a cache within an image is read by type=registry,ref=IMAGE',
  gha: 'use type=local and let the workflow keep the directory',
  s3: 'use type=registry or type=local',
  azblob: 'use type=registry or type=local',
};

/** Easily mixed up. */
const OPPOSITE: Readonly<Record<string, string>> = { src: 'dest', dest: 'src' };

/**
 * Parses the values of `--cache-from`: `type=registry,ref=REF`, `type=local,src=DIR` or a bare `REF`.
 * @throws TsbuildError `TSB_USAGE`
 */
export function parseCacheFrom(cwd: string, values: readonly string[]): readonly CacheImport[] {
  return values.flatMap((text) =>
    parse('--cache-from', text).map(({ type, attributes, fail }): CacheImport => {
      if (type === 'registry') return { type, reference: referenceOf(attributes, fail) };
      const digest = attributes.get('digest');
      if (digest !== undefined && !isDigest(digest)) throw fail('"digest" is not a sha256 digest');
      return {
        type: 'local',
        src: resolve(cwd, required(attributes, 'src', fail)),
        ...(attributes.has('tag') ? { tag: tagOf(attributes, fail) } : {}),
        ...(digest === undefined ? {} : { digest }),
      };
    }),
  );
}

/**
 * Parses the values of `--cache-to`: `type=registry,ref=REF`, `type=local,dest=DIR`, `type=inline` or a bare `REF`.
 * @throws TsbuildError `TSB_USAGE`
 */
export function parseCacheTo(cwd: string, values: readonly string[]): readonly CacheExport[] {
  return values.flatMap((text) =>
    parse('--cache-to', text).map(({ type, get, attributes, fail }): CacheExport => {
      const mode = get.choice('mode', ['min', 'max']) ?? 'min';
      const ignoreError = get.flag('ignore-error') ?? true;
      if (type === 'inline') return { type, mode };
      const ociMediaTypes = get.flag('oci-mediatypes') ?? true;
      const imageManifest = get.flag('image-manifest') ?? ociMediaTypes;
      if (imageManifest && !ociMediaTypes) throw fail('"image-manifest" needs "oci-mediatypes"');
      const common = {
        mode,
        compression: get.compression(),
        imageManifest,
        ociMediaTypes,
        ignoreError,
      } as const;
      if (type === 'local')
        return {
          type,
          dest: resolve(cwd, required(attributes, 'dest', fail)),
          tag: tagOf(attributes, fail),
          ...common,
        };
      const reference = referenceOf(attributes, fail);
      if (reference.digest !== undefined) throw fail('"ref" has a digest, which is not known before the cache is made');
      return { type, reference, ...common };
    }),
  );
}

interface Parsed {
  readonly type: CacheType;
  readonly attributes: ReadonlyMap<string, string>;
  readonly get: Attributes;
  readonly fail: Fail;
}

function parse(flag: Flag, text: string): readonly Parsed[] {
  const fail: Fail = (why, hint) =>
    new TsbuildError(
      'TSB_USAGE',
      `Cannot use ${flag} ${JSON.stringify(text)}: ${why}`,
      hint === undefined ? {} : { hint },
    );
  const made = (type: Parsed['type'], attributes: ReadonlyMap<string, string>): Parsed => ({
    type,
    attributes,
    get: new Attributes(attributes, fail),
    fail,
  });
  if (text === '') throw fail('it is empty');
  const fields = parseCsvLine(text);
  // Plain references, as buildx takes them.
  if (fields.every((field) => !field.includes('=')))
    return fields.map((ref) => made('registry', new Map([['ref', ref]])));
  const attributes = parseAttributes(fields, fail);
  const type = attributes.get('type');
  attributes.delete('type');
  if (type === undefined)
    throw fail('"type" is required', 'for example: type=registry,ref=registry.example.com/app:cache');
  const known = isType(type) ? KEYS[flag][type] : undefined;
  if (!isType(type) || known === undefined) {
    const instead = Object.hasOwn(UNSUPPORTED, type) ? UNSUPPORTED[type] : undefined;
    if (instead !== undefined) throw fail(`type=${type} is not supported`, instead);
    const near = suggest(type, ['registry', 'local', ...Object.keys(UNSUPPORTED)]);
    const types = flag === '--cache-to' ? 'types are registry, local and inline' : 'types are registry and local';
    throw fail(`unknown type "${type}"`, near === undefined ? types : `did you mean "${near}"?`);
  }
  for (const [key, value] of attributes) {
    if (known.includes(key)) continue;
    if (key === 'registry.insecure') {
      if (value === 'false') continue;
      throw fail('"registry.insecure" is not supported', 'set "insecure = true" for the registry in registries.conf');
    }
    const near = known.includes(OPPOSITE[key] ?? '') ? OPPOSITE[key] : suggest(key, known);
    throw fail(
      `type ${type} has no "${key}"`,
      near === undefined ? `it has ${known.join(', ')}` : `did you mean "${near}"?`,
    );
  }
  return [made(type, attributes)];
}

function isType(type: string): type is CacheType {
  return type === 'registry' || type === 'local' || type === 'inline';
}

function required(attributes: ReadonlyMap<string, string>, key: string, fail: Fail): string {
  const value = attributes.get(key);
  if (value === undefined || value === '') throw fail(`"${key}" is required`);
  return value;
}

/** The tag of a cache in a directory; `latest` when none is given. */
function tagOf(attributes: ReadonlyMap<string, string>, fail: Fail): string {
  const tag = attributes.get('tag') ?? 'latest';
  if (!/^\w[\w.-]{0,127}$/.test(tag)) throw fail('"tag" is not a tag');
  return tag;
}

/** The image that a cache is kept as. */
function referenceOf(attributes: ReadonlyMap<string, string>, fail: Fail): Reference {
  const ref = required(attributes, 'ref', fail);
  try {
    return withDefaultTag(parseReference(ref));
  } catch (error) {
    throw fail(messageOf(error));
  }
}
