import type { Task, VertexState } from '../events/index.ts';
import { type Digest, messageOf } from '../util/index.ts';

/** ms: by then the solver has told that the image's vertex is done, which it is as soon as its layers are known by name. */
const SETTLED = 100;

/** What the transfers of an image's layers are shown under. */
export interface Shown {
  readonly vertex: Digest;
  readonly name: string;
}

/** Transfers under one vertex. */
interface Pull {
  running: number;
  timer: NodeJS.Timeout | undefined;
  /** How the first that did not come to its end ended: so they all have. */
  failure: readonly [VertexState, string] | undefined;
}

/**
 * Shows transfers where they belong. Layers are fetched when a step first needs files of them, long after the vertex of their image
 * was done: it runs once more for as long as any of them is on its way, as in BuildKit, instead of a step that seems to hang.
 */
export class PullDisplay {
  readonly #now: () => number;
  readonly #pulls = new Map<Digest, Pull>();

  /** @param now milliseconds since the epoch */
  constructor(now: () => number) {
    this.#now = now;
  }

  async show<T>(task: Task, { vertex, name }: Shown, work: (vertex: Digest) => Promise<T>): Promise<T> {
    const emit = (state: VertexState, error?: string): void => {
      const event = { type: 'vertex', vertex, name, inputs: [], state, at: this.#now() } as const;
      task.events(error === undefined ? event : { ...event, error });
    };
    const pull = this.#pulls.get(vertex) ?? { running: 0, timer: undefined, failure: undefined };
    this.#pulls.set(vertex, pull);
    if (pull.running++ === 0) {
      pull.timer = setTimeout(() => {
        pull.timer = undefined;
        emit('started');
      }, SETTLED);
    }
    try {
      return await work(vertex);
    } catch (error) {
      pull.failure ??= [task.signal.aborted ? 'canceled' : 'failed', messageOf(error)];
      throw error;
    } finally {
      if (--pull.running === 0) {
        // What was over at once is shown by its parts only.
        const [state, reason] = pull.failure ?? (['done', undefined] as const);
        if (pull.timer === undefined) emit(state, reason);
        clearTimeout(pull.timer);
        pull.timer = undefined;
        pull.failure = undefined;
      }
    }
  }
}
