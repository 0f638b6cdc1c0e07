import { closeSync, fchmodSync, fchownSync, fstatSync, fsyncSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { randomHex } from './digest.ts';

/** What the new file is like. */
export interface BesideOptions {
  /** Permissions that it is made with, less the umask. Default 0600. */
  readonly create?: number;
  /** Permissions that it gets, whatever the umask. */
  readonly mode?: number;
  /** Whose it is: root who writes a file of somebody else does not take it away from them. */
  readonly owner?: { readonly uid: number; readonly gid: number };
}

/**
 * Writes a text to a new file in the same directory, to the disk, for a rename over the target: nobody ever reads half of it then.
 * @returns its path; nothing is left when it fails
 * @throws Error of the system
 */
export function writeBeside(target: string, text: string, { create = 0o600, mode, owner }: BesideOptions = {}): string {
  const temporary = join(dirname(target), `.${basename(target).slice(0, 200)}.${randomHex(6)}.tmp`);
  const fd = openSync(temporary, 'wx', create);
  try {
    const bytes = Buffer.from(text);
    for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done);
    const made = fstatSync(fd);
    if (owner !== undefined && (owner.uid !== made.uid || owner.gid !== made.gid)) fchownSync(fd, owner.uid, owner.gid);
    if (mode !== undefined) fchmodSync(fd, mode);
    fsyncSync(fd);
    return temporary;
  } catch (error) {
    unlinkSync(temporary);
    throw error;
  } finally {
    closeSync(fd);
  }
}
