import { parseStrictJson, sanitizeLine } from '../util/index.ts';
import { type Descriptor, isIndexType, isManifestType, mediaTypes } from './descriptor.ts';
import { type Guard, guardFor, type Json } from './guards.ts';

const DOCKER_TYPES: readonly string[] = [mediaTypes.dockerManifest, mediaTypes.dockerIndex];
const KNOWN_KEYS = new Set([
  'schemaVersion',
  'mediaType',
  'artifactType',
  'config',
  'layers',
  'manifests',
  'subject',
  'annotations',
]);
const KNOWN_LOWER = new Map([...KNOWN_KEYS].map((key) => [key.toLowerCase(), key]));
/** Largest manifest or index that is read, in bytes: containerd's limit. */
export const MAX_MANIFEST_BYTES: number = 4 * 1024 * 1024;
const MAX_INDEX_ENTRIES = 1000;
const MAX_LAYERS = 1000;

/** Image manifest (image-spec manifest.md); with another config than an image's it is that of an artifact. */
export interface Manifest {
  readonly schemaVersion: 2;
  readonly mediaType?: string;
  readonly artifactType?: string;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly subject?: Descriptor;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** Image index (image-spec image-index.md) or Docker's manifest list. */
export interface ImageIndex {
  readonly schemaVersion: 2;
  readonly mediaType?: string;
  readonly artifactType?: string;
  readonly manifests: readonly Descriptor[];
  readonly subject?: Descriptor;
  readonly annotations?: Readonly<Record<string, string>>;
}

/**
 * The media type of a manifest or index, which the document and the `Content-Type` header must agree on
 * (CVE-2021-41190: what one client takes for a manifest another takes for an index).
 * @param declared by the header or a descriptor; undefined or a generic type leaves it to the document
 * @param what names the document in messages
 * @throws TsbuildError `TSB_IMAGE`
 */
export function documentMediaType(bytes: Uint8Array, declared: string | undefined, what: string): string {
  const guard = guardFor(what);
  return typeOf(guard, parse(guard, bytes), declared);
}

/** A document that describes an image: which of the two is found out from the document and what its descriptor says. */
export type ParsedDocument =
  | { readonly kind: 'manifest'; readonly manifest: Manifest }
  | { readonly kind: 'index'; readonly index: ImageIndex };

/**
 * Parses a manifest or an index.
 * @param mediaType what its descriptor says it is; a generic type leaves it to the document
 * @param what names the document in messages, e.g. `manifest of "docker.io/library/alpine"`
 * @throws TsbuildError `TSB_IMAGE` naming the place in the document
 */
export function parseDocument(bytes: Uint8Array, mediaType: string, what: string): ParsedDocument {
  const guard = guardFor(what);
  const document = parse(guard, bytes);
  const type = typeOf(guard, document, mediaType);
  return isIndexType(type)
    ? { kind: 'index', index: toIndex(guard, document, type) }
    : { kind: 'manifest', manifest: toManifest(guard, document, type) };
}

/**
 * Parses an image manifest.
 * @throws TsbuildError as `parseDocument`, and when it is an index
 */
export function parseManifest(bytes: Uint8Array, mediaType: string, what: string): Manifest {
  const document = parseDocument(bytes, mediaType, what);
  if (document.kind === 'manifest') return document.manifest;
  throw guardFor(what).fail('', `it is of type ${document.index.mediaType ?? mediaType}, not an image manifest`);
}

/**
 * Parses an image index or manifest list.
 * @throws TsbuildError as `parseDocument`, and when it is a manifest
 */
export function parseIndex(bytes: Uint8Array, mediaType: string, what: string): ImageIndex {
  const document = parseDocument(bytes, mediaType, what);
  if (document.kind === 'index') return document.index;
  throw guardFor(what).fail('', `it is of type ${document.manifest.mediaType ?? mediaType}, not an image index`);
}

function toManifest(guard: Guard, document: Json, type: string): Manifest {
  const artifactType = guard.optionalString(document['artifactType'], 'artifactType');
  const annotations = guard.strings(document['annotations'], 'annotations');
  const subject = document['subject'] ?? undefined;
  return {
    schemaVersion: 2,
    mediaType: type,
    ...(artifactType === undefined ? {} : { artifactType }),
    config: guard.descriptor(document['config'], 'config'),
    layers: guard
      .list(document['layers'] ?? [], 'layers', MAX_LAYERS)
      .map((layer, index) => guard.descriptor(layer, `layers[${index}]`)),
    ...(subject === undefined ? {} : { subject: guard.descriptor(subject, 'subject') }),
    ...(annotations === undefined ? {} : { annotations }),
  };
}

function toIndex(guard: Guard, document: Json, type: string): ImageIndex {
  const artifactType = guard.optionalString(document['artifactType'], 'artifactType');
  const annotations = guard.strings(document['annotations'], 'annotations');
  const subject = document['subject'] ?? undefined;
  return {
    schemaVersion: 2,
    mediaType: type,
    ...(artifactType === undefined ? {} : { artifactType }),
    manifests: guard
      .list(document['manifests'] ?? [], 'manifests', MAX_INDEX_ENTRIES)
      .map((entry, index) => guard.descriptor(entry, `manifests[${index}]`)),
    ...(subject === undefined ? {} : { subject: guard.descriptor(subject, 'subject') }),
    ...(annotations === undefined ? {} : { annotations }),
  };
}

function parse(guard: Guard, bytes: Uint8Array): Json {
  const document = guard.object(parseStrictJson(bytes, { what: guard.what }), '');
  for (const key of Object.keys(document)) {
    // Go reads keys without regard to case, others do not: such a document means two things.
    const known = KNOWN_LOWER.get(key.toLowerCase());
    if (known !== undefined && known !== key)
      throw guard.fail(sanitizeLine(key, 80), `is spelled differently from "${known}"`);
  }
  return document;
}

function typeOf(guard: Guard, document: Json, declared: string | undefined): string {
  if (document['schemaVersion'] === 1)
    throw guard.fail('schemaVersion', 'is 1: Docker image manifests of schema 1 are not supported');
  if (document['schemaVersion'] !== 2) throw guard.fail('schemaVersion', 'is not 2');
  const own = guard.optionalString(document['mediaType'], 'mediaType');
  const outer = declared !== undefined && (isIndexType(declared) || isManifestType(declared)) ? declared : undefined;
  if (
    declared !== undefined &&
    outer === undefined &&
    !/^(?:application\/(?:json|octet-stream)|text\/plain)$/.test(declared)
  ) {
    throw guard.fail('', `it is of type ${JSON.stringify(sanitizeLine(declared, 100))}, not a manifest or index`);
  }
  if (own !== undefined && own !== '' && outer !== undefined && own !== outer) {
    throw guard.fail('mediaType', `is ${JSON.stringify(sanitizeLine(own, 100))}, but it was sent as ${outer}`);
  }
  const hasIndexKeys = document['manifests'] !== undefined;
  const hasManifestKeys = document['layers'] !== undefined || document['config'] !== undefined;
  if (hasIndexKeys && hasManifestKeys) throw guard.fail('', 'it has keys of both a manifest and an index');
  const guess = hasIndexKeys ? mediaTypes.ociIndex : hasManifestKeys ? mediaTypes.ociManifest : undefined;
  const type = (own === '' ? undefined : own) ?? outer ?? guess;
  if (type === undefined || !(isIndexType(type) || isManifestType(type))) {
    throw guard.fail('mediaType', 'is not that of an image manifest or index');
  }
  if (own === undefined && DOCKER_TYPES.includes(type)) throw guard.fail('mediaType', 'is missing');
  if (isIndexType(type) ? hasManifestKeys : hasIndexKeys)
    throw guard.fail('mediaType', `is ${type}, but the keys are those of the other kind`);
  return type;
}
