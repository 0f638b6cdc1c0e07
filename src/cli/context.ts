import type { Readable, Writable } from 'node:stream';
import type { StdoutStream } from '../exporter/index.ts';
import type { BuildEvent } from '../events/index.ts';
import { type Diagnostic, errnoOf, fromErrno, sanitize, TsbuildError } from '../util/index.ts';

/** What a command sees of the outside: the only way by which the command line's environment gets in. */
export interface CliContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly uid: number;
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly stdout: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  readonly stderr: Writable & { readonly isTTY?: boolean; readonly columns?: number; readonly rows?: number };
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Who is told of a build besides its log. */
  readonly report?: BuildReport;
}

/** A CI service that shows more of a build than its log. */
export interface BuildReport {
  event(event: BuildEvent): void;
  /** @param metadata BuildKit's response keys */
  built(metadata: Readonly<Record<string, string>>): void;
  done(warnings: readonly Diagnostic[]): void;
  failed(error: TsbuildError): void;
}

/** The context of a process, which has to wait for its output before it ends. */
export interface ProcessContext extends CliContext {
  /** Resolves when all that was written so far is handed over. */
  written(): Promise<void>;
}

/** The context of this process. Its streams are made when they are first asked for: Node loads modules for each kind of them. */
export function processContext(): ProcessContext {
  const made = new Set<Writable>();
  const watched = <S extends Writable>(stream: S): S => {
    // Whoever read our output may be gone; what cannot be written is noticed where it is written, not as a crash.
    if (!made.has(stream)) stream.on('error', () => undefined);
    made.add(stream);
    return stream;
  };
  return {
    // Without a prototype: a variable of the name "valueOf" is one that is not set, and no function.
    env: Object.assign(Object.create(null) as Record<string, string | undefined>, process.env),
    cwd: process.cwd(),
    uid: process.getuid?.() ?? 0,
    get stdin() {
      return process.stdin;
    },
    get stdout() {
      return watched(process.stdout);
    },
    get stderr() {
      return watched(process.stderr);
    },
    now: Date.now,
    written: async () => void (await Promise.all([...made].map(written))),
  };
}

/** Standard output for those who may have nothing to write to it. */
export function lateStdout(context: CliContext): StdoutStream {
  return {
    get isTTY() {
      return context.stdout.isTTY === true;
    },
    write: (chunk, done) => context.stdout.write(chunk, done),
  };
}

/**
 * Writes all of `text` to a stream, and waits until it is handed over.
 * @returns false when its reader has gone away, such as head(1)
 * @throws TsbuildError `TSB_NO_SPACE`, `TSB_EXPORT` when it cannot be written
 */
export async function handOver(
  stream: Pick<Writable, 'write'>,
  text: string | Uint8Array,
  doing: string,
): Promise<boolean> {
  return new Promise<boolean>((resolve, reject) => {
    stream.write(text, (error) => {
      if (!error) resolve(true);
      else if (isReaderGone(error)) resolve(false);
      else reject(fromErrno(error, doing, 'TSB_EXPORT'));
    });
  });
}

/** The first write that nobody reads, and those after it. */
const READER_GONE: ReadonlySet<string> = new Set(['EPIPE', 'ERR_STREAM_DESTROYED']);

/** Whether a write failed because nobody reads any more, such as head(1). */
export const isReaderGone = (error: unknown): boolean => READER_GONE.has(errnoOf(error) ?? '');

/**
 * Writes all of `text` to stdout; resolves when it is handed over, also when the reader has gone away.
 * @throws TsbuildError `TSB_NO_SPACE`, `TSB_EXPORT` when it cannot be written
 */
export async function print(context: CliContext, text: string | Uint8Array): Promise<void> {
  await handOver(context.stdout, text, 'Cannot write to standard output');
}

/**
 * Prints what images, registries or archives say of themselves: as it is for a program that reads it, and without control characters for a
 * terminal, which they could make do things.
 */
export async function printForeign(context: CliContext, text: string | Uint8Array): Promise<void> {
  await print(context, context.stdout.isTTY ? sanitize(Buffer.from(text).toString('utf8')) : text);
}

/** Resolves when everything that was written to a stream so far is handed over, or its reader has gone away. */
export async function written(stream: Writable): Promise<void> {
  if (stream.writableLength === 0) return;
  await new Promise<void>((resolve) => stream.write('', () => resolve()));
}

/** What ends a command before its time. */
export interface Interruptible extends Disposable {
  readonly signal: AbortSignal;
  /** The signal of the system that was received, if any. */
  readonly received: () => NodeJS.Signals | undefined;
}

/**
 * A signal that aborts at the first SIGINT, SIGTERM or SIGHUP; a second SIGINT ends the process at once. Everything that tsbuild
 * started dies with it. Dispose to give the signals back.
 */
export function interruptible(): Interruptible {
  const controller = new AbortController();
  let received: NodeJS.Signals | undefined;
  const onSignal = (name: NodeJS.Signals): void => {
    if (received !== undefined) process.exit(exitCodeOfSignal(received));
    received = name;
    controller.abort(new TsbuildError('TSB_CANCELED', `Canceled by ${name}`));
  };
  const names: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  for (const name of names) process.on(name, onSignal);
  return {
    signal: controller.signal,
    received: () => received,
    [Symbol.dispose]() {
      for (const name of names) process.off(name, onSignal);
    },
  };
}

/** 128 plus the signal's number, as shells have it. */
export function exitCodeOfSignal(name: NodeJS.Signals): number {
  const numbers: Partial<Record<NodeJS.Signals, number>> = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 };
  return numbers[name] ?? 130;
}
