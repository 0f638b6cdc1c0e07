import { type Digest, isDigest, messageOf, sha256, TsbuildError } from '../util/index.ts';
import {
  decodeDefinition,
  encodeOp,
  MAX_DEFINITION_BYTES,
  metadataFromJson,
  opFromJson,
  sourceMapFromJson,
} from './definition.ts';
import type { Definition, OpMetadata } from './ops.ts';

/** One op of a listing, with the digest that it is said to have. */
interface Listed {
  readonly digest: string;
  readonly op: unknown;
  readonly metadata?: unknown;
}

/**
 * Reads a definition in any form in which one is passed on: BuildKit's message, which `tsbuild llb` and Go's `llb` package write; the lines
 * of `buildctl debug dump-llb`; and what `tsbuild llb --format=json` writes. An op that was written as JSON must have the digest that it was
 * listed with, so that nothing of it can have been lost on the way. `loadGraph` checks what all of it means.
 * @throws TsbuildError `TSB_LLB`
 */
export function readDefinition(bytes: Uint8Array): Definition {
  if (bytes.length > MAX_DEFINITION_BYTES) return decodeDefinition(bytes);
  const text = bytes[0] === OPENING_BRACE ? Buffer.from(bytes).toString('utf8') : undefined;
  if (text === undefined) return decodeDefinition(bytes);
  const documents = parseDocuments(text);
  const [first] = documents;
  if (isObject(first) && 'def' in first) return fromDocument(first);
  return fromListing(documents.map(listedLine));
}

/** No message begins with it: as a tag it would open a group, which proto3 has not. */
const OPENING_BRACE = 0x7b;

function parseDocuments(text: string): readonly unknown[] {
  try {
    return [JSON.parse(text)];
  } catch {
    // One object a line, then.
  }
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line, index): unknown => {
      try {
        return JSON.parse(line);
      } catch (error) {
        throw unreadable(`line ${index + 1} is not JSON: ${messageOf(error)}`);
      }
    });
}

/** `{def: {digest: op}, metadata: {digest: …}, source}`. */
function fromDocument(document: Readonly<Record<string, unknown>>): Definition {
  const { def, metadata = {}, source } = document;
  if (!isObject(def) || !isObject(metadata)) throw unreadable('"def" and "metadata" are not objects');
  const listed = Object.entries(def).map(([digest, op]): Listed => ({ digest, op, metadata: metadata[digest] }));
  const definition = fromListing(listed);
  return source === undefined ? definition : { ...definition, source: sourceMapFromJson(source) };
}

function fromListing(listed: readonly Listed[]): Definition {
  const entries = new Map<Digest, OpMetadata>();
  const def = listed.map(({ digest, op, metadata }, index) => {
    if (!isDigest(digest)) throw unreadable(`op ${index + 1} has no sha256 digest`);
    const bytes = encodeOp(opFromJson(op));
    if (sha256(bytes) !== digest)
      throw unreadable(
        `op ${index + 1} is not the one with digest ${digest}: something of it is not in this form`,
        'give the definition itself, which is what "buildctl debug dump-llb" reads',
      );
    if (metadata !== undefined && metadata !== null) entries.set(digest, metadataFromJson(metadata));
    return bytes;
  });
  return { def, metadata: entries };
}

/** A line of `buildctl debug dump-llb`. */
function listedLine(line: unknown): Listed {
  if (!isObject(line) || typeof line['Digest'] !== 'string' || !isObject(line['Op']))
    throw unreadable('it is neither a definition nor what "buildctl debug dump-llb" writes');
  return { digest: line['Digest'], op: fromGo(line['Op']), metadata: camelKeys(line['OpMetadata']) };
}

/** What Go's structs call the oneof of a message, which protojson spreads into the message. */
const ONEOFS = ['Op', 'Action', 'User'];

/** Deeper than any message is, with the objects that Go puts around oneofs. */
const MAX_GO_DEPTH = 100;

/** An op as encoding/json writes BuildKit's structs, in protojson's form. */
function fromGo(value: unknown, depth = 0): unknown {
  if (depth > MAX_GO_DEPTH) throw unreadable('an op is nested too deeply');
  if (Array.isArray(value)) return value.map((item) => fromGo(item, depth + 1));
  if (!isObject(value)) return value;
  const entries = Object.entries(value).flatMap(([key, item]): (readonly [string, unknown])[] => {
    if (!ONEOFS.includes(key) || !isObject(item)) return [[key, fromGo(item, depth + 1)]];
    // Go leaves the id 0 out.
    if (key === 'User') return [item['byName'] ? ['byName', item['byName']] : ['byID', item['byId'] ?? 0]];
    return Object.entries(item).map(([name, member]) => [name, fromGo(member, depth + 1)] as const);
  });
  return Object.fromEntries(entries);
}

/** Metadata has the names of its proto file there; what tsbuild knows of it is read. */
function camelKeys(metadata: unknown): unknown {
  if (!isObject(metadata)) return undefined;
  const { ignore_cache: ignoreCache = false, description = {}, caps = {} } = metadata;
  return { ignoreCache, description, caps };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function unreadable(why: string, hint?: string): TsbuildError {
  return new TsbuildError('TSB_LLB', `Cannot read the definition: ${why}`, hint === undefined ? {} : { hint });
}
