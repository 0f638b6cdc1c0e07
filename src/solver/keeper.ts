import { type Caches, keyLinks } from './caches.ts';
import type { Candidate, EdgeNode, VertexNode } from './graph.ts';
import { leafKeys, nodeKey } from './keys.ts';
import type { KeyLink } from './types.ts';

/** Puts results and their keys into the main cache. */
export class Keeper<Op, R> {
  readonly #caches: Caches<Op, R>;
  /** Ids of results that were stored more than once, under the identities of an op. */
  readonly #sameAs = new Map<string, string>();

  constructor(caches: Caches<Op, R>) {
    this.#caches = caches;
  }

  /**
   * Stores a new result under every combination of the keys of its inputs.
   * @param linkOnly the result stands there already, only the keys of this edge may be new
   * @returns the id of the result, undefined where it cannot be stored
   */
  async save(edge: EdgeNode<Op, R>, result: R, linkOnly = false): Promise<string | undefined> {
    const { vertex, output, saved } = edge;
    if (vertex.map?.volatile) return undefined;
    if (vertex.inputs.length === 0) return this.#saveLeaf(edge, result, linkOnly ? new Set(leafKeys(edge)) : new Set());
    const links = await this.#links(edge);
    const [op] = vertex.digests;
    if (links === undefined || op === undefined) return undefined;
    const nodes = await this.#caches.common(links);
    const node = nodes.find((known) => edge.nodes[0]?.has(known)) ?? nodes[0] ?? nodeKey(op, output, firsts(links));
    this.#caches.link(node, links.flat());
    saved.add(node);
    if (!vertex.vertex.ignoreCache) edge.nodes[0]?.add(node);
    return linkOnly ? undefined : this.#caches.save(node, result);
  }

  /** Notes that a record was the result of an edge, so that next time its definition keys lead there. Gives the id of the result. */
  async adopt(edge: EdgeNode<Op, R>, { source, node, record }: Candidate, result: R): Promise<string> {
    const own = this.#caches.resultId(source, record.id);
    const id = this.#sameAs.get(own) ?? own;
    if (source > 0) {
      const saved = await this.save(edge, result);
      this.#linkForeign(edge);
      return saved ?? id;
    }
    if (edge.vertex.inputs.length === 0) this.#saveLeaf(edge, result, new Set([node]), id);
    else edge.saved.add(node);
    if (edge.lookedDeep) {
      const links = edge.vertex.inputs.map((input, at) =>
        keyLinks(edge, at, input.saved.size > 0 ? input.saved : (input.nodes[0] ?? [])),
      );
      this.#caches.link(node, links.flat());
    }
    return id;
  }

  /**
   * Names what running a vertex will be saved under, in the same words in every process that comes to it by the same keys: so they can
   * wait for each other. Ids of results will not do, for each process has its own for what it did not load.
   * @returns undefined for a vertex whose inputs have no keys that outlive this process
   */
  async place(vertex: VertexNode<Op, R>): Promise<string | undefined> {
    const [op] = vertex.digests;
    const [edge] = vertex.edges.values();
    if (op === undefined || edge === undefined || vertex.map?.volatile) return undefined;
    const links = await this.#links(edge);
    return links && nodeKey(op, 0, firsts(links));
  }

  /**
   * An edge without inputs has one node for each identity of its op, and the result stands under all of them: the
   * next build may know only one.
   * @param present nodes where it stands already
   */
  #saveLeaf(edge: EdgeNode<Op, R>, result: R, present: ReadonlySet<string>, known?: string): string | undefined {
    let id = known;
    for (const node of leafKeys(edge)) {
      edge.saved.add(node);
      const saved = present.has(node) ? undefined : this.#caches.save(node, result);
      if (saved === undefined) continue;
      id ??= saved;
      this.#sameAs.set(saved, id);
    }
    return id;
  }

  /** Tells that a stored result is the one that goes by another id already. */
  same(saved: string, id: string): void {
    this.#sameAs.set(saved, id);
  }

  /** Links from all keys of the inputs, per input; undefined when an input has none that outlive this process. */
  async #links(edge: EdgeNode<Op, R>): Promise<KeyLink[][] | undefined> {
    const all: KeyLink[][] = [];
    for (const [at, input] of edge.vertex.inputs.entries()) {
      const links = keyLinks(edge, at, await this.keysOf(input));
      if (links.length === 0) return undefined;
      all.push(links);
    }
    return all;
  }

  /**
   * Nodes of the main cache for an edge. Makes one for an edge that only another cache knows: its consumer's result came from
   * there, and must be found again without that cache.
   */
  async keysOf(edge: EdgeNode<Op, R>): Promise<Iterable<string>> {
    const { vertex, saved } = edge;
    if (saved.size > 0) return saved;
    const [op] = vertex.digests;
    if (op === undefined || vertex.map?.volatile || vertex.vertex.ignoreCache) return [];
    const known = edge.nodes[0];
    if (known !== undefined && known.size > 0) return known;
    await Promise.resolve(); // keeps the stack flat in deep graphs
    const links = await this.#links(edge);
    if (links === undefined || links.length === 0) return [];
    const node = nodeKey(op, edge.output, firsts(links));
    this.#caches.link(node, links.flat());
    saved.add(node);
    this.#linkForeign(edge);
    return saved;
  }

  /** What came from another cache is found here by all that led to it there, such as contents that nobody had to look at. */
  #linkForeign(edge: EdgeNode<Op, R>): void {
    if (edge.vertex.inputs.length === 0) return;
    const links = this.#caches.foreignLinks(edge);
    for (const node of edge.saved) this.#caches.link(node, links);
  }
}

/**
 * One link per input names a new node. The first is that of the definition key where there is one, so that names
 * seldom change.
 */
function firsts(links: readonly (readonly KeyLink[])[]): KeyLink[] {
  return links.flatMap((ofInput) => ofInput.slice(0, 1));
}
