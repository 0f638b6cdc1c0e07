import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { hexOf, sha256, TsbuildError } from '../util/index.ts';
import { holdersOf } from './holders.ts';
import { type KernelLock, tryKernelLock } from './kernel-lock.ts';
import type { Lock, LockOptions } from './types.ts';

/** ms between two tries; grows from the first to the second number. */
const POLL = [4, 60] as const;

/**
 * Named locks among all processes of a store. In one process waiters go in order; between processes whoever tries first.
 */
export class Locks {
  readonly #dir: string;
  /** The last waiter of each name; resolves when it is done, never rejects. */
  readonly #queues = new Map<string, Promise<void>>();

  constructor(dir: string) {
    this.#dir = dir;
  }

  /** @throws the signal's reason; TsbuildError `TSB_STORE` when `timeoutMs` is over */
  async acquire(name: string, options: LockOptions = {}): Promise<Lock> {
    options.signal?.throwIfAborted();
    const before = this.#queues.get(name);
    const { promise: done, resolve: finish } = Promise.withResolvers<void>();
    const tail = before ? before.then(() => done) : done;
    this.#queues.set(name, tail);
    void tail.then(() => {
      if (this.#queues.get(name) === tail) this.#queues.delete(name);
    });
    try {
      const waiting = new Waiting(name, this.path(name), options);
      if (before) await waiting.until(before);
      const kernelLock = await this.#poll(name, waiting, options.signal);
      const release = (): void => {
        kernelLock.release();
        finish();
      };
      return {
        name,
        release,
        [Symbol.asyncDispose]: () => Promise.resolve(release()),
      };
    } catch (error) {
      finish();
      throw error;
    }
  }

  /** The lock, if nobody holds it. */
  tryAcquire(name: string): KernelLock | undefined {
    const lock = tryKernelLock(this.path(name));
    return typeof lock === 'object' ? lock : undefined;
  }

  /** The file that is locked. It stays behind when the process dies, and is swept by garbage collection. */
  path(name: string): string {
    // Names come from digests, ids and user text: what is not plainly a file name is hashed.
    const plain = /^[a-z0-9][A-Za-z0-9._-]{0,120}$/.test(name);
    return join(this.#dir, plain ? name : `=${hexOf(sha256(name))}`);
  }

  /** Tries until the lock is free: the kernel tells nobody when it is. */
  async #poll(name: string, waiting: Waiting, signal: AbortSignal | undefined): Promise<KernelLock> {
    const path = this.path(name);
    let pause: number = POLL[0];
    for (;;) {
      const lock = tryKernelLock(path);
      if (typeof lock === 'object') return lock;
      waiting.spend(pause);
      await delay(pause, undefined, signal ? { signal } : {}).catch((error: unknown) => {
        throw signal?.aborted ? signal.reason : error;
      });
      pause = Math.min(pause * 1.5, POLL[1]);
    }
  }
}

/** The patience of one caller. Counts its own pauses, so that a jump of the clock changes nothing. */
class Waiting {
  readonly #name: string;
  readonly #path: string;
  readonly #options: LockOptions;
  #told = false;
  #spent = 0;

  constructor(name: string, path: string, options: LockOptions) {
    this.#name = name;
    this.#path = path;
    this.#options = options;
  }

  /**
   * Counts a pause.
   * @throws TsbuildError `TSB_STORE` when there was patience for no more
   */
  spend(ms: number): void {
    this.#tell();
    if (this.#options.timeoutMs !== undefined && this.#spent >= this.#options.timeoutMs) throw this.#timeout();
    this.#spent += ms;
  }

  /** Waits for another caller of this process. */
  async until(turn: Promise<void>): Promise<void> {
    this.#tell();
    const { signal, timeoutMs } = this.#options;
    const { promise, reject } = Promise.withResolvers<never>();
    const abort = (): void => reject(signal?.reason);
    signal?.addEventListener('abort', abort, { once: true });
    const timer = timeoutMs === undefined ? undefined : setTimeout(() => reject(this.#timeout()), timeoutMs);
    try {
      await Promise.race([turn, promise]);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    }
  }

  /** Tells the caller once that it has to wait. */
  #tell(): void {
    if (this.#told) return;
    this.#told = true;
    this.#options.onWait?.(holdersOf(this.#path));
  }

  #timeout(): TsbuildError {
    return new TsbuildError(
      'TSB_STORE',
      `Cannot lock ${JSON.stringify(this.#name)} in the store: another process has held it for ${this.#options.timeoutMs} ms`,
      { hint: 'wait for other builds on this store to end' },
    );
  }
}
