import { type Stats, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { openOutput } from '../files/index.ts';
import { errnoOf, fromErrno, TsbuildError } from '../util/index.ts';
import { type Destination, STDOUT } from './attributes.ts';

/** Where an archive goes, from its first byte to its last. Dispose aborts what was not committed. */
export interface ByteSink extends AsyncDisposable {
  /** The chunk may be reused once it is settled. */
  write(chunk: Uint8Array): void | Promise<void>;
  /** Everything is written: makes it visible. */
  commit(): Promise<void>;
}

/** The standard output of the process. */
export interface StdoutStream {
  readonly isTTY?: boolean;
  write(chunk: Uint8Array, done: (error?: Error | null) => void): boolean;
}

/**
 * Opens a destination. A regular file takes its place when it is whole, so that a failure leaves the old one; other things (pipes,
 * /dev/null) are written to directly.
 * @param exporter names the output type in messages
 * @throws TsbuildError `TSB_USAGE` for a terminal or directory; `TSB_PERMISSION`, `TSB_NOT_FOUND`, `TSB_EXPORT`
 */
export function openSink(dest: Destination, stdout: StdoutStream, exporter: string): ByteSink {
  return dest === STDOUT ? stdoutSink(stdout, exporter) : fileSink(dest);
}

/** @throws TsbuildError `TSB_USAGE` when standard output is a terminal; checked before a build as well */
export function checkStdout(stdout: StdoutStream, exporter: string): void {
  if (stdout.isTTY !== true) return;
  throw new TsbuildError(
    'TSB_USAGE',
    `Cannot export: output file is required for ${exporter} exporter. refusing to write to console`,
    { hint: `add dest=FILE, or redirect the output` },
  );
}

/**
 * Looks before a build whether a destination can be a file or directory, without touching it.
 * @param mayBeLayout what is to be a file can also be written as a directory, where that is asked for
 * @throws TsbuildError `TSB_USAGE`, `TSB_NOT_FOUND`
 */
export function checkDestination(dest: Destination, kind: 'file' | 'directory', mayBeLayout = false): void {
  if (dest === STDOUT) return;
  const doing = `Cannot write ${JSON.stringify(dest)}`;
  const present = statOf(dest);
  if (kind === 'file' && present?.isDirectory() === true) throw isDirectory(doing, mayBeLayout);
  if (kind === 'directory' && present?.isDirectory() === false) {
    throw new TsbuildError('TSB_USAGE', `${doing}: it is not a directory`);
  }
  // Directories are made, parents of files are not.
  if (kind === 'file' && present === undefined && statOf(dirname(dest)) === undefined) {
    throw new TsbuildError('TSB_NOT_FOUND', `${doing}: directory ${JSON.stringify(dirname(dest))} does not exist`);
  }
}

function isDirectory(doing: string, mayBeLayout = false): TsbuildError {
  return new TsbuildError('TSB_USAGE', `${doing}: it is a directory`, {
    hint: mayBeLayout ? 'name a file, or add tar=false' : 'name a file',
  });
}

function stdoutSink(stdout: StdoutStream, exporter: string): ByteSink {
  checkStdout(stdout, exporter);
  return {
    write: async (chunk) =>
      new Promise((resolve, reject) => {
        stdout.write(chunk, (error) => {
          if (!error) resolve();
          else reject(fromErrno(error, 'Cannot write to standard output', 'TSB_EXPORT'));
        });
      }),
    commit: async () => {},
    [Symbol.asyncDispose]: async () => {},
  };
}

function fileSink(dest: string): ByteSink {
  const doing = `Cannot write ${JSON.stringify(dest)}`;
  const guarded = <T>(body: () => T): T => {
    try {
      return body();
    } catch (error) {
      throw fromErrno(error, doing, 'TSB_EXPORT');
    }
  };
  if (statOf(dest)?.isDirectory()) throw isDirectory(doing);
  const file = guarded(() => openOutput(dest));
  return {
    write: (chunk) => guarded(() => file.write(chunk)),
    commit: async () => guarded(() => file.commit()),
    [Symbol.asyncDispose]: async () => file[Symbol.dispose](),
  };
}

function statOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw fromErrno(error, `Cannot write ${JSON.stringify(path)}`, 'TSB_EXPORT');
  }
}
