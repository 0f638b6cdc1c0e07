import {
  ArchiveFile,
  idDigits,
  importFromDocker,
  layoutOf,
  namesOfId,
  storedName,
  unnamedImage,
} from '../../exporter/index.ts';
import {
  type Descriptor,
  documentMediaType,
  familiarReference,
  filterReferrers,
  findInLayout,
  formatReference,
  hostPlatform,
  type LayoutReader,
  MAX_MANIFEST_BYTES,
  normalizeReference,
  openOciLayout,
  parseReference,
  type Repository,
  withDefaultTag,
} from '../../image/index.ts';
import { type Registry, registryContent } from '../../registry/index.ts';
import { blobContent, holdImage } from '../../store/index.ts';
import type { Task } from '../../events/index.ts';
import { isTsbuildError, randomHex, suggest, TsbuildError } from '../../util/index.ts';
import type { Place, ReferrerSource } from '../../transfer/index.ts';
import type { Session } from '../session.ts';

/** An image that is open to be copied. Dispose it afterwards. */
export interface CopySource extends ReferrerSource, Disposable {
  /** Where a registry has it. */
  readonly repository?: Repository;
}

const nothing = (): void => undefined;

/**
 * Opens an image to be copied.
 * @param registry the client for a registry
 * @throws TsbuildError `TSB_NOT_FOUND`, `TSB_IMAGE`, and what registries, layouts and archives answer
 */
export async function openCopySource(
  session: Session,
  task: Task,
  place: Place,
  registry: Registry,
): Promise<CopySource> {
  switch (place.kind) {
    case 'registry':
      return fromRegistry(task, registry, place.reference);
    case 'store':
      return fromStore(session, place.name);
    case 'layout': {
      const layout = openOciLayout(place.path);
      return disposing(layout, () => fromLayout(layout, place, () => layout[Symbol.dispose]()));
    }
    case 'archive':
      return fromArchive(session, task, place);
    default:
      return place satisfies never;
  }
}

/** Whether a bare name is one of the local image store, or an id there. */
export function isStoredImage({ store }: Session, name: string): boolean {
  try {
    return (
      storedName(store, name) !== undefined ||
      (idDigits(name) !== undefined && (namesOfId(store, name).length > 0 || unnamedImage(store, name) !== undefined))
    );
  } catch (error) {
    if (isTsbuildError(error, 'TSB_USAGE') || isTsbuildError(error, 'TSB_DIGEST')) return false;
    throw error;
  }
}

async function fromRegistry(
  task: Task,
  registry: Registry,
  reference: Parameters<Registry['manifest']>[1],
): Promise<CopySource> {
  const wanted = withDefaultTag(reference);
  const { descriptor, bytes } = await registry.manifest(task, wanted);
  const { host, path } = wanted;
  const content = registryContent(registry, task, wanted);
  return {
    root: descriptor,
    // What was fetched by its tag need not be fetched once more by its digest.
    content: { ...content, read: (one) => (one.digest === descriptor.digest ? bytes : content.read(one)) },
    what: `image ${JSON.stringify(familiarReference(wanted))}`,
    repository: { host, path },
    referrers: (digest) => registry.referrers(task, { host, path }, digest),
    [Symbol.dispose]: nothing,
  };
}

function fromStore(session: Session, text: string, release: () => void = nothing): CopySource {
  const { store, lease } = session;
  const name = storedName(store, text) ?? namesOfId(store, text)[0];
  const root = name === undefined ? unnamedRoot(session, text) : store.images.get(name)?.descriptor;
  if (root === undefined) {
    const known = store.images.list().map((image) => familiarReference(parseReference(image.name)));
    const near = suggest(text, known);
    throw new TsbuildError(
      'TSB_NOT_FOUND',
      `Cannot copy ${JSON.stringify(text)}: no such image in the local image store`,
      { hint: near === undefined ? 'list images with "tsbuild images"' : `did you mean ${JSON.stringify(near)}?` },
    );
  }
  holdImage(store, lease, root);
  const content = blobContent(store.blobs);
  return {
    root,
    content,
    what: `image ${JSON.stringify(text)}`,
    referrers: async (digest) =>
      filterReferrers(name === undefined ? [] : besides(session, name), (one) => content.read(one), digest, undefined)
        .manifests,
    [Symbol.dispose]: release,
  };
}

function unnamedRoot({ store }: Session, text: string): Descriptor | undefined {
  const digest = unnamedImage(store, text);
  if (digest === undefined) return undefined;
  const bytes = store.blobs.read(digest, MAX_MANIFEST_BYTES);
  return { mediaType: documentMediaType(bytes, undefined, `image ${digest}`), digest, size: bytes.length };
}

/** What has a name in the same repository: among it are those that refer to an image there. */
function besides({ store }: Session, name: string): readonly Descriptor[] {
  const { host, path } = parseReference(name);
  return store.images.list().flatMap((image) => {
    const other = parseReference(image.name);
    return other.host === host && other.path === path ? [image.descriptor] : [];
  });
}

function fromLayout(
  layout: LayoutReader,
  place: Place & { kind: 'layout' | 'archive' },
  release: () => void,
): CopySource {
  const { name, digest } = place;
  const root = findInLayout(layout, {
    ...(name === undefined ? {} : { tag: name, ...wholeName(name, place) }),
    ...(digest === undefined ? {} : { digest }),
  });
  return {
    root,
    content: layout,
    what: layout.what,
    referrers: async (subject) =>
      filterReferrers(layout.index.manifests, (one) => layout.read(one), subject, undefined).manifests,
    [Symbol.dispose]: release,
  };
}

/** What a name in a layout stands for when it is no tag of it: names of docker's archives are names of images. */
function wholeName(text: string, place: Place): { readonly name?: string } {
  const isName = /[/:]/.test(text) || (place.kind === 'archive' && place.form === 'docker');
  try {
    return isName ? { name: normalizeReference(text) } : {};
  } catch (error) {
    if (isTsbuildError(error, 'TSB_USAGE') || isTsbuildError(error, 'TSB_DIGEST')) return {};
    throw error;
  }
}

/** The images of docker archives have no manifest: one is made, in the store, and layers are compressed if they are not. */
async function fromArchive(session: Session, task: Task, place: Place & { kind: 'archive' }): Promise<CopySource> {
  const { store, lease } = session;
  const archive = await ArchiveFile.open(task, store.blobs, { path: place.path });
  return disposing(archive, async () => {
    if (archive.has('oci-layout') && archive.has('index.json'))
      return fromLayout(layoutOf(archive), place, () => archive[Symbol.dispose]());
    if (place.form === 'oci')
      throw new TsbuildError('TSB_IMAGE', `Cannot copy ${archive.what}: it is no OCI archive`, {
        hint: archive.has('manifest.json')
          ? 'it looks like one of docker: docker-archive:FILE'
          : 'a root file system is imported: tsbuild import FILE -t NAME',
      });
    const temporary = `localhost/tsbuild-run:${randomHex(16)}`;
    const { name } = place;
    const wanted = name === undefined ? undefined : formatReference(withDefaultTag(parseReference(name)));
    await importFromDocker(task, archive, wanted, {
      store,
      lease,
      compress: true,
      platform: hostPlatform(),
      names: [temporary],
    });
    archive[Symbol.dispose]();
    const { what } = archive;
    return { ...fromStore(session, temporary, () => void store.images.remove(temporary)), what };
  });
}

/** Gives something back when what is made of it fails. */
async function disposing<T>(held: Disposable, make: () => T | Promise<T>): Promise<T> {
  try {
    return await make();
  } catch (error) {
    held[Symbol.dispose]();
    throw error;
  }
}
