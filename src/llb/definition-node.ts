import type { Platform } from '../image/index.ts';
import { type LlbVertex, loadGraph } from './graph.ts';
import { type MarshalContext, Node, Output } from './node.ts';
import type { Definition, Op, OpInput, OpMetadata } from './ops.ts';
import { State } from './state.ts';

/** A vertex of a graph that exists already, as part of a state. It marshals to the same bytes, so it keeps its digest. */
class DefinitionNode extends Node {
  readonly #vertex: LlbVertex;
  readonly #inputs: readonly Output[];

  constructor(vertex: LlbVertex, inputs: readonly Output[]) {
    super({});
    this.#vertex = vertex;
    this.#inputs = inputs;
  }

  inputs(): readonly Output[] {
    return this.#inputs;
  }

  toOp(context: MarshalContext): Op {
    const inputs = this.#inputs
      .map((output) => context.input(output))
      .filter((input): input is OpInput => input !== undefined);
    return { ...this.#vertex.op, inputs };
  }

  caps(): readonly string[] {
    return [...this.#vertex.metadata.caps.keys()];
  }

  override metadata(): OpMetadata {
    return this.#vertex.metadata;
  }
}

function platformOf({ platform }: Op): Platform | undefined {
  if (platform === undefined) return undefined;
  const { os, architecture, variant, osVersion } = platform;
  return { os, architecture, ...(variant ? { variant } : {}), ...(osVersion ? { osVersion } : {}) };
}

/**
 * The state of what a definition makes, to build further on it.
 * @throws TsbuildError `TSB_LLB` when the definition is malformed
 */
export function stateOf(definition: Definition): State {
  const { vertices, result } = loadGraph(definition);
  if (result === undefined) return new State();
  const nodes = new Map<LlbVertex, DefinitionNode>();
  const outputOf = (edge: { readonly vertex: LlbVertex; readonly output: number }): Output => {
    const node = nodes.get(edge.vertex);
    if (node === undefined) throw new Error('Vertices come after their inputs');
    return new Output(node, { index: () => edge.output, platform: platformOf(edge.vertex.op) });
  };
  for (const vertex of vertices) nodes.set(vertex, new DefinitionNode(vertex, vertex.inputs.map(outputOf)));
  return State.of(outputOf(result));
}
