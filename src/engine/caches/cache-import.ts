import { existsSync } from 'node:fs';
import { join } from 'node:path';
import {
  CACHE_CONFIG_TYPE,
  decodeRemoteConfig,
  ImportedCache,
  MAX_CACHE_CONFIG_BYTES,
  type BuildkitCacheImport,
  isCacheManifest,
  readPolicy,
  type RemoteConfig,
  type SharedCache,
  type StepCacheImport,
  trustAll,
} from '../../remote-cache/index.ts';
import {
  findInLayout,
  formatReference,
  MAX_MANIFEST_BYTES,
  openOciLayout,
  parseDocument,
  readDocument,
  verifyDocument,
  type Reference,
  type Repository,
  type Descriptor,
} from '../../image/index.ts';
import { registryContent } from '../../registry/index.ts';
import { BlobFetcher, type ImageOrigin, layoutOrigin } from '../../source/index.ts';
import { type Digest, isTsbuildError, messageOf, TsbuildError } from '../../util/index.ts';
import { blobContent } from '../../store/index.ts';
import { type ReportStatus, type Task, withinTime } from '../../events/index.ts';
import { cachesWithinImage } from './cache-within-image.ts';
import type { BuildRequest } from '../request.ts';
import { withInternalVertex } from '../internal-vertex.ts';
import { openStepCache, type StepCacheToOpen } from './step-caches.ts';
import type { CacheOrigin } from '../../snapshots/index.ts';
import { type OpResult, snapshot } from '../../ops/index.ts';
import type { Session } from '../session.ts';

/** A cache manifest with where it and its blobs are. */
interface Found {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
  readonly origin: ImageOrigin;
  readonly repository?: Repository;
}

/** Milliseconds that all imports of a build may take together. */
const DEFAULT_BUDGET_MS = 15_000;

/** A cache that can be used, with where its layers are. */
interface Loaded {
  readonly config: RemoteConfig;
  readonly found: Found;
  /** Of the image that it is in, where that is one of several. */
  readonly platform?: string;
}

/**
 * Loads the caches of `--cache-from`: manifests and key graphs, no layers. One that cannot be used is a warning (BuildKit's rule), and so
 * is one that is not there in time: a cache is there to save time.
 * @throws TsbuildError `TSB_CANCELED`
 */
export async function importCaches(
  session: Session,
  task: Task,
  { cacheFrom, pull }: Pick<BuildRequest, 'cacheFrom' | 'pull'>,
): Promise<readonly UsedCache[]> {
  // Keys that cannot be used are no reason to build without a cache, and less so to read it without them.
  const policies = new Map(cacheFrom.map((one) => [one, readPolicy(one.type === 'steps' ? one.policy : undefined)]));
  const budgetMs = session.options.cacheImportMs ?? DEFAULT_BUDGET_MS;
  const late = (ms: number): TsbuildError =>
    new TsbuildError(
      'TSB_NETWORK',
      `it did not come within ${ms / 1000} seconds ($TSBUILD_CACHE_IMPORT_TIMEOUT sets another limit)`,
    );
  const importOne = async (limited: Task, one: BuildRequest['cacheFrom'][number]): Promise<readonly UsedCache[]> => {
    if (one.type !== 'steps') return new Import(session, task, one).run(limited, pull);
    const steps = { spec: one, policy: policies.get(one) ?? trustAll, patienceMs: budgetMs };
    const other = otherForm(one);
    if (other !== undefined) return new Import(session, task, other, steps).run(limited, pull);
    if (one.place.type === 'local' && !existsSync(one.place.path)) await tellOfNothing(session, task, one.place.path);
    return [openStepCache(session, task, steps)];
  };
  const found = await withinTime(task, budgetMs === 0 ? undefined : budgetMs, late, (limited) =>
    Promise.all(cacheFrom.map((one) => importOne(limited, one))),
  );
  return found.flat();
}

/** A cache that a build reads: of steps, or of all that one build knew. */
export type UsedCache = ImportedCache<OpResult> | SharedCache<OpResult>;

/**
 * The cache in another form that may be in a place instead of one of steps; undefined when there is none for certain. A registry has to be
 * asked, unless a scope is named, which only caches of steps have.
 */
function otherForm({ place, scope }: StepCacheImport): BuildkitCacheImport | undefined {
  if (place.type === 'registry') return scope === undefined ? place : undefined;
  if (place.type === 'objects') return undefined;
  const isLayout = existsSync(join(place.path, 'index.json')) && !existsSync(join(place.path, 'records'));
  return isLayout ? { type: 'local', src: place.path, ...(scope === undefined ? {} : { tag: scope }) } : undefined;
}

/** The first build of all has a cache that is not there, and so has one with a typing error in its name. */
async function tellOfNothing({ now }: Session, task: Task, path: string): Promise<void> {
  await withInternalVertex(task, now, `importing cache manifest from ${path}`, async (_, status) => {
    status('it has nothing yet', 0, undefined, true);
  });
}

/** One `--cache-from`. */
class Import {
  readonly #session: Session;
  readonly #task: Task;
  readonly #spec: BuildkitCacheImport;
  /** What it is when it is found to be a cache of steps; absent where that is not wanted. */
  readonly #steps: StepCacheToOpen | undefined;
  readonly #name: string;
  /** How messages name the cache. */
  readonly #what: string;

  constructor(session: Session, task: Task, spec: BuildkitCacheImport, steps?: StepCacheToOpen) {
    this.#session = session;
    this.#task = task;
    this.#spec = spec;
    this.#steps = steps;
    this.#name = nameOf(spec);
    this.#what = `cache ${JSON.stringify(this.#name)}`;
  }

  /**
   * Loads what there is; nothing, with a warning, when it cannot be used.
   * @param limited the task, ending when the time for all imports is over
   */
  async run(limited: Task, pull: boolean): Promise<readonly UsedCache[]> {
    const task = this.#task;
    try {
      return await withInternalVertex(
        task,
        this.#session.now,
        `importing cache manifest from ${this.#name}`,
        async (vertex, status) => this.#find({ ...limited, vertex }, pull, status),
      );
    } catch (error) {
      task.signal.throwIfAborted();
      this.#warn(`Cannot import cache from ${this.#name}: ${messageOf(error)}`);
      return [];
    }
  }

  async #find(task: Task, pull: boolean, status: ReportStatus): Promise<readonly UsedCache[]> {
    const loaded = await this.#load(task, pull);
    if (!('index' in loaded)) return loaded.map((one) => this.#open(one));
    const { index } = loaded;
    if (index === undefined) status('it has nothing yet', 0, undefined, true);
    if (this.#steps === undefined) return [];
    return [openStepCache(this.#session, this.#task, { ...this.#steps, seen: { index } })];
  }

  /** @returns the index of a cache of steps, which may have none yet, or caches in another form */
  async #load(task: Task, pull: boolean): Promise<readonly Loaded[] | { readonly index: Uint8Array | undefined }> {
    const spec = this.#spec;
    if (spec.type === 'local') return this.#read(task, findInDirectory(spec));
    // As FROM: a name in the local image store is that image, unless its registry is to be asked.
    const stored = pull ? undefined : findInStore(this.#session, spec.reference);
    const within = stored && (await this.#readImages(task, stored));
    for (const fault of within?.faults ?? []) this.#warnOfPart(fault);
    if (within !== undefined && within.loaded.length > 0) return within.loaded;
    try {
      const found = await findInRegistry(this.#session, task, spec.reference);
      if (this.#steps !== undefined && isCacheManifest(found.bytes)) return { index: found.bytes };
      return await this.#read(task, found);
    } catch (error) {
      // An index that nobody has written yet keeps no record from being there.
      if (stored === undefined && this.#steps !== undefined && isTsbuildError(error, 'TSB_NOT_FOUND'))
        return { index: undefined };
      if (stored === undefined) throw error;
      throw new TsbuildError(
        'TSB_NOT_FOUND',
        `the image of that name in the local image store has no cache in it, and: ${messageOf(error)}`,
        { cause: error },
      );
    }
  }

  /** The caches that a manifest or index leads to: it is one, or images have them. */
  async #read(task: Task, found: Found): Promise<readonly Loaded[]> {
    const what = this.#what;
    const cache = parseCacheManifest(found, what);
    if (cache === undefined) {
      const { loaded, faults } = await this.#readImages(task, found);
      const [first] = faults;
      if (loaded.length === 0 && first !== undefined) throw first;
      for (const fault of faults) this.#warnOfPart(fault);
      if (loaded.length > 0) return loaded;
      throw new TsbuildError('TSB_IMAGE', `Cannot use ${what}: it is not a build cache, and no image with one in it`);
    }
    const { config, blobs } = cache;
    if (config.size > MAX_CACHE_CONFIG_BYTES)
      throw new TsbuildError(
        'TSB_IMAGE',
        `Cannot use ${what}: its config has ${config.size} bytes, more than the limit of ${MAX_CACHE_CONFIG_BYTES}`,
      );
    const bytes = await found.origin(task).read(config);
    if (bytes === undefined) throw new TsbuildError('TSB_NOT_FOUND', `Cannot use ${what}: its config is missing`);
    verifyDocument(bytes, config, what);
    return [{ config: decodeRemoteConfig(bytes, blobs, `config of ${what}`), found }];
  }

  /** The caches within images. One that is damaged does not keep the others from being used. */
  async #readImages(
    task: Task,
    found: Found,
  ): Promise<{ readonly loaded: readonly Loaded[]; readonly faults: readonly TsbuildError[] }> {
    const { caches, faults } = await cachesWithinImage(task, found, found.origin(task), this.#what);
    const loaded = caches.map(({ config, platform }) => ({
      config,
      found,
      ...(caches.length > 1 ? { platform } : {}),
    }));
    return { loaded, faults };
  }

  #warnOfPart(fault: TsbuildError): void {
    this.#warn(`Cannot import a part of the cache from ${this.#name}: ${messageOf(fault)}`);
  }

  #open({ config, found, platform }: Loaded): ImportedCache<OpResult> {
    const { store, lease, now, layers } = this.#session;
    const name = platform === undefined ? this.#name : `${this.#name} (${platform})`;
    const fetcher = new BlobFetcher({ store, lease, now });
    const origin: CacheOrigin = {
      fetch: (inner, blob, vertex) => fetcher.fetch(inner, found.origin, blob, vertex),
      ...(found.repository === undefined ? {} : { repository: found.repository }),
      onDamage: (error) => {
        cache.giveUp();
        this.#warn(`Cannot use cache from ${name} any more, building without it: ${messageOf(error)}`);
      },
    };
    const cache = new ImportedCache<OpResult>(name, config, (chain) => snapshot(layers.adoptCached(chain, origin)));
    return cache;
  }

  /** A cache that cannot be used costs time only. */
  #warn(message: string): void {
    this.#task.events({
      type: 'diagnostic',
      diagnostic: { code: 'CacheImport', severity: 'warning', message, ranges: [] },
      at: this.#session.now(),
    });
  }
}

/** The manifest of a cache in a registry. Nothing is stored: caches change with each build that writes them. */
async function findInRegistry(session: Session, task: Task, reference: Reference): Promise<Found> {
  const { registry } = session;
  const repository = { host: reference.host, path: reference.path };
  const { descriptor, bytes } = await registry.manifest(task, reference);
  return { descriptor, bytes, repository, origin: (inner) => registryContent(registry, inner, repository) };
}

/** An image of the local image store. */
function findInStore({ store, lease }: Session, { digest, ...named }: Reference): Found | undefined {
  const descriptor = store.images.get(formatReference(named))?.descriptor;
  if (descriptor === undefined || (digest !== undefined && digest !== descriptor.digest)) return undefined;
  lease.hold({ blobs: [descriptor.digest] });
  const bytes = store.blobs.peek(descriptor.digest, MAX_MANIFEST_BYTES);
  return bytes && { descriptor, bytes, origin: () => blobContent(store.blobs) };
}

/** The manifest of a cache in an OCI layout. */
function findInDirectory({ src, tag, digest }: Extract<BuildkitCacheImport, { type: 'local' }>): Found {
  using layout = openOciLayout(src);
  const wanted = digest === undefined ? { tag: tag ?? 'latest' } : { digest };
  const descriptor = findInLayout(layout, wanted);
  const bytes = readDocument(layout, descriptor, MAX_MANIFEST_BYTES, layout.what);
  return { descriptor, bytes, origin: layoutOrigin(src) };
}

/**
 * The config and the other blobs of a cache manifest, in either of BuildKit's forms.
 * @returns undefined when it is the manifest of something else
 * @throws TsbuildError `TSB_IMAGE`
 */
function parseCacheManifest(
  { bytes, descriptor }: Found,
  what: string,
): { readonly config: Descriptor; readonly blobs: ReadonlyMap<Digest, Descriptor> } | undefined {
  const document = parseDocument(bytes, descriptor.mediaType, `manifest of ${what}`);
  const manifest = document.kind === 'manifest' ? document.manifest : undefined;
  const all = document.kind === 'index' ? document.index.manifests : [];
  const config = manifest?.config ?? all.find(({ mediaType }) => mediaType === CACHE_CONFIG_TYPE);
  if (config?.mediaType !== CACHE_CONFIG_TYPE) return undefined;
  const blobs = manifest?.layers ?? all.filter((one) => one !== config);
  return { config, blobs: new Map(blobs.map((blob) => [blob.digest, blob])) };
}

/** What messages call the cache. */
function nameOf(spec: BuildkitCacheImport): string {
  return spec.type === 'registry' ? formatReference(spec.reference) : spec.src;
}
