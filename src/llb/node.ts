import type { Digest } from '../util/index.ts';
import type { Platform } from '../image/index.ts';
import type {
  LinuxResources,
  Op,
  OpBody,
  OpInput,
  OpMetadata,
  OpPlatform,
  PbRange,
  ProgressGroup,
  SourceInfo,
} from './ops.ts';

/** Options that every op takes. */
export interface OpOptions {
  readonly platform?: Platform;
  /** Shown instead of a name made from the op. */
  readonly name?: string;
  readonly ignoreCache?: boolean;
  readonly description?: Readonly<Record<string, string>>;
  readonly progressGroup?: ProgressGroup;
  readonly linuxResources?: LinuxResources;
  readonly location?: NodeLocation;
}

/** Where a node comes from. Nodes share the `info` object of one file. */
export interface NodeLocation {
  readonly info: SourceInfo;
  readonly ranges: readonly PbRange[];
}

/** What a node needs while it is turned into an op: the identity of its inputs, which were marshalled before. */
export interface MarshalContext {
  readonly platform: Platform;
  /** Identity of an output, or undefined when it is scratch. */
  input(output: Output | undefined): OpInput | undefined;
}

/** A vertex under construction. Its digest is known once it is marshalled. */
export abstract class Node {
  readonly options: OpOptions;

  constructor(options: OpOptions) {
    this.options = options;
  }

  /** Outputs that this node reads, in the order in which BuildKit's client marshals them. */
  abstract inputs(): readonly (Output | undefined)[];
  abstract toOp(context: MarshalContext): Op;
  /** Capabilities that a daemon must have, as BuildKit's client lists them. */
  abstract caps(): readonly string[];

  metadata(): OpMetadata {
    const { name, description, ignoreCache, progressGroup, linuxResources } = this.options;
    const all = new Map(Object.entries(description ?? {}));
    if (name !== undefined) all.set('llb.customname', name);
    return {
      ignoreCache: ignoreCache ?? false,
      description: all,
      caps: new Map(this.caps().map((cap) => [cap, true])),
      ...(progressGroup === undefined ? {} : { progressGroup }),
      ...(linuxResources === undefined ? {} : { linuxResources }),
    };
  }
}

/** One output of a node. */
export class Output {
  readonly node: Node;
  readonly #index: () => number;
  readonly platform: Platform | undefined;

  constructor(node: Node, options: { readonly index?: () => number; readonly platform?: Platform | undefined } = {}) {
    this.node = node;
    this.#index = options.index ?? ((): number => 0);
    this.platform = options.platform;
  }

  /** Known only when the node is complete: mounts are sorted. */
  get index(): number {
    return this.#index();
  }
}

/** An output that is decided later, before the graph is marshalled: the build context, whose paths are known last. */
export class LateOutput {
  #target: AnyOutput | undefined;
  #decided = false;

  decide(target: AnyOutput | undefined): void {
    this.#target = target;
    this.#decided = true;
  }

  get target(): Output | undefined {
    if (!this.#decided) throw new Error('The output was not decided before the graph was marshalled');
    return resolveOutput(this.#target);
  }
}

/** An output, or one that is only decided before the graph is marshalled. */
export type AnyOutput = Output | LateOutput;

/** What an output stands for; undefined is scratch. */
export function resolveOutput(output: AnyOutput | undefined): Output | undefined {
  return output instanceof LateOutput ? output.target : output;
}

/** Wraps a body with what all ops have. Only exec ops and image sources are specific to a platform. */
export function makeOp(body: OpBody, inputs: readonly OpInput[], platform?: Platform): Op {
  return {
    inputs,
    body,
    ...(platform === undefined ? {} : { platform: toOpPlatform(platform) }),
    constraints: { filter: [] },
  };
}

/** The platform as ops spell it. */
export function toOpPlatform(platform: Platform): OpPlatform {
  return {
    architecture: platform.architecture,
    os: platform.os,
    variant: platform.variant ?? '',
    osVersion: platform.osVersion ?? '',
    osFeatures: [],
  };
}

/** Collects inputs without repeating one that is the same output of the same vertex. */
export class InputList {
  readonly list: OpInput[] = [];
  readonly #known = new Map<string, number>();

  /** Index of the input, -1 for scratch. */
  add(input: OpInput | undefined): number {
    if (input === undefined) return -1;
    const key: `${Digest}@${number}` = `${input.digest}@${input.index}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    this.#known.set(key, this.list.length);
    return this.list.push(input) - 1;
  }
}
