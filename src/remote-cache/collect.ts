import type { KeyLink } from '../solver/types.ts';
import { type Digest, hexOf, leafKey, TsbuildError } from '../util/index.ts';
import {
  type CachedLayer,
  type CachedResult,
  type CacheInput,
  type ChainedLayer,
  MAX_CACHE_LAYERS,
  type RemoteConfig,
  type RemoteRecord,
} from './remote-config.ts';

/** What a build knows of one edge of its graph: nodes of the local cache, and the result that the cache is to have. */
export interface EdgeToCache {
  readonly nodes: readonly string[];
  readonly result?: {
    /** Bottom first. */
    readonly layers: readonly CachedLayer[];
    /** Milliseconds since the epoch. */
    readonly createdAt: number;
  };
}

/** Ways to know one input that a record keeps at most: content that changes with every build would add up. */
const MAX_LINKS = 100;

/**
 * Makes a cache for others of what one build knows. Links from nodes of other builds are left out; contents that lead here stay.
 * A link leads from an edge to one that comes after it, whatever the local cache says, so that nothing is made from itself: a
 * step that changes nothing has its own result as input.
 * @param edges inputs first
 * @param linksTo the links of the local cache that lead to a node
 * @throws TsbuildError `TSB_EXPORT` when there is more than a cache can hold
 */
export function collectCache(
  edges: readonly EdgeToCache[],
  linksTo: (node: string) => readonly KeyLink[],
): RemoteConfig {
  const layers = new LayerTrie();
  const known = new Set(edges.flatMap(({ nodes }) => nodes));
  const records: { -readonly [K in keyof RemoteRecord]: RemoteRecord[K] }[] = [];
  /** Numbers of the records of a node: one per op that may have made it. */
  const numbers = new Map<string, number[]>();
  const addRecord = (node: string, digest: Digest, inputs: RemoteRecord['inputs']): void => {
    numbers.set(node, [...(numbers.get(node) ?? []), records.length]);
    records.push({ digest, inputs, results: [] });
  };
  const addNode = (node: string): void => {
    const all = linksTo(node);
    if (all.length === 0) addRecord(node, `sha256:${node}`, []);
    for (const links of groupByKey(all)) {
      const inputs: CacheInput[][] = [];
      for (const { input, from, selector } of links) {
        // What nothing leads to is the content of an input, or a source.
        if (!numbers.has(from) && !known.has(from) && linksTo(from).length === 0 && /^[0-9a-f]{64}$/.test(from))
          addRecord(from, `sha256:${from}`, []);
        const ways = (inputs[input] ??= []);
        for (const link of numbers.get(from) ?? [])
          if (ways.length < MAX_LINKS) ways.push(selector === undefined ? { link } : { selector, link });
      }
      const complete = inputs.length > 0 && Array.from(inputs, (some) => (some?.length ?? 0) > 0).every(Boolean);
      const [first] = links;
      if (complete && first !== undefined) addRecord(node, `sha256:${leafKey(first.op, first.output)}`, inputs);
    }
  };
  for (const { nodes, result } of edges) {
    for (const node of nodes) {
      if (!numbers.has(node)) addNode(node);
      if (result === undefined) continue;
      const added: CachedResult = layers.add(result.layers, result.createdAt);
      for (const number of numbers.get(node) ?? []) {
        const record = records[number];
        if (record !== undefined && !record.results.some((one) => isSame(one, added)))
          record.results = [...record.results, added];
      }
    }
  }
  return { layers: layers.list, records: withoutDead(records) };
}

/** Results are the same when their layers are, whatever made them. */
function isSame(a: CachedResult, b: CachedResult): boolean {
  return JSON.stringify(a.layers) === JSON.stringify(b.layers);
}

/** Links by the op and output that they are about; those of one input in the order in which they were found. */
function groupByKey(links: readonly KeyLink[]): readonly (readonly KeyLink[])[] {
  return [...Map.groupBy(links, ({ op, output }) => `${op} ${output}`).values()];
}

/** Leaves out records from which no result can be reached. */
function withoutDead(records: readonly RemoteRecord[]): readonly RemoteRecord[] {
  const alive = records.map(({ results }) => results.length > 0);
  for (const [at, { inputs }] of [...records.entries()].toReversed()) {
    if (!alive[at]) continue;
    for (const { link } of inputs.flat()) alive[link] = true;
  }
  const moved = new Map<number, number>();
  for (const at of records.keys()) if (alive[at]) moved.set(at, moved.size);
  return records.flatMap((record, at) => {
    if (!alive[at]) return [];
    const inputs = record.inputs.map((links) => links.map((one) => ({ ...one, link: moved.get(one.link) ?? 0 })));
    return { ...record, inputs };
  });
}

/** The layers of all results, each once on what it stands on, parents first. */
class LayerTrie {
  readonly list: ChainedLayer[] = [];
  readonly #numbers = new Map<string, number>();

  add(layers: readonly CachedLayer[], createdAt: number): CachedResult {
    let parent = -1;
    for (const layer of layers) parent = this.#number(layer, parent);
    return { layers: parent < 0 ? [] : parent, createdAt };
  }

  /** The number of a layer in the config, on top of that parent. */
  #number(layer: CachedLayer, parent: number): number {
    const name = `${parent} ${hexOf(layer.descriptor.digest)}`;
    const known = this.#numbers.get(name);
    if (known !== undefined) return known;
    const number = this.list.push({ layer, parent }) - 1;
    if (number >= MAX_CACHE_LAYERS)
      throw new TsbuildError('TSB_EXPORT', `Cannot export the cache: it has more than ${MAX_CACHE_LAYERS} layers`, {
        hint: 'use mode=min, or fewer stages',
      });
    this.#numbers.set(name, number);
    return number;
  }
}
