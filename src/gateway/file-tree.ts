/** Files that a frontend may look at. */
export interface FileTree {
  /** What is at a path, with symbolic links resolved within the tree; undefined when nothing is. */
  stat(path: string, signal: AbortSignal): Promise<TreeStat | undefined>;
  /** The names in a directory; undefined when it is none. */
  list(path: string, signal: AbortSignal): Promise<readonly TreeStat[] | undefined>;
  /**
   * A regular file, at most its first `limit` bytes; undefined when there is none.
   * @throws TsbuildError when it is something else, or too large without a limit
   */
  read(path: string, limit: number | undefined, signal: AbortSignal): Promise<Uint8Array | undefined>;
}

/** A file of a tree. */
export interface TreeStat {
  /** Its last name. */
  readonly name: string;
  readonly type: 'file' | 'directory' | 'symlink' | 'other';
  /** Permission bits with setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Nanoseconds since the epoch. */
  readonly mtimeNs: bigint;
  /** Target of a symbolic link. */
  readonly link?: string;
}
