import {
  CACHE_CONFIG_TYPE,
  type CachedLayer,
  collectCache,
  type EdgeToCache,
  encodeRemoteConfig,
  MAX_CACHE_CONFIG_BYTES,
  type OwnCacheExport,
  type StepCacheExport,
} from '../../remote-cache/index.ts';
import { blobPath, type LayoutFile, streamBlob, writeLayout } from '../../exporter/index.ts';
import { type PushBlob, RepositoryWriter } from '../../registry/index.ts';
import {
  formatReference,
  MAX_MANIFEST_BYTES,
  REF_NAME_ANNOTATION,
  type Reference,
  compressionOf,
  type Descriptor,
  dockerLayerTypes,
  mediaTypes,
  ociLayerTypes,
} from '../../image/index.ts';
import { objectStoreId } from '../../object-store/index.ts';
import type { KnownEdge } from '../../solver/index.ts';
import { type Digest, sha256, TsbuildError } from '../../util/index.ts';
import { type ReportStatus, type Task, together } from '../../events/index.ts';
import type { CacheRace } from './cache-race.ts';
import { exportToEach } from './export-to-each.ts';
import type { OpResult } from '../../ops/index.ts';
import type { Session } from '../session.ts';
import type { StepExports } from './step-export.ts';

/** A blob of a cache, and the layer that it is the form of; the config is in memory. */
interface CacheBlob {
  readonly descriptor: Descriptor;
  readonly layer?: string;
  readonly bytes?: Uint8Array;
}

/** A cache that is complete but for being put somewhere. */
interface AssembledCache {
  readonly mediaType: string;
  readonly manifest: Uint8Array;
  readonly blobs: readonly CacheBlob[];
}

/**
 * Writes the caches of `--cache-to`, when all results of the build are out. One that cannot be written is a warning, unless the
 * user wants to know.
 * @param known what the solver knows of the build's graph, inputs first
 * @param race knows what the names stood for when the build began
 * @param steps what was written beside the build
 * @throws TsbuildError of the first with `ignore-error=false` that failed, once all were tried; `TSB_CANCELED`
 */
export async function exportCaches(
  session: Session,
  task: Task,
  exports: readonly (OwnCacheExport | StepCacheExport)[],
  known: readonly KnownEdge<OpResult>[],
  { race, steps }: { readonly race: CacheRace; readonly steps: StepExports },
): Promise<void> {
  await exportToEach(session, task, exports, (spec) => {
    const { type, name } = whereTo(spec);
    return {
      what: `cache to ${name}`,
      vertex: `exporting cache to ${type === 'local' ? 'client directory' : type}`,
      run: (status, inner) =>
        spec.type === 'steps'
          ? steps.finish(spec, inner, known, status)
          : exportCache(session, inner, spec, known, { status, race }),
    };
  });
}

/** The place that a cache goes to, as messages name it. */
function whereTo(spec: OwnCacheExport | StepCacheExport): { readonly type: string; readonly name: string } {
  const place = spec.type === 'steps' ? spec.place : spec.type === 'local' ? { ...spec, path: spec.dest } : spec;
  switch (place.type) {
    case 'registry':
      return { type: place.type, name: formatReference(place.reference) };
    case 'local':
      return { type: place.type, name: place.path };
    case 'objects':
      return { type: place.store.kind, name: objectStoreId(place.store) };
  }
}

/** Makes one cache and puts it where it was asked for. */
async function exportCache(
  session: Session,
  task: Task,
  spec: OwnCacheExport,
  known: readonly KnownEdge<OpResult>[],
  { status, race }: { readonly status: ReportStatus; readonly race: CacheRace },
): Promise<void> {
  status('preparing build cache for export', 0);
  const layers = await describeLayers(session, task, spec, known);
  const cache = assembleCache(spec, edgesOf(session, known, layers), (node) => session.cache.linksTo(node), layers);
  status('preparing build cache for export', 0, undefined, true);
  if (spec.type === 'registry') await push(session, task, spec.reference, cache, { status, race });
  else await writeDirectory(session, task, spec, cache, status);
}

/** The layers of all results that the cache is to have, by id. */
async function describeLayers(
  session: Session,
  task: Task,
  { mode, compression }: OwnCacheExport,
  known: readonly KnownEdge<OpResult>[],
): Promise<ReadonlyMap<string, CachedLayer>> {
  const wanted = mode === 'max' ? known.filter(({ source }) => !source) : known.filter(({ target }) => target);
  const stacks = wanted.flatMap(({ result }) => (result?.kind === 'layers' ? [result.layers] : []));
  // Layers of Windows images have a form that a cache does not tell from the usual one.
  const ids = new Set(stacks.filter((layers) => !session.layers.isWindows(layers)).flat());
  const entries = [...ids].map(async (id): Promise<[string, CachedLayer]> => {
    const { descriptor, ...rest } = await session.layers.describe(task, id, compression);
    const { mediaType, digest, size } = descriptor;
    return [id, { ...rest, descriptor: { mediaType, digest, size } }];
  });
  return new Map(await Promise.all(entries));
}

/**
 * What a cache is to have of each edge. Results with a layer that it does not have go in as keys alone, and so do sources: they are asked
 * for anew anyway.
 * @param layers those that it has, by id
 */
export function edgesOf(
  session: Session,
  known: readonly KnownEdge<OpResult>[],
  layers: ReadonlyMap<string, CachedLayer>,
): readonly EdgeToCache[] {
  return known.map(({ nodes, result, source }) => {
    const ids = result?.kind === 'layers' && !source ? result.layers : undefined;
    const found = ids?.map((id) => layers.get(id)).filter((layer) => layer !== undefined);
    if (found === undefined || found.length !== ids?.length) return { nodes };
    const createdAt = nodes.flatMap((node) => session.cache.records(node)).map((record) => record.createdAt);
    return { nodes, result: { layers: found, createdAt: Math.max(0, ...createdAt) } };
  });
}

/** The cache as an image: its config is the graph of keys, its layers are those of the results. */
function assembleCache(
  { imageManifest, ociMediaTypes }: OwnCacheExport,
  edges: readonly EdgeToCache[],
  linksTo: Parameters<typeof collectCache>[1],
  layers: ReadonlyMap<string, CachedLayer>,
): AssembledCache {
  const collected = collectCache(
    edges.map(({ nodes, result }) => ({
      nodes,
      ...(result && {
        result: { ...result, layers: result.layers.map((layer) => withMediaType(layer, ociMediaTypes)) },
      }),
    })),
    linksTo,
  );
  const bytes = encodeRemoteConfig(collected);
  if (bytes.length > MAX_CACHE_CONFIG_BYTES)
    throw new TsbuildError('TSB_EXPORT', `its config has ${bytes.length} bytes, more than ${MAX_CACHE_CONFIG_BYTES}`);
  const config: Descriptor = { mediaType: CACHE_CONFIG_TYPE, digest: sha256(bytes), size: bytes.length };
  const idOf = new Map([...layers].map(([id, { descriptor }]) => [descriptor.digest, id]));
  const blobs = new Map<Digest, Descriptor>();
  for (const { layer } of collected.layers) if (layer) blobs.set(layer.descriptor.digest, layer.descriptor);
  const index = ociMediaTypes ? mediaTypes.ociIndex : mediaTypes.dockerIndex;
  const mediaType = imageManifest ? mediaTypes.ociManifest : index;
  const entries = imageManifest ? { config, layers: [...blobs.values()] } : { manifests: [...blobs.values(), config] };
  const manifest = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, ...entries }));
  if (manifest.length > MAX_MANIFEST_BYTES)
    throw new TsbuildError('TSB_EXPORT', `its manifest has ${manifest.length} bytes, more than ${MAX_MANIFEST_BYTES}`);
  const layerBlobs = [...blobs.values()].map((descriptor): CacheBlob => {
    const layer = idOf.get(descriptor.digest);
    return { descriptor, ...(layer === undefined ? {} : { layer }) };
  });
  return { mediaType, manifest, blobs: [...layerBlobs, { descriptor: config, bytes }] };
}

function withMediaType(layer: CachedLayer, oci: boolean): CachedLayer {
  const types = oci ? ociLayerTypes : dockerLayerTypes;
  const mediaType = types[compressionOf(layer.descriptor.mediaType) ?? 'gzip'];
  return { ...layer, descriptor: { ...layer.descriptor, mediaType } };
}

/** Blobs first and the manifest last: what a reader finds by the tag is complete. */
async function push(
  session: Session,
  task: Task,
  reference: Reference,
  cache: AssembledCache,
  { status, race }: { readonly status: ReportStatus; readonly race: CacheRace },
): Promise<void> {
  const ids = new Map(
    cache.blobs.map(({ descriptor: { digest }, bytes }) => [
      digest,
      `writing ${bytes === undefined ? 'layer' : 'config'} ${digest}`,
    ]),
  );
  const writer = new RepositoryWriter(session.registry, reference).watch(({ digest, size }, sent) =>
    status(ids.get(digest) ?? digest, sent, size),
  );
  // What is still to be sent when one has failed is not sent any more.
  await together(task, cache.blobs, async (own, blob) => {
    const { digest, size } = blob.descriptor;
    const id = ids.get(digest) ?? digest;
    status(id, 0, size);
    await writer.blob(own, blobToPush(session, own, blob), () => session.repositoriesOf(blob.descriptor, blob.layer));
    status(id, size, size, true);
  });
  const root: Descriptor = { mediaType: cache.mediaType, digest: sha256(cache.manifest), size: cache.manifest.length };
  const id = `writing cache manifest ${root.digest}`;
  if (await race.lost(task, reference, root.digest)) {
    const message = `The cache ${formatReference(reference)} was written by somebody else during this build: what that build cached is replaced`;
    const hint = 'give builds that run at the same time names of their own (ref=…:BRANCH), and --cache-from for each';
    task.events({
      type: 'diagnostic',
      diagnostic: { code: 'CacheExport', severity: 'warning', message, description: hint, ranges: [] },
      at: session.now(),
    });
  }
  status(id, 0, root.size);
  await writer.manifest(task, root, cache.manifest, reference.tag === undefined ? [] : [reference.tag]);
  status(id, root.size, root.size, true);
  session.origins.note(ids.keys(), reference);
}

/** One blob of a cache, which is fetched when its bytes are asked for. */
function blobToPush(session: Session, task: Task, { descriptor, layer, bytes }: CacheBlob): PushBlob {
  const { digest, size } = descriptor;
  return {
    digest,
    size,
    async *open(start) {
      if (bytes !== undefined) return yield bytes.subarray(start);
      if (layer !== undefined) await session.layers.fetch(task, [layer]);
      yield* streamBlob(session.store.blobs, descriptor, start);
    },
  };
}

/** The cache as an OCI layout. */
async function writeDirectory(
  session: Session,
  task: Task,
  { dest, tag }: Extract<OwnCacheExport, { type: 'local' }>,
  { blobs, manifest, mediaType }: AssembledCache,
  status: ReportStatus,
): Promise<void> {
  await session.layers.fetch(
    task,
    blobs.flatMap(({ layer }) => layer ?? []),
  );
  const root: Descriptor = { mediaType, digest: sha256(manifest), size: manifest.length };
  const files: LayoutFile[] = [
    ...blobs.map(({ descriptor: { digest, size }, bytes }) => ({
      path: blobPath(digest),
      size,
      content: bytes ?? digest,
    })),
    { path: blobPath(root.digest), size: root.size, content: manifest },
  ];
  const entry: Descriptor = { ...root, annotations: { [REF_NAME_ANNOTATION]: tag } };
  const id = `writing cache manifest ${root.digest}`;
  status(id, 0, root.size);
  await writeLayout(task, session.store.blobs, { files, entries: [entry] }, dest);
  status(id, root.size, root.size, true);
}
