import { closeSync, constants, lstatSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { type Descriptor, IMAGE_NAME_ANNOTATION, parseLayoutIndex, REF_NAME_ANNOTATION } from '../image/index.ts';
import { type Digest, errnoOf, fromErrno, hexOf, makeDirectories, TsbuildError } from '../util/index.ts';
import type { Task } from '../events/index.ts';
import { freeLeftovers, NewFile } from '../files/index.ts';
import { type BlobSource, copyBlob } from './archive.ts';
import {
  layoutBlobs,
  layoutEntries,
  type LayoutFile,
  layoutIndex,
  type NamedImage,
  OCI_LAYOUT_FILE,
} from './layout.ts';

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK } = constants;
const MAX_INDEX = 4 << 20;

/**
 * Adds images to an OCI layout in a directory.
 * @see writeLayout
 */
export async function writeLayoutDirectory(
  task: Task,
  blobs: BlobSource,
  images: readonly NamedImage[],
  dest: string,
): Promise<void> {
  await writeLayout(task, blobs, { files: layoutBlobs(images), entries: layoutEntries(images) }, dest);
}

/**
 * Adds blobs and entries of `index.json` to an OCI layout in a directory, which is made if need be. Blobs that are there stay.
 * @throws TsbuildError as `LayoutDirectory`, `TSB_DIGEST`
 */
export async function writeLayout(
  task: Task,
  blobs: BlobSource,
  added: { readonly files: readonly LayoutFile[]; readonly entries: readonly Descriptor[] },
  dest: string,
): Promise<void> {
  using layout = LayoutDirectory.open(dest);
  const buffer = Buffer.allocUnsafeSlow(1 << 20);
  for (const { path, size, content } of added.files) {
    const digest: Digest = `sha256:${basename(path)}`;
    if (layout.has(digest, size)) continue;
    await layout.put(digest, async (write) => {
      if (typeof content === 'string') await copyBlob(blobs, content, size, buffer, write);
      else write(content);
    });
    await setImmediate();
    task.signal.throwIfAborted();
  }
  await layout.commit(added.entries);
}

/**
 * An OCI layout in a directory that is added to. Each blob gets its name when it is whole; `index.json` is replaced in one step at the end,
 * with the entries of other images kept and those of the same name replaced. Symbolic links in the directory are not followed.
 */
export class LayoutDirectory implements Disposable {
  readonly #doing: string;
  readonly #what: string;
  readonly #fds: number[] = [];
  #root = -1;
  #sha256 = -1;

  private constructor(dest: string) {
    this.#doing = `Cannot write OCI layout ${JSON.stringify(dest)}`;
    this.#what = `OCI layout ${JSON.stringify(dest)}`;
  }

  /** Makes the directory if need be. @throws TsbuildError `TSB_EXPORT`, `TSB_IMAGE` when there is something else */
  static open(dest: string): LayoutDirectory {
    const layout = new LayoutDirectory(dest);
    try {
      makeDirectories(dest);
      layout.#root = layout.#open(dest, 0);
      // Before anything is brought here for it.
      readIndex(layout.#root, layout.#what);
      layout.#sha256 = layout.#enter(layout.#enter(layout.#root, 'blobs'), 'sha256');
      for (const fd of [layout.#root, layout.#sha256]) freeLeftovers(below(fd, '.'));
      return layout;
    } catch (error) {
      layout[Symbol.dispose]();
      throw fromErrno(error, layout.#doing, 'TSB_EXPORT');
    }
  }

  /** Whether there is a file for a blob with so many bytes. */
  has(digest: Digest, size: number): boolean {
    const present = lstatSync(below(this.#sha256, hexOf(digest)), { throwIfNoEntry: false });
    return present?.isFile() === true && present.size === size;
  }

  /**
   * Adds a blob.
   * @param fill writes its bytes, and throws when they are not the right ones
   * @throws TsbuildError `TSB_EXPORT`, `TSB_NO_SPACE`, and what `fill` throws; nothing is left of the blob then
   */
  async put(digest: Digest, fill: Fill): Promise<void> {
    try {
      await replaceFile(this.#sha256, hexOf(digest), fill);
    } catch (error) {
      throw fromErrno(error, this.#doing, 'TSB_EXPORT');
    }
  }

  /** Names what was added. @throws TsbuildError as `open` */
  async commit(entries: readonly Descriptor[]): Promise<void> {
    try {
      await replaceFile(this.#root, 'oci-layout', (write) => write(Buffer.from(OCI_LAYOUT_FILE)));
      const index = layoutIndex(mergeEntries(readIndex(this.#root, this.#what), entries));
      await replaceFile(this.#root, 'index.json', (write) => write(Buffer.from(index)));
    } catch (error) {
      throw fromErrno(error, this.#doing, 'TSB_EXPORT');
    }
  }

  [Symbol.dispose](): void {
    for (const fd of this.#fds.splice(0)) closeSync(fd);
  }

  #open(path: string, flags: number): number {
    const fd = openSync(path, O_RDONLY | O_DIRECTORY | flags);
    this.#fds.push(fd);
    return fd;
  }

  #enter(parent: number, name: string): number {
    const path = below(parent, name);
    try {
      mkdirSync(path);
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error;
    }
    return this.#open(path, O_NOFOLLOW);
  }
}

/** Writes the bytes of a file. */
type Fill = (write: (chunk: Uint8Array) => void) => void | Promise<void>;

function below(directory: number, name: string): string {
  return `/proc/self/fd/${directory}/${name}`;
}

function readIndex(root: number, what: string): readonly Descriptor[] {
  let fd: number;
  try {
    fd = openSync(below(root, 'index.json'), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
  try {
    const stat = lstatSync(below(root, 'index.json'));
    if (!stat.isFile() || stat.size > MAX_INDEX)
      throw new TsbuildError('TSB_IMAGE', `Cannot use index.json of ${what}: it is not a file of reasonable size`);
    return parseLayoutIndex(readFileSync(fd), what).manifests;
  } finally {
    closeSync(fd);
  }
}

/**
 * A name points at one image: newer entries replace older ones of the same name, and nameless ones of the same digest. One that has only a
 * tag replaces all of that tag, whatever name goes with it.
 */
function mergeEntries(old: readonly Descriptor[], added: readonly Descriptor[]): Descriptor[] {
  const nameOf = ({ annotations = {} }: Descriptor): string | undefined =>
    annotations[IMAGE_NAME_ANNOTATION] ?? annotations[REF_NAME_ANNOTATION];
  const tagOf = ({ annotations = {} }: Descriptor): string | undefined => annotations[REF_NAME_ANNOTATION];
  const names = new Set(added.map(nameOf));
  const bare = added.filter(({ annotations = {} }) => annotations[IMAGE_NAME_ANNOTATION] === undefined);
  const tags = new Set(bare.flatMap((entry) => tagOf(entry) ?? []));
  const digests = new Set(added.map(({ digest }) => digest));
  const kept = old.filter((entry) => {
    const name = nameOf(entry);
    return name === undefined ? !digests.has(entry.digest) : !names.has(name) && !tags.has(tagOf(entry) ?? '');
  });
  return [...kept, ...added];
}

/** Writes a file that takes its place when it is whole. */
async function replaceFile(directory: number, name: string, fill: Fill): Promise<void> {
  using file = NewFile.create(below(directory, name), { create: 0o644 });
  await fill((chunk) => file.write(chunk));
  file.commit();
}
