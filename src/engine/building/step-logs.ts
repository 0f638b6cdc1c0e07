import type { BuildEvent, Task } from '../../events/index.ts';
import type { LogBuffer, LogTable } from '../../store/index.ts';
import type { Digest } from '../../util/index.ts';

/**
 * Keeps what steps print until they are over, and for good when they fail: the display shows no more than the last lines. It listens
 * where everything is told as it is shown, with secrets hidden.
 */
export class StepLogs implements Disposable {
  readonly #logs: LogTable;
  readonly #open = new Map<Digest, LogBuffer>();

  constructor(logs: LogTable) {
    this.#logs = logs;
  }

  /** The task, with the file of its output in the event of each step that fails. */
  watch(task: Task): Task {
    return { ...task, events: (event) => task.events(this.#take(event)) };
  }

  #take(event: BuildEvent): BuildEvent {
    if (event.type === 'log') {
      let output = this.#open.get(event.vertex);
      if (output === undefined) this.#open.set(event.vertex, (output = this.#logs.begin()));
      output.write(event.data);
    }
    // A step may run several times; what it printed at first is that of another try.
    if (event.type !== 'vertex' || event.state === 'pending') return event;
    const output = this.#open.get(event.vertex);
    if (output === undefined) return event;
    this.#open.delete(event.vertex);
    using _output = output;
    const log = event.state === 'failed' ? this.#logs.keep(event.vertex, event.name, output) : undefined;
    return log === undefined ? event : { ...event, log };
  }

  [Symbol.dispose](): void {
    for (const output of this.#open.values()) output[Symbol.dispose]();
    this.#open.clear();
  }
}
