import { type Digest, isTsbuildError, parseStrictJson, sha256, TsbuildError } from '../../util/index.ts';
import type { Task } from '../../events/index.ts';
import {
  type ContentProvider,
  type Descriptor,
  formatReference,
  guardFor,
  MAX_MANIFEST_BYTES,
  mediaTypes,
  type Reference,
  type Repository,
} from '../../image/index.ts';
import { type Registry, registryContent, RepositoryWriter } from '../../registry/index.ts';
import { CACHE_CONFIG_TYPE } from '../remote-config.ts';
import { recordTag, scopeId } from './names.ts';
import type { LayerToPut, PutOutcome, StepPlace } from './place.ts';

/** Config types of the manifests of a cache, which tell what they are. Their config is always `{}`. */
const RECORD_CONFIG = 'application/vnd.tsbuild.cache.step.v1+json';
const INDEX_CONFIG = 'application/vnd.tsbuild.cache.index.v1+json';
/** What a manifest carries, in base64. */
const CONTENT = 'dev.tsbuild.cache.content';

const EMPTY = Buffer.from('{}');
/** In full, so that a build which hashes nothing need not load node:crypto for it. */
const EMPTY_DIGEST: Digest = 'sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a';

/**
 * A repository of a registry. A record is a small image manifest under a tag that follows from its scope and name: it lists the layers, so
 * that the registry's garbage collection knows that they are needed, and carries the record as an annotation, so that one answer has
 * everything. The index is another one, under the tag that users name.
 */
export class RegistryPlace implements StepPlace {
  readonly id: string;
  readonly scope: string;
  readonly repository: Repository;
  readonly #registry: Registry;
  readonly #indexTag: string;
  readonly #writer: RepositoryWriter;
  /** The index's tag was found to be for something that is no cache. */
  #isOccupied = false;
  #primed: { readonly manifest: Uint8Array | undefined } | undefined;

  /**
   * @param scope absent: that of the reference's tag
   * @param writer of its repository, where others write there, too
   */
  constructor(registry: Registry, reference: Reference, scope: string | undefined, writer?: RepositoryWriter) {
    const { host, path, tag = 'latest' } = reference;
    this.repository = { host, path };
    this.scope = scope ?? tag;
    this.#indexTag = scope === undefined ? tag : `${tag.slice(0, 60)}.${scopeId(scope)}`;
    this.id = formatReference({ host, path, tag });
    this.#registry = registry;
    this.#writer = writer ?? new RepositoryWriter(registry, this.repository);
  }

  content(task: Task): ContentProvider {
    return registryContent(this.#registry, task, this.repository);
  }

  async record(task: Task, name: string): Promise<Uint8Array | undefined> {
    const found = await this.#get(task, this.#tagOf(name));
    return found && cacheContent(found, RECORD_CONFIG, `record ${name} of ${this.id}`);
  }

  /**
   * Takes the manifest of the index over from somebody who has just asked for it: it is not asked for again the first time.
   * @param manifest undefined: there is none
   */
  prime(manifest: Uint8Array | undefined): void {
    this.#primed = { manifest };
  }

  async index(task: Task): Promise<Uint8Array | undefined> {
    const { manifest } = this.#primed ?? { manifest: (await this.#get(task, this.#indexTag))?.bytes };
    this.#primed = undefined;
    if (manifest === undefined) return undefined;
    if (isCacheManifest(manifest)) return cacheContent({ bytes: manifest }, INDEX_CONFIG, `index of ${this.id}`);
    // Another cache makes way for what was asked for; what is none is not ours to replace.
    this.#isOccupied = !Buffer.from(manifest).includes(`"${CACHE_CONFIG_TYPE}"`);
    return undefined;
  }

  putLayer(task: Task, layer: LayerToPut): Promise<PutOutcome> {
    // The records that will name it need their config: that is there by then. Whether it is, is seen when they are written.
    this.#putConfig(task).catch(() => undefined);
    // A registry has looked at what it took: one that is there is whole.
    return this.#writer.blob(task, layer, layer.mountFrom);
  }

  async putRecord(
    task: Task,
    name: string,
    envelope: Uint8Array,
    layers: readonly Descriptor[],
    replace: boolean,
  ): Promise<boolean> {
    const tag = this.#tagOf(name);
    if (!replace && (await this.#has(task, tag))) return false;
    await this.#put(task, tag, RECORD_CONFIG, envelope, layers);
    return true;
  }

  async putIndex(task: Task, index: Uint8Array): Promise<void> {
    if (this.#isOccupied)
      throw new TsbuildError(
        'TSB_EXPORT',
        `Cannot write the index of the cache: ${formatReference({ ...this.repository, tag: this.#indexTag })} is an image, or something else that is no cache`,
        { hint: 'give the cache a tag of its own: ref=NAME:cache' },
      );
    await this.#put(task, this.#indexTag, INDEX_CONFIG, index, []);
  }

  /** Asks for them: registries that delete what nobody pulls go by that. Layers stay with the manifests that list them. */
  async touch(task: Task, names: readonly string[]): Promise<void> {
    await Promise.all(names.map((name) => this.#has(task, this.#tagOf(name))));
  }

  #tagOf(name: string): string {
    return recordTag(this.scope, name);
  }

  async #get(task: Task, tag: string): Promise<{ readonly bytes: Uint8Array } | undefined> {
    return orNothing(this.#registry.manifest(task, { ...this.repository, tag }));
  }

  async #has(task: Task, tag: string): Promise<boolean> {
    return (await orNothing(this.#registry.resolve(task, { ...this.repository, tag }))) !== undefined;
  }

  async #putConfig(task: Task): Promise<void> {
    await this.#writer.blob(task, {
      digest: EMPTY_DIGEST,
      size: EMPTY.length,
      open: (start) => [EMPTY.subarray(start)],
    });
  }

  async #put(
    task: Task,
    tag: string,
    configType: string,
    content: Uint8Array,
    layers: readonly Descriptor[],
  ): Promise<void> {
    const unique = new Map(layers.map(({ mediaType, digest, size }) => [digest, { mediaType, digest, size }]));
    const config: Descriptor = { mediaType: configType, digest: EMPTY_DIGEST, size: EMPTY.length };
    const manifest = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: mediaTypes.ociManifest,
        config,
        layers: [...unique.values()],
        annotations: { [CONTENT]: Buffer.from(content).toString('base64') },
      }),
    );
    if (manifest.length > MAX_MANIFEST_BYTES)
      throw new TsbuildError(
        'TSB_EXPORT',
        `Cannot write ${tag} of ${this.id}: it would have ${manifest.length} bytes, more than ${MAX_MANIFEST_BYTES}`,
      );
    await this.#putConfig(task);
    const descriptor = { mediaType: mediaTypes.ociManifest, digest: sha256(manifest), size: manifest.length };
    await this.#writer.manifest(task, descriptor, manifest, [tag]);
  }
}

/** Whether a manifest is that of an index of steps. Whatever else is wrong with it shows when it is read. */
export function isCacheManifest(bytes: Uint8Array): boolean {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).includes(`"${INDEX_CONFIG}"`);
}

/** The envelope that the manifest of a record carries. @throws TsbuildError `TSB_IMAGE` for another manifest */
export function recordContent(manifest: Uint8Array, what: string): Uint8Array {
  return cacheContent({ bytes: manifest }, RECORD_CONFIG, what);
}

/** What the manifest of a cache carries. @throws TsbuildError `TSB_IMAGE` */
function cacheContent({ bytes }: { readonly bytes: Uint8Array }, configType: string, what: string): Uint8Array {
  const guard = guardFor(what);
  const document = guard.object(parseStrictJson(bytes, { what, maxBytes: MAX_MANIFEST_BYTES }), '');
  if (guard.object(document['config'], 'config')['mediaType'] !== configType)
    throw guard.fail('config', 'is that of something else');
  const annotations = guard.object(document['annotations'], 'annotations');
  return Buffer.from(guard.string(annotations[CONTENT], `annotations.${CONTENT}`), 'base64');
}

async function orNothing<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (isTsbuildError(error, 'TSB_NOT_FOUND')) return undefined;
    throw error;
  }
}
