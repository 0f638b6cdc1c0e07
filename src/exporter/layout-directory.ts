import {
  closeSync,
  constants,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { basename } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { type Descriptor, IMAGE_NAME_ANNOTATION, parseLayoutIndex, REF_NAME_ANNOTATION } from '../image/index.ts';
import { errnoOf, fromErrno, makeDirectories, randomHex, TsbuildError } from '../util/index.ts';
import type { Task } from '../events/index.ts';
import { type BlobSource, copyBlob } from './archive.ts';
import {
  layoutBlobs,
  layoutEntries,
  type LayoutFile,
  layoutIndex,
  type NamedImage,
  OCI_LAYOUT_FILE,
} from './layout.ts';

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW, O_WRONLY, O_CREAT, O_EXCL, O_NONBLOCK } = constants;
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
 * Adds blobs and entries of `index.json` to an OCI layout in a directory, which is made if need be. Blobs that are there stay; `index.json` is replaced
 * in one step at the end, with the entries of other images kept and those of the same name replaced. Symbolic links in
 * the directory are not followed.
 * @throws TsbuildError `TSB_EXPORT`, `TSB_IMAGE` when there is something else, `TSB_DIGEST`, `TSB_NO_SPACE`
 */
export async function writeLayout(
  task: Task,
  blobs: BlobSource,
  added: { readonly files: readonly LayoutFile[]; readonly entries: readonly Descriptor[] },
  dest: string,
): Promise<void> {
  const doing = `Cannot write OCI layout ${JSON.stringify(dest)}`;
  const what = `OCI layout ${JSON.stringify(dest)}`;
  const fds: number[] = [];
  const open = (path: string, flags: number): number => {
    const fd = openSync(path, O_RDONLY | O_DIRECTORY | flags);
    fds.push(fd);
    return fd;
  };
  const enter = (parent: number, name: string): number => {
    const path = below(parent, name);
    try {
      mkdirSync(path);
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error;
    }
    return open(path, O_NOFOLLOW);
  };
  try {
    makeDirectories(dest);
    const root = open(dest, 0);
    const old = readIndex(root, what);
    const sha256 = enter(enter(root, 'blobs'), 'sha256');
    const buffer = Buffer.allocUnsafeSlow(1 << 20);
    for (const { path, size, content } of added.files) {
      const name = basename(path);
      const present = lstatSync(below(sha256, name), { throwIfNoEntry: false });
      if (present?.isFile() === true && present.size === size) continue;
      await replaceFile(sha256, name, async (write) => {
        if (typeof content === 'string') await copyBlob(blobs, content, size, buffer, write);
        else write(content);
      });
      await setImmediate();
      task.signal.throwIfAborted();
    }
    await replaceFile(root, 'oci-layout', (write) => write(Buffer.from(OCI_LAYOUT_FILE)));
    const index = layoutIndex(mergeEntries(old, added.entries));
    await replaceFile(root, 'index.json', (write) => write(Buffer.from(index)));
  } catch (error) {
    throw fromErrno(error, doing, 'TSB_EXPORT');
  } finally {
    for (const fd of fds) closeSync(fd);
  }
}

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

/** A name points at one image: newer entries replace older ones of the same name, and nameless ones of the same digest. */
function mergeEntries(old: readonly Descriptor[], added: readonly Descriptor[]): Descriptor[] {
  const nameOf = ({ annotations = {} }: Descriptor): string | undefined =>
    annotations[IMAGE_NAME_ANNOTATION] ?? annotations[REF_NAME_ANNOTATION];
  const names = new Set(added.map(nameOf));
  const digests = new Set(added.map(({ digest }) => digest));
  const kept = old.filter((entry) => {
    const name = nameOf(entry);
    return name === undefined ? !digests.has(entry.digest) : !names.has(name);
  });
  return [...kept, ...added];
}

/** Writes a file beside its place, and renames it there. */
async function replaceFile(
  directory: number,
  name: string,
  fill: (write: (chunk: Uint8Array) => void) => void | Promise<void>,
): Promise<void> {
  const temporary = below(directory, `.${randomHex(8)}.tmp`);
  const fd = openSync(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o644);
  try {
    try {
      await fill((chunk) => {
        for (let done = 0; done < chunk.length;) done += writeSync(fd, chunk, done);
      });
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, below(directory, name));
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}
