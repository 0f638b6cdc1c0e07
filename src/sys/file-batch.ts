import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { checkOwned, type LightCrypto, ownPackage, packageRoot, useLightCrypto } from '../util/index.ts';

/** Numbers of 32 bits that the state of a file takes in a row: see native/files/files.c, where rows are filled. */
export const STATE_WORDS = 16;

/** Calls for many files at once. Names and paths are bytes, each ended by NUL. */
export interface FileBatch {
  /**
   * Puts the states of names in a directory into rows, of themselves and not of what they link to.
   * @returns 0, or the errno of a failure other than that there is no such file, which a mode of 0 stands for
   */
  look(dirfd: number, names: Uint8Array, rows: Uint32Array): number;
  /**
   * Reads regular files, one after the other into `room`.
   * @param rows the states that the files must have before and after
   * @param lengths told the bytes of each; -1 where it was left out: it is in another state, has capabilities, or more bytes than `room`
   * @returns how many were looked at; fewer than all where the next might not fit
   */
  read(paths: Uint8Array, rows: Uint32Array, room: Uint8Array, lengths: Int32Array): number;
  /** Gives an open file that has no name (O_TMPFILE) one that nothing has. @param path ended by NUL @returns 0, or the errno */
  name(fd: number, path: Uint8Array): number;
  /** flock(2), `LOCK_EX | LOCK_NB`. @returns 0, or the errno */
  lock(fd: number): number;
  /**
   * Executes a program in a session of its own, without an environment.
   * @param words its path, and its arguments from that on, each ended by NUL
   * @param streams descriptors for its standard streams
   * @param started told its process, what it reads at 3 and what it writes at 4
   * @returns 0, or the errno
   */
  start(words: Uint8Array, streams: Int32Array, started: Int32Array): number;
  /** How a program that was started so ended, as wait(2) has it; -1 while it runs. Afterwards its number may be another's. */
  ended(process: number): number;
}

let loaded: FileBatch | null | undefined;

/**
 * The add-on that was installed with tsbuild; loading it takes 0.3 ms. Undefined where there is none, where somebody else could change it,
 * and where Node does not take it: whoever asks goes from file to file then. With it come digests without node:crypto.
 */
export function fileBatch(): FileBatch | undefined {
  if (loaded === undefined) {
    const opened = openFileBatch();
    loaded = opened ?? null;
    if (opened) useLightCrypto(opened);
  }
  return loaded ?? undefined;
}

/** The same, anew. @param root tsbuild's own package, in or beside which it lies */
export function openFileBatch(root: string = packageRoot()): (FileBatch & LightCrypto) | undefined {
  const platform = `linux-${process.arch}`;
  const beside = ownPackage(`tsbuildkit-${platform}`, root);
  const folders = [join(root, 'dist/native', platform), ...(beside === undefined ? [] : [beside])];
  const file = folders.map((folder) => join(folder, 'tsbuild-files.node')).find((path) => existsSync(path));
  if (file === undefined) return undefined;
  try {
    checkOwned(file, 'the calls for many files', root);
    const addon = { exports: {} };
    process.dlopen(addon, file);
    return addon.exports as FileBatch & LightCrypto;
  } catch {
    return undefined;
  }
}
