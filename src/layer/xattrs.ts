import { getXattr, listXattrs, setXattr, type XattrTarget } from '../sys/index.ts';
import type { ByteString } from './byte-string.ts';

const CAPABILITY = 'security.capability';
const OVERLAY = 'user.overlay.';
/** How overlayfs stores a `user.overlay.x` that was set through a mount. */
const ESCAPED_OVERLAY = 'user.overlay.overlay.';

/** Whether layers may carry an attribute: file capabilities and what users set. Never overlay's own (security rule 3). */
export function isLayerXattr(name: ByteString): boolean {
  return name === CAPABILITY || (name.startsWith('user.') && !name.startsWith(OVERLAY));
}

/**
 * The attributes of a file that belong in a layer, sorted by name. Capabilities of the image's root user lose the
 * user namespace that the kernel ties them to (revision 3 becomes 2).
 */
export function readLayerXattrs(target: XattrTarget, idShift: number): Map<ByteString, Buffer> | undefined {
  let found: Map<ByteString, Buffer> | undefined;
  const names = listXattrs(target);
  if (names.length === 0) return undefined;
  for (const name of names.sort()) {
    // This leaves out a step's own user.overlay.* as well: in a layer it could not be told from overlay's.
    if (!isLayerXattr(name)) continue;
    const value = getXattr(target, Buffer.from(name, 'latin1').toString());
    if (value === undefined) continue;
    const portable = name === CAPABILITY ? portableCapability(value, idShift) : value;
    if (portable) (found ??= new Map()).set(name, portable);
  }
  return found;
}

/** Sets those attributes of an archive entry that layers may carry. */
export function writeLayerXattrs(fd: number, xattrs: ReadonlyMap<ByteString, Buffer>, idShift: number): void {
  for (const [name, value] of xattrs) {
    if (!isLayerXattr(name)) continue;
    const stored = name === CAPABILITY ? tiedCapability(value, idShift) : value;
    setXattr(fd, Buffer.from(name, 'latin1').toString(), stored);
  }
}

/** Copies the attributes of a file of a lower layer to its copy in the layer above. */
export function copyXattrs(from: number, to: number): void {
  for (const name of listXattrs(from)) {
    if (!isLayerXattr(name) && !name.startsWith(ESCAPED_OVERLAY)) continue;
    const text = Buffer.from(name, 'latin1').toString();
    const value = getXattr(from, text);
    if (value) setXattr(to, text, value);
  }
}

// struct vfs_cap_data of linux/capability.h: revision 2 has 20 bytes, revision 3 has the root user's id after them.
const REVISION_MASK = 0xff000000;
const REVISION_2 = 0x02000000;
const REVISION_3 = 0x03000000;

function portableCapability(value: Buffer, idShift: number): Buffer | undefined {
  if (value.length !== 24 || (value.readUInt32LE(0) & REVISION_MASK) !== REVISION_3) return value;
  // A capability for another user namespace than the image's means nothing elsewhere.
  if (value.readUInt32LE(20) !== idShift) return undefined;
  const portable = Buffer.from(value.subarray(0, 20));
  portable.writeUInt32LE((value.readUInt32LE(0) & ~REVISION_MASK) | REVISION_2, 0);
  return portable;
}

/** Ties a capability to the image's root user, so that it is worth nothing on the host. */
function tiedCapability(value: Buffer, idShift: number): Buffer {
  if (idShift === 0 || value.length !== 20 || (value.readUInt32LE(0) & REVISION_MASK) !== REVISION_2) return value;
  const tied = Buffer.alloc(24);
  value.copy(tied);
  tied.writeUInt32LE((value.readUInt32LE(0) & ~REVISION_MASK) | REVISION_3, 0);
  tied.writeUInt32LE(idShift, 20);
  return tied;
}
