import { close, type FileStat, S_IFMT, S_IFREG, statat } from '../sys/index.ts';
import { type ByteString, isDir, listDir, openDirAt, toFsPath } from '../tree/index.ts';

/**
 * What was made in an upper directory for something to be mounted on: an empty file, or a directory with nothing else in it. It goes when
 * the container ends, and is no change of its own.
 */
export class Stubs {
  readonly #paths: ReadonlySet<ByteString>;

  /** @param paths of mount points, without a leading slash */
  constructor(paths: readonly ByteString[] = []) {
    // Directories on the way may have been made, too.
    this.#paths = new Set(
      paths.flatMap((path) => path.split('/').map((_name, at, names) => names.slice(0, at + 1).join('/'))),
    );
  }

  /** Whether a name that the layers below lack is one. */
  has(dirfd: number, name: ByteString, path: ByteString, stat: FileStat): boolean {
    if (!this.#paths.has(path)) return false;
    if (!isDir(stat)) return (stat.mode & S_IFMT) === S_IFREG && stat.size === 0;
    const fd = openDirAt(dirfd, name);
    try {
      return listDir(fd).every((child) => this.has(fd, child, `${path}/${child}`, statat(fd, toFsPath(child))));
    } finally {
      close(fd);
    }
  }
}
