import { checkObjectName } from '../../src/object-store/name.ts';
import type { Task } from '../../src/events/index.ts';
import { throwIfCanceled } from '../../src/registry/index.ts';
import type { GetOptions, ObjectContent, ObjectStore, PutOptions, StoredObject } from '../../src/object-store/index.ts';
import { TsbuildError } from '../../src/util/index.ts';

/** An object store in memory, which counts what is asked of it and can be damaged. */
export class MemoryObjects implements ObjectStore {
  readonly id: string;
  readonly objects: Map<string, { bytes: Uint8Array; modifiedAt: number }>;
  /** One line for each request, e.g. `get index/main`. */
  readonly requests: string[] = [];
  /** Runs before each request, e.g. to make it slow or to let it fail. */
  before: (request: string) => Promise<void> | void = () => undefined;
  #clock = 0;

  constructor(id = 'memory', objects: MemoryObjects['objects'] = new Map()) {
    this.id = id;
    this.objects = objects;
  }

  async get(task: Task, name: string, { maxBytes, range }: GetOptions): Promise<AsyncIterable<Uint8Array> | undefined> {
    await this.#request(task, 'get', checkObjectName(name));
    const bytes = this.objects.get(name)?.bytes;
    if (bytes === undefined) return undefined;
    if (range !== undefined && range.start + range.length > bytes.length)
      throw new TsbuildError('TSB_DIGEST', `Cannot read ${name} of ${this.id}: it ends early`);
    const part = range === undefined ? bytes : bytes.subarray(range.start, range.start + range.length);
    if (part.length > maxBytes)
      throw new TsbuildError('TSB_DIGEST', `Cannot read ${name} of ${this.id}: it is longer than ${maxBytes} bytes`);
    return (async function* () {
      if (part.length > 0) yield part;
    })();
  }

  async head(task: Task, name: string): Promise<{ size: number } | undefined> {
    await this.#request(task, 'head', checkObjectName(name));
    const object = this.objects.get(name);
    return object && { size: object.bytes.length };
  }

  async put(task: Task, name: string, content: ObjectContent, { ifAbsent }: PutOptions = {}): Promise<void> {
    await this.#request(task, 'put', checkObjectName(name));
    if (ifAbsent === true && this.objects.has(name)) return;
    const chunks: Uint8Array[] = [];
    for await (const chunk of content.open()) {
      throwIfCanceled(task);
      chunks.push(Uint8Array.from(chunk));
    }
    const bytes = Buffer.concat(chunks);
    if (bytes.length !== content.size)
      throw new TsbuildError('TSB_INTERNAL', `Cannot write ${name}: its size is wrong`);
    this.objects.set(name, { bytes, modifiedAt: ++this.#clock });
  }

  async *list(task: Task, prefix: string): AsyncIterable<StoredObject> {
    await this.#request(task, 'list', prefix);
    for (const [name, { bytes, modifiedAt }] of this.objects)
      if (name.startsWith(prefix)) yield { name, size: bytes.length, modifiedAt };
  }

  async touch(task: Task, name: string): Promise<void> {
    await this.#request(task, 'touch', checkObjectName(name));
    const object = this.objects.get(name);
    if (object) object.modifiedAt = ++this.#clock;
  }

  async delete(task: Task, name: string): Promise<void> {
    await this.#request(task, 'delete', checkObjectName(name));
    this.objects.delete(name);
  }

  async #request(task: Task, what: string, name: string): Promise<void> {
    throwIfCanceled(task);
    const line = `${what} ${name}`;
    this.requests.push(line);
    await this.before(line);
  }
}
