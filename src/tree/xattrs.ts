import { getXattr, setXattr, type XattrTarget } from '../sys/index.ts';
import type { Xattr } from './node.ts';

const XATTR_NAME = /^(?:security\.capability$|user\.(?!overlay\.|tsbuild\.))/;

/**
 * Whether layers that others made may bring an attribute: file capabilities and `user.*`, but never what controls overlayfs
 * (`user.overlay.*`, `trusted.overlay.*`) or says whose files are (`user.tsbuild.*`), and no security labels or ACLs of this machine. Layers made here hold
 * `CAPABILITY` alone, as BuildKit's do.
 */
export function isImageXattr(name: string): boolean {
  return XATTR_NAME.test(name);
}

const NONE: readonly Xattr[] = [];

/**
 * The attributes of a file that new layers keep: file capabilities. A path's last symlink is not followed. They lose the
 * user namespace that `writeXattr` ties them to; those of another one are left out.
 */
export function readXattrs(target: XattrTarget, idShift = 0): readonly Xattr[] {
  const stored = getXattr(target, CAPABILITY);
  const value = stored && portableCapability(stored, idShift);
  return value ? [{ name: CAPABILITY, value }] : NONE;
}

/** Sets an attribute. Capabilities are tied to the image's root user, so that they are worth nothing on the host. */
export function writeXattr(target: XattrTarget, { name, value }: Xattr, idShift: number): void {
  setXattr(target, name, name === CAPABILITY ? tiedCapability(value, idShift) : value);
}

/** The attribute that holds file capabilities. */
export const CAPABILITY = 'security.capability';
// struct vfs_cap_data of linux/capability.h: revision 2 has 20 bytes, revision 3 has the root user's id after them.
const REVISION_MASK = 0xff000000;
const REVISION_2 = 0x02000000;
const REVISION_3 = 0x03000000;

/** File capabilities as they are in an image; undefined for those that are tied to another user namespace. */
export function portableCapability(value: Buffer, idShift: number): Buffer | undefined {
  if (value.length !== 24 || (value.readUInt32LE(0) & REVISION_MASK) !== REVISION_3) return value;
  // A capability for another user namespace than the image's means nothing elsewhere.
  if (value.readUInt32LE(20) !== idShift) return undefined;
  const portable = Buffer.from(value.subarray(0, 20));
  portable.writeUInt32LE((value.readUInt32LE(0) & ~REVISION_MASK) | REVISION_2, 0);
  return portable;
}

/** Ties file capabilities to the image's root user, so that they are worth nothing on the host. */
export function tiedCapability(bytes: Uint8Array, idShift: number): Buffer {
  const value = Buffer.from(bytes);
  if (idShift === 0 || value.length !== 20 || (value.readUInt32LE(0) & REVISION_MASK) !== REVISION_2) return value;
  const tied = Buffer.concat([value, Buffer.alloc(4)]);
  tied.writeUInt32LE((value.readUInt32LE(0) & ~REVISION_MASK) | REVISION_3, 0);
  tied.writeUInt32LE(idShift, 20);
  return tied;
}
