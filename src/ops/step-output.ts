import type { Digest } from '../util/index.ts';
import type { Task } from '../events/index.ts';
import type { MaskStream } from '../secrets/index.ts';
import type { OpPieces } from './pieces.ts';

/** What a vertex prints, on its way to become events: here secrets are hidden, before anybody has seen or cut it. */
export class StepOutput {
  readonly #now: () => number;
  readonly #task: Task;
  readonly #vertex: Digest;
  readonly #masks: ReadonlyMap<1 | 2, MaskStream>;

  constructor({ credentials, report }: Pick<OpPieces, 'credentials' | 'report'>, task: Task, vertex: Digest) {
    this.#now = report.now;
    this.#task = task;
    this.#vertex = vertex;
    const { mask } = credentials.secrets;
    this.#masks = new Map(mask === undefined ? [] : ([1, 2] as const).map((stream) => [stream, mask.stream()]));
  }

  write(stream: 1 | 2, data: Uint8Array): void {
    const mask = this.#masks.get(stream);
    this.#emit(stream, mask === undefined ? data : mask.push(data));
  }

  /**
   * The process has ended by itself. Without this, what is held back is lost: of a process that was killed it may be most of a
   * secret.
   */
  end(): void {
    for (const [stream, mask] of this.#masks) this.#emit(stream, mask.end());
  }

  #emit(stream: 1 | 2, data: Uint8Array): void {
    if (data.length > 0) this.#task.events({ type: 'log', vertex: this.#vertex, stream, data, at: this.#now() });
  }
}
