import { getXattr, listXattrs, setXattr, type XattrTarget } from '../sys/index.ts';
import { type ByteString, CAPABILITY, isImageXattr, portableCapability, tiedCapability } from '../tree/index.ts';

/** How overlayfs stores a `user.overlay.x` that was set through a mount. */
const ESCAPED_OVERLAY = 'user.overlay.overlay.';

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
    if (!isImageXattr(name)) continue;
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
    if (!isImageXattr(name)) continue;
    const stored = name === CAPABILITY ? tiedCapability(value, idShift) : value;
    setXattr(fd, Buffer.from(name, 'latin1').toString(), stored);
  }
}

/** Copies the attributes of a file of a lower layer to its copy in the layer above. */
export function copyXattrs(from: number, to: number): void {
  for (const name of listXattrs(from)) {
    if (!isImageXattr(name) && !name.startsWith(ESCAPED_OVERLAY)) continue;
    const text = Buffer.from(name, 'latin1').toString();
    const value = getXattr(from, text);
    if (value) setXattr(to, text, value);
  }
}
