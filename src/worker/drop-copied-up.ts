import {
  AT_FDCWD,
  AT_REMOVEDIR,
  close,
  O_DIRECTORY,
  O_RDONLY,
  openat,
  statat,
  statatIfExists,
  unlinkat,
  utimensat,
} from '../sys/index.ts';
import {
  type ByteString,
  closeMerged,
  fileAt,
  findMerged,
  isDir,
  isOpaque,
  isUnchanged,
  listDir,
  type MergedDir,
  openDirAt,
  openMerged,
  openMergedRoot,
  splitPath,
  toByteString,
  toFsPath,
} from '../tree/index.ts';

/**
 * Takes out of a step's layer what the kernel copied there when a mount point was made: the directories that it was made in, where they are empty
 * and as they are below. A packed layer has no entry for them; without this its directory would have one, which shows where the layer is laid
 * on other trees than the one that it was made on (merges of diffs).
 * @param upper the step's own, which was empty before
 * @param lowers bottom first
 * @param targets of mounts, absolute
 * @param roots what was found out for earlier steps
 */
export function dropCopiedUp(
  upper: string,
  lowers: readonly string[],
  targets: readonly string[],
  idShift: number,
  roots: LayerRoots = new LayerRoots(),
): void {
  const fd = openat(AT_FDCWD, upper, O_RDONLY | O_DIRECTORY);
  let below: MergedDir = [];
  try {
    const parents = targets.map((target) => splitPath(toByteString(target)).slice(0, -1));
    const made = parents.filter(([name]) => name !== undefined && statatIfExists(fd, toFsPath(name)) !== undefined);
    if (made.length === 0) return;
    below = openMergedRoot(roots.withAny(lowers, new Set(made.flatMap(([name]) => name ?? []))));
    for (const names of made) drop(fd, below, names, idShift);
  } finally {
    closeMerged(below);
    close(fd);
  }
}

/**
 * What names the roots of layers have, for the life of a worker: complete layers stay as they are, and steps of a chain ask for the same
 * names in all layers below.
 */
export class LayerRoots {
  readonly #opaque = new Map<string, boolean>();
  readonly #names = new Map<ByteString, Map<string, boolean>>();

  /** The stack without the layers on top that show none of these names and hide nothing: there may be hundreds. */
  withAny(lowers: readonly string[], names: ReadonlySet<ByteString>): readonly string[] {
    const perName = [...names].map((name) => [name, this.#ofName(name)] as const);
    const has = (dir: string): boolean =>
      known(this.#opaque, dir, isOpaque) || perName.some(([name, dirs]) => known(dirs, dir, () => isThere(dir, name)));
    return lowers.slice(0, lowers.findLastIndex(has) + 1);
  }

  #ofName(name: ByteString): Map<string, boolean> {
    let dirs = this.#names.get(name);
    if (dirs === undefined) this.#names.set(name, (dirs = new Map()));
    return dirs;
  }
}

function isThere(dir: string, name: ByteString): boolean {
  return statatIfExists(AT_FDCWD, toFsPath(`${toByteString(dir)}/${name}`)) !== undefined;
}

function known(facts: Map<string, boolean>, dir: string, look: (dir: string) => boolean): boolean {
  let fact = facts.get(dir);
  if (fact === undefined) facts.set(dir, (fact = look(dir)));
  return fact;
}

/** The innermost first: a directory may be empty when what was in it is gone. */
function drop(dir: number, below: MergedDir, names: readonly ByteString[], idShift: number): void {
  const [name, ...more] = names;
  if (name === undefined) return;
  const path = toFsPath(name);
  const own = statatIfExists(dir, path);
  const seen = own && isDir(own) ? findMerged(below, name) : undefined;
  if (seen === undefined || !isDir(seen.stat)) return;
  const child = openDirAt(dir, name);
  let under: MergedDir = [];
  try {
    under = openMerged(below, name);
    drop(child, under, more, idShift);
    if (isOpaque(child) || listDir(child).length > 0) return;
  } finally {
    closeMerged(under);
    close(child);
  }
  const ours = fileAt({ dirfd: dir, stat: statat(dir, path) }, name, idShift);
  if (!isUnchanged(ours, fileAt(seen, name, idShift))) return;
  const { mtimeSec, mtimeNsec } = statat(dir, '');
  unlinkat(dir, path, AT_REMOVEDIR);
  const time = { sec: mtimeSec, nsec: mtimeNsec };
  utimensat(dir, null, time, time);
}
