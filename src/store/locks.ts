import { join } from 'node:path';
import { hexOf, sha256 } from '../util/index.ts';
import { holdersOf } from './holders.ts';
import { type KernelLock, tryKernelLock } from './kernel-lock.ts';
import { LockQueue } from './lock-queue.ts';
import type { Lock, LockOptions } from './types.ts';

/**
 * Named locks among all processes of a store. In one process waiters go in order; between processes whoever tries first.
 */
export class Locks {
  readonly #dir: string;
  readonly #queue = new LockQueue();

  constructor(dir: string) {
    this.#dir = dir;
  }

  /** @throws the signal's reason; TsbuildError `TSB_STORE` when `timeoutMs` is over */
  acquire(name: string, options: LockOptions = {}): Promise<Lock> {
    return this.#queue.acquire(name, options, {
      tryTake: () => this.tryAcquire(name),
      holders: () => holdersOf(this.path(name)),
    });
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
}
