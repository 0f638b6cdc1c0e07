import { getXattr, listXattrs, setXattr, type XattrTarget } from '../sys/index.ts';
import { type ByteString, CAPABILITY, isImageXattr, readXattrs, tiedCapability } from '../tree/index.ts';

/** How overlayfs stores a `user.overlay.x` that was set through a mount. */
const ESCAPED_OVERLAY = 'user.overlay.overlay.';

/** The attributes of a file that belong in a layer, as its archive holds them. */
export function readLayerXattrs(target: XattrTarget, idShift: number): Map<ByteString, Buffer> | undefined {
  const xattrs = readXattrs(target, idShift);
  if (xattrs.length === 0) return undefined;
  return new Map(xattrs.map(({ name, value }) => [name, Buffer.from(value)]));
}

/**
 * Sets attributes of an archive entry.
 * @param foreign whether the archive is a layer, which may have been made elsewhere: then all that images may hold are
 * set, for what runs the image sees them too; else those that a layer made of the files would hold
 */
export function writeLayerXattrs(
  fd: number,
  xattrs: ReadonlyMap<ByteString, Buffer>,
  idShift: number,
  foreign: boolean,
): void {
  for (const [name, value] of xattrs) {
    if (!(foreign ? isImageXattr(name) : name === CAPABILITY)) continue;
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
