import { fchmodSync } from 'node:fs';
import { fchmodat, fchown, fchownat, utimensat } from '../sys/index.ts';
import { type ByteString, toFsPath } from '../tree/index.ts';
import { errnoOf, TsbuildError } from '../util/index.ts';
import { quote } from './byte-string.ts';
import type { TarEntry } from './entry.ts';
import { writeLayerXattrs } from './xattrs.ts';

/** How attributes of the archive become those on disk. */
export interface EntryAttributesOptions {
  /** Whether the archive is a layer: it may hold more extended attributes, and its owners cannot be replaced. */
  readonly layer: boolean;
  /** Added to every owner. */
  readonly idShift: number;
  /** Owners from this on cannot be stored. */
  readonly idCount: number;
  /** Replaces the owners that the archive states. */
  readonly owner?: { readonly uid: number; readonly gid: number };
}

/**
 * Gives extracted files what their archive entries state beside content. The owner comes first, since the kernel takes
 * setuid bits and capabilities away with it; then mode, attributes, and the time, which each of the others could change.
 * Where a file is open it is named by its descriptor, so that no name is looked up again.
 */
export class EntryAttributes {
  readonly #options: EntryAttributesOptions;

  constructor(options: EntryAttributesOptions) {
    this.#options = options;
  }

  /** The ids on disk. @throws TsbuildError `TSB_ARCHIVE` for those that are not mapped */
  owner(stated: { readonly uid: number; readonly gid: number }, entry: TarEntry): { uid: number; gid: number } {
    const { uid, gid } = this.#options.owner ?? stated;
    const { idShift, idCount, layer } = this.#options;
    if (uid >= idCount || gid >= idCount) {
      throw new TsbuildError(
        'TSB_ARCHIVE',
        `Cannot extract ${quote(entry.path)}: its owner ${uid}:${gid} is outside of the ${idCount} ids that are mapped`,
        {
          hint: layer
            ? 'Give the user more subordinate ids in /etc/subuid and /etc/subgid'
            : 'Give all files of the archive another owner with ADD --chown=0:0, or the user more subordinate ids in /etc/subuid and /etc/subgid',
        },
      );
    }
    return { uid: uid + idShift, gid: gid + idShift };
  }

  /** Of an open file whose content is complete. */
  ofFile(fd: number, entry: TarEntry): void {
    this.ofDir(fd, entry);
    utimensat(fd, null, entry.mtime, entry.mtime);
  }

  /** Of a symlink or fifo, which must not be opened. No symlink is followed, and symlinks have no mode of their own. */
  ofName(dirfd: number, name: ByteString, entry: TarEntry): void {
    const { uid, gid } = this.owner(entry, entry);
    fchownat(dirfd, toFsPath(name), uid, gid);
    if (entry.type !== 'symlink') fchmodat(dirfd, toFsPath(name), entry.mode);
    utimensat(dirfd, toFsPath(name), entry.mtime, entry.mtime);
  }

  /** Of an open directory, without its time. */
  ofDir(fd: number, entry: TarEntry): void {
    const { uid, gid } = this.owner(entry, entry);
    fchown(fd, uid, gid);
    fchmodSync(fd, entry.mode);
    if (entry.xattrs) this.#xattrs(fd, entry.xattrs);
  }

  #xattrs(fd: number, xattrs: NonNullable<TarEntry['xattrs']>): void {
    try {
      writeLayerXattrs(fd, xattrs, this.#options.idShift, this.#options.layer);
    } catch (error) {
      // File systems without user attributes (tmpfs before 6.6) take the files all the same, as with containerd.
      if (errnoOf(error) !== 'ENOTSUP') throw error;
    }
  }
}
