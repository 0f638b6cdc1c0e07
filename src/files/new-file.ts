import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { canNameFiles, nameFile, O_TMPFILE, tryFlock } from '../sys/index.ts';
import { errnoOf, randomHex } from '../util/index.ts';

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_RDWR } = constants;

/** What the new file is like. */
export interface NewFileOptions {
  /** Permissions that it is made with, less the umask. Default 0600. */
  readonly create?: number;
  /** Permissions that it gets, whatever the umask. */
  readonly mode?: number;
  /** Whose it is: root who writes a file of somebody else does not take it away from them. */
  readonly owner?: { readonly uid: number; readonly gid: number };
}

/** What not every file system can, each replaceable in tests. */
export interface FileSystem {
  /** Opens a file without a name in a directory. @returns undefined where that cannot be */
  readonly openUnnamed: (directory: string, mode: number) => number | undefined;
  /** Gives such a file a name that nothing has. */
  readonly link: (fd: number, path: string) => void;
}

const MACHINE: FileSystem = {
  openUnnamed: (directory, mode) => {
    if (!canNameFiles()) return undefined;
    try {
      return openSync(directory, O_TMPFILE | O_RDWR, mode);
    } catch {
      // NFS, FAT, most of FUSE; or an error that comes again with a name.
      return undefined;
    }
  },
  link: nameFile,
};

/**
 * A file of the user that is written as a whole or not at all: what has its name stays until `commit`, and what a killed process wrote
 * is gone with it, for until then the file has no name (O_TMPFILE). Where the file system has no such thing, and for the moment in which
 * it takes the place of another file, it has one by which {@link freeLeftovers} knows it. Disposing drops what was not committed.
 *
 * All throw the system's errors.
 */
export class NewFile implements Disposable {
  /** Open for reading and writing. */
  readonly fd: number;
  readonly #target: string;
  readonly #options: NewFileOptions;
  readonly #system: FileSystem;
  /** Its name until it has that of the target; undefined for none. */
  #temporary: string | undefined;
  #pending = true;

  private constructor(
    place: { readonly fd: number; readonly temporary?: string },
    target: string,
    options: NewFileOptions,
    system: FileSystem,
  ) {
    this.fd = place.fd;
    this.#temporary = place.temporary;
    this.#target = target;
    this.#options = options;
    this.#system = system;
  }

  /** @param target the path that it gets, which nothing follows a link at */
  static create(target: string, options: NewFileOptions = {}, replaced: Partial<FileSystem> = {}): NewFile {
    const system = { ...MACHINE, ...replaced };
    const mode = options.create ?? 0o600;
    const fd = system.openUnnamed(dirname(target), mode);
    return new NewFile(fd === undefined ? openNamed(dirname(target), mode) : { fd }, target, options, system);
  }

  write(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length;) done += writeSync(this.fd, bytes, done);
  }

  /** Brings it to the disk, and gives it its name, in place of what has that. */
  commit(): void {
    const { owner, mode } = this.#options;
    const made = fstatSync(this.fd);
    if (owner !== undefined && (owner.uid !== made.uid || owner.gid !== made.gid))
      fchownSync(this.fd, owner.uid, owner.gid);
    if (mode !== undefined) fchmodSync(this.fd, mode);
    fsyncSync(this.fd);
    if (this.#temporary !== undefined || !this.#link()) this.#rename();
    this[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    if (!this.#pending) return;
    this.#pending = false;
    try {
      if (this.#temporary !== undefined) rmSync(this.#temporary, { force: true });
    } finally {
      closeSync(this.fd);
    }
  }

  /** Gives a file without a name that of the target. @returns false when something has it, or this one cannot be named */
  #link(): boolean {
    try {
      this.#system.link(this.fd, this.#target);
      return true;
    } catch {
      // An error that is not about linking comes again.
      return false;
    }
  }

  /** Puts it in the place of the target. */
  #rename(): void {
    if (this.#temporary === undefined) {
      const temporary = temporaryPath(dirname(this.#target), tryFlock(this.fd) === 'locked');
      try {
        this.#system.link(this.fd, temporary);
      } catch {
        // Where a policy forbids to link what has no name, for one.
        this.#copy();
        return;
      }
      this.#temporary = temporary;
    }
    renameSync(this.#temporary, this.#target);
    this.#temporary = undefined;
  }

  /** Writes it once more, with a name from the beginning. */
  #copy(): void {
    using copy = NewFile.create(this.#target, this.#options, { openUnnamed: () => undefined });
    const buffer = Buffer.allocUnsafe(1 << 20);
    for (let at = 0, length = 0; (length = readSync(this.fd, buffer, 0, buffer.length, at)) > 0; at += length)
      copy.write(buffer.subarray(0, length));
    copy.commit();
  }
}

/** Makes a file with a temporary name, under its lock where that can be. */
function openNamed(directory: string, mode: number): { readonly fd: number; readonly temporary: string } {
  for (let locking = bootPart() !== undefined; ;) {
    const temporary = temporaryPath(directory, locking);
    const fd = openSync(temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
    const lock = locking ? tryFlock(fd) : 'unsupported';
    // Who saw the name before the lock took it for a leftover.
    if (!locking || (lock === 'locked' && fstatSync(fd).nlink > 0)) return { fd, temporary };
    closeSync(fd);
    rmSync(temporary, { force: true });
    locking = lock !== 'unsupported';
  }
}

const PREFIX = '.tsbuild-';

function temporaryPath(directory: string, locked: boolean): string {
  const boot = locked ? bootPart() : undefined;
  return join(directory, `${PREFIX}${boot === undefined ? '' : `${boot}-`}${randomHex(8)}.tmp`);
}

/**
 * What the names of temporary files begin with whose writers hold a lock on them that processes of this machine see, since it was
 * booted. Locks of other machines on the same network file system need not be seen here.
 * @returns undefined when nothing tells this boot from others
 */
export function lockedPrefix(): string | undefined {
  const boot = bootPart();
  return boot === undefined ? undefined : `${PREFIX}${boot}-`;
}

function bootPart(): string | undefined {
  try {
    return /^[0-9a-f]{8}-[0-9a-f]{4}/
      .exec(readFileSync('/proc/sys/kernel/random/boot_id', 'utf8'))?.[0]
      .replace('-', '');
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
}
