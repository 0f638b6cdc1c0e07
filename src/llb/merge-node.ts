import {
  type AnyOutput,
  type MarshalContext,
  makeOp,
  Node,
  type OpOptions,
  type Output,
  resolveOutput,
} from './node.ts';
import type { Op, OpInput } from './ops.ts';

/** A merge op under construction; none of its inputs is scratch. */
export class MergeNode extends Node {
  readonly #inputs: readonly AnyOutput[];

  constructor(inputs: readonly AnyOutput[], options: OpOptions) {
    super(options);
    this.#inputs = inputs;
  }

  inputs(): readonly (Output | undefined)[] {
    return this.#inputs.map(resolveOutput);
  }

  toOp(context: MarshalContext): Op {
    const inputs = this.inputs()
      .map((output) => context.input(output))
      .filter((input): input is OpInput => input !== undefined);
    return makeOp({ kind: 'merge', inputs: inputs.map((_, input) => ({ input })) }, inputs);
  }

  caps(): readonly string[] {
    return ['mergeop'];
  }
}

/** A diff op under construction; a missing side is scratch. */
export class DiffNode extends Node {
  readonly #lower: AnyOutput | undefined;
  readonly #upper: AnyOutput | undefined;

  constructor(lower: AnyOutput | undefined, upper: AnyOutput | undefined, options: OpOptions) {
    super(options);
    this.#lower = lower;
    this.#upper = upper;
  }

  inputs(): readonly (Output | undefined)[] {
    return [resolveOutput(this.#lower), resolveOutput(this.#upper)];
  }

  toOp(context: MarshalContext): Op {
    const inputs: OpInput[] = [];
    const add = (output: Output | undefined): { readonly input: number } => {
      const input = context.input(output);
      return { input: input === undefined ? -1 : inputs.push(input) - 1 };
    };
    const [lower, upper] = this.inputs();
    return makeOp({ kind: 'diff', lower: add(lower), upper: add(upper) }, inputs);
  }

  caps(): readonly string[] {
    return ['diffop'];
  }
}
