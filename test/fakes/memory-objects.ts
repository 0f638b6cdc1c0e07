import type { GetOptions, ObjectContent, ObjectStore, PutOptions, StoredObject } from '../../src/object-store/index.ts';
import { TsbuildError } from '../../src/util/index.ts';

/** An object store in memory, which counts what is asked of it and can be damaged. */
export class MemoryObjects implements ObjectStore {
  readonly id: string;
  readonly objects: Map<string, { bytes: Uint8Array; modifiedAt: number }> = new Map();
  /** One line for each request, e.g. `get index/main`. */
  readonly requests: string[] = [];
  /** Runs before each request, e.g. to make it slow or to let it fail. */
  before: (request: string) => Promise<void> | void = () => undefined;
  #clock = 0;

  constructor(id = 'memory') {
    this.id = id;
  }

  async get(
    _task: unknown,
    name: string,
    { maxBytes, range }: GetOptions,
  ): Promise<AsyncIterable<Uint8Array> | undefined> {
    await this.#request(`get ${name}`);
    const bytes = this.objects.get(name)?.bytes;
    if (bytes === undefined) return undefined;
    const part = range === undefined ? bytes : bytes.subarray(range.start, range.start + range.length);
    if (part.length > maxBytes)
      throw new TsbuildError('TSB_DIGEST', `Cannot read ${name} of ${this.id}: it is longer than ${maxBytes} bytes`);
    return (async function* () {
      if (part.length > 0) yield part;
    })();
  }

  async head(_task: unknown, name: string): Promise<{ size: number } | undefined> {
    await this.#request(`head ${name}`);
    const object = this.objects.get(name);
    return object && { size: object.bytes.length };
  }

  async put(_task: unknown, name: string, content: ObjectContent, { ifAbsent }: PutOptions = {}): Promise<void> {
    await this.#request(`put ${name}`);
    if (ifAbsent === true && this.objects.has(name)) return;
    const chunks: Uint8Array[] = [];
    for await (const chunk of content.open()) chunks.push(Uint8Array.from(chunk));
    const bytes = Buffer.concat(chunks);
    if (bytes.length !== content.size)
      throw new TsbuildError('TSB_INTERNAL', `Cannot write ${name}: its size is wrong`);
    this.objects.set(name, { bytes, modifiedAt: ++this.#clock });
  }

  async *list(_task: unknown, prefix: string): AsyncIterable<StoredObject> {
    await this.#request(`list ${prefix}`);
    for (const [name, { bytes, modifiedAt }] of this.objects)
      if (name.startsWith(prefix)) yield { name, size: bytes.length, modifiedAt };
  }

  async touch(_task: unknown, name: string): Promise<void> {
    await this.#request(`touch ${name}`);
    const object = this.objects.get(name);
    if (object) object.modifiedAt = ++this.#clock;
  }

  async delete(_task: unknown, name: string): Promise<void> {
    await this.#request(`delete ${name}`);
    this.objects.delete(name);
  }

  async #request(line: string): Promise<void> {
    this.requests.push(line);
    await this.before(line);
  }
}
