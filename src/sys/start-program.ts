import { closeSync, openSync, read, writeSync } from 'node:fs';
import { errnoOf } from '../util/index.ts';
import { fileBatch } from './file-batch.ts';
import { sysError } from './native.ts';

/** A program in a session of its own, without an environment. It reads at its descriptor 3 and writes at 4. */
export interface StartedProgram {
  /** False when it has ended. */
  kill(signal: NodeJS.Signals): boolean;
  /** Writes all that it will ever read at 3. A program that has gone reads nothing. */
  give(bytes: Uint8Array): void;
  /** Resolves when nobody has its descriptor 4 any more. @param take told what comes there */
  told(take: (bytes: Buffer) => void): Promise<void>;
  /** Its exit code, null when it was killed. To be asked for when it has said its last: it is looked at every few ms. */
  ended(): Promise<number | null>;
}

/** ms between looks at a program that is about to end. */
const LOOK = 2;

/** Bytes that are read at a time. */
const PIECE = 4096;

/**
 * Starts a program by the add-on: node:child_process, with all that it loads, takes as long as the rest of a short command, and so does
 * what fork(2) does to a process as large as Node.
 * @param streams its standard streams: descriptors of this process, or `ignore`
 * @returns undefined where there is no add-on
 * @throws SysError when it cannot be executed
 */
export function startProgram(
  words: readonly string[],
  streams: readonly (number | 'ignore')[],
): StartedProgram | undefined {
  const calls = fileBatch();
  if (calls === undefined) return undefined;
  const nothing = openSync('/dev/null', 'r+');
  const started = new Int32Array(3);
  try {
    const given = Int32Array.from(streams, (stream) => (stream === 'ignore' ? nothing : stream));
    const errno = calls.start(Buffer.from(words.map((word) => `${word}\0`).join('')), given, started);
    if (errno !== 0) throw sysError('execve', errno, words[0] ?? '');
  } finally {
    closeSync(nothing);
  }
  const [pid = 0, to = -1, from = -1] = started;
  let code: number | null | undefined;
  const look = (): number | null | undefined => {
    if (code !== undefined) return code;
    const status = calls.ended(pid);
    // Its exit code in the second byte, unless a signal in the first has ended it.
    return status < 0 ? undefined : (code = (status & 0x7f) === 0 ? status >> 8 : null);
  };
  /** Once it has ended, nobody else is told its end, and its number is free. */
  const watch = (isWaitedFor: boolean, done: (code: number | null) => void): void => {
    const found = look();
    if (found !== undefined) return done(found);
    const timer = setTimeout(() => watch(isWaitedFor, done), LOOK);
    if (!isWaitedFor) timer.unref();
  };
  return {
    kill: (signal) => look() === undefined && process.kill(pid, signal),
    give(bytes) {
      try {
        for (let done = 0; done < bytes.length;) done += writeSync(to, bytes, done);
      } catch (error) {
        if (errnoOf(error) !== 'EPIPE') throw error;
      } finally {
        closeSync(to);
      }
    },
    told: (take) =>
      new Promise((resolve) => {
        const next = (): void =>
          read(from, Buffer.allocUnsafe(PIECE), 0, PIECE, null, (error, length, bytes) => {
            if (error === null && length > 0) {
              take(bytes.subarray(0, length));
              return next();
            }
            closeSync(from);
            watch(false, () => undefined);
            resolve();
          });
        next();
      }),
    ended: () => new Promise((resolve) => watch(true, resolve)),
  };
}
