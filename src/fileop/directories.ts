import {
  type ByteString,
  joinPath,
  type NodeAttributes,
  resolvePath,
  toText,
  type TreeNode,
  type WritableTree,
} from '../tree/index.ts';
import { TsbuildError } from '../util/index.ts';
import type { Owner } from './owner.ts';

/** What missing directories are made with. */
export interface DirectoryAttributes {
  readonly mode: number;
  /** The mode was asked for: it is given as it is, also below a directory with the setgid bit. */
  readonly exact?: boolean;
  readonly owner: Owner | undefined;
  /** Nanoseconds since the epoch; undefined is now. */
  readonly timestamp: bigint | undefined;
}

/**
 * Makes a directory and those above it where they are missing; symlinks on the way are followed within the tree.
 * Existing directories stay as they are.
 * @returns paths of the directories that were made, top first
 * @throws TsbuildError when something that is no directory is in the way
 */
export function makeDirectories<D>(
  tree: WritableTree<D>,
  path: ByteString,
  attributes: DirectoryAttributes,
): ByteString[] {
  const located = resolvePath(tree, path, { followLast: true });
  const entered: D[] = [];
  try {
    const wall = located.blockedBy ?? (located.node && located.node.type !== 'directory' ? located.path : undefined);
    if (wall !== undefined) throw new TsbuildError('TSB_CONTEXT', `mkdir /${toText(wall)}: not a directory`);
    const created: ByteString[] = [];
    let dir = located.parent;
    const count = located.missing.length;
    const above = located.path
      .split('/')
      .slice(0, -count || undefined)
      .join('/');
    let current = count === 0 ? '' : above;
    for (const name of located.missing) {
      tree.mkdir(dir, name, newDirectory(tree.stat(dir), attributes));
      dir = tree.enter(dir, name);
      entered.push(dir);
      current = joinPath(current, name);
      created.push(current);
    }
    return created;
  } finally {
    for (const dir of entered) tree.leave(dir);
    located.release();
  }
}

/**
 * The attributes of a directory that is made in `above`. As with mkdir(2), one below a directory with the setgid bit has
 * that bit too, and its group unless an owner is given.
 */
export function newDirectory(above: TreeNode, attributes: DirectoryAttributes): NodeAttributes {
  const { mode, exact = false, owner, timestamp } = attributes;
  const setgid = above.mode & 0o2000;
  return {
    mode: exact ? mode : mode | setgid,
    uid: owner?.uid ?? 0,
    gid: owner?.gid ?? (setgid === 0 ? 0 : above.gid),
    mtimeNs: timestamp,
    xattrs: [],
  };
}
