import { type Digest, isDigest, sha256, type SourceRange } from '../util/index.ts';
import { decodeOp } from './definition.ts';
import { type MarshalledDefinition, mergeMetadata } from './marshal.ts';
import { defaultName } from './op-name.ts';
import type { Definition, Op, OpMetadata } from './ops.ts';
import { outputCount, validateOp } from './validate.ts';
import { malformed } from './wire.ts';

/** One vertex of a loaded graph. Fits the solver's `SolverVertex<Op>`. */
export interface LlbVertex {
  readonly digest: Digest;
  readonly name: string;
  readonly op: Op;
  readonly inputs: readonly LlbEdge[];
  readonly ignoreCache: boolean;
  readonly metadata: OpMetadata;
  /** Where in source files it comes from. */
  readonly ranges: readonly SourceRange[];
}

/** One output of a vertex: what another reads, or what the build results in. */
export interface LlbEdge {
  readonly vertex: LlbVertex;
  readonly output: number;
}

/** A definition after its digests and references were checked. */
export interface Graph {
  /** Every vertex, inputs before their consumers; without the last op, which only names the result. */
  readonly vertices: readonly LlbVertex[];
  /** Undefined is scratch. */
  readonly result: LlbEdge | undefined;
}

/** More ops than this are refused before any is looked at closely. */
export const MAX_OPS: number = 100_000;

/**
 * Turns a definition, which may come from outside, into a graph of vertices. Digests are computed here and never taken
 * from the definition; every index, enum and reference is checked (security.md LLB-01 to LLB-03).
 * @throws TsbuildError `TSB_LLB`
 */
export function loadGraph(definition: Definition): Graph {
  const [graph] = loadGraphs([definition]);
  if (graph === undefined) throw new Error('One definition gives one graph');
  return graph;
}

/**
 * Loads several definitions, such as one per platform, into graphs that share the vertices that they have in common.
 * @throws TsbuildError `TSB_LLB`
 */
export function loadGraphs(definitions: readonly Definition[]): readonly Graph[] {
  const metadata = new Map<Digest, OpMetadata>();
  for (const definition of definitions) {
    for (const [digest, entry] of definition.metadata) {
      const known = metadata.get(digest);
      metadata.set(digest, known === undefined ? entry : mergeMetadata(known, entry));
    }
  }
  const shared = new Map<Digest, LlbVertex>();
  return definitions.map((definition) => new Loader(definition, metadata, shared).load());
}

class Loader {
  readonly #definition: Definition;
  readonly #metadata: ReadonlyMap<Digest, OpMetadata>;
  readonly #vertices: Map<Digest, LlbVertex>;
  readonly #ops = new Map<Digest, Op>();

  constructor(definition: Definition, metadata: ReadonlyMap<Digest, OpMetadata>, shared: Map<Digest, LlbVertex>) {
    this.#definition = definition;
    this.#metadata = metadata;
    this.#vertices = shared;
  }

  /** Makes the vertices, inputs first, without recursion: graphs may be deep. */
  load(): Graph {
    const { def } = this.#definition;
    if (def.length === 0) return { vertices: [], result: undefined };
    if (def.length > MAX_OPS) throw malformed(`the definition has ${def.length} ops, more than ${MAX_OPS}`);
    const ops = opsOf(this.#definition);
    for (const [digest, op] of ops.slice(0, -1)) this.#ops.set(digest, op);
    const last: Op = ops.at(-1)?.[1] ?? { inputs: [] };
    const [input, ...others] = last.inputs;
    if (last.body !== undefined || input === undefined || others.length > 0) {
      throw malformed('the last op does not name the result: it must have one input and nothing else');
    }
    const order: LlbVertex[] = [];
    for (const digest of this.#ops.keys()) this.#link(digest, order);
    return { vertices: order, result: this.#edge(input.digest, input.index, 'the result') };
  }

  /** Makes a vertex after its inputs, with a stack of its own because graphs may be deep. */
  #link(root: Digest, order: LlbVertex[]): void {
    const stack = [root];
    const open = new Set<Digest>();
    for (let digest = stack.at(-1); digest !== undefined; digest = stack.at(-1)) {
      const op = this.#ops.get(digest);
      if (op === undefined) throw malformed(`an op refers to ${digest}, which is not in the definition`);
      if (this.#done.has(digest)) {
        stack.pop();
        continue;
      }
      const missing = op.inputs.filter((input) => !this.#done.has(input.digest));
      if (missing.length === 0) {
        stack.pop();
        order.push(this.#make(digest, op));
        this.#done.add(digest);
        continue;
      }
      if (open.has(digest)) throw malformed(`op ${digest} depends on itself`);
      open.add(digest);
      // One by one: an op may have more inputs than a call has arguments.
      for (const input of missing.reverse()) stack.push(input.digest);
    }
  }

  readonly #done = new Set<Digest>();

  /** One vertex, whose inputs are made already. */
  #make(digest: Digest, op: Op): LlbVertex {
    const known = this.#vertices.get(digest);
    if (known !== undefined) return known;
    const inputs = op.inputs.map((input, index) =>
      this.#edge(input.digest, input.index, `input ${index} of ${digest}`),
    );
    validateOp(op, digest);
    const metadata = this.#metadata.get(digest) ?? { ignoreCache: false, description: new Map(), caps: new Map() };
    const vertex: LlbVertex = {
      digest,
      name:
        metadata.description.get('llb.customname') ||
        defaultName(
          op,
          inputs.map((edge) => edge.vertex.name),
        ),
      op,
      inputs,
      ignoreCache: metadata.ignoreCache,
      metadata,
      ranges: this.#ranges(digest),
    };
    this.#vertices.set(digest, vertex);
    return vertex;
  }

  #edge(digest: Digest, output: number, what: string): LlbEdge {
    const vertex = isDigest(digest) ? this.#vertices.get(digest) : undefined;
    if (vertex === undefined) throw malformed(`${what} refers to ${digest}, which is not in the definition`);
    if (output < 0 || output >= outputCount(vertex.op))
      throw malformed(`${what} names output ${output} of ${digest}, which it does not have`);
    return { vertex, output };
  }

  #ranges(digest: Digest): readonly SourceRange[] {
    const source = this.#definition.source;
    const located = source?.locations.get(digest)?.locations ?? [];
    return located.flatMap(({ sourceIndex, ranges }) => {
      const info = source?.infos[sourceIndex];
      if (info === undefined) throw malformed(`${digest} is located in source file ${sourceIndex}, which is not there`);
      return ranges.map((range) => ({
        file: info.filename,
        startLine: range.start?.line ?? 0,
        endLine: range.end?.line ?? range.start?.line ?? 0,
      }));
    });
  }
}

/** The ops of a definition with their digests; what was marshalled by this process comes with them. */
function opsOf(definition: Definition | MarshalledDefinition): MarshalledDefinition['ops'] {
  if ('ops' in definition) return definition.ops;
  return definition.def.map((bytes) => [sha256(bytes), decodeOp(bytes)]);
}
