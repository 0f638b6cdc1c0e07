import type { Platform } from '../image/index.ts';
import { holdImage, type Store } from '../store/index.ts';
import type { Task } from '../events/index.ts';
import { TsbuildError } from '../util/index.ts';
import { type Progress, writeArchive } from './archive.ts';
import type { NamedImage } from './layout.ts';
import { writeLayoutDirectory } from './layout-directory.ts';
import type { Destination } from './attributes.ts';
import { namesOfId, storedName } from './image-id.ts';
import { openSink, type StdoutStream } from './sink.ts';
import { readStoredImage, selectPlatform } from './stored-image.ts';

/** What `tsbuild save` writes. */
export interface SaveOptions {
  readonly store: Store;
  /** As the user gives them. */
  readonly names: readonly string[];
  readonly format: 'oci' | 'docker' | 'oci-dir';
  /** For `oci-dir` the directory. */
  readonly dest: Destination;
  readonly stdout: StdoutStream;
  /** Only this platform of images with several; without it all of them. */
  readonly platform?: Platform;
  readonly onProgress?: Progress;
}

/**
 * Writes images of the local image store to an archive or directory.
 * @throws TsbuildError `TSB_NOT_FOUND`, `TSB_USAGE`, `TSB_EXPORT`, `TSB_DIGEST`, `TSB_NO_SPACE`
 */
export async function saveImages(task: Task, options: SaveOptions): Promise<void> {
  const { store, format, dest, platform } = options;
  using lease = store.leases.create();
  const images = options.names.map((text): NamedImage => {
    const names = [storedName(store, text) ?? namesOfId(store, text)].flat();
    const [name] = names;
    const stored = name === undefined ? undefined : store.images.get(name);
    if (name === undefined || stored === undefined) {
      throw new TsbuildError(
        'TSB_NOT_FOUND',
        `Cannot save ${JSON.stringify(text)}: no such image in the local image store`,
        {
          hint: 'list images with "tsbuild images"',
        },
      );
    }
    holdImage(store, lease, stored.descriptor);
    const image = readStoredImage(store.blobs, name, stored.descriptor);
    return { image: platform === undefined ? image : selectPlatform(image, platform, name), names };
  });
  if (images.length === 0) throw new TsbuildError('TSB_USAGE', 'Cannot save: no image is named');
  const merged = mergeNames(images);
  if (format === 'oci-dir') return await writeLayoutDirectory(task, store.blobs, merged, dest);
  await using sink = openSink(dest, options.stdout, format);
  const progress = options.onProgress === undefined ? {} : { onProgress: options.onProgress };
  await writeArchive(task, store.blobs, merged, { docker: format === 'docker', ...progress }, sink);
  await sink.commit();
}

/** Names of one image together. */
function mergeNames(images: readonly NamedImage[]): NamedImage[] {
  const merged = new Map<string, { image: NamedImage['image']; names: string[] }>();
  for (const { image, names } of images) {
    const known = merged.get(image.root.digest);
    if (known === undefined) merged.set(image.root.digest, { image, names: [...names] });
    else known.names.push(...names.filter((name) => !known.names.includes(name)));
  }
  return [...merged.values()];
}
