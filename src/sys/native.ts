import { constants } from 'node:os';
import { getSystemErrorMessage, getSystemErrorName } from 'node:util';
import { isTsbuildError, messageOf, TsbuildError } from '../util/index.ts';
import { type Koffi, koffiPath, loadKoffi, type NativeFunction } from './koffi.ts';

/** A path or name: a string is UTF-8, bytes are taken as they are. */
export type BytePath = string | Uint8Array;

/** The loaded library: prototypes are made at first use. */
interface Native {
  readonly func: (name: string, result: string, parameters: readonly string[]) => NativeFunction;
}

let loaded: Native | undefined;
/** What the last call that failed here left in the C library's variable. */
let errno = 0;

/**
 * The C library of this process, through koffi. Loaded at the first call of any function here, since it costs
 * a millisecond or two. Synchronous calls only: koffi loses errno of asynchronous ones.
 * @throws TsbuildError `TSB_SANDBOX` when koffi is not installed or does not load on this platform.
 */
function native(): Native {
  if (loaded) return loaded;
  try {
    const koffi = loadKoffi();
    const libc = koffi.load(null);
    loaded = { func: (name, ...rest) => noting(libc.func(name, ...rest), koffi) };
    return loaded;
  } catch (error) {
    throw new TsbuildError('TSB_SANDBOX', `Cannot load the system call bindings: ${messageOf(error)}`, {
      hint:
        (isTsbuildError(error) ? error.hint : undefined) ??
        'install tsbuild with its optional dependencies (npm install --include=optional)',
      cause: error,
    });
  }
}

/**
 * The function, which keeps errno in the same breath: at the start of any function of ours V8 may run its own work (a collection, a
 * function that it has compiled), whose system calls set errno, too.
 */
function noting(call: NativeFunction, koffi: Koffi): NativeFunction {
  return (...args) => {
    const result = call(...args);
    if (result < 0) errno = koffi.errno();
    return result;
  };
}

/** Fails where {@link native} would because nothing is installed or somebody else could have changed it; loads nothing. */
export function checkBindings(): void {
  if (!loaded) koffiPath();
}

/** Whether the bindings load on this machine. */
export function sysAvailable(): boolean {
  try {
    native();
    return true;
  } catch {
    return false;
  }
}

/** A libc function whose prototype is made at its first call. */
export function libc(name: string, result: string, parameters: readonly string[]): NativeFunction {
  let call: NativeFunction | undefined;
  return (...args) => (call ??= native().func(name, result, parameters))(...args);
}

/** Numbers of system calls that the C libraries do not all have; `generic` is arm64, riscv64 and loong64. */
const NUMBERS = {
  mknodat: { x64: 259, generic: 33 },
  renameat2: { x64: 316, generic: 276 },
  copy_file_range: { x64: 326, generic: 285 },
  statx: { x64: 332, generic: 291 },
  move_mount: { x64: 429, generic: 429 },
  fsopen: { x64: 430, generic: 430 },
  fsconfig: { x64: 431, generic: 431 },
  fsmount: { x64: 432, generic: 432 },
  openat2: { x64: 437, generic: 437 },
  fchmodat2: { x64: 452, generic: 452 },
} as const;

/** A raw system call by name; `parameters` leaves the number out. */
export function rawSyscall(name: keyof typeof NUMBERS, parameters: readonly string[]): NativeFunction {
  let call: NativeFunction | undefined;
  const number = syscallNumber(name);
  return (...args) => {
    call ??= native().func('syscall', 'long', ['long', ...parameters]);
    if (number === undefined)
      throw new TsbuildError('TSB_SANDBOX', `Cannot call "${name}": the processor "${process.arch}" is not supported`);
    return call(number, ...args);
  };
}

function syscallNumber(name: keyof typeof NUMBERS): number | undefined {
  if (process.arch === 'x64') return NUMBERS[name].x64;
  if (['arm64', 'riscv64', 'loong64'].includes(process.arch)) return NUMBERS[name].generic;
  return undefined;
}

/** A failed system call, in the form of Node's own: `code` is the errno name. */
export interface SysError extends Error {
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;
  readonly path?: string;
}

/** The errno of the call that just failed. */
export function lastErrno(): number {
  return errno;
}

/** The error for a call that failed with `errno` (positive). */
export function sysError(syscall: string, errno: number, path?: BytePath): SysError {
  const code = getSystemErrorName(-errno);
  const at = path === undefined ? undefined : typeof path === 'string' ? path : Buffer.from(path).toString();
  const message = `${code}: ${getSystemErrorMessage(-errno)}, ${syscall}${at === undefined ? '' : ` '${at}'`}`;
  return Object.assign(new Error(message), { code, errno: -errno, syscall, ...(at === undefined ? {} : { path: at }) });
}

/** `result` when it is not negative, else throws the error of the call that gave it. */
export function check(result: number, syscall: string, path?: BytePath): number {
  if (result < 0) throw sysError(syscall, lastErrno(), path);
  return result;
}

const PATH_MAX = 4096;
const scratch = [Buffer.alloc(PATH_MAX + 4), Buffer.alloc(PATH_MAX + 4)] as const;

/**
 * The path as a C string, in one of two reused buffers (`slot`), valid until the next call with that slot.
 * @throws `ENAMETOOLONG` from 4096 bytes on, `EINVAL` when it contains a NUL byte.
 */
export function cPath(path: BytePath, syscall: string, slot: 0 | 1 = 0): Uint8Array {
  const buffer = scratch[slot];
  let length: number;
  if (typeof path === 'string') {
    // A string of PATH_MAX units may have been cut by write(); its UTF-8 form is at least as long as it.
    length = path.length >= PATH_MAX ? PATH_MAX : buffer.write(path, 0);
  } else {
    length = path.length;
    if (length < PATH_MAX) buffer.set(path);
  }
  if (length >= PATH_MAX) throw sysError(syscall, constants.errno.ENAMETOOLONG, path);
  buffer[length] = 0;
  if (buffer.indexOf(0) < length) throw sysError(syscall, constants.errno.EINVAL, path);
  return buffer;
}

/** `/proc/self/fd/N/name`: the path of a name beneath a directory fd, for calls that take no directory fd. */
export function fdPath(dirfd: number, name?: BytePath): Buffer {
  const base = Buffer.from(`/proc/self/fd/${dirfd}${name === undefined ? '' : '/'}`, 'latin1');
  if (name === undefined) return base;
  return Buffer.concat([base, typeof name === 'string' ? Buffer.from(name) : name]);
}
