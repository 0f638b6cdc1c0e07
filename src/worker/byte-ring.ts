import { TsbuildError } from '../util/index.ts';

/** Bytes of a slot. A piece of this size is still in the processor's cache when the other thread takes it. */
const SLOT = 256 << 10;
/** So far may the writer be ahead: 2 MiB. */
const SLOTS = 8;
/** ms after which a blocked reader looks whether it was canceled. */
const LOOK = 50;

/** Words of the control memory. The counters only grow (and wrap), so that a change cannot be missed. */
const WRITTEN = 0;
const READ = 1;
const END = 2;
/** Changes with every slot written, and at the end: what the reader sleeps on. */
const BELL = 3;
const GONE = 4;
const LENGTHS = 5;

/** How a stream ended, in the `END` word; 0 while it goes on. */
const COMPLETE = 1;
const BROKEN = 2;

/** What a stream of bytes between two threads lies in; can be posted. */
export interface RingMemory {
  readonly control: Int32Array<SharedArrayBuffer>;
  readonly slots: Uint8Array<SharedArrayBuffer>;
}

/** The memory of a ring with nothing in it. */
export function ringMemory(): RingMemory {
  return {
    control: new Int32Array(new SharedArrayBuffer(4 * (LENGTHS + SLOTS))),
    slots: new Uint8Array(new SharedArrayBuffer(SLOT * SLOTS)),
  };
}

/** The reader ended before the stream did; why, it says elsewhere. */
export class ReaderGone extends Error {
  override readonly name = 'ReaderGone';
}

/** The end of a stream that an event loop writes to: it waits without blocking. */
export class RingWriter {
  readonly #memory: RingMemory;

  constructor(memory: RingMemory) {
    this.#memory = memory;
  }

  /** Copies bytes into the ring; resolves when all are in it. @throws ReaderGone */
  async write(bytes: Uint8Array): Promise<void> {
    const { control, slots } = this.#memory;
    for (let at = 0; at < bytes.length;) {
      const written = Atomics.load(control, WRITTEN);
      for (;;) {
        const read = Atomics.load(control, READ);
        if (Atomics.load(control, GONE) !== 0) throw new ReaderGone();
        if (((written - read) | 0) < SLOTS) break;
        await Atomics.waitAsync(control, READ, read).value;
      }
      const slot = (written >>> 0) % SLOTS;
      const length = Math.min(SLOT, bytes.length - at);
      slots.set(at === 0 && length === bytes.length ? bytes : bytes.subarray(at, at + length), slot * SLOT);
      Atomics.store(control, LENGTHS + slot, length);
      Atomics.store(control, WRITTEN, (written + 1) | 0);
      this.#ring();
      at += length;
    }
  }

  /** Says that nothing more comes: that all came, or that the rest never will. */
  end(isComplete: boolean): void {
    Atomics.store(this.#memory.control, END, isComplete ? COMPLETE : BROKEN);
    this.#ring();
  }

  /** Says that nobody reads any more, so that a waiting writer goes on. */
  readerIsGone(): void {
    const { control } = this.#memory;
    Atomics.store(control, GONE, 1);
    Atomics.add(control, READ, 1);
    Atomics.notify(control, READ);
  }

  #ring(): void {
    Atomics.add(this.#memory.control, BELL, 1);
    Atomics.notify(this.#memory.control, BELL);
  }
}

/**
 * Reads a stream in a thread that has nothing else to do: it blocks while there is nothing. A piece is valid until the next is
 * asked for.
 * @throws the signal's reason; TsbuildError `TSB_CANCELED` when the writer gave up
 */
export function* readRing({ control, slots }: RingMemory, signal: AbortSignal): Generator<Uint8Array> {
  for (let read = 0; ; read = (read + 1) | 0) {
    for (;;) {
      const bell = Atomics.load(control, BELL);
      signal.throwIfAborted();
      const end = Atomics.load(control, END);
      if (end === BROKEN) throw new TsbuildError('TSB_CANCELED', 'Canceled: what was to be read does not come');
      if (Atomics.load(control, WRITTEN) !== read) break;
      if (end === COMPLETE) return;
      Atomics.wait(control, BELL, bell, LOOK);
    }
    const slot = (read >>> 0) % SLOTS;
    yield slots.subarray(slot * SLOT, slot * SLOT + Atomics.load(control, LENGTHS + slot));
    Atomics.store(control, READ, (read + 1) | 0);
    Atomics.notify(control, READ);
  }
}
