import { closeSync, constants, fdatasync, openSync } from 'node:fs';

/** Bytes between two requests: large enough to be written in one go. */
const STEP = 4 << 20;
/** They wait in Node's thread pool, which has other work. */
const MAX_PENDING = 2;

/**
 * Has the kernel write a file to its disk while more is written to it, so that the fsync at the end, which everything waits
 * for, finds little left to do. It only saves time: failures are left to that fsync.
 */
export class WriteBehind implements Disposable {
  readonly #written: number;
  #fd = -1;
  #waiting = 0;
  #pending = 0;
  #disposed = false;

  /** @param written the descriptor that bytes are written to, open until they all are; the file may be without a name */
  constructor(written: number) {
    this.#written = written;
  }

  /** So many more bytes were written. */
  wrote(bytes: number): void {
    this.#waiting += bytes;
    if (this.#waiting < STEP || this.#pending === MAX_PENDING || !this.#open()) return;
    this.#waiting = 0;
    this.#pending++;
    fdatasync(this.#fd, () => {
      this.#pending--;
      if (this.#disposed) this.#close();
    });
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#close();
  }

  /** Not the writer's descriptor: the kernel tells each about a failed write once, and the fsync at the end must hear of it. */
  #open(): boolean {
    try {
      if (this.#fd < 0) this.#fd = openSync(`/proc/self/fd/${this.#written}`, constants.O_RDONLY);
      return true;
    } catch {
      return false;
    }
  }

  #close(): void {
    if (this.#pending > 0 || this.#fd < 0) return;
    closeSync(this.#fd);
    this.#fd = -1;
  }
}
