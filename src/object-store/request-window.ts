import type { Task } from '../events/index.ts';
import { TsbuildError } from '../util/index.ts';
import { pause } from './service.ts';

/** How many requests may be sent, and how long to wait for when they may. */
export interface RequestWindowOptions {
  readonly requests: number;
  /** Within any time of this length, in ms. */
  readonly windowMs: number;
  /** Longer waits are errors, in ms. */
  readonly maxWaitMs: number;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** Counts requests to a service that allows only so many in a time, and holds back those that would be too many. */
export class RequestWindow {
  readonly #options: RequestWindowOptions;
  /** When the requests that still count were sent, oldest first. */
  readonly #sent: number[] = [];
  #blockedUntil = 0;

  constructor(options: RequestWindowOptions) {
    this.#options = options;
  }

  /** Waits until one more may be sent, and counts it. @throws TsbuildError `TSB_REGISTRY` where that would take too long */
  async take(task: Task, doing: string): Promise<void> {
    const { requests, windowMs, maxWaitMs, now } = this.#options;
    for (;;) {
      const at = now();
      while ((this.#sent[0] ?? at) <= at - windowMs) this.#sent.shift();
      const full = this.#sent.length < requests ? 0 : (this.#sent[this.#sent.length - requests] ?? at) + windowMs;
      const wait = Math.max(full, this.#blockedUntil) - at;
      if (wait <= 0) {
        this.#sent.push(at);
        return;
      }
      if (wait > maxWaitMs)
        throw new TsbuildError(
          'TSB_REGISTRY',
          `${doing}: ${this.#sent.length} requests were sent in ${windowMs / 60_000} minutes, and no more are allowed for ${Math.ceil(wait / 1000)} s`,
          {
            hint: 'share fewer steps (mode=min), or use type=registry',
          },
        );
      await pause(task, wait);
    }
  }

  /** The service wants nothing for so long, in ms. */
  block(ms: number): void {
    this.#blockedUntil = Math.max(this.#blockedUntil, this.#options.now() + ms);
  }
}
