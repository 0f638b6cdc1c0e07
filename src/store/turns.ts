import { join } from 'node:path';
import { holdersOf } from './holders.ts';
import type { Lease, Leases } from './leases.ts';
import { LockQueue } from './lock-queue.ts';
import type { Lock, LockOptions } from './types.ts';

/**
 * Locks for work that is worth doing once, and harmless when it is done twice: rows of the index, which count as long as their session
 * lives. To make, lock and remove a file takes as long as all else that is written of a short step. The index may be given up
 * for a new one while somebody has a turn, so what must never be done by two at a time needs `Locks`.
 */
export class Turns {
  readonly #leases: Leases;
  readonly #sessions: string;
  readonly #queue = new LockQueue();
  #lease: Lease | undefined;

  /** @param sessions the directory of sessions */
  constructor(leases: Leases, sessions: string) {
    this.#leases = leases;
    this.#sessions = sessions;
  }

  /** @throws the signal's reason; TsbuildError `TSB_STORE` when `timeoutMs` is over, or the index cannot be written */
  acquire(name: string, options: LockOptions = {}): Promise<Lock> {
    return this.#queue.acquire(name, options, {
      tryTake: () => {
        const lease = (this.#lease ??= this.#leases.create());
        return lease.take('turn', name) ? { release: () => lease.giveBack('turn', name) } : undefined;
      },
      holders: () =>
        this.#leases.sessionsHolding('turn', name).flatMap((session) => holdersOf(join(this.#sessions, session))),
    });
  }
}
