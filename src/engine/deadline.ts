import type { BuildEvent, Task } from '../events/index.ts';
import { formatDuration, sanitizeLine, TsbuildError } from '../util/index.ts';

/** Vertices that a message names. */
const MAX_NAMED = 3;

/**
 * Ends a build that takes longer than it may: everything that it started ends, as when it is interrupted, and the failure says what the
 * build was at.
 */
export class Deadline implements Disposable {
  /** The caller's task, which ends at the deadline, too. */
  readonly task: Task;
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout | undefined;
  /** Names of what has begun and not ended. */
  readonly #running = new Map<string, string>();

  /** @param limitMs milliseconds from now; undefined for no limit */
  constructor(caller: Task, limitMs: number | undefined) {
    this.task =
      limitMs === undefined
        ? caller
        : {
            ...caller,
            signal: AbortSignal.any([caller.signal, this.#controller.signal]),
            events: (event) => {
              this.#note(event);
              caller.events(event);
            },
          };
    if (limitMs !== undefined) this.#timer = setTimeout(() => this.#controller.abort(this.#error(limitMs)), limitMs);
  }

  /** What the build failed of: the deadline, where that has passed. */
  explain(error: unknown): unknown {
    const { signal } = this.#controller;
    return signal.aborted ? signal.reason : error;
  }

  #note(event: BuildEvent): void {
    if (event.type !== 'vertex') return;
    if (event.state === 'started') this.#running.set(event.vertex, event.name);
    else this.#running.delete(event.vertex);
  }

  #error(limitMs: number): TsbuildError {
    const names = [...this.#running.values()].map((name) => JSON.stringify(sanitizeLine(name, 120)));
    const more = names.length > MAX_NAMED ? ` and ${names.length - MAX_NAMED} more` : '';
    const at = names.length === 0 ? '' : `; it was at ${names.slice(0, MAX_NAMED).join(', ')}${more}`;
    return new TsbuildError('TSB_TIMEOUT', `The build took longer than ${formatDuration(limitMs)}${at}`, {
      hint: '--timeout sets another limit; --step-timeout is for single steps',
    });
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}
