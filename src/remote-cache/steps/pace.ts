import pLimit from 'p-limit';

/**
 * How long nothing new must have come before work begins, in ms: where steps follow each other faster, sending them would only take the
 * processor from the next ones, and the image would be out later.
 */
const QUIET_MS = 250;
/** The longest that work waits for quiet, in ms: a build that is killed has shared what it did before. */
const MAX_WAIT_MS = 2000;
/** Pieces of work at a time beside a build. */
const BESIDE = 4;
/** The same when there is nothing else to do: most of the time is spent waiting for answers. */
const ALONE = 12;
/** Layers that are sent at a time beside a build, which has its own to send. */
const TRANSFERS_BESIDE = 2;
/** The same when there is nothing else to do. */
const TRANSFERS_ALONE = 16;

/** When work is done that has time: beside a build as soon as that leaves room for it, and at once when the build is over. */
export class Pace {
  readonly #limit = pLimit(BESIDE);
  readonly #transfers = pLimit(TRANSFERS_BESIDE);
  /** Resolves when nothing is gained by waiting any more. */
  readonly #hurry = Promise.withResolvers<void>();
  #isHurried = false;
  /** What waits for quiet. */
  #quiet = Promise.withResolvers<void>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Does a piece of work in its time. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    await this.#wait();
    return this.#limit(work);
  }

  /** The same without waiting for quiet. */
  now<T>(work: () => Promise<T>): Promise<T> {
    return this.#limit(work);
  }

  /** Moves a layer, as part of a piece of work. */
  transfer<T>(work: () => Promise<T>): Promise<T> {
    return this.#transfers(work);
  }

  /** Nothing else is to be done any more: work that waits begins, and none waits from now on. */
  hurry(): void {
    this.#isHurried = true;
    clearTimeout(this.#timer);
    this.#hurry.resolve();
    this.#limit.concurrency = ALONE;
    this.#transfers.concurrency = TRANSFERS_ALONE;
  }

  async #wait(): Promise<void> {
    if (this.#isHurried) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#quiet.resolve();
      this.#quiet = Promise.withResolvers();
    }, QUIET_MS);
    const patience = Promise.withResolvers<void>();
    const timer = setTimeout(() => patience.resolve(), MAX_WAIT_MS);
    await Promise.race([this.#quiet.promise, patience.promise, this.#hurry.promise]);
    clearTimeout(timer);
  }
}
