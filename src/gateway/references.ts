import { randomHex } from '../util/index.ts';
import type { Definition } from '../llb/index.ts';
import type { SourcePolicy } from '../source-policy/index.ts';
import type { FrontendResult, GatewayHost, LoadedDefinition, ResultRefs, SolvedTree } from './host.ts';
import type { GatewayLimits } from './limits.ts';
import { CallError, statusCodes } from './status.ts';
import type { PbRef, PbRefs } from './types.ts';

/** What a frontend has had solved, by the ids that it knows it by. */
export class References {
  readonly #host: GatewayHost;
  readonly #limits: GatewayLimits;
  readonly #known = new Map<string, LoadedDefinition>();
  #solves = 0;
  #bytes = 0;

  constructor(host: GatewayHost, limits: GatewayLimits) {
    this.#host = host;
    this.#limits = limits;
  }

  /** Counts one more request to solve. @throws CallError when that is one too many */
  count(): void {
    if (++this.#solves > this.#limits.maxSolves)
      throw new CallError(
        statusCodes.resourceExhausted,
        `a frontend may ask for ${this.#limits.maxSolves} results, and this one asked for more`,
      );
  }

  /**
   * A reference to what a definition makes; scratch has an empty id.
   * @param encoded the definition, which the frontend may build on: as it is without policies
   * @throws what loading the definition gives, or CallError
   */
  add(definition: Definition | undefined, encoded: Uint8Array, policies: readonly SourcePolicy[]): PbRef {
    if (definition === undefined || definition.def.length === 0) return { id: '', def: new Uint8Array() };
    this.#bytes += encoded.length;
    if (this.#bytes > this.#limits.maxDefinitionBytes)
      throw new CallError(
        statusCodes.resourceExhausted,
        `the definitions of a frontend may have ${this.#limits.maxDefinitionBytes} bytes together`,
      );
    const loaded = this.#host.load(definition, policies);
    const id = randomHex(12);
    this.#known.set(id, loaded);
    return { id, def: encoded };
  }

  /** The tree of a reference. @throws CallError when there is none */
  tree(id: string): SolvedTree {
    return this.#find(id).tree;
  }

  /** What a reference is made by. @throws CallError when there is none */
  definition(id: string): Definition {
    return this.#find(id).definition;
  }

  /** What a frontend returns: the definitions of its references. @throws CallError for those that it was never given */
  resolve(refs: PbRefs | undefined): ResultRefs {
    switch (refs?.kind) {
      case undefined:
        return { kind: 'one', definition: undefined };
      case 'ref':
        return { kind: 'one', definition: this.#unlessScratch(refs.id) };
      case 'refDeprecated':
        return { kind: 'one', definition: this.#unlessScratch(refs.refDeprecated) };
      case 'refs':
        return {
          kind: 'map',
          definitions: new Map([...refs.refs].map(([key, { id }]) => [key, this.#unlessScratch(id)])),
        };
      case 'refsDeprecated':
        return { kind: 'map', definitions: new Map([...refs.refs].map(([key, id]) => [key, this.#unlessScratch(id)])) };
      default:
        return refs satisfies never;
    }
  }

  /** References to what another frontend made, in the form that the caller reads. */
  addResult(
    { refs }: Pick<FrontendResult, 'refs'>,
    encode: (definition: Definition) => Uint8Array,
    policies: readonly SourcePolicy[],
  ): PbRefs {
    const one = (definition: Definition | undefined): PbRef =>
      this.add(definition, definition === undefined ? new Uint8Array() : encode(definition), policies);
    if (refs.kind === 'one') return { kind: 'ref', ...one(refs.definition) };
    return { kind: 'refs', refs: new Map([...refs.definitions].map(([key, definition]) => [key, one(definition)])) };
  }

  #unlessScratch(id: string): Definition | undefined {
    return id === '' ? undefined : this.definition(id);
  }

  #find(id: string): LoadedDefinition {
    const known = this.#known.get(id);
    if (known !== undefined) return known;
    const text = id === '' ? 'the reference is empty: scratch has no files' : `no such ref: ${id.slice(0, 100)}`;
    throw new CallError(statusCodes.invalidArgument, text);
  }
}
