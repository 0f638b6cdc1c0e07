import { messageOf } from '../util/index.ts';
import type { EdgeNode } from './graph.ts';
import { contentKey, isNamed, leafKeys } from './keys.ts';
import type { Namer } from './namer.ts';
import type { CacheRecord, CacheSource, KeyLink, NamedCache } from './types.ts';

/** Links that the main cache takes over from others for one edge: a hostile cache must not fill it. */
const MAX_FOREIGN_LINKS = 1000;

interface SearchOptions {
  readonly again?: boolean;
  readonly final?: boolean;
}

/** The caches of a build, read and written so that a fault of theirs is a miss (security rule 13). */
export class Caches<Op, R> {
  readonly sources: readonly (CacheSource<R> | NamedCache<R>)[];
  readonly #namer: Namer<Op, R>;
  readonly #warn: (message: string) => void;
  readonly #faulty = new Set<string>();

  constructor(
    sources: readonly (CacheSource<R> | NamedCache<R>)[],
    namer: Namer<Op, R>,
    warn: (message: string) => void,
  ) {
    this.sources = sources;
    this.#namer = namer;
    this.#warn = warn;
  }

  /**
   * Follows the keys that the inputs of an edge have by now, and notes the records found as candidates.
   * @param again asks also for what was asked for before: another process may have saved something since
   * @param final no more of the inputs will be found out before the answer counts
   */
  async search(edge: EdgeNode<Op, R>, { again = false, final = false }: SearchOptions = {}): Promise<void> {
    const { vertex } = edge;
    if (vertex.vertex.ignoreCache || vertex.map?.volatile) return;
    for (let source = 0; source < this.sources.length; source++) {
      const known = edge.nodes[source];
      if (known === undefined) continue;
      const cache = this.sources[source];
      if (isNamed(cache)) {
        // Nobody waits for another machine to hear what a nearer cache knows, or will when its inputs are.
        if (edge.candidates.length === 0 && (final || edge.vertex.inputs.every(isSettled)))
          await this.#searchNames(edge, source, cache);
        continue;
      }
      for (const node of vertex.inputs.length === 0 ? leafKeys(edge) : await this.#common(edge, source, again)) {
        if (known.has(node) && !again) continue;
        known.add(node);
        await this.#records(edge, source, node);
      }
    }
  }

  /**
   * Whether the caches know something that reads what this input is. One that names its nodes can only tell for all inputs together, so
   * that there is hope while the input is known at all.
   */
  matches(edge: EdgeNode<Op, R>, input: number): boolean {
    if (edge.reached.some((inputs) => (inputs[input]?.nodes.size ?? 0) > 0)) return true;
    if (!this.sources.some((cache) => isNamed(cache))) return false;
    const read = edge.vertex.inputs[input];
    const isNameKnown = read?.names.some(({ known }) => known.size > 0) ?? false;
    return isNameKnown || edge.vertex.contentDigests[input] !== undefined;
  }

  /** Nodes of the main cache that all of `links` lead to, per input. */
  async common(links: readonly (readonly KeyLink[])[]): Promise<string[]> {
    const perInput: Set<string>[] = [];
    for (const ofInput of links) perInput.push(new Set(await this.#query(0, ofInput)));
    return intersection(perInput);
  }

  /** Adds keys under which a node of the main cache is known. */
  link(node: string, links: readonly KeyLink[]): void {
    this.#guard(0, undefined, (main) => (isNamed(main) ? undefined : main.link?.(node, links)));
  }

  /** Stores in the main cache. Gives the id of the result there. */
  save(node: string, result: R): string | undefined {
    const record = this.#guard(0, undefined, (main) => (isNamed(main) ? undefined : main.save?.(node, result)));
    return record === undefined ? undefined : this.resultId(0, record.id);
  }

  /** Links from leaves by which other caches than the main one know an edge. Leaves are the same in all of them. */
  foreignLinks(edge: EdgeNode<Op, R>): KeyLink[] {
    const found: KeyLink[] = [];
    for (const [source, nodes] of edge.nodes.entries()) {
      if (source === 0) continue;
      for (const node of nodes) {
        for (const op of edge.vertex.digests) {
          const links = this.#guard<readonly KeyLink[]>(
            source,
            [],
            (cache) => cache.leafLinks?.(node, op, edge.output) ?? [],
          );
          found.push(...links.slice(0, MAX_FOREIGN_LINKS - found.length));
          if (found.length >= MAX_FOREIGN_LINKS) return found;
        }
      }
    }
    return found;
  }

  /** Forgets a record that could not be loaded, in the cache that it came from. */
  drop(source: number, record: CacheRecord): void {
    this.#guard(source, undefined, (cache) => cache.drop?.(record));
  }

  /** Ids of records are unique within a cache only. */
  resultId(source: number, record: string): string {
    return `${source}/${record}`;
  }

  /** Notes what hangs on a node, once for each record however many keys lead to it. */
  async #records(edge: EdgeNode<Op, R>, source: number, node: string): Promise<void> {
    const cache = this.sources[source];
    let records: readonly CacheRecord[] = [];
    try {
      records = (isNamed(cache) ? undefined : await cache?.records(node)) ?? [];
    } catch (error) {
      this.#fault(source, error);
    }
    this.#offer(edge, source, node, records);
  }

  /**
   * Asks a cache for all names of an edge that it was not asked for. What it has under one may go by another name as well, which is
   * asked for too: more names than one question brings up lead nowhere.
   */
  async #searchNames(edge: EdgeNode<Op, R>, source: number, cache: NamedCache<R>): Promise<void> {
    const names = edge.names[source];
    if (names === undefined || edge.vertex.inputs.length === 0) return;
    const wanted = [...names.known].filter((name) => !names.asked.has(name));
    if (wanted.length === 0) return;
    try {
      const found = await Promise.all(wanted.map(async (name) => [name, await cache.node(name)] as const));
      for (const [name, node] of found) {
        names.asked.add(name);
        if (node === undefined) continue;
        edge.nodes[source]?.add(name);
        this.#offer(edge, source, name, node.records);
        this.#namer.add(edge, source, node.names);
      }
    } catch (error) {
      this.#fault(source, error);
    }
  }

  /** Notes records as candidates. */
  #offer(edge: EdgeNode<Op, R>, source: number, node: string, records: readonly CacheRecord[]): void {
    let found = false;
    for (const record of records) {
      const id = this.resultId(source, record.id);
      if (edge.seen.has(id)) continue;
      edge.seen.add(id);
      edge.candidates.push({ source, node, record });
      found = true;
    }
    // The main cache first: loading from it is cheapest. Then the newest.
    if (found) edge.candidates.sort((a, b) => a.source - b.source || b.record.createdAt - a.record.createdAt);
  }

  /** Nodes that the keys of all inputs lead to: a node counts only when every input is one that it was made from. */
  async #common(edge: EdgeNode<Op, R>, source: number, again: boolean): Promise<string[]> {
    const reached = edge.reached[source] ?? [];
    for (const [input, state] of reached.entries()) {
      const links = lookupLinks(edge, source, input);
      if (links.length === 0 || (links.length === state.links && !again)) continue;
      const nodes = await this.#query(source, links);
      state.links = links.length;
      for (const node of nodes) state.nodes.add(node);
    }
    return intersection(reached.map(({ nodes }) => nodes));
  }

  /** A cache that fails answers nothing. */
  async #query(source: number, links: readonly KeyLink[]): Promise<readonly string[]> {
    const cache = this.sources[source];
    if (links.length === 0 || isNamed(cache)) return [];
    try {
      return (await cache?.query(links)) ?? [];
    } catch (error) {
      this.#fault(source, error);
      return [];
    }
  }

  /** Uses a cache; what it throws is a warning and counts as `otherwise`. */
  #guard<T>(source: number, otherwise: T, use: (cache: CacheSource<R> | NamedCache<R>) => T): T {
    const cache = this.sources[source];
    if (cache === undefined) return otherwise;
    try {
      return use(cache);
    } catch (error) {
      this.#fault(source, error);
      return otherwise;
    }
  }

  /** Warns once for each cache, whatever goes wrong how often. */
  #fault(source: number, error: unknown): void {
    const id = this.sources[source]?.id ?? '';
    if (this.#faulty.has(id)) return;
    this.#faulty.add(id);
    this.#warn(`Cannot use cache "${id}" in full: ${messageOf(error)}`);
  }
}

/** All links from one input's keys to an edge, for every identity of the op. */
export function keyLinks<Op, R>(edge: EdgeNode<Op, R>, input: number, from: Iterable<string>): KeyLink[] {
  const { vertex, output } = edge;
  const selector = vertex.map?.deps[input]?.selector;
  const content = vertex.contentDigests[input];
  const links: KeyLink[] = [];
  for (const op of vertex.digests) {
    for (const node of from)
      links.push({ op, output, input, from: node, ...(selector === undefined ? {} : { selector }) });
    if (content !== undefined) links.push({ op, output, input, from: contentKey(content) });
  }
  return links;
}

/** Whether the nearest cache has said what it knows of an edge, by which it would know what is made of it. */
function isSettled<Op, R>(edge: EdgeNode<Op, R>): boolean {
  const { vertex, nodes, complete, hasLooked } = edge;
  const isLeaf = vertex.inputs.length === 0 || vertex.map?.volatile === true || vertex.vertex.ignoreCache;
  return isLeaf || complete || hasLooked || (nodes[0]?.size ?? 0) > 0;
}

/** Links by which to look: an input that ignores the cache or means nothing beyond this process has only its content to show. */
function lookupLinks<Op, R>(edge: EdgeNode<Op, R>, source: number, input: number): KeyLink[] {
  return keyLinks(edge, input, edge.vertex.inputs[input]?.nodes[source] ?? []);
}

/** What is in all of the sets; empty without any. */
function intersection(sets: readonly Set<string>[]): string[] {
  const [first, ...rest] = sets;
  return first === undefined ? [] : [...first].filter((node) => rest.every((set) => set.has(node)));
}
