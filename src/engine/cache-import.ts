import {
  CACHE_CONFIG_TYPE,
  decodeRemoteConfig,
  ImportedCache,
  MAX_CACHE_CONFIG_BYTES,
  type CacheImport,
} from '../remote-cache/index.ts';
import {
  findInLayout,
  formatReference,
  MAX_MANIFEST_BYTES,
  openOciLayout,
  parseDocument,
  readDocument,
  verifyDocument,
  type Repository,
  type Descriptor,
} from '../image/index.ts';
import { registryContent } from '../registry/index.ts';
import { BlobFetcher, type ImageOrigin, layoutOrigin } from '../source/index.ts';
import { type Digest, messageOf, TsbuildError } from '../util/index.ts';
import type { Task } from '../events/index.ts';
import { withInternalVertex } from './internal-vertex.ts';
import type { CacheOrigin } from '../snapshots/index.ts';
import { type OpResult, snapshot } from '../ops/index.ts';
import type { Session } from './session.ts';

/** A cache manifest with where it and its blobs are. */
interface Found {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
  readonly origin: ImageOrigin;
  readonly repository?: Repository;
}

/** Milliseconds that all imports of a build may take together. */
const DEFAULT_BUDGET_MS = 15_000;

/**
 * Loads the caches of `--cache-from`: manifests and key graphs, no layers. One that cannot be used is a warning (BuildKit's rule), and so
 * is one that is not there in time: a cache is there to save time.
 * @throws TsbuildError `TSB_CANCELED`
 */
export async function importCaches(
  session: Session,
  task: Task,
  imports: readonly CacheImport[],
): Promise<readonly ImportedCache<OpResult>[]> {
  const budgetMs = session.options.cacheImportMs ?? DEFAULT_BUDGET_MS;
  const budget = new AbortController();
  const timer =
    budgetMs === 0
      ? undefined
      : setTimeout(() => {
          const why = `it did not come within ${budgetMs / 1000} seconds ($TSBUILD_CACHE_IMPORT_TIMEOUT sets another limit)`;
          budget.abort(new TsbuildError('TSB_NETWORK', why));
        }, budgetMs);
  const limited: Task = { ...task, signal: AbortSignal.any([task.signal, budget.signal]) };
  const found = await Promise.all(imports.map((one) => importCache(session, { task, limited }, one))).finally(() =>
    clearTimeout(timer),
  );
  return found.filter((cache) => cache !== undefined);
}

/** Loads one cache; undefined, with a warning, when it cannot be used. */
async function importCache(
  session: Session,
  { task, limited }: { readonly task: Task; readonly limited: Task },
  spec: CacheImport,
): Promise<ImportedCache<OpResult> | undefined> {
  const name = nameOf(spec);
  try {
    return await withInternalVertex(task, session.now, `importing cache manifest from ${name}`, (vertex) =>
      load(session, { ...limited, vertex }, spec, name),
    );
  } catch (error) {
    task.signal.throwIfAborted();
    warn(session, task, `Cannot import cache from ${name}: ${messageOf(error)}`);
    return undefined;
  }
}

async function load(session: Session, task: Task, spec: CacheImport, name: string): Promise<ImportedCache<OpResult>> {
  const found = spec.type === 'registry' ? await findInRegistry(session, task, spec.reference) : findInDirectory(spec);
  const what = `cache ${JSON.stringify(name)}`;
  const { config, blobs } = parseCacheManifest(found, what);
  if (config.size > MAX_CACHE_CONFIG_BYTES)
    throw new TsbuildError(
      'TSB_IMAGE',
      `Cannot use ${what}: its config has ${config.size} bytes, more than the limit of ${MAX_CACHE_CONFIG_BYTES}`,
    );
  const bytes = await found.origin(task).read(config);
  if (bytes === undefined) throw new TsbuildError('TSB_NOT_FOUND', `Cannot use ${what}: its config is missing`);
  verifyDocument(bytes, config, what);
  const decoded = decodeRemoteConfig(bytes, blobs, `config of ${what}`);
  const fetcher = new BlobFetcher({ store: session.store, lease: session.lease, now: session.now });
  const origin: CacheOrigin = {
    fetch: (inner, blob, vertex) => fetcher.fetch(inner, found.origin, blob, vertex),
    ...(found.repository === undefined ? {} : { repository: found.repository }),
    onDamage: (error) => {
      cache.giveUp();
      warn(session, task, `Cannot use cache from ${name} any more, building without it: ${messageOf(error)}`);
    },
  };
  const cache = new ImportedCache<OpResult>(name, decoded, (layers) =>
    snapshot(session.layers.adoptCached(layers, origin)),
  );
  return cache;
}

/** The manifest of a cache in a registry. Nothing is stored: caches change with each build that writes them. */
async function findInRegistry(
  session: Session,
  task: Task,
  reference: Extract<CacheImport, { type: 'registry' }>['reference'],
): Promise<Found> {
  const { registry } = session;
  const repository = { host: reference.host, path: reference.path };
  const { descriptor, bytes } = await registry.manifest(task, reference);
  return { descriptor, bytes, repository, origin: (inner) => registryContent(registry, inner, repository) };
}

/** The manifest of a cache in an OCI layout. */
function findInDirectory({ src, tag, digest }: Extract<CacheImport, { type: 'local' }>): Found {
  using layout = openOciLayout(src);
  const wanted = digest === undefined ? { tag: tag ?? 'latest' } : { digest };
  const descriptor = findInLayout(layout, wanted);
  const bytes = readDocument(layout, descriptor, MAX_MANIFEST_BYTES, layout.what);
  return { descriptor, bytes, origin: layoutOrigin(src) };
}

/** The config and the other blobs of a cache manifest, in either of BuildKit's forms. @throws TsbuildError `TSB_IMAGE` */
function parseCacheManifest(
  { bytes, descriptor }: Found,
  what: string,
): { readonly config: Descriptor; readonly blobs: ReadonlyMap<Digest, Descriptor> } {
  const document = parseDocument(bytes, descriptor.mediaType, `manifest of ${what}`);
  const manifest = document.kind === 'manifest' ? document.manifest : undefined;
  const all = document.kind === 'index' ? document.index.manifests : [];
  const config = manifest?.config ?? all.find(({ mediaType }) => mediaType === CACHE_CONFIG_TYPE);
  if (config?.mediaType !== CACHE_CONFIG_TYPE)
    throw new TsbuildError('TSB_IMAGE', `Cannot use ${what}: it is not a build cache`, {
      hint: 'caches within images (type=inline) are not supported',
    });
  const blobs = manifest?.layers ?? all.filter((one) => one !== config);
  return { config, blobs: new Map(blobs.map((blob) => [blob.digest, blob])) };
}

/** What messages call the cache. */
function nameOf(spec: CacheImport): string {
  return spec.type === 'registry' ? formatReference(spec.reference) : spec.src;
}

/** A cache that cannot be used costs time only. */
function warn(session: Session, task: Task, message: string): void {
  task.events({
    type: 'diagnostic',
    diagnostic: { code: 'CacheImport', severity: 'warning', message, ranges: [] },
    at: session.now(),
  });
}
