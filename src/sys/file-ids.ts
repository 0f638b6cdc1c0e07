import { check, libc } from './native.ts';

const calls = {
  prctl: libc('prctl', 'int', ['int', 'ulong', 'ulong', 'ulong', 'ulong']),
  setfsuid: libc('setfsuid', 'int', ['uint']),
  setfsgid: libc('setfsgid', 'int', ['uint']),
};

const PR_SET_SECUREBITS = 28;
/** Capabilities do not come and go with ids. */
const SECBIT_NO_SETUID_FIXUP = 4;

/**
 * Makes files with another id from now on, in this thread, with the rights that it has (setfsuid(2)). A file system that belongs to a user
 * namespace takes files of its own ids only (`EOVERFLOW`). For root.
 */
export function makeFilesAs(id: number): void {
  check(calls.prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0), 'prctl');
  // They give the id that was there before, and no errors.
  calls.setfsgid(id);
  calls.setfsuid(id);
}
