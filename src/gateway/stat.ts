import { encodeMessage } from '../llb/index.ts';
import type { TreeStat } from './file-tree.ts';
import { statSchema } from './messages.ts';

/** Bits of Go's `os.FileMode`, which is what messages have. */
const GO_MODE = {
  directory: 2 ** 31,
  symlink: 2 ** 27,
  setuid: 2 ** 23,
  setgid: 2 ** 22,
  sticky: 2 ** 20,
  irregular: 2 ** 19,
} as const;

/** `fsutil.types.Stat`. */
export interface PbStat {
  readonly path: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly modTime: bigint;
  readonly linkname: string;
}

/** A file as BuildKit's clients are told of it. */
export function toPbStat({ name, type, mode, uid, gid, size, mtimeNs, link = '' }: TreeStat): PbStat {
  const kind =
    type === 'directory'
      ? GO_MODE.directory
      : type === 'symlink'
        ? GO_MODE.symlink
        : type === 'other'
          ? GO_MODE.irregular
          : 0;
  const special =
    (mode & 0o4000 ? GO_MODE.setuid : 0) + (mode & 0o2000 ? GO_MODE.setgid : 0) + (mode & 0o1000 ? GO_MODE.sticky : 0);
  // Sums, because JavaScript's operators of bits end below the highest of these.
  return {
    path: name,
    mode: kind + special + (mode & 0o777),
    uid,
    gid,
    size: type === 'file' ? size : 0,
    modTime: mtimeNs,
    linkname: link,
  };
}

/** The bytes of the message. */
export function encodeStat(stat: TreeStat): Uint8Array {
  return encodeMessage(statSchema, { ...toPbStat(stat) });
}
