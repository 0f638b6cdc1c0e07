import type { EdgeNode, VertexNode } from './graph.ts';
import { contentKey, isNamed, leafKeys } from './keys.ts';
import type { CacheSource, NamedCache, NamedInput } from './types.ts';

/** Names of one edge that a cache is asked for: each costs a request, and whoever has many inputs has many names. */
const MAX_NAMES = 16;

/**
 * Names edges for the caches that have names for what they stand for. A name follows from those of the inputs, so that one more way to know
 * an edge (its content was hashed) is one more name for all that is made of it; they are passed on at once, before anybody asks, so that
 * such a cache is asked for everything together.
 */
export class Namer<Op, R> {
  readonly #named: readonly [number, NamedCache<R>][];

  constructor(sources: readonly (CacheSource<R> | NamedCache<R>)[]) {
    this.#named = [...sources.entries()].filter((entry): entry is [number, NamedCache<R>] => isNamed(entry[1]));
  }

  /** Something became known of a vertex: gives it, and what is made of it, the names that follow. */
  update(changed: VertexNode<Op, R>): void {
    if (this.#named.length === 0) return;
    // Whoever is added while the set is gone through comes up in turn.
    const pending = new Set([changed]);
    for (const vertex of pending) {
      pending.delete(vertex);
      for (const edge of vertex.edges.values())
        if (this.#extend(edge)) for (const reader of edge.readers) pending.add(reader);
    }
  }

  /** Gives an edge other names that a cache says it has. */
  add(edge: EdgeNode<Op, R>, source: number, names: readonly string[]): void {
    if (!this.#add(edge, source, names)) return;
    for (const reader of edge.readers) this.update(reader);
  }

  /** @returns whether there were new names */
  #extend(edge: EdgeNode<Op, R>): boolean {
    const { vertex } = edge;
    // What ignores the cache, or means nothing beyond this process, has only its content to show.
    if (vertex.map === undefined || vertex.map.volatile === true || vertex.vertex.ignoreCache) return false;
    let isNew = false;
    for (const [source, cache] of this.#named)
      isNew = this.#add(edge, source, this.#namesOf(edge, source, cache)) || isNew;
    return isNew;
  }

  #namesOf(edge: EdgeNode<Op, R>, source: number, cache: NamedCache<R>): readonly string[] {
    const { vertex, output } = edge;
    if (vertex.inputs.length === 0) return leafKeys(edge);
    const inputs = vertex.inputs.map((input, at): NamedInput[] => {
      const selector = vertex.map?.deps[at]?.selector;
      const content = vertex.contentDigests[at];
      return [
        ...[...(input.names[source]?.known ?? [])].map((from) => ({ from, ...(selector && { selector }) })),
        ...(content === undefined ? [] : [{ from: contentKey(content) }]),
      ];
    });
    if (inputs.some((ways) => ways.length === 0)) return [];
    return vertex.digests.flatMap((op) => cache.derive(op, output, inputs));
  }

  #add(edge: EdgeNode<Op, R>, source: number, names: readonly string[]): boolean {
    const known = edge.names[source]?.known;
    if (known === undefined) return false;
    const added: string[] = [];
    for (const name of names) {
      if (known.has(name) || known.size >= MAX_NAMES) continue;
      known.add(name);
      added.push(name);
    }
    const cache = this.#named.find(([at]) => at === source)?.[1];
    // Nobody has records of sources: they are asked for anew anyway.
    if (added.length > 0 && edge.vertex.inputs.length > 0) cache?.expect(added);
    return added.length > 0;
  }
}
