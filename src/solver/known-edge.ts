import type { Digest } from '../util/index.ts';
import type { EdgeNode } from './graph.ts';
import type { KnownEdge, KnownInput } from './types.ts';

/** Edges as others may see them, one object for each. */
export class KnownEdges<Op, R> {
  readonly #views = new WeakMap<EdgeNode<Op, R>, EdgeView<Op, R>>();
  readonly #targets = new WeakSet<EdgeNode<Op, R>>();

  of(edge: EdgeNode<Op, R>): KnownEdge<R> {
    let view = this.#views.get(edge);
    if (view === undefined)
      this.#views.set(
        edge,
        (view = new EdgeView(
          edge,
          (input) => this.of(input),
          () => this.#targets.has(edge),
        )),
      );
    return view;
  }

  /** Notes that an edge is what somebody wants. */
  target(edge: EdgeNode<Op, R>): void {
    this.#targets.add(edge);
  }
}

class EdgeView<Op, R> implements KnownEdge<R> {
  readonly #edge: EdgeNode<Op, R>;
  readonly #view: (edge: EdgeNode<Op, R>) => KnownEdge<R>;
  readonly #isTarget: () => boolean;

  constructor(edge: EdgeNode<Op, R>, view: (edge: EdgeNode<Op, R>) => KnownEdge<R>, isTarget: () => boolean) {
    this.#edge = edge;
    this.#view = view;
    this.#isTarget = isTarget;
  }

  get vertex(): Digest {
    return this.#edge.vertex.vertex.digest;
  }

  get name(): string {
    return this.#edge.vertex.vertex.name;
  }

  get nodes(): readonly string[] {
    const { saved, nodes, vertex } = this.#edge;
    if (saved.size > 0) return [...saved];
    return vertex.map?.volatile === true || vertex.vertex.ignoreCache ? [] : [...(nodes[0] ?? [])];
  }

  get result(): R | undefined {
    return this.#edge.outcome?.result;
  }

  get source(): boolean {
    return this.#edge.vertex.inputs.length === 0;
  }

  get target(): boolean {
    return this.#isTarget();
  }

  get executed(): boolean {
    return this.#edge.executed;
  }

  get ops(): readonly Digest[] {
    const { map, digests } = this.#edge.vertex;
    return map === undefined || map.volatile === true ? [] : digests;
  }

  get output(): number {
    return this.#edge.output;
  }

  get inputs(): readonly KnownInput<R>[] {
    const { vertex } = this.#edge;
    return vertex.inputs.map((input, at) => {
      const selector = vertex.map?.deps[at]?.selector;
      const content = vertex.contentDigests[at];
      return {
        edge: this.#view(input),
        ...(selector === undefined ? {} : { selector }),
        ...(content === undefined ? {} : { content }),
      };
    });
  }
}
