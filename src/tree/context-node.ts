import { inodeKey } from '../sys/index.ts';
import type { Digest } from '../util/index.ts';
import type { ByteString } from './bytes.ts';
import { type HostStat, toNs } from './host-stat.ts';
import { nodeType, type NodeType, type TreeNode } from './node.ts';

/** A file of a context. */
export interface ContextNode extends TreeNode {
  readonly stat: HostStat;
  /** Identity of its content and extended attributes, once that is known. */
  digest: Digest | undefined;
}

/**
 * The node of a file in this state. There may be very many, and all stay until the build ends: so what follows from the state is
 * told when it is asked for, and not kept (100,000 files: 11 MB less).
 * @param linkname target of a symlink, else `''`
 * @param permissions that count in place of those of the stat
 */
export function toNode(stat: HostStat, linkname: ByteString, permissions?: number): ContextNode {
  const mode = permissions ?? stat.mode & 0o7777;
  const hasMoreNames = stat.nlink > 1 && nodeType(stat.mode) === 'file';
  return hasMoreNames ? new LinkedContextFile(stat, linkname, mode) : new ContextFile(stat, linkname, mode);
}

class ContextFile implements ContextNode {
  readonly stat: HostStat;
  readonly linkname: ByteString;
  readonly mode: number;
  digest: Digest | undefined = undefined;

  constructor(stat: HostStat, linkname: ByteString, mode: number) {
    this.stat = stat;
    this.linkname = linkname;
    this.mode = mode;
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
    return toNs(this.stat.mtimeSec, this.stat.mtimeNsec);
  }
}

class LinkedContextFile extends ContextFile {
  get hardlink(): string {
    return inodeKey(this.stat);
  }
}
