import { closeSync, constants, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import {
  documentMediaType,
  guardFor,
  parseIndex,
  type Descriptor,
  type ImageIndex,
  mediaTypes,
} from '../image/index.ts';
import { MAX_MANIFEST_BYTES } from '../registry/index.ts';
import {
  type Digest,
  errnoOf,
  fromErrno,
  hexOf,
  parseStrictJson,
  sanitizeLine,
  sha256,
  TsbuildError,
} from '../util/index.ts';

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK } = constants;
const CHUNK = 1 << 20;
const MAX_INDEX = 4 << 20;

/** Name of an image within a layout, as containerd and BuildKit write it (full reference). */
export const IMAGE_NAME_ANNOTATION = 'io.containerd.image.name';
/** Name of an image within a layout by the image-spec (usually a tag). */
export const REF_NAME_ANNOTATION = 'org.opencontainers.image.ref.name';

/**
 * Images and blobs in the form of an OCI image layout, in a directory or an archive. What it holds is untrusted: blobs are
 * regular files within it, and their digests are checked by `read`, or by whoever stores a stream.
 */
export interface LayoutReader {
  /** How messages name it, e.g. `OCI layout "/x"`. */
  readonly what: string;
  readonly index: ImageIndex;
  /** A small blob in one piece, its digest verified. @throws TsbuildError `TSB_NOT_FOUND`, `TSB_DIGEST` */
  read(digest: Digest, maxBytes: number): Buffer;
  /** The bytes of a blob, not verified, in chunks that are only valid until the next one. @throws TsbuildError `TSB_NOT_FOUND` */
  stream(digest: Digest): Iterable<Uint8Array>;
}

/**
 * Opens the layout in a directory. Symbolic links within it are not followed (a layout from elsewhere may point its blobs
 * at /etc/passwd).
 * @throws TsbuildError `TSB_NOT_FOUND`, `TSB_IMAGE`
 */
export function openOciLayout(path: string): LayoutReader & Disposable {
  const what = `OCI layout ${JSON.stringify(path)}`;
  const root = openBelow(path, O_DIRECTORY, `Cannot open ${what}`);
  try {
    checkLayoutVersion(readSmall(root, 'oci-layout', what), what);
    const index = parseLayoutIndex(readSmall(root, 'index.json', what), what);
    const open = (digest: Digest): number => openBlob(root, digest, what);
    return {
      what,
      index,
      read: (digest, maxBytes) => readVerified(open(digest), digest, maxBytes, what),
      *stream(digest) {
        const fd = open(digest);
        try {
          yield* chunksOf(fd);
        } finally {
          closeSync(fd);
        }
      },
      [Symbol.dispose]: () => closeSync(root),
    };
  } catch (error) {
    closeSync(root);
    throw error;
  }
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
 * Without either: the only image there is, or the one tagged `latest`.
 * @returns the descriptor without annotations, which are about the name and not the image
 * @throws TsbuildError `TSB_NOT_FOUND`
 */
export function findInLayout(
  layout: LayoutReader,
  wanted: { readonly tag?: string; readonly digest?: Digest },
): Descriptor {
  const { manifests } = layout.index;
  if (wanted.digest !== undefined) return describe(layout, wanted.digest);
  const tag = wanted.tag ?? 'latest';
  const found =
    manifests.find(({ annotations = {} }) => {
      const name = annotations[IMAGE_NAME_ANNOTATION];
      return annotations[REF_NAME_ANNOTATION] === tag || name === tag || name?.endsWith(`:${tag}`) === true;
    }) ?? (wanted.tag === undefined && distinct(manifests).length === 1 ? manifests[0] : undefined);
  if (found !== undefined) {
    const { annotations: _, ...descriptor } = found;
    return descriptor;
  }
  const names = manifests.flatMap(({ annotations = {} }) => annotations[REF_NAME_ANNOTATION] ?? []);
  const shown = names.slice(0, 10).map((name) => JSON.stringify(sanitizeLine(name, 128)));
  throw new TsbuildError(
    'TSB_NOT_FOUND',
    `Cannot find ${JSON.stringify(tag)} in ${layout.what}`,
    shown.length === 0 ? {} : { hint: `it has: ${shown.join(', ')}` },
  );
}

function describe(layout: LayoutReader, digest: Digest): Descriptor {
  const bytes = layout.read(digest, MAX_MANIFEST_BYTES);
  const mediaType = documentMediaType(bytes, undefined, `blob ${digest} of ${layout.what}`);
  return { mediaType, digest, size: bytes.length };
}

function distinct(descriptors: readonly Descriptor[]): Digest[] {
  return [...new Set(descriptors.map(({ digest }) => digest))];
}

function openBelow(path: string, flags: number, doing: string): number {
  try {
    return openSync(path, O_RDONLY | O_NONBLOCK | flags);
  } catch (error) {
    if (errnoOf(error) === 'ELOOP') throw new TsbuildError('TSB_IMAGE', `${doing}: it is a symbolic link`);
    throw fromErrno(error, doing, 'TSB_IMAGE');
  }
}

function openFile(directory: number, name: string, what: string): number {
  const doing = `Cannot read ${JSON.stringify(name)} of ${what}`;
  const fd = openBelow(`/proc/self/fd/${directory}/${name}`, O_NOFOLLOW, doing);
  if (fstatSync(fd).isFile()) return fd;
  closeSync(fd);
  throw new TsbuildError('TSB_IMAGE', `${doing}: it is not a regular file`);
}

function readSmall(directory: number, name: string, what: string): Buffer {
  const fd = openFile(directory, name, what);
  try {
    if (fstatSync(fd).size > MAX_INDEX)
      throw new TsbuildError('TSB_IMAGE', `Cannot read ${JSON.stringify(name)} of ${what}: it is too large`);
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
}

function openBlob(root: number, digest: Digest, what: string): number {
  const doing = `Cannot read blob ${digest} of ${what}`;
  const blobs = openBelow(`/proc/self/fd/${root}/blobs`, O_DIRECTORY | O_NOFOLLOW, doing);
  try {
    const algorithm = openBelow(`/proc/self/fd/${blobs}/sha256`, O_DIRECTORY | O_NOFOLLOW, doing);
    try {
      return openFile(algorithm, hexOf(digest), what);
    } finally {
      closeSync(algorithm);
    }
  } finally {
    closeSync(blobs);
  }
}

function readVerified(fd: number, digest: Digest, maxBytes: number, what: string): Buffer {
  try {
    const { size } = fstatSync(fd);
    if (size > maxBytes)
      throw new TsbuildError('TSB_IMAGE', `Cannot read blob ${digest} of ${what}: it has ${size} bytes`);
    const bytes = readFileSync(fd);
    if (sha256(bytes) === digest) return bytes;
    throw new TsbuildError('TSB_DIGEST', `Cannot read blob ${digest} of ${what}: its content has another digest`);
  } finally {
    closeSync(fd);
  }
}

/** The rest of an open file in chunks of 1 MiB, each valid until the next. */
export function* chunksOf(fd: number): Generator<Uint8Array> {
  const chunk = Buffer.allocUnsafe(CHUNK);
  for (let length = readSync(fd, chunk); length > 0; length = readSync(fd, chunk)) yield chunk.subarray(0, length);
}
