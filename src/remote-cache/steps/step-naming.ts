import { contentKey, type KeyLink, type KnownEdge, type KnownInput, type NamedInput } from '../../solver/index.ts';
import { leafKey } from '../../util/index.ts';
import { stepNames } from './names.ts';

/** Contents of one input that the local cache knows from earlier builds and that become names. */
const MAX_EARLIER = 4;

/** How the edges of a build are called in shared caches. */
export class StepNaming<R> {
  readonly #linksTo: (node: string) => readonly KeyLink[];
  /** The first names of edges, which what is made of them goes by. */
  readonly #nodes = new WeakMap<KnownEdge<R>, string>();

  /** @param linksTo the links of the local cache that lead to a node */
  constructor(linksTo: (node: string) => readonly KeyLink[]) {
    this.#linksTo = linksTo;
  }

  /**
   * All names of an edge that is no source. The first is made of the first names of its inputs, and so is the same wherever the same graph is built;
   * the others are ways to come to it by contents, or by another identity of a base image. None for what has no key beyond this process.
   */
  namesOf(edge: KnownEdge<R>): readonly string[] {
    const inputs = edge.inputs.map((input, at) => this.#waysOf(edge, input, at).map(({ way }) => way));
    const [op] = edge.ops;
    if (op === undefined || inputs.some((ways) => ways.length === 0)) return [];
    return [...new Set(stepNames(op, edge.output, inputs))];
  }

  /** Links to an edge from what means the same everywhere: contents and sources. */
  leafLinks(edge: KnownEdge<R>): readonly KeyLink[] {
    const [op] = edge.ops;
    if (op === undefined) return [];
    return edge.inputs.flatMap((input, at) =>
      this.#waysOf(edge, input, at).flatMap(({ way, isLeaf }) =>
        isLeaf ? [{ op, output: edge.output, input: at, ...way }] : [],
      ),
    );
  }

  /** In how many ways an input is known: as what it was made from, by its content now, and by contents of earlier builds. */
  #waysOf(edge: KnownEdge<R>, input: KnownInput<R>, at: number): readonly { way: NamedInput; isLeaf: boolean }[] {
    const { selector, content } = input;
    const ways: { way: NamedInput; isLeaf: boolean }[] = [];
    const add = (from: string, isLeaf: boolean): void => {
      ways.push({ way: { from, ...(selector && { selector }) }, isLeaf });
    };
    if (input.edge.source) for (const op of input.edge.ops) add(leafKey(op, input.edge.output), true);
    else {
      const node = this.#nodeOf(input.edge);
      if (node !== undefined) add(node, false);
    }
    // A content is of what is read only, and so needs no selector.
    const contents = new Set(content === undefined ? [] : [contentKey(content)]);
    for (const from of this.#earlier(edge, at)) contents.add(from);
    for (const from of contents) ways.push({ way: { from }, isLeaf: true });
    return ways;
  }

  #nodeOf(edge: KnownEdge<R>): string | undefined {
    const known = this.#nodes.get(edge);
    if (known !== undefined) return known;
    const [node] = this.namesOf(edge);
    if (node !== undefined) this.#nodes.set(edge, node);
    return node;
  }

  /** Contents that the local cache knows to lead to the edge through an input, the latest first. */
  #earlier(edge: KnownEdge<R>, at: number): readonly string[] {
    const leaves = edge.nodes
      .flatMap((node) => this.#linksTo(node))
      .filter((link) => link.input === at && link.output === edge.output && link.selector === undefined)
      .filter(
        ({ op, from }) => edge.ops.includes(op) && /^[0-9a-f]{64}$/.test(from) && this.#linksTo(from).length === 0,
      )
      .map(({ from }) => from);
    return [...new Set(leaves.toReversed())].slice(0, MAX_EARLIER);
  }
}
