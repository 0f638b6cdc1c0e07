import { compressionOf, type Guard, guardFor } from '../../image/index.ts';
import type { KeyLink } from '../../solver/index.ts';
import { type Digest, isDigest, parseStrictJson, TsbuildError } from '../../util/index.ts';
import { type CachedLayer, MAX_TIME } from '../remote-config.ts';

/** Media type of a record, which is also what is signed as the type of its bytes. */
export const RECORD_TYPE = 'application/vnd.tsbuild.step.v1+json';
/** The same of the record of a cache mount. */
export const MOUNT_RECORD_TYPE = 'application/vnd.tsbuild.mount.v1+json';
/** The same of the record of a base image's tree. */
export const TREE_RECORD_TYPE = 'application/vnd.tsbuild.tree.v1+json';
/** All of them: whoever looks after a place goes through records of every kind. */
export const RECORD_TYPES: readonly string[] = [RECORD_TYPE, MOUNT_RECORD_TYPE, TREE_RECORD_TYPE];

/** Largest record, in bytes: a result of some 500 layers. */
export const MAX_RECORD_BYTES: number = 512 * 1024;
/** Largest summary of what a step read, in bytes. */
export const MAX_SUMMARY_BYTES: number = 64 * 1024;
const MAX_LAYERS = 500;
const MAX_LINKS = 64;
/** Longer descriptions are cut: they are for people who look at a layer. */
const MAX_DESCRIPTION = 400;
const MAX_TEXT = 256;

/** Whose build a record is of, as far as that build was told. */
export interface Author {
  readonly who?: string;
  /** The git reference that was built. */
  readonly ref?: string;
  readonly commit?: string;
}

/**
 * What a shared cache has of one step under one of its names. It is written once, as a whole, and refers to no other record by
 * anything but names that anybody can work out.
 */
export interface StepRecord {
  /** Who may read and write what is told apart by scopes; a record of one is not valid in another. */
  readonly scope: string;
  /** 64 hexadecimal digits: what it was asked for by. */
  readonly name: string;
  /** The name under which what is made of the step goes on. */
  readonly node: string;
  /** When the result was made, in milliseconds since the epoch. */
  readonly createdAt: number;
  /** When the record was. */
  readonly writtenAt: number;
  readonly author: Author;
  /** Links from leaves by which the step is known: contents and base images. */
  readonly links: readonly KeyLink[];
  /** The result, bottom first; undefined where only the name is known, and leads on. */
  readonly layers?: readonly CachedLayer[];
  /** What the step read, for whoever explains a miss; its format is told by its first byte. */
  readonly summary?: Uint8Array;
}

/** @throws TsbuildError `TSB_EXPORT` when it is larger than readers take */
export function encodeRecord(record: StepRecord): Buffer {
  const { scope, name, node, createdAt, writtenAt, author, links, layers, summary } = record;
  const bytes = Buffer.from(
    JSON.stringify({
      version: 1,
      scope,
      name,
      node,
      createdAt,
      writtenAt,
      author,
      links: links.slice(0, MAX_LINKS),
      layers: layers?.map(({ descriptor: { digest, size, mediaType }, diffId, createdAt, description, fromImage }) => ({
        digest,
        size,
        mediaType,
        diffId,
        createdAt,
        description: description.slice(0, MAX_DESCRIPTION),
        ...(fromImage ? { fromImage } : {}),
      })),
      summary: summary && Buffer.from(summary).toString('base64'),
    }),
  );
  if (bytes.length > MAX_RECORD_BYTES || (layers?.length ?? 0) > MAX_LAYERS)
    throw new TsbuildError('TSB_EXPORT', `Cannot write record ${name}: it is larger than readers take`);
  return bytes;
}

/**
 * Reads a record, which anybody may have written.
 * @param expected what it was asked for by: a sound record in the place of another one is none
 * @throws TsbuildError `TSB_IMAGE` naming the place in the document
 */
export function decodeRecord(
  bytes: Uint8Array,
  expected: Pick<StepRecord, 'scope' | 'name'>,
  what: string,
): StepRecord {
  const guard = guardFor(what);
  const document = guard.object(parseStrictJson(bytes, { what, maxBytes: MAX_RECORD_BYTES }), '');
  if (document['version'] !== 1) throw guard.fail('version', 'is not 1: a newer tsbuild wrote it');
  const scope = guard.string(document['scope'], 'scope');
  const name = guard.string(document['name'], 'name');
  if (scope !== expected.scope) throw guard.fail('scope', 'is another one than that it is kept in');
  if (name !== expected.name) throw guard.fail('name', 'is another one than that it is kept under');
  const layers = document['layers'];
  const summary = decodeSummary(guard, document['summary']);
  return {
    scope,
    name,
    node: nameAt(guard, document['node'], 'node'),
    createdAt: timeAt(guard, document['createdAt'], 'createdAt'),
    writtenAt: timeAt(guard, document['writtenAt'], 'writtenAt'),
    author: decodeAuthor(guard, document['author']),
    links: guard
      .list(document['links'] ?? [], 'links', MAX_LINKS)
      .map((value, at) => decodeLink(guard, value, `links[${at}]`)),
    ...(layers === undefined
      ? {}
      : {
          layers: guard
            .list(layers, 'layers', MAX_LAYERS)
            .map((value, at) => decodeLayer(guard, value, `layers[${at}]`)),
        }),
    ...(summary === undefined ? {} : { summary }),
  };
}

function decodeLayer(guard: Guard, value: unknown, path: string): CachedLayer {
  const layer = guard.object(value, path);
  const { mediaType, digest, size } = guard.descriptor(layer, path);
  if (compressionOf(mediaType) === undefined) throw guard.fail(`${path}.mediaType`, 'is not that of a layer');
  return {
    descriptor: { mediaType, digest, size },
    diffId: digestAt(guard, layer['diffId'], `${path}.diffId`),
    createdAt: timeAt(guard, layer['createdAt'], `${path}.createdAt`),
    description: textAt(guard, layer['description'], `${path}.description`, MAX_DESCRIPTION),
    fromImage: layer['fromImage'] === true,
  };
}

function decodeLink(guard: Guard, value: unknown, path: string): KeyLink {
  const { op, output, input, selector, from } = guard.object(value, path);
  return {
    op: digestAt(guard, op, `${path}.op`),
    output: indexAt(guard, output, `${path}.output`),
    input: indexAt(guard, input, `${path}.input`),
    ...(selector === undefined ? {} : { selector: digestAt(guard, selector, `${path}.selector`) }),
    from: nameAt(guard, from, `${path}.from`),
  };
}

/** @throws what the guard makes */
export function decodeAuthor(guard: Guard, value: unknown): Author {
  const author = guard.object(value ?? {}, 'author');
  const text = (key: string): string | undefined =>
    author[key] === undefined ? undefined : textAt(guard, author[key], `author.${key}`, MAX_TEXT);
  const [who, ref, commit] = [text('who'), text('ref'), text('commit')];
  return {
    ...(who === undefined ? {} : { who }),
    ...(ref === undefined ? {} : { ref }),
    ...(commit === undefined ? {} : { commit }),
  };
}

function decodeSummary(guard: Guard, value: unknown): Uint8Array | undefined {
  if (value === undefined) return undefined;
  const text = textAt(guard, value, 'summary', Math.ceil(MAX_SUMMARY_BYTES / 3) * 4);
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text)) throw guard.fail('summary', 'is not base64');
  return Buffer.from(text, 'base64');
}

/** A text of so many characters at most. @throws what the guard makes */
export function textAt(guard: Guard, value: unknown, path: string, most: number): string {
  const text = guard.string(value, path);
  if (text.length > most) throw guard.fail(path, `has more than ${most} characters`);
  return text;
}

function nameAt(guard: Guard, value: unknown, path: string): string {
  const name = guard.string(value, path);
  if (!/^[0-9a-f]{64}$/.test(name)) throw guard.fail(path, 'is not the name of a step');
  return name;
}

function digestAt(guard: Guard, value: unknown, path: string): Digest {
  if (typeof value === 'string' && isDigest(value)) return value;
  throw guard.fail(path, 'is not a sha256 digest');
}

function indexAt(guard: Guard, value: unknown, path: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value < 2 ** 31) return value;
  throw guard.fail(path, 'is not a number from 0 on');
}

/** A time in milliseconds since the epoch. @throws what the guard makes */
export function timeAt(guard: Guard, value: unknown, path: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value <= MAX_TIME) return value;
  throw guard.fail(path, 'is not a time in milliseconds');
}
