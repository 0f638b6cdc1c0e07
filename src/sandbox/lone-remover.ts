import { type ChildProcess, spawn } from 'node:child_process';
import { TsbuildError } from '../util/index.ts';
import { enterArguments } from './enter.ts';
import type { NamespacePlan } from './types.ts';

/** How a helper is started for a `LoneRemover`. */
export interface RemoverOptions {
  readonly helperPath: string;
  readonly plan: NamespacePlan;
  /** Ends it; what it has not deleted stays. */
  readonly signal?: AbortSignal;
}

/** Somebody who waits for trees to be gone. */
interface Request {
  left: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Deletes trees whose files may belong to sub-ids, in a namespace A of its own, without a worker: by one helper, which shares the work out
 * among processes of its own and takes further trees while it is at it.
 */
export class LoneRemover {
  readonly #options: RemoverOptions;
  #run: HelperRun | undefined;

  constructor(options: RemoverOptions) {
    this.#options = options;
  }

  /** Starts the helper before it is known what to delete: it takes some 40 ms to be there. To be disposed of when all that was is told. */
  start(): Disposable {
    const run = this.#helper();
    return { [Symbol.dispose]: () => run.endIfIdle() };
  }

  /**
   * Resolves when all of these are gone; where it fails, nobody deletes any more by then.
   * @throws TsbuildError `TSB_STORE`, `TSB_CANCELED`
   */
  remove(paths: readonly string[]): Promise<void> {
    const { signal } = this.#options;
    if (signal?.aborted) return Promise.reject(canceled(signal));
    if (paths.length === 0) return Promise.resolve();
    return this.#helper().remove(paths);
  }

  #helper(): HelperRun {
    if (this.#run === undefined || this.#run.ended) this.#run = new HelperRun(this.#options);
    return this.#run;
  }
}

/** One helper, from its first tree until it has nothing to do. */
class HelperRun {
  readonly #child: ChildProcess;
  readonly #signal: AbortSignal | undefined;
  /** By the number of the tree, in the order in which they were named. */
  readonly #waiting = new Map<number, Request>();
  #next = 0;
  #rest: Buffer = Buffer.alloc(0);
  #said = '';
  /** It takes no further tree. */
  ended = false;

  constructor({ helperPath, plan, signal }: RemoverOptions) {
    this.#signal = signal;
    this.#child = spawn(helperPath, enterArguments({ plan, parentPid: process.pid }, [helperPath, 'remove']), {
      env: {},
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
    });
    const stop = (): unknown => this.#child.kill('SIGKILL');
    signal?.addEventListener('abort', stop);
    this.#child.stdin?.on('error', () => undefined);
    this.#child.stdout?.on('data', (data: Buffer) => this.#take(data));
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#said += text;
    });
    this.#child.once('error', (cause) =>
      this.#fail(new TsbuildError('TSB_SANDBOX', `Cannot start the sandbox helper: ${cause.message}`, { cause })),
    );
    this.#child.once('close', (code) => {
      signal?.removeEventListener('abort', stop);
      this.#fail(
        this.#signal?.aborted
          ? canceled(this.#signal)
          : new TsbuildError('TSB_STORE', `Cannot delete directories: ${this.#said.trim() || `exit code ${code}`}`),
      );
    });
  }

  remove(paths: readonly string[]): Promise<void> {
    return new Promise((resolve, reject) => {
      const request: Request = { left: paths.length, resolve, reject };
      for (const _ of paths) this.#waiting.set(this.#next++, request);
      this.#child.stdin?.write(paths.map((path) => `${path}\0`).join(''));
    });
  }

  /** Numbers of trees that are gone, four bytes each. */
  #take(data: Buffer): void {
    let rest = this.#rest.length === 0 ? data : Buffer.concat([this.#rest, data]);
    for (; rest.length >= 4; rest = rest.subarray(4)) {
      const number = rest.readUInt32LE(0);
      const request = this.#waiting.get(number);
      this.#waiting.delete(number);
      if (request !== undefined && --request.left === 0) request.resolve();
    }
    this.#rest = rest;
    this.endIfIdle();
  }

  /** Ends it unless there is something to delete. */
  endIfIdle(): void {
    if (this.#waiting.size > 0 || this.ended) return;
    this.ended = true;
    this.#child.stdin?.end();
  }

  /** Whoever still waits is told why in vain. */
  #fail(error: TsbuildError): void {
    this.ended = true;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}

function canceled(signal: AbortSignal): TsbuildError {
  return new TsbuildError('TSB_CANCELED', 'Canceled', { cause: signal.reason });
}
