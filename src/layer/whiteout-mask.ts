import {
  AT_FDCWD,
  fchmodat,
  mkdirat,
  mknodat,
  openat,
  close,
  O_DIRECTORY,
  O_RDONLY,
  S_IFCHR,
  statat,
} from '../sys/index.ts';
import {
  type ByteString,
  closeMerged,
  compareBytes,
  isOpaque,
  isWhiteout,
  type LayerName,
  listLayer,
  type MergedDir,
  openDirAt,
  openMergedRoot,
  toFsPath,
} from '../tree/index.ts';

/**
 * Writes what a stack of layer directories hides of whatever lies below it, as a layer of whiteouts and the directories that they
 * are in. An overlay mounted of the stack shows its files but keeps its whiteouts to itself: put on top of this layer it hides the
 * same as the stack does. Opaque directories need no mark of their own, for a whiteout under a directory ends the search as well.
 * @param layers directories, bottom first
 * @param target an empty directory
 */
export function writeWhiteoutMask(layers: readonly string[], target: string): void {
  const roots = openMergedRoot(layers);
  try {
    const root = openat(AT_FDCWD, target, O_RDONLY | O_DIRECTORY);
    try {
      // All its directories are open to the root of a step's namespace, to which this process's root is nobody.
      fchmodat(AT_FDCWD, target, 0o755);
      maskDirectory(roots, () => root);
    } finally {
      close(root);
    }
  } finally {
    closeMerged(roots);
  }
}

/** @param open opens the mask's directory, making it first: most directories have nothing in them that hides */
function maskDirectory(dirs: MergedDir, open: () => number): void {
  for (const [name, holders] of holdersOf(dirs)) {
    const [top] = holders;
    if (top === undefined) continue;
    if (!top.directory) {
      // What is no directory hides what is below by being there.
      if (top.mayHide && isWhiteout(statat(top.dirfd, toFsPath(name)), top.dirfd, name)) whiteout(open(), name);
      continue;
    }
    const { shown, ends } = showingThrough(holders, name);
    try {
      if (ends) whiteout(open(), name);
      else maskSubdirectory(shown, name, open);
    } finally {
      closeMerged(shown);
    }
  }
}

function maskSubdirectory(shown: MergedDir, name: ByteString, openParent: () => number): void {
  let own: number | undefined;
  try {
    maskDirectory(shown, () => {
      if (own !== undefined) return own;
      const parent = openParent();
      mkdirat(parent, toFsPath(name), 0o755);
      fchmodat(parent, toFsPath(name), 0o755);
      return (own = openDirAt(parent, name));
    });
  } finally {
    if (own !== undefined) close(own);
  }
}

/** What a layer has under a name, and the fd of the directory that it is in. */
interface Holder extends LayerName {
  readonly dirfd: number;
}

/** Per name, who has it, top first. One listing for each directory: asking each layer for each name would be quadratic. */
function holdersOf(dirs: MergedDir): readonly (readonly [ByteString, readonly Holder[]])[] {
  const names = new Map<ByteString, Holder[]>();
  for (const dirfd of dirs) {
    for (const entry of listLayer(dirfd)) {
      const holder = { ...entry, dirfd };
      const known = names.get(entry.name);
      if (known) known.push(holder);
      else names.set(entry.name, [holder]);
    }
  }
  return [...names].sort(([a], [b]) => compareBytes(a, b));
}

/** The directories of a name that are merged, and whether the search for more of them ends within the stack. */
function showingThrough(
  holders: readonly Holder[],
  name: ByteString,
): { readonly shown: MergedDir; readonly ends: boolean } {
  const shown: number[] = [];
  try {
    for (const { dirfd, directory } of holders) {
      if (!directory) return { shown, ends: true };
      const fd = openDirAt(dirfd, name);
      shown.push(fd);
      if (isOpaque(fd)) return { shown, ends: true };
    }
  } catch (error) {
    closeMerged(shown);
    throw error;
  }
  return { shown, ends: false };
}

/** Nothing but the kernel's own mark: no capability is needed to make it. */
function whiteout(dirfd: number, name: ByteString): void {
  mknodat(dirfd, toFsPath(name), S_IFCHR);
}
