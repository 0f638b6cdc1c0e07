import { type FileStat, inodeKey, readlinkat } from '../sys/index.ts';
import { type ByteString, fromBytes, toFsPath } from './bytes.ts';
import { nodeType, type TreeNode } from './node.ts';

/** Who owns what does not belong to the ids of an image: nobody. */
const NOBODY = 65_534;

/**
 * The node of a file by its attributes on disk.
 * @param dirfd of the directory that has `name`, for the target of a symlink
 * @param idShift subtracted from the ids on disk
 */
export function statNode(stat: FileStat, dirfd: number, name: ByteString, idShift: number): TreeNode {
  const type = nodeType(stat.mode);
  const node = {
    type,
    mode: stat.mode & 0o7777,
    uid: imageId(stat.uid, idShift),
    gid: imageId(stat.gid, idShift),
    size: type === 'file' ? stat.size : 0,
    mtimeNs: BigInt(stat.mtimeSec) * 1_000_000_000n + BigInt(stat.mtimeNsec),
    linkname: type === 'symlink' ? fromBytes(readlinkat(dirfd, toFsPath(name))) : '',
  };
  if (type === 'file' && stat.nlink > 1) return { ...node, hardlink: inodeKey(stat) };
  if (type === 'char' || type === 'block') {
    return { ...node, device: { major: stat.rdevMajor, minor: stat.rdevMinor } };
  }
  return node;
}

function imageId(id: number, idShift: number): number {
  return id >= idShift ? id - idShift : NOBODY;
}
