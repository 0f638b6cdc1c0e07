import { constants } from 'node:os';
import { AT_FDCWD, O_CLOEXEC, O_PATH } from './constants.ts';
import { close, openat } from './at.ts';
import { type BytePath, check, cPath, lastErrno, libc, rawSyscall, sysError } from './native.ts';

const calls = {
  mount: libc('mount', 'int', ['str', 'const uint8_t *', 'str', 'ulong', 'str']),
  umount2: libc('umount2', 'int', ['const uint8_t *', 'int']),
  fsopen: rawSyscall('fsopen', ['str', 'uint']),
  fsconfig: rawSyscall('fsconfig', ['int', 'uint', 'str', 'str', 'int']),
  fsmount: rawSyscall('fsmount', ['int', 'uint', 'uint']),
  moveMount: rawSyscall('move_mount', ['int', 'str', 'int', 'const uint8_t *', 'uint']),
};

/** What mount(2) takes. */
export interface MountOptions {
  /** File system type; null for bind mounts and changes of propagation. */
  readonly type?: string | null;
  /** `MS_*` bits. */
  readonly flags?: number;
  readonly data?: string | null;
}

/** mount(2). */
export function mount(source: string | null, target: BytePath, options: MountOptions = {}): void {
  const { type = null, flags = 0, data = null } = options;
  check(calls.mount(source, cPath(target, 'mount'), type, flags, data), 'mount', target);
}

/** umount2(2); `flags` are `MNT_*` and `UMOUNT_NOFOLLOW`. */
export function umount(target: BytePath, flags = 0): void {
  check(calls.umount2(cPath(target, 'umount2'), flags), 'umount2', target);
}

/** The directories of an overlay. */
export interface OverlayOptions {
  /** Bottom first. At least one, and at least two without `upper`. */
  readonly lowers: readonly string[];
  /** Without an upper directory the mount is read-only. */
  readonly upper?: string;
  /** Empty, on the file system of `upper`. */
  readonly work?: string;
  /** Skip syncing: after a crash the upper directory must be thrown away. */
  readonly volatile?: boolean;
}

const FSCONFIG_SET_FLAG = 0;
const FSCONFIG_SET_STRING = 1;
const FSCONFIG_CMD_CREATE = 6;
const FSMOUNT_CLOEXEC = 1;
const FSOPEN_CLOEXEC = 1;
const MOVE_MOUNT_F_EMPTY_PATH = 4;
/** Bytes that the kernel takes as a value of fsconfig(2), without the NUL. */
const MAX_VALUE = 255;

/**
 * Mounts an overlay with `userxattr` (without it rmdir of a lower directory fails with EIO in a user namespace).
 * Uses fsopen and `lowerdir+`, which take 500 layers and need no escaping; where the kernel lacks them (before 6.5),
 * mount(2), whose options must fit one page.
 * @throws `EINVAL` and others of the kernel; the path in the error is the target.
 */
export function mountOverlay(target: BytePath, options: OverlayOptions): void {
  const context = calls.fsopen('overlay', FSOPEN_CLOEXEC);
  if (context < 0) {
    const errno = lastErrno();
    if (errno === constants.errno.ENOSYS || errno === constants.errno.EPERM)
      return mountOverlayByString(target, options);
    throw sysError('fsopen', errno, target);
  }
  const opened: number[] = [];
  // Only what is short can be told by its path; the rest is opened, and told by the number of its descriptor.
  const short = (path: string): string => {
    if (Buffer.byteLength(path) <= MAX_VALUE) return path;
    opened.push(openat(AT_FDCWD, path, O_PATH | O_CLOEXEC));
    return `/proc/self/fd/${opened.at(-1)}`;
  };
  try {
    const set = (key: string, value: string): number =>
      calls.fsconfig(context, FSCONFIG_SET_STRING, key, short(value), 0);
    const lowers = options.lowers.toReversed();
    for (const [index, lower] of lowers.entries()) {
      if (set('lowerdir+', lower) >= 0) continue;
      const errno = lastErrno();
      if (index === 0 && errno === constants.errno.EINVAL) return mountOverlayByString(target, options);
      throw sysError('fsconfig lowerdir', errno, lower);
    }
    check(set('source', 'overlay'), 'fsconfig source', target);
    if (options.upper !== undefined) check(set('upperdir', options.upper), 'fsconfig upperdir', options.upper);
    if (options.work !== undefined) check(set('workdir', options.work), 'fsconfig workdir', options.work);
    check(calls.fsconfig(context, FSCONFIG_SET_FLAG, 'userxattr', null, 0), 'fsconfig userxattr', target);
    if (options.volatile && options.upper !== undefined)
      check(calls.fsconfig(context, FSCONFIG_SET_FLAG, 'volatile', null, 0), 'fsconfig volatile', target);
    check(calls.fsconfig(context, FSCONFIG_CMD_CREATE, null, null, 0), 'fsconfig create', target);
    const mounted = check(calls.fsmount(context, FSMOUNT_CLOEXEC, 0), 'fsmount', target);
    try {
      const moved = calls.moveMount(mounted, '', AT_FDCWD, cPath(target, 'move_mount'), MOVE_MOUNT_F_EMPTY_PATH);
      check(moved, 'move_mount', target);
    } finally {
      close(mounted);
    }
  } finally {
    for (const fd of opened) close(fd);
    close(context);
  }
}

function mountOverlayByString(target: BytePath, options: OverlayOptions): void {
  const escape = (path: string): string => path.replaceAll(/[\\:,]/g, String.raw`\$&`);
  const data = [
    `lowerdir=${options.lowers.toReversed().map(escape).join(':')}`,
    ...(options.upper === undefined ? [] : [`upperdir=${escape(options.upper)}`]),
    ...(options.work === undefined ? [] : [`workdir=${escape(options.work)}`]),
    'userxattr',
    ...(options.volatile && options.upper !== undefined ? ['volatile'] : []),
  ].join(',');
  mount('overlay', target, { type: 'overlay', data });
}
