import type { Task } from '../../events/index.ts';
import type { OpResult } from '../../ops/index.ts';
import { type CachedLayer, collectCache, encodeInlineCache, MAX_INLINE_CACHE_BYTES } from '../../remote-cache/index.ts';
import type { PackedLayer } from '../../snapshots/index.ts';
import type { KnownEdge } from '../../solver/index.ts';
import { formatBytes, goBool } from '../../util/index.ts';
import { edgesOf } from './cache-export.ts';
import type { PlatformGraph } from '../compiled.ts';
import type { BuildRequest } from '../request.ts';
import type { Session } from '../session.ts';
import type { RequestSolver } from '../compile/solve.ts';

/** buildx takes this build argument for `--cache-to type=inline`. */
const BUILD_ARG = 'BUILDKIT_INLINE_CACHE';

/** Whether a build is to put its cache into its images. */
export function wantsInlineCache({ cacheTo, buildArgs }: BuildRequest): boolean {
  return cacheTo.some(({ type }) => type === 'inline') || goBool(buildArgs.get(BUILD_ARG) ?? '') === true;
}

/** What a build knows of its graph, for the images that are to carry it. */
export class InlineCache {
  readonly #session: Session;
  readonly #solver: Pick<RequestSolver, 'known'>;
  readonly #known = new Map<PlatformGraph, Promise<readonly KnownEdge<OpResult>[]>>();

  constructor(session: Session, solver: Pick<RequestSolver, 'known'>) {
    this.#session = session;
    this.#solver = solver;
  }

  /**
   * The cache for the image of one platform, once that is solved: all keys that lead to a result whose layers are layers of the image.
   * @param ids of the layers, bottom first
   * @param packed the same layers as the image has them
   * @returns as the image's config has it; undefined, with a warning, where there is none
   */
  async of(
    task: Task,
    platform: PlatformGraph,
    ids: readonly string[],
    packed: readonly PackedLayer[],
  ): Promise<string | undefined> {
    const session = this.#session;
    // Layers of Windows images have a form that a cache does not tell from the usual one.
    if (ids.length === 0 || session.layers.isWindows(ids)) return undefined;
    let known = this.#known.get(platform);
    if (known === undefined) this.#known.set(platform, (known = this.#solver.known(task, [platform])));
    const edges = edgesOf(session, await known, layersOf(session, await known, ids, packed)).map(({ nodes, result }) =>
      result === undefined || result.layers.length === 0 ? { nodes } : { nodes, result },
    );
    const config = collectCache(edges, (node) => session.cache.linksTo(node));
    const text = encodeInlineCache(
      config,
      packed.map(({ descriptor }) => descriptor.digest),
    );
    if (text === undefined) this.#warn(task, 'no step of it has a key that another build could meet');
    else if (text.length > (MAX_INLINE_CACHE_BYTES / 3) * 4)
      this.#warn(task, `it has more than ${formatBytes(MAX_INLINE_CACHE_BYTES)}`);
    else return text;
    return undefined;
  }

  /** An image without its cache is an image all the same. */
  #warn(task: Task, why: string): void {
    warnOfInlineCache(this.#session, task, `Cannot put the cache into the image: ${why}`);
  }
}

/**
 * The layers of the image by all ids that they have: a layer that stands alone in one result and on others in the image is two layers to the
 * store, and one blob.
 */
function layersOf(
  session: Session,
  known: readonly KnownEdge<OpResult>[],
  ids: readonly string[],
  packed: readonly PackedLayer[],
): ReadonlyMap<string, CachedLayer> {
  const layers = new Map<string, CachedLayer>();
  for (const [at, layer] of packed.entries()) layers.set(ids[at] ?? '', layer);
  const byDigest = new Map(packed.map((layer) => [layer.descriptor.digest, layer]));
  for (const id of known.flatMap(({ result }) => (result?.kind === 'layers' ? result.layers : []))) {
    if (layers.has(id)) continue;
    const digest = session.layers.blobsOf(id).find((one) => byDigest.has(one));
    const layer = digest === undefined ? undefined : byDigest.get(digest);
    if (layer !== undefined) layers.set(id, layer);
  }
  return layers;
}

/** What was asked for and comes to nothing. */
export function warnOfInlineRequest(session: Session, task: Task, request: BuildRequest, hasImage: boolean): void {
  if (!hasImage)
    warnOfInlineCache(
      session,
      task,
      'Cannot put the cache into the image: no output has an image',
      'an output of type image, registry, oci or docker has one',
    );
  if (request.cacheTo.some((spec) => spec.type === 'inline' && spec.mode === 'max'))
    warnOfInlineCache(
      session,
      task,
      'mode=max of type=inline is mode=min: an image has only its own layers',
      'to keep those of all stages, write a cache beside the image: --cache-to type=registry,ref=REF,mode=max',
    );
}

function warnOfInlineCache(session: Session, task: Task, message: string, description?: string): void {
  task.events({
    type: 'diagnostic',
    diagnostic: {
      code: 'CacheExport',
      severity: 'warning',
      message,
      ranges: [],
      ...(description === undefined ? {} : { description }),
    },
    at: session.now(),
  });
}
