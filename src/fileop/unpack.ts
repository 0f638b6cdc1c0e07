import type { CopyAction } from '../llb/index.ts';
import { extractArchive } from '../layer/index.ts';
import {
  type ByteString,
  cleanNames,
  type FsTree,
  type ReadableTree,
  resolvePath,
  toByteString,
  toText,
} from '../tree/index.ts';
import { decompressed, isArchive } from './archive.ts';
import { makeDirectories } from './directories.ts';
import type { Owner } from './owner.ts';

/** How an archive that ADD unpacks is laid into a tree. */
export interface UnpackOptions {
  readonly source: ReadableTree<unknown>;
  /** Path of the file in the source. */
  readonly match: ByteString;
  readonly tree: FsTree;
  readonly action: CopyAction;
  readonly owner: Owner | undefined;
  readonly warn: (message: string) => void;
  readonly signal: AbortSignal;
}

/** Whether a match of an ADD is an archive that is to be unpacked. Symlinks to it are followed. */
export async function isArchiveMatch(source: ReadableTree<unknown>, match: ByteString): Promise<boolean> {
  const located = resolvePath(source, match, { followLast: true });
  const { node, parent, name } = located;
  try {
    if (node?.type !== 'file') return false;
    const fd = source.open(parent, name, node);
    try {
      return await isArchive(fd);
    } finally {
      source.close(fd, parent, name, node);
    }
  } finally {
    located.release();
  }
}

/**
 * Unpacks an archive into the destination directory, as ADD does: the directory is made when missing, and is the root
 * for all names and symlinks of the archive; directories merge, everything else replaces what is there. What the
 * archive says of its own root is not applied to the destination.
 * @throws TsbuildError `TSB_ARCHIVE` naming the entry
 */
export async function unpackArchive(options: UnpackOptions): Promise<void> {
  const { source, match, tree, action, owner, warn, signal } = options;
  const timestamp = action.timestamp === -1n ? undefined : action.timestamp;
  const dest = cleanNames(toByteString(action.dest)).join('/');
  makeDirectories(tree, dest, { mode: 0o755, owner, timestamp });
  const to = resolvePath(tree, dest, { followLast: true });
  const from = resolvePath(source, match, { followLast: true });
  try {
    if (to.self === undefined || !from.node) throw new TypeError('the destination was made and the source was sniffed');
    const { mode, uid, gid } = tree.stat(to.self);
    const fd = source.open(from.parent, from.name, from.node);
    try {
      const { skipped } = await extractArchive({
        source: decompressed(fd),
        compression: 'none',
        rootFd: to.self.fd,
        idShift: tree.idShift,
        idCount: tree.idLimit,
        signal,
        ...(owner ? { owner } : {}),
      });
      for (const path of skipped) {
        if (path === '') warn('An entry of the archive that names no file was left out');
        else warn(`"${toText(path)}" of the archive was left out: it is a device`);
      }
      tree.setAttributes(to.self, '', { mode, uid, gid });
    } finally {
      source.close(fd, from.parent, from.name, from.node);
    }
  } finally {
    from.release();
    to.release();
  }
}
