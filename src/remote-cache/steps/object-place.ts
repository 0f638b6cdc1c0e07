import type { Task } from '../../events/index.ts';
import { type ContentProvider, type Descriptor, refuseSize } from '../../image/index.ts';
import type { ObjectStore } from '../../object-store/index.ts';
import { type Digest, TsbuildError } from '../../util/index.ts';
import { MAX_ENVELOPE_BYTES } from './envelope.ts';
import { layerObject, scopeId } from './names.ts';
import type { LayerToPut, PutOutcome, StepPlace } from './place.ts';
import { forgetIndexes, pruneObjects } from './prune.ts';
import { readObject } from './read-object.ts';
import { MAX_INDEX_BYTES } from './scope-index.ts';

/** The scope where nobody says another. */
const DEFAULT_SCOPE = 'default';

/**
 * A directory or bucket: `records/<scope>/<name>`, `index/<scope>` and `blobs/sha256/<hex>`, which all scopes share.
 */
export class ObjectPlace implements StepPlace {
  readonly id: string;
  readonly scope: string;
  readonly #objects: ObjectStore;
  readonly #scopeId: string;

  constructor(objects: ObjectStore, scope: string = DEFAULT_SCOPE) {
    this.id = objects.id;
    this.scope = scope;
    this.#objects = objects;
    this.#scopeId = scopeId(scope);
  }

  get requestBudget(): number | undefined {
    return this.#objects.requestBudget;
  }

  content(task: Task): ContentProvider {
    const objects = this.#objects;
    return {
      async read({ digest, size }) {
        const bytes = await readObject(task, objects, layerObject(digest), size);
        if (bytes !== undefined) refuseSize(digest, size, bytes.length, `blob of ${objects.id}`);
        return bytes;
      },
      async *stream({ digest, size }) {
        const chunks = await objects.get(task, layerObject(digest), { maxBytes: size });
        if (chunks === undefined)
          throw new TsbuildError('TSB_NOT_FOUND', `Cannot read ${digest} of ${objects.id}: there is no such object`);
        yield* chunks;
      },
    };
  }

  record(task: Task, name: string): Promise<Uint8Array | undefined> {
    return readObject(task, this.#objects, this.#recordObject(name), MAX_ENVELOPE_BYTES);
  }

  index(task: Task): Promise<Uint8Array | undefined> {
    return readObject(task, this.#objects, `index/${this.#scopeId}`, MAX_INDEX_BYTES);
  }

  async putLayer(task: Task, { digest, size, open }: LayerToPut, again: boolean): Promise<PutOutcome> {
    const name = layerObject(digest);
    const there = await this.#objects.head(task, name);
    if (there?.size === size && !again) return 'there';
    await this.#objects.put(task, name, { size, open: () => streamed(open(0)) });
    return 'sent';
  }

  async putRecord(
    task: Task,
    name: string,
    envelope: Uint8Array,
    _layers: readonly Descriptor[],
    replace: boolean,
  ): Promise<boolean> {
    const object = this.#recordObject(name);
    if (!replace && (await this.#objects.head(task, object)) !== undefined) return false;
    await this.#put(task, object, envelope);
    return true;
  }

  putIndex(task: Task, index: Uint8Array): Promise<void> {
    return this.#put(task, `index/${this.#scopeId}`, index);
  }

  async flush(task: Task): Promise<void> {
    await this.#objects.flush?.(task);
  }

  async touch(task: Task, names: readonly string[], layers: readonly Digest[]): Promise<void> {
    const objects = [...names.map((name) => this.#recordObject(name)), ...layers.map((digest) => layerObject(digest))];
    await Promise.all(objects.map(async (name) => this.#objects.touch?.(task, name)));
  }

  async prune(task: Task, maxBytes: number): Promise<readonly string[]> {
    const { deleted } = await pruneObjects(task, this.#objects, { maxBytes });
    await forgetIndexes(task, this.#objects, deleted, this.#scopeId);
    const records = deleted.filter((name) => name.startsWith('records/')).map((name) => name.split('/'));
    return records.flatMap(([, scope, name = '']) => (scope === this.#scopeId ? [name] : []));
  }

  #recordObject(name: string): string {
    return `records/${this.#scopeId}/${name}`;
  }

  #put(task: Task, name: string, bytes: Uint8Array): Promise<void> {
    return this.#objects.put(task, name, { size: bytes.length, open: () => streamed([bytes]) });
  }
}

async function* streamed(chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* chunks;
}
