import type { ReportStatus, Task } from '../../events/index.ts';
import { streamBlob } from '../../exporter/index.ts';
import type { OpResult } from '../../ops/index.ts';
import {
  type CachedLayer,
  readSigningKey,
  SharedCache,
  type StepCacheExport,
  StepExporter,
  type StepLayers,
} from '../../remote-cache/index.ts';
import type { RepositoryWriters } from '../../registry/index.ts';
import type { KnownEdge } from '../../solver/index.ts';
import { type Digest, formatBytes } from '../../util/index.ts';
import type { UsedCache } from './cache-import.ts';
import type { Session } from '../session.ts';
import { openPlace } from './step-caches.ts';

/** How long what was begun may take to get done when the build has failed, in ms: it is what the next one need not do again. */
const FAILED_BUILD_MS = 30_000;

/** One `--cache-to` of steps, while the build runs. */
interface StepExport {
  readonly spec: StepCacheExport;
  readonly exporter: StepExporter<OpResult>;
}

/** The caches of steps that a build writes: each step goes up as soon as it has its result. */
export class StepExports {
  readonly #exports: readonly StepExport[];
  #vertices: ReadonlySet<Digest> = new Set();
  #summaryOf: (vertex: Digest) => Uint8Array | undefined = () => undefined;

  /**
   * @param task of the build: what goes on beside it ends with it
   * @param imports the caches that the build reads
   * @param writers those of the build: what is pushed to a registry is not asked for again
   * @throws TsbuildError `TSB_USAGE` for a key that cannot be used
   */
  constructor(
    session: Session,
    task: Task,
    specs: readonly StepCacheExport[],
    { imports, writers }: Pick<Surroundings, 'imports' | 'writers'>,
  ) {
    // What goes on beside the build belongs to no vertex, and is told in the end.
    const quiet: Task = { signal: task.signal, events: () => undefined };
    this.#exports = specs.map((spec) => ({
      spec,
      exporter: openExporter(session, quiet, spec, {
        imports,
        writers,
        summaryOf: (vertex) => this.#summaryOf(vertex),
      }),
    }));
  }

  /**
   * With `mode=min` only vertices that become part of the results go up beside the build, which are known when the graph is.
   * @param summaryOf what is told of a step besides its result
   */
  expect(vertices: ReadonlySet<Digest>, summaryOf: (vertex: Digest) => Uint8Array | undefined): void {
    this.#vertices = vertices;
    this.#summaryOf = summaryOf;
  }

  /** An edge has its result. */
  offer(edge: KnownEdge<OpResult>): void {
    for (const { spec, exporter } of this.#exports)
      if (spec.mode === 'max' || this.#vertices.has(edge.vertex)) exporter.offer(edge);
  }

  /**
   * Exports what is left to a place, when all results of the build are out.
   * @param known what the solver knows of the build's graph, inputs first
   * @throws what kept it from being written; `TSB_CANCELED`
   */
  async finish(
    spec: StepCacheExport,
    task: Task,
    known: readonly KnownEdge<OpResult>[],
    status: ReportStatus,
  ): Promise<void> {
    const report = await this.#exports.find((one) => one.spec === spec)?.exporter.finish(task, known);
    if (report === undefined) return;
    const { written, kept, layersSent, bytesSent } = report;
    const layers = `${layersSent} ${layersSent === 1 ? 'layer' : 'layers'} (${formatBytes(bytesSent)})`;
    status(`wrote ${written} records, kept ${kept}, sent ${layers}`, 0, undefined, true);
  }

  /** The build has failed: what it has made is shared all the same, as far as that does not take long. Never rejects. */
  async settle(task: Task): Promise<void> {
    if (task.signal.aborted) return;
    const signal = AbortSignal.any([task.signal, AbortSignal.timeout(FAILED_BUILD_MS)]);
    const ended = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    const settled = this.#exports.map(({ exporter }) => exporter.settle({ ...task, signal }).catch(() => undefined));
    await Promise.race([Promise.all(settled), ended]);
  }

  /** Resolves when nothing is going on any more, after the build's task has ended. */
  async idle(): Promise<void> {
    await Promise.all(this.#exports.map(({ exporter }) => exporter.idle()));
  }
}

/** What an export knows of the build around it. */
interface Surroundings {
  readonly imports: () => readonly UsedCache[];
  readonly writers: RepositoryWriters;
  readonly summaryOf: (vertex: Digest) => Uint8Array | undefined;
}

function openExporter(
  session: Session,
  task: Task,
  spec: StepCacheExport,
  { imports, writers, summaryOf }: Surroundings,
): StepExporter<OpResult> {
  const { mode, author, keyFile, maxBytes, touchMs } = spec;
  const place = openPlace(session, spec.place, spec.scope, writers);
  const damagedOf = (cache: UsedCache): readonly Digest[] =>
    cache instanceof SharedCache && cache.place.id === place.id ? [...cache.damagedLayers] : [];
  return new StepExporter({
    place,
    task,
    mode,
    author,
    layers: { ...stepLayers(session, spec), summary: ({ vertex }) => summaryOf(vertex) },
    now: session.now,
    ...(keyFile === undefined ? {} : { key: readSigningKey(keyFile) }),
    ...(maxBytes === undefined ? {} : { maxBytes }),
    ...(touchMs === undefined ? {} : { touchMs }),
    damaged: () => new Set(imports().flatMap(damagedOf)),
  });
}

/** Results as the exporter sees them. Nothing is packed before it is asked for, and nothing is fetched before it has to be sent. */
function stepLayers(session: Session, { compression }: StepCacheExport): StepLayers<OpResult> {
  const { store, layers, cache, origins } = session;
  const idOf = new Map<Digest, string>();
  return {
    async describe(task, result) {
      // Layers of Windows images have a form that a cache does not tell from the usual one.
      if (result.kind !== 'layers' || layers.isWindows(result.layers)) return undefined;
      return Promise.all(
        result.layers.map(async (id): Promise<CachedLayer> => {
          const { descriptor, ...rest } = await layers.describe(task, id, compression);
          const { mediaType, digest, size } = descriptor;
          idOf.set(digest, id);
          return { ...rest, descriptor: { mediaType, digest, size } };
        }),
      );
    },
    ids: (result) => (result.kind === 'layers' ? result.layers : []),
    blob: (task, { descriptor }) => ({
      digest: descriptor.digest,
      size: descriptor.size,
      async *open(start) {
        const id = idOf.get(descriptor.digest);
        if (id !== undefined && !store.blobs.has(descriptor.digest, descriptor.size)) await layers.fetch(task, [id]);
        yield* streamBlob(store.blobs, descriptor, start);
      },
    }),
    mountFrom: ({ descriptor }) => session.repositoriesOf(descriptor, idOf.get(descriptor.digest)),
    onThere: (there, repository) => {
      const digests = there.map(({ descriptor }) => descriptor.digest);
      origins.note(digests, repository);
    },
    createdAt: ({ nodes }) =>
      Math.max(0, ...nodes.flatMap((node) => cache.records(node)).map((record) => record.createdAt)),
    linksTo: (node) => cache.linksTo(node),
  };
}
