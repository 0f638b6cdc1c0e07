/**
 * Cancels work in a thread that is busy: its event loop cannot take messages, but it can look at shared memory whenever the
 * work asks `signal.aborted`.
 */
export function sharedSignal(flag: Int32Array<SharedArrayBuffer>): AbortSignal {
  const controller = new AbortController();
  const { signal } = controller;
  const look = (): boolean => {
    if (Atomics.load(flag, 0) !== 0 && !raised) {
      raised = true;
      controller.abort();
    }
    return raised;
  };
  let raised = false;
  Object.defineProperty(signal, 'aborted', { get: look });
  Object.defineProperty(signal, 'throwIfAborted', {
    value: (): void => {
      if (look()) throw signal.reason;
    },
  });
  return signal;
}

/** The memory of a `sharedSignal`. */
export function signalFlag(): Int32Array<SharedArrayBuffer> {
  return new Int32Array(new SharedArrayBuffer(4));
}

/** Aborts the signal at the other side. */
export function raise(flag: Int32Array<SharedArrayBuffer>): void {
  Atomics.store(flag, 0, 1);
}
