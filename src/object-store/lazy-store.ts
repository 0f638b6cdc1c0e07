import type { Task } from '../events/index.ts';
import type { GetOptions, ObjectContent, ObjectStore, PutOptions, StoredObject } from './types.ts';

/** A store that is opened by the first who asks it something. */
export class LazyStore implements ObjectStore, AsyncDisposable {
  readonly id: string;
  readonly requestBudget?: number;
  readonly #open: () => Promise<ObjectStore & AsyncDisposable>;
  #opened: Promise<ObjectStore & AsyncDisposable> | undefined;

  constructor(id: string, requestBudget: number | undefined, open: () => Promise<ObjectStore & AsyncDisposable>) {
    this.id = id;
    if (requestBudget !== undefined) this.requestBudget = requestBudget;
    this.#open = open;
  }

  async get(task: Task, name: string, options: GetOptions): Promise<AsyncIterable<Uint8Array> | undefined> {
    return (await this.#store()).get(task, name, options);
  }

  async head(task: Task, name: string): Promise<{ readonly size: number } | undefined> {
    return (await this.#store()).head(task, name);
  }

  async put(task: Task, name: string, content: ObjectContent, options?: PutOptions): Promise<void> {
    return (await this.#store()).put(task, name, content, options);
  }

  async *list(task: Task, prefix: string): AsyncGenerator<StoredObject, void, undefined> {
    yield* (await this.#store()).list(task, prefix);
  }

  async touch(task: Task, name: string): Promise<void> {
    await (await this.#store()).touch?.(task, name);
  }

  async delete(task: Task, name: string): Promise<void> {
    await (await this.#store()).delete?.(task, name);
  }

  /** What was never opened has nothing to flush. */
  async flush(task: Task): Promise<void> {
    await (await this.#opened)?.flush?.(task);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await (await this.#opened)?.[Symbol.asyncDispose]();
  }

  #store(): Promise<ObjectStore & AsyncDisposable> {
    return (this.#opened ??= this.#open());
  }
}
