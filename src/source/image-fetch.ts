import pLimit from 'p-limit';
import type { Descriptor } from '../image/index.ts';
import { type Digest, hexOf, isTsbuildError, TsbuildError } from '../util/index.ts';
import type { Task } from '../events/index.ts';
import type { ImageOrigin, ImageSourceOptions } from './image-types.ts';

type FetcherOptions = Pick<ImageSourceOptions, 'store' | 'lease' | 'concurrency' | 'now'>;

/** Progress is reported at most this often, in ms. */
const PROGRESS_INTERVAL = 100;

interface Flight {
  readonly done: Promise<void>;
  /** Where it is written to right now, and who wants to know. */
  file: string | undefined;
  readonly listeners: ((file: string) => void)[];
  readonly abort: AbortController;
  waiting: number;
}

/** Brings blobs into the store: each one once at a time, a few at a time, with progress. */
export class BlobFetcher {
  readonly #options: FetcherOptions;
  readonly #limit: ReturnType<typeof pLimit>;
  readonly #flights = new Map<Digest, Flight>();

  constructor(options: FetcherOptions) {
    this.#options = options;
    this.#limit = pLimit(options.concurrency ?? 4);
  }

  /** Resolves when the blob is in the store. A transfer ends early when nobody waits for it any more. */
  async fetch(
    task: Task,
    origin: ImageOrigin,
    descriptor: Descriptor,
    vertex: Digest | undefined,
    onGrowing?: (file: string) => void,
  ): Promise<void> {
    const { store, lease } = this.#options;
    const { digest, size } = descriptor;
    lease.hold({ blobs: [digest] });
    if (store.blobs.has(digest, size)) return;
    task.signal.throwIfAborted();

    let flight = this.#flights.get(digest);
    if (flight === undefined || flight.abort.signal.aborted) {
      const abort = new AbortController();
      const own: Task = { signal: abort.signal, events: task.events, ...(vertex === undefined ? {} : { vertex }) };
      const listeners: Flight['listeners'] = [];
      const tell = (file: string): void => {
        started.file = file;
        for (const listener of listeners) listener(file);
      };
      const done = this.#limit(async () => this.#transfer(own, origin, descriptor, vertex, tell));
      const started: Flight = { abort, waiting: 0, done, file: undefined, listeners };
      const forget = (): void => {
        if (this.#flights.get(digest) === started) this.#flights.delete(digest);
      };
      done.then(forget, forget);
      this.#flights.set(digest, started);
      flight = started;
    }
    if (onGrowing) {
      if (flight.file !== undefined) onGrowing(flight.file);
      flight.listeners.push(onGrowing);
    }
    await waitFor(flight, task.signal);
  }

  async #transfer(
    task: Task,
    origin: ImageOrigin,
    descriptor: Descriptor,
    vertex: Digest | undefined,
    onGrowing: (file: string) => void,
  ): Promise<void> {
    const { store, now } = this.#options;
    const { digest, size } = descriptor;
    // Another process may be fetching it right now.
    await using _lock = await store.lock(`blob-${hexOf(digest)}`, { signal: task.signal });
    if (store.blobs.has(digest, size)) return;

    const report = (current: number, completed: boolean): void => {
      if (vertex === undefined) return;
      task.events({
        type: 'status',
        vertex,
        id: digest,
        current,
        total: size,
        at: now(),
        ...(completed ? { completed } : {}),
      });
    };
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#write(task, origin, descriptor, report, onGrowing);
        return;
      } catch (error) {
        // Bytes that were damaged on the way may be right the second time.
        if (attempt === 2 || !isTsbuildError(error, 'TSB_DIGEST')) throw error;
      }
    }
  }

  async #write(
    task: Task,
    origin: ImageOrigin,
    descriptor: Descriptor,
    report: (current: number, completed: boolean) => void,
    onGrowing: (file: string) => void,
  ): Promise<void> {
    const { store, now } = this.#options;
    const { digest, size } = descriptor;
    report(0, false);
    let reported = now();
    using writer = store.blobs.ingest();
    onGrowing(writer.path);
    for await (const chunk of origin(task).stream(descriptor)) {
      task.signal.throwIfAborted();
      if (writer.size + chunk.length > size) {
        throw new TsbuildError(
          'TSB_DIGEST',
          `Cannot store blob "${digest}": it is longer than the ${size} bytes that its descriptor says`,
        );
      }
      writer.write(chunk);
      if (now() - reported >= PROGRESS_INTERVAL) {
        reported = now();
        report(writer.size, false);
      }
    }
    writer.commit({ digest, size });
    report(size, true);
  }
}

/** Waits for a shared transfer, but no longer than one's own task lives. */
async function waitFor(flight: Flight, signal: AbortSignal): Promise<void> {
  flight.waiting++;
  let onAbort: (() => void) | undefined;
  const canceled = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason instanceof Error ? signal.reason : new Error(String(signal.reason)));
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    await Promise.race([flight.done, canceled]);
  } finally {
    if (onAbort !== undefined) signal.removeEventListener('abort', onAbort);
    flight.waiting--;
    if (flight.waiting === 0)
      flight.abort.abort(new TsbuildError('TSB_CANCELED', 'Canceled: nobody waits for the transfer'));
  }
}
