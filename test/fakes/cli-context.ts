import { Readable, Writable } from 'node:stream';
import type { CliContext } from '../../src/cli/context.ts';

/** What a command sees of the outside, without a process. */
export interface FakeContext extends CliContext {
  /** What was written so far. */
  readonly out: () => string;
  readonly err: () => string;
}

export interface FakeContextOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  readonly uid?: number;
  /** Chunks of standard input. */
  readonly stdin?: readonly (string | Uint8Array)[];
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
  /** What writing to standard output fails with. */
  readonly stdoutFails?: NodeJS.ErrnoException;
}

export function fakeContext(options: FakeContextOptions = {}): FakeContext {
  const stdout = new Sink(options.stdoutFails);
  const stderr = new Sink();
  return {
    env: Object.assign(Object.create(null) as Record<string, string | undefined>, options.env),
    cwd: options.cwd ?? '/work-dir',
    uid: options.uid ?? 1000,
    stdin: Readable.from((options.stdin ?? []).map((chunk) => Buffer.from(chunk))),
    stdout,
    stderr,
    now: options.now ?? (() => 1_700_000_000_000),
    out: () => stdout.text(),
    err: () => stderr.text(),
  };
}

class Sink extends Writable {
  readonly #chunks: Buffer[] = [];
  readonly #failure: Error | undefined;

  constructor(failure?: Error) {
    super();
    this.#failure = failure;
    // As `processContext` does: what fails is told to who writes.
    this.on('error', () => undefined);
  }

  text(): string {
    return Buffer.concat(this.#chunks).toString();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error) => void): void {
    if (this.#failure) return callback(this.#failure);
    this.#chunks.push(Buffer.from(chunk));
    return callback();
  }
}
