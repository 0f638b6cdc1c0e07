import { getXattr, listXattrs, type XattrTarget } from '../sys/index.ts';
import type { Xattr } from './node.ts';

const XATTR_NAME = /^(?:security\.capability$|user\.(?!overlay\.))/;

/**
 * Whether an attribute is content of an image: file capabilities and `user.*`, but never what controls overlayfs
 * (`user.overlay.*`, `trusted.overlay.*`), and no security labels or ACLs of this machine.
 */
export function isImageXattr(name: string): boolean {
  return XATTR_NAME.test(name);
}

const NONE: readonly Xattr[] = [];

/** The attributes of a file that images keep, sorted by name. A path's last symlink is not followed. */
export function readXattrs(target: XattrTarget): readonly Xattr[] {
  const names = listXattrs(target);
  if (names.length === 0) return NONE;
  return names
    .filter(isImageXattr)
    .sort()
    .flatMap((name) => {
      const value = getXattr(target, name);
      return value ? [{ name, value }] : [];
    });
}
