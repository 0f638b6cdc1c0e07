import { type Digest, sha256, TsbuildError } from '../util/index.ts';
import { hostPlatform, type Platform } from '../image/index.ts';
import { encodeOp, MAX_DEFINITION_BYTES } from './definition.ts';
import { type MarshalContext, type Node, type NodeLocation, type Output, resolveOutput } from './node.ts';
import type { Definition, Op, OpInput, OpMetadata, PbRange, SourceInfo } from './ops.ts';
import type { State } from './state.ts';
import { WireWriter } from './wire.ts';

/** What a graph does not say itself. */
export interface MarshalOptions {
  /** For ops that say none themselves; default the platform of this machine. */
  readonly platform?: Platform;
}

/** A definition that was made here: its ops need not be read from its bytes again. */
export interface MarshalledDefinition extends Definition {
  /** In the order of `def`; of the last, which names the result, the digest does not matter. */
  readonly ops: readonly (readonly [digest: Digest, op: Op])[];
}

/**
 * Turns a state into a definition: ops in dependency order, what is known of each beside its identity, and the places in
 * source files. The same state always gives the same bytes, and the bytes are those of BuildKit's Go client.
 */
export function marshal(state: State, options: MarshalOptions = {}): MarshalledDefinition {
  const result = resolveOutput(state.output);
  if (result === undefined) return { def: [], metadata: new Map(), ops: [] };
  const marshaller = new Marshaller(options.platform ?? hostPlatform());
  return marshaller.definition(result);
}

class Marshaller implements MarshalContext {
  readonly platform: Platform;
  readonly #digests = new Map<Node, Digest>();
  readonly #def: Uint8Array[] = [];
  #bytes = 0;
  readonly #writer = new WireWriter();
  readonly #ops: (readonly [Digest, Op])[] = [];
  readonly #metadata = new Map<Digest, OpMetadata>();
  readonly #infos: SourceInfo[] = [];
  readonly #locations = new Map<
    Digest,
    { readonly locations: { sourceIndex: number; ranges: readonly PbRange[] }[] }
  >();

  constructor(platform: Platform) {
    this.platform = platform;
  }

  input(output: Output | undefined): OpInput | undefined {
    if (output === undefined) return undefined;
    const digest = this.#digests.get(output.node);
    if (digest === undefined) throw new Error('An input of a node was not marshalled before it');
    return { digest, index: output.index };
  }

  definition(result: Output): MarshalledDefinition {
    this.#visit(result.node);
    const last = this.input(result);
    const op: Op = { inputs: last ? [last] : [] };
    const bytes = encodeOp(op);
    const digest = sha256(bytes);
    const caps = new Map([
      ['constraints', true],
      ['platform', true],
    ]);
    for (const metadata of this.#metadata.values()) {
      if (metadata.ignoreCache) caps.set('meta.ignorecache', true);
      if (metadata.description.size > 0) caps.set('meta.description', true);
    }
    this.#metadata.set(digest, { ignoreCache: false, description: new Map(), caps });
    return {
      def: [...this.#def, bytes],
      metadata: this.#metadata,
      source: { locations: this.#locations, infos: this.#infos },
      ops: [...this.#ops, [digest, op]],
    };
  }

  /** Depth first, with a stack of its own: a Dockerfile may have more steps than the call stack has room for. */
  #visit(root: Node): void {
    const stack: { readonly node: Node; readonly inputs: readonly (Output | undefined)[]; next: number }[] = [];
    const enter = (node: Node): void => void stack.push({ node, inputs: node.inputs(), next: 0 });
    enter(root);
    for (let frame = stack.at(-1); frame !== undefined; frame = stack.at(-1)) {
      const input = frame.inputs[frame.next++];
      if (input !== undefined) {
        if (!this.#digests.has(input.node)) enter(input.node);
      } else if (frame.next > frame.inputs.length) {
        stack.pop();
        this.#add(frame.node);
      }
    }
  }

  /** Adds a node after its inputs, once. */
  #add(node: Node): void {
    if (this.#digests.has(node)) return;
    const op = node.toOp(this);
    const bytes = encodeOp(op, this.#writer);
    const digest = sha256(bytes);
    this.#digests.set(node, digest);
    const known = this.#metadata.get(digest);
    const metadata = node.metadata();
    this.#metadata.set(digest, known === undefined ? metadata : mergeMetadata(known, metadata));
    if (known === undefined) {
      this.#bytes += bytes.length;
      // What nobody could read is not made: a variable of 1 MiB is in the op of every later step.
      if (this.#bytes > MAX_DEFINITION_BYTES) throw tooLarge();
      this.#def.push(bytes);
      this.#ops.push([digest, op]);
    }
    if (node.options.location) this.#locate(digest, node.options.location);
  }

  /** Notes where in a source file a vertex comes from. */
  #locate(digest: Digest, { info, ranges }: NodeLocation): void {
    let sourceIndex = this.#infos.indexOf(info);
    if (sourceIndex < 0) sourceIndex = this.#infos.push(info) - 1;
    const known = this.#locations.get(digest);
    if (known) known.locations.push({ sourceIndex, ranges });
    else this.#locations.set(digest, { locations: [{ sourceIndex, ranges }] });
  }
}

function tooLarge(): TsbuildError {
  return new TsbuildError('TSB_LLB', `The build graph has more than ${MAX_DEFINITION_BYTES >> 20} MiB`, {
    hint: 'environment variables count for each step that has them: make them shorter, or set them later',
  });
}

/** Two vertices that turned out to be one: what either asks for holds, and the later name wins. */
export function mergeMetadata(first: OpMetadata, second: OpMetadata): OpMetadata {
  return {
    ...first,
    ...second,
    ignoreCache: first.ignoreCache || second.ignoreCache,
    description: new Map([...first.description, ...second.description]),
    caps: new Map([...first.caps, ...second.caps]),
  };
}
