/** ms after which a blocked thread looks whether it was canceled. */
const LOOK = 50;

/** What became of work that threads wait for, in shared memory; can be posted. */
export type Completion = Int32Array<SharedArrayBuffer>;

/** For work that has not ended. */
export function completion(): Completion {
  return new Int32Array(new SharedArrayBuffer(4));
}

/** Wakes all who wait. */
export function complete(work: Completion, succeeded: boolean): void {
  Atomics.store(work, 0, succeeded ? 1 : 2);
  Atomics.notify(work, 0);
}

/** Whether the work has succeeded by now. */
export function isComplete(work: Completion): boolean {
  return Atomics.load(work, 0) === 1;
}

/** Blocks until the work is done. @returns whether it succeeded @throws the signal's reason */
export function awaitCompletion(work: Completion, signal: AbortSignal): boolean {
  while (Atomics.load(work, 0) === 0) {
    signal.throwIfAborted();
    Atomics.wait(work, 0, 0, LOOK);
  }
  return Atomics.load(work, 0) === 1;
}
