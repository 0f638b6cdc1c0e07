import { close, type Timespec } from '../sys/index.ts';
import { type ByteString, closeMerged, type MergedDir, openDirAt, openMerged } from '../tree/index.ts';
import type { LowerRoots } from './lower-roots.ts';

/** So many directories are kept open; when there are more, all are closed and opened again when needed. */
const MAX_OPEN = 512;

/** A directory of the tree that is extracted to. */
export class DirNode {
  readonly parent: DirNode | undefined;
  readonly name: ByteString;
  readonly depth: number;
  readonly children: Map<ByteString, DirNode> = new Map();
  /** Hides what the layers below have in this directory. */
  opaque = false;
  /** Set at the end, since files that are made in it change it. */
  mtime: Timespec | undefined;
  fd = -1;
  lowers: MergedDir | undefined;

  constructor(parent: DirNode | undefined, name: ByteString) {
    this.parent = parent;
    this.name = name;
    this.depth = parent ? parent.depth + 1 : 0;
  }
}

/** Keeps the fds of nodes, a limited number of them. The root's are not its own. */
export class DirHandles {
  readonly #roots: LowerRoots | undefined;
  #open: DirNode[] = [];

  /** @param roots those of the layers below, which whoever made them closes */
  constructor(roots?: LowerRoots) {
    this.#roots = roots;
  }

  /** The fd of a directory, valid until the next call of `trim` or `forgetLowers`. */
  fd(node: DirNode): number {
    if (node.fd >= 0) return node.fd;
    // Opened from the nearest open ancestor down; a loop, since trees may be deep.
    const path: DirNode[] = [];
    let at: DirNode | undefined = node;
    for (; at && at.fd < 0; at = at.parent) path.push(at);
    for (const step of path.reverse()) {
      step.fd = openDirAt(step.parent?.fd ?? -1, step.name);
      this.#open.push(step);
    }
    return node.fd;
  }

  /** The directory in the topmost layer below that has it: what the merged one looks like. */
  topLower(node: DirNode): number | undefined {
    return node.parent || node.opaque ? this.lowers(node)[0] : this.#roots?.top();
  }

  /** The directory in the layers below. */
  lowers(node: DirNode): MergedDir {
    if (node.opaque) return [];
    if (node.lowers) return node.lowers;
    if (!node.parent) return (node.lowers = this.#roots?.all() ?? []);
    const path: DirNode[] = [];
    let at: DirNode | undefined = node;
    for (; at && !at.lowers && !at.opaque && at.parent; at = at.parent) path.push(at);
    if (at && !at.parent) this.lowers(at);
    for (const step of path.reverse()) {
      const above = step.parent && !step.parent.opaque ? step.parent.lowers : undefined;
      step.lowers = openMerged(above ?? [], step.name);
      this.#open.push(step);
    }
    return node.lowers ?? [];
  }

  /** Closes what is open when it is much. Call between entries only. */
  trim(): void {
    if (this.#open.length > MAX_OPEN) this.closeAll();
  }

  closeAll(): void {
    for (const node of this.#open) {
      if (node.fd >= 0) close(node.fd);
      if (node.lowers) closeMerged(node.lowers);
      node.fd = -1;
      node.lowers = undefined;
    }
    this.#open = [];
  }

  /** A directory became opaque or went away: what was looked up beneath it no longer holds. */
  forget(): void {
    this.closeAll();
  }
}
