import {
  type ContentProvider,
  type Descriptor,
  documentMediaType,
  findInLayout,
  MAX_MANIFEST_BYTES,
  normalizeReference,
  openOciLayout,
  parseReference,
} from '../../image/index.ts';
import { idDigits, unnamedImage } from '../../exporter/index.ts';
import { registryContent } from '../../registry/index.ts';
import { parseLayoutReference } from '../../source/index.ts';
import { blobContent } from '../../store/index.ts';
import type { Task } from '../../events/index.ts';
import { isTsbuildError, TsbuildError } from '../../util/index.ts';
import { toReference } from './image-name.ts';
import type { Session } from '../session.ts';

/** An image that was found, whose documents and layers can be read. Dispose it when they were. */
export interface LocatedImage extends Disposable {
  readonly root: Descriptor;
  readonly provider: ContentProvider;
  /** How messages name it. */
  readonly what: string;
  /** Normalised names that it has in the store, or the one that was asked of a registry. */
  readonly names: readonly string[];
  /** When a name was given to it last, ms since the epoch; undefined outside of the store. */
  readonly namedAt?: number;
}

/**
 * Finds what the image argument of `inspect` and `history` means: as for `run`, but a name that the store does not have is asked of a
 * registry only when that is said, by `remote` or `docker://`: scripts ask by `image inspect` whether an image is here.
 * @throws TsbuildError `TSB_NOT_FOUND`, `TSB_USAGE`, and what registries and layouts answer
 */
export async function locateImage(
  session: Session,
  task: Task,
  name: string,
  options: { readonly cwd: string; readonly remote: boolean; readonly verb?: string },
): Promise<LocatedImage> {
  const address = /^docker:\/\/(.+)$/.exec(name)?.[1];
  if (address !== undefined || options.remote) return fromRegistry(session, task, address ?? name);
  const byDigest = byRootDigest(session, name);
  if (byDigest !== undefined) return stored(session, byDigest, name);
  const { reference, release } = await toReference(session, task, name, options.cwd);
  try {
    if (reference.startsWith('oci-layout://')) return fromLayout(reference);
    const image = session.store.images.get(reference);
    if (image !== undefined) return stored(session, image.descriptor, name);
    const digest = idDigits(name) === undefined ? undefined : unnamedImage(session.store, name);
    if (digest !== undefined) return stored(session, descriptorOf(session, digest), name);
  } finally {
    // The lease holds the blobs from here on.
    release();
  }
  throw new TsbuildError(
    'TSB_NOT_FOUND',
    `Cannot ${options.verb ?? 'inspect'} ${JSON.stringify(name)}: no such image in the local image store`,
    {
      hint: `to ask its registry, add --remote; "tsbuild images" lists what is here`,
    },
  );
}

/** `name@sha256:…`, which is no name of the store but says which image is meant. */
function byRootDigest({ store }: Session, name: string): Descriptor | undefined {
  let digest;
  try {
    ({ digest } = parseReference(name));
  } catch (error) {
    // An id or a path.
    if (isTsbuildError(error, 'TSB_USAGE') || isTsbuildError(error, 'TSB_DIGEST')) return undefined;
    throw error;
  }
  return digest && store.images.list().find(({ descriptor }) => descriptor.digest === digest)?.descriptor;
}

function descriptorOf({ store }: Session, digest: Descriptor['digest']): Descriptor {
  const bytes = store.blobs.read(digest, MAX_MANIFEST_BYTES);
  return { mediaType: documentMediaType(bytes, undefined, `image ${digest}`), digest, size: bytes.length };
}

function stored({ store }: Session, root: Descriptor, name: string): LocatedImage {
  const same = store.images.list().filter(({ descriptor }) => descriptor.digest === root.digest);
  return {
    root,
    provider: blobContent(store.blobs),
    what: `image ${JSON.stringify(name)}`,
    names: same.map((image) => image.name).filter((each) => !each.startsWith('localhost/tsbuild-run:')),
    ...(same.length === 0 ? {} : { namedAt: Math.max(...same.map(({ createdAt }) => createdAt)) }),
    [Symbol.dispose]: () => undefined,
  };
}

function fromLayout(text: string): LocatedImage {
  const { path, tag, digest } = parseLayoutReference(text);
  const layout = openOciLayout(path);
  try {
    const root = findInLayout(layout, {
      ...(tag === undefined ? {} : { tag }),
      ...(digest === undefined ? {} : { digest }),
    });
    return { root, provider: layout, what: layout.what, names: [], [Symbol.dispose]: () => layout[Symbol.dispose]() };
  } catch (error) {
    layout[Symbol.dispose]();
    throw error;
  }
}

async function fromRegistry(session: Session, task: Task, name: string): Promise<LocatedImage> {
  const normalized = normalizeReference(name);
  const reference = parseReference(normalized);
  const { descriptor, bytes } = await session.registry.manifest(task, reference);
  const content = registryContent(session.registry, task, reference);
  return {
    root: descriptor,
    // What was fetched by its tag need not be fetched once more by its digest.
    provider: { ...content, read: (wanted) => (wanted.digest === descriptor.digest ? bytes : content.read(wanted)) },
    what: `image ${JSON.stringify(name)}`,
    names: [normalized],
    [Symbol.dispose]: () => undefined,
  };
}
