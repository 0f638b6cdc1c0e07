import { type Digest, parseStrictJson, sanitizeLine, TsbuildError } from '../util/index.ts';
import { IMAGE_NAME_ANNOTATION, REF_NAME_ANNOTATION } from './annotations.ts';
import { readDocument, type SyncContentProvider } from './content.ts';
import { type Descriptor, mediaTypes } from './descriptor.ts';
import { guardFor } from './guards.ts';
import { documentMediaType, type ImageIndex, MAX_MANIFEST_BYTES, parseIndex } from './manifest.ts';

/** Of a blob that is known by its digest alone. */
const GENERIC_TYPE = 'application/octet-stream';

/**
 * Images and blobs in the form of an OCI image layout, in a directory or an archive. What it holds is untrusted: blobs are
 * regular files within it, and whoever reads one compares its digest.
 */
export interface LayoutReader extends SyncContentProvider {
  /** How messages name it, e.g. `OCI layout "/x"`. */
  readonly what: string;
  readonly index: ImageIndex;
  /** The size in bytes of a blob, undefined when there is none. */
  size(digest: Digest): number | undefined;
}

/** Checks the content of an `oci-layout` file. @throws TsbuildError `TSB_IMAGE` */
export function checkLayoutVersion(bytes: Uint8Array, what: string): void {
  const guard = guardFor(what);
  const document = guard.object(parseStrictJson(bytes, { what, maxBytes: 64 * 1024 }), 'oci-layout');
  const version = guard.string(document['imageLayoutVersion'], 'imageLayoutVersion');
  if (version !== '1.0.0')
    throw guard.fail('imageLayoutVersion', `is ${JSON.stringify(version.slice(0, 40))}, not "1.0.0"`);
}

/** Parses the content of an `index.json`. @throws TsbuildError `TSB_IMAGE` */
export function parseLayoutIndex(bytes: Uint8Array, what: string): ImageIndex {
  return parseIndex(bytes, mediaTypes.ociIndex, `index.json of ${what}`);
}

/**
 * The image that a tag or digest names in a layout. A digest may be that of any manifest or index among the blobs.
 * Without either: the only image there is, or the one tagged `latest`. A normalised name of an image goes before a tag.
 * @returns the descriptor without annotations, which are about the name and not the image
 * @throws TsbuildError `TSB_NOT_FOUND`
 */
export function findInLayout(
  layout: LayoutReader,
  wanted: { readonly tag?: string; readonly name?: string; readonly digest?: Digest },
): Descriptor {
  const { manifests } = layout.index;
  if (wanted.digest !== undefined) return describe(layout, wanted.digest);
  const tag = wanted.tag ?? 'latest';
  const nameOf = ({ annotations = {} }: Descriptor): string | undefined => annotations[IMAGE_NAME_ANNOTATION];
  const tagOf = ({ annotations = {} }: Descriptor): string | undefined => annotations[REF_NAME_ANNOTATION];
  const found =
    manifests.find((one) => wanted.name !== undefined && [nameOf(one), tagOf(one)].includes(wanted.name)) ??
    manifests.find((one) => tagOf(one) === tag || nameOf(one) === tag || nameOf(one)?.endsWith(`:${tag}`) === true) ??
    (wanted.tag === undefined && distinct(manifests).length === 1 ? manifests[0] : undefined);
  if (found !== undefined) {
    const { annotations: _, ...descriptor } = found;
    return descriptor;
  }
  const names = manifests.flatMap(
    (one) => (wanted.name === undefined ? tagOf(one) : (nameOf(one) ?? tagOf(one))) ?? [],
  );
  const shown = names.slice(0, 10).map((name) => JSON.stringify(sanitizeLine(name, 128)));
  throw new TsbuildError(
    'TSB_NOT_FOUND',
    `Cannot find ${JSON.stringify(tag)} in ${layout.what}`,
    shown.length === 0 ? {} : { hint: `it has: ${shown.join(', ')}` },
  );
}

function describe(layout: LayoutReader, digest: Digest): Descriptor {
  const name = `blob ${digest} of ${layout.what}`;
  const size = layout.size(digest);
  if (size === undefined) throw new TsbuildError('TSB_NOT_FOUND', `Cannot find ${name}`);
  const bytes = readDocument(layout, { mediaType: GENERIC_TYPE, digest, size }, MAX_MANIFEST_BYTES, name);
  return { mediaType: documentMediaType(bytes, undefined, name), digest, size };
}

function distinct(descriptors: readonly Descriptor[]): Digest[] {
  return [...new Set(descriptors.map(({ digest }) => digest))];
}
