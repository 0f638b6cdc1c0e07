import { Worker, type WorkerOptions } from 'node:worker_threads';
import { TsbuildError } from '../util/index.ts';
import type { WireError, WorkerConfig } from './protocol.ts';
import { raise, signalFlag } from './shared-signal.ts';
import { fromWire } from './wire-error.ts';

/** Main thread to job thread. */
export interface Job {
  readonly method: string;
  readonly params: unknown;
  /** Shared with the thread: it computes without ever getting to its events, so a message would come too late. */
  readonly flag: Int32Array<SharedArrayBuffer>;
}

/** Job thread to main thread. */
export type FromThread =
  | { readonly type: 'progress'; readonly data: unknown }
  | { readonly type: 'result'; readonly value: unknown }
  | { readonly type: 'error'; readonly error: WireError };

/** A job with who waits for it. */
interface Waiting {
  readonly job: Job;
  readonly progress: (data: unknown) => void;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** Threads for work that takes long, made when they are first needed. One job at a time each; others wait in order. */
export class ThreadPool {
  readonly #size: number;
  readonly #config: WorkerConfig;
  readonly #limits: WorkerOptions;
  readonly #idle: Worker[] = [];
  readonly #queue: Waiting[] = [];
  #started = 0;

  /** @param youngMiB what short-lived objects may take in each thread before they are collected; V8's choice when absent */
  constructor(size: number, config: WorkerConfig, youngMiB?: number) {
    this.#size = size;
    this.#limits = youngMiB === undefined ? {} : { resourceLimits: { maxYoungGenerationSizeMb: youngMiB } };
    this.#config = config;
  }

  /** Runs a method in a thread. The promise is rejected once the thread has let go of the job. */
  run(method: string, params: unknown, signal: AbortSignal, progress: (data: unknown) => void): Promise<unknown> {
    const flag = signalFlag();
    const cancel = (): void => raise(flag);
    if (signal.aborted) cancel();
    signal.addEventListener('abort', cancel);
    const done = new Promise<unknown>((resolve, reject) => {
      this.#queue.push({ job: { method, params, flag }, progress, resolve, reject });
      this.#next();
    });
    return done.finally(() => signal.removeEventListener('abort', cancel));
  }

  /** Gives the oldest job to an idle thread, or to a new one while there may be more. */
  #next(): void {
    if (this.#queue.length === 0) return;
    const thread = this.#idle.pop() ?? (this.#started < this.#size ? this.#start() : undefined);
    const waiting = thread && this.#queue.shift();
    if (!waiting) return;
    let settled = false;
    const settle = (): void => {
      settled = true;
      thread.off('message', take);
      thread.off('error', fail);
      thread.off('exit', gone);
      this.#next();
    };
    const take = (message: FromThread): void => {
      if (message.type === 'progress') return waiting.progress(message.data);
      this.#idle.push(thread);
      settle();
      if (message.type === 'result') waiting.resolve(message.value);
      else waiting.reject(fromWire(message.error));
    };
    // The thread is gone with its job; the next job gets a new one.
    const fail = (error: unknown): void => {
      if (settled) return;
      this.#started--;
      settle();
      waiting.reject(error);
    };
    const gone = (): void => fail(new TsbuildError('TSB_INTERNAL', 'A thread of the worker ended unexpectedly'));
    thread.on('message', take);
    thread.on('error', fail);
    thread.on('exit', gone);
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    thread.postMessage(waiting.job);
  }

  /** A thread keeps nothing alive: the worker ends with its main thread. */
  #start(): Worker {
    this.#started++;
    const thread = new Worker(this.#config.entry, { ...this.#limits, workerData: this.#config });
    thread.unref();
    // One that ends while it has nothing to do is given nothing any more: its job would never end.
    thread.on('error', () => undefined);
    thread.once('exit', () => {
      const at = this.#idle.indexOf(thread);
      if (at < 0) return;
      this.#idle.splice(at, 1);
      this.#started--;
    });
    return thread;
  }
}
