import { SolveError } from './errors.ts';
import { Scope, UNNEEDED } from './scope.ts';

interface Run<T> {
  readonly scope: Scope;
  readonly promise: Promise<T>;
  waiters: number;
}

/** Work that was given up and has not ended yet. Whoever owns the flights waits for it before it says that all is over. */
export type Leftovers = Set<Promise<unknown>>;

/**
 * Work that runs at most once at a time and whose outcome is kept, shared by all who wait for it. When the last waiter leaves,
 * the work is aborted and forgotten, so that somebody else can start it anew. Failures are kept like values, aborts are not. What
 * comes to its end although it was given up keeps its outcome too: it was told of, and must not be told of again.
 */
export class Flight<T> {
  readonly #work: (scope: Scope) => Promise<T>;
  readonly #leftovers: Leftovers;
  #run: Run<T> | undefined;
  #abandoned: Promise<unknown> | undefined;
  #outcome: Promise<T> | undefined;

  constructor(work: (scope: Scope) => Promise<T>, leftovers: Leftovers) {
    this.#work = work;
    this.#leftovers = leftovers;
  }

  /** Waits for the outcome; starts the work if nobody has. Rejects with the scope's reason as soon as the scope is aborted. */
  join(scope: Scope): Promise<T> {
    if (this.#outcome !== undefined) return this.#outcome;
    if (scope.aborted) return Promise.reject(scope.reason);
    const run = (this.#run ??= this.#start());
    run.waiters++;
    return new Promise<T>((resolve, reject) => {
      const off = scope.onAbort(() => {
        reject(scope.reason);
        if (--run.waiters === 0) this.#abandon(run, scope.reason);
      });
      run.promise.then(
        (value) => {
          off();
          resolve(value);
        },
        (error: unknown) => {
          off();
          reject(error);
        },
      );
    });
  }

  /** Begins the work with a scope of its own, which outlives any single waiter. */
  #start(): Run<T> {
    const scope = new Scope();
    const run: Run<T> = { scope, promise: this.#perform(scope), waiters: 0 };
    return run;
  }

  /** The work, and what is kept of it. */
  async #perform(scope: Scope): Promise<T> {
    // Two runs of one piece of work must not overlap, even when the first is being stopped.
    await this.#abandoned;
    if (this.#outcome !== undefined) return this.#outcome;
    try {
      scope.throwIfAborted();
      const value = await this.#work(scope);
      this.#outcome ??= Promise.resolve(value);
      return value;
    } catch (error) {
      // After an abort anything may be thrown on account of it; but a vertex that failed had done so before it heard of that.
      if (!scope.aborted || error instanceof SolveError) {
        this.#outcome = Promise.reject(error);
        this.#outcome.catch(() => undefined);
      }
      throw error;
    } finally {
      // Whatever the work still waits for goes on only if others want it.
      scope.abort(UNNEEDED);
    }
  }

  /** The last waiter is gone: the work is told to stop, and somebody waits for its end. */
  #abandon(run: Run<T>, reason: unknown): void {
    if (this.#run === run) this.#run = undefined;
    const ended: Promise<unknown> = run.promise
      .catch(() => undefined)
      .finally(() => {
        this.#leftovers.delete(ended);
        if (this.#abandoned === ended) this.#abandoned = undefined;
      });
    this.#abandoned = ended;
    this.#leftovers.add(ended);
    // Not at once: in a deep graph one abort sets off the next.
    queueMicrotask(() => {
      run.scope.abort(reason);
    });
  }
}

/** Flights by key, made when first asked for. */
export class FlightMap<T> {
  readonly #flights = new Map<string, Flight<T>>();
  readonly #leftovers: Leftovers;

  constructor(leftovers: Leftovers) {
    this.#leftovers = leftovers;
  }

  /** The flight of `key`; `work` counts only when there is none yet. */
  get(key: string, work: (scope: Scope) => Promise<T>): Flight<T> {
    let flight = this.#flights.get(key);
    if (flight === undefined) {
      flight = new Flight(work, this.#leftovers);
      this.#flights.set(key, flight);
    }
    return flight;
  }
}

/** Reads all promises; rejects with the first failure at once, or, with `patience`, when all have ended. */
export async function gather<T>(promises: readonly Promise<T>[], patience = false): Promise<T[]> {
  if (!patience) return Promise.all(promises);
  const outcomes = await Promise.allSettled(promises);
  const values: T[] = [];
  for (const outcome of outcomes) {
    if (outcome.status === 'rejected') throw outcome.reason;
    values.push(outcome.value);
  }
  return values;
}
