import type { LlbVertex, Mount } from '../../llb/index.ts';
import type { MountName } from '../../remote-cache/index.ts';
import { canonicalDigest, type Digest } from '../../util/index.ts';
import type { CompiledGraphs } from '../compiled.ts';

/** A cache mount of a step. */
export interface StepMount {
  readonly vertex: LlbVertex;
  readonly mount: Mount;
  readonly name: MountName;
}

/** The cache mounts of all steps of a build. */
export class StepMounts {
  readonly #own = new Map<Digest, readonly StepMount[]>();
  readonly #consumers = new Map<Digest, Set<Digest>>();

  constructor({ platforms }: CompiledGraphs) {
    for (const vertex of platforms.flatMap(({ graph }) => graph.vertices)) {
      const mounts = vertex.op.body?.kind === 'exec' ? vertex.op.body.mounts : [];
      this.#own.set(
        vertex.digest,
        mounts.flatMap((mount) => {
          const name = nameOf(vertex, mount);
          return name === undefined ? [] : [{ vertex, mount, name }];
        }),
      );
      for (const { vertex: input } of vertex.inputs) {
        const known = this.#consumers.get(input.digest);
        if (known === undefined) this.#consumers.set(input.digest, new Set([vertex.digest]));
        else known.add(vertex.digest);
      }
    }
  }

  /** One mount of a step. */
  find(vertex: Digest, mount: Mount): StepMount | undefined {
    return this.#own.get(vertex)?.find((one) => one.mount === mount || one.mount.dest === mount.dest);
  }

  /** Those of a step and of all that is made of it: what runs makes the others run, most of the time. */
  from(vertex: Digest): readonly StepMount[] {
    const seen = new Set([vertex]);
    for (const digest of seen) for (const next of this.#consumers.get(digest) ?? []) seen.add(next);
    return [...seen].flatMap((digest) => this.#own.get(digest) ?? []);
  }
}

/**
 * What a mount is known by on every machine: ids of layers, by which the store tells mounts apart that start with files, are this
 * machine's own, but what these files are made by has the same digest everywhere.
 */
function nameOf(vertex: LlbVertex, { type, cache, input }: Mount): MountName | undefined {
  if (type !== 'cache' || cache === undefined) return undefined;
  const source = input < 0 ? undefined : vertex.inputs[input];
  if (source === undefined) return { id: cache.id };
  return { id: cache.id, base: canonicalDigest('tsbuild.mount-base.v1', [source.vertex.digest, source.output]) };
}

/** As people know it: without the namespace, which is empty but for its slash. */
export function shownMount({ id }: MountName): string {
  return id.startsWith('/') ? id.slice(1) : id;
}
