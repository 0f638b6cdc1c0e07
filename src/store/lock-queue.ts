import { setTimeout as delay } from 'node:timers/promises';
import { TsbuildError } from '../util/index.ts';
import type { Holder } from './holders.ts';
import type { Lock, LockOptions } from './types.ts';

/** ms between two tries; grows from the first to the second number. */
const POLL = [4, 60] as const;

/** How something is had by one process at a time. */
export interface Exclusive {
  /** Takes it, if no other process has it. */
  readonly tryTake: () => { release(): void } | undefined;
  /** The processes that have it, as far as they can be seen. */
  readonly holders: () => readonly Holder[];
}

/** Who waits for what by name: in this process in order, for others by trying, since nobody tells when something is free. */
export class LockQueue {
  /** The last waiter of each name; resolves when it is done, never rejects. */
  readonly #queues = new Map<string, Promise<void>>();

  /** @throws the signal's reason; TsbuildError `TSB_STORE` when `timeoutMs` is over; what `tryTake` throws */
  async acquire(name: string, options: LockOptions, exclusive: Exclusive): Promise<Lock> {
    options.signal?.throwIfAborted();
    const before = this.#queues.get(name);
    const { promise: done, resolve: finish } = Promise.withResolvers<void>();
    const tail = before ? before.then(() => done) : done;
    this.#queues.set(name, tail);
    void tail.then(() => {
      if (this.#queues.get(name) === tail) this.#queues.delete(name);
    });
    try {
      const waiting = new Waiting(name, options, exclusive.holders);
      if (before) await waiting.until(before);
      const taken = await poll(exclusive, waiting, options.signal);
      const release = (): void => {
        taken.release();
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
}

async function poll(
  { tryTake }: Exclusive,
  waiting: Waiting,
  signal: AbortSignal | undefined,
): Promise<{ release(): void }> {
  let pause: number = POLL[0];
  for (;;) {
    const taken = tryTake();
    if (taken) return taken;
    waiting.spend(pause);
    await delay(pause, undefined, signal ? { signal } : {}).catch((error: unknown) => {
      throw signal?.aborted ? signal.reason : error;
    });
    pause = Math.min(pause * 1.5, POLL[1]);
  }
}

/** The patience of one caller. Counts its own pauses, so that a jump of the clock changes nothing. */
class Waiting {
  readonly #name: string;
  readonly #options: LockOptions;
  readonly #holders: Exclusive['holders'];
  #told = false;
  #spent = 0;

  constructor(name: string, options: LockOptions, holders: Exclusive['holders']) {
    this.#name = name;
    this.#options = options;
    this.#holders = holders;
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
    this.#options.onWait?.(this.#holders());
  }

  #timeout(): TsbuildError {
    return new TsbuildError(
      'TSB_STORE',
      `Cannot lock ${JSON.stringify(this.#name)} in the store: another process has held it for ${this.#options.timeoutMs} ms`,
      { hint: 'wait for other builds on this store to end' },
    );
  }
}
