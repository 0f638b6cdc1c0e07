import { closeSync, constants, openSync, realpathSync, type Stats, statSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { errnoOf, TsbuildError, WriteBehind } from '../util/index.ts';
import { freeLeftovers } from './leftovers.ts';
import { NewFile } from './new-file.ts';

/** Somewhere that a result goes to, from its first byte to its last. Disposing drops what was not committed. All throw the system's errors. */
export interface OutputFile extends Disposable {
  /** For another process that writes to it. */
  readonly fd: number;
  write(bytes: Uint8Array): void;
  /** Everything is written: makes it visible. */
  commit(): void;
}

/**
 * Opens a path that the user named for a result. A regular file is replaced when all of the new one is there, so that a failure leaves
 * the old one; its permissions stay, and a link to it stays one. Pipes, `/dev/null` and the like are written to directly.
 * @throws the system's error; `EISDIR` for a directory; TsbuildError `TSB_NOT_FOUND` where there is no directory for it
 */
export function openOutput(path: string): OutputFile {
  const present = statIfThere(path);
  if (present?.isFile() === false) return openSpecial(path);
  const target = present === undefined ? path : realpathSync(path);
  freeLeftovers(dirname(target));
  const file = inDirectory(target, () =>
    NewFile.create(target, {
      create: 0o666,
      ...(present === undefined ? {} : { mode: present.mode & 0o777 }),
    }),
  );
  const behind = new WriteBehind(file.fd);
  return {
    fd: file.fd,
    write: (bytes) => {
      file.write(bytes);
      behind.wrote(bytes.length);
    },
    commit: () => file.commit(),
    [Symbol.dispose]: () => {
      behind[Symbol.dispose]();
      file[Symbol.dispose]();
    },
  };
}

/** Writes a text to a path that the user named, as {@link openOutput} does. @throws as it does */
export function writeOutput(path: string, text: string): void {
  using file = openOutput(path);
  file.write(Buffer.from(text));
  file.commit();
}

/** A file that is not there yet is no news; its directory is. */
function inDirectory<T>(path: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    const directory = JSON.stringify(dirname(path));
    throw new TsbuildError(
      'TSB_NOT_FOUND',
      `Cannot write ${JSON.stringify(path)}: the directory ${directory} does not exist`,
      {
        hint: `make it first: mkdir -p ${directory}`,
        cause: error,
      },
    );
  }
}

/** For what cannot be replaced. */
function openSpecial(path: string): OutputFile {
  const fd = openSync(path, constants.O_WRONLY);
  let closed = false;
  const close = (): void => {
    if (closed) return;
    closed = true;
    closeSync(fd);
  };
  return {
    fd,
    write: (bytes) => {
      for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done);
    },
    commit: close,
    [Symbol.dispose]: close,
  };
}

function statIfThere(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
