import { inodeKey } from '../sys/index.ts';
import type { Digest } from '../util/index.ts';
import type { ByteString } from './bytes.ts';
import { type HostStat, toNs } from './host-stat.ts';
import { nodeType, type NodeType, type TreeNode } from './node.ts';

/** A file of a context. */
export interface ContextNode extends TreeNode {
  readonly stat: HostStat;
  /** Seconds since the epoch where another time counts than that of the stat. */
  readonly mtime: number | undefined;
  /** Identity of its content and extended attributes, once that is known. */
  digest: Digest | undefined;
}

/** What counts of a file in place of what its state says. */
export interface GivenAttributes {
  /** Permission bits. */
  readonly mode?: number | undefined;
  /** Seconds since the epoch. */
  readonly mtime?: number | undefined;
}

/**
 * The node of a file in this state. There may be very many, and all stay until the build ends: so what follows from the state is
 * told when it is asked for, and not kept (100,000 files: 11 MB less).
 * @param linkname target of a symlink, else `''`
 */
export function toNode(stat: HostStat, linkname: ByteString, given: GivenAttributes = {}): ContextNode {
  const mode = given.mode ?? stat.mode & 0o7777;
  const hasMoreNames = stat.nlink > 1 && nodeType(stat.mode) === 'file';
  const Kind = hasMoreNames ? LinkedContextFile : ContextFile;
  return new Kind(stat, linkname, mode, given.mtime);
}

class ContextFile implements ContextNode {
  readonly stat: HostStat;
  readonly linkname: ByteString;
  readonly mode: number;
  /** Seconds since the epoch, in place of that of the stat. */
  readonly mtime: number | undefined;
  digest: Digest | undefined = undefined;

  constructor(stat: HostStat, linkname: ByteString, mode: number, mtime: number | undefined) {
    this.stat = stat;
    this.linkname = linkname;
    this.mode = mode;
    this.mtime = mtime;
  }

  get type(): NodeType {
    return nodeType(this.stat.mode);
  }

  // All files of a context belong to root.
  get uid(): number {
    return 0;
  }

  get gid(): number {
    return 0;
  }

  get size(): number {
    return this.type === 'file' ? this.stat.size : 0;
  }

  get mtimeNs(): bigint {
    return this.mtime === undefined ? toNs(this.stat.mtimeSec, this.stat.mtimeNsec) : toNs(this.mtime, 0);
  }
}

class LinkedContextFile extends ContextFile {
  get hardlink(): string {
    return inodeKey(this.stat);
  }
}
