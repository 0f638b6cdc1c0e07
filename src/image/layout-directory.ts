import { closeSync, constants, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { type Digest, errnoOf, fromErrno, hexOf, isTsbuildError, TsbuildError } from '../util/index.ts';
import { refuseSize } from './content.ts';
import { checkLayoutVersion, type LayoutReader, parseLayoutIndex } from './layout.ts';

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK } = constants;
const CHUNK = 1 << 20;
const MAX_INDEX = 4 << 20;

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
    return {
      what,
      index,
      size: (digest) => withBlob(root, digest, what, (fd) => fstatSync(fd).size),
      read: ({ digest, size }) =>
        withBlob(root, digest, what, (fd) => {
          refuseSize(digest, size, fstatSync(fd).size, what);
          return readFileSync(fd);
        }),
      *stream({ digest }) {
        const fd = openBlob(root, digest, what);
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

/** What `use` makes of an open blob; undefined when there is none. */
function withBlob<T>(root: number, digest: Digest, what: string, use: (fd: number) => T): T | undefined {
  let fd: number;
  try {
    fd = openBlob(root, digest, what);
  } catch (error) {
    if (isTsbuildError(error, 'TSB_NOT_FOUND')) return undefined;
    throw error;
  }
  try {
    return use(fd);
  } finally {
    closeSync(fd);
  }
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

/** The rest of an open file in chunks of 1 MiB, each valid until the next. */
function* chunksOf(fd: number): Generator<Uint8Array> {
  const chunk = Buffer.allocUnsafe(CHUNK);
  for (let length = readSync(fd, chunk); length > 0; length = readSync(fd, chunk)) yield chunk.subarray(0, length);
}
