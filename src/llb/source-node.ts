import { type MarshalContext, makeOp, Node, type OpOptions } from './node.ts';
import type { Op } from './ops.ts';

/** A source op under construction. */
export class SourceNode extends Node {
  readonly identifier: string;
  readonly attrs: ReadonlyMap<string, string>;
  readonly #caps: readonly string[];

  constructor(
    identifier: string,
    attrs: Readonly<Record<string, string | undefined>>,
    caps: readonly string[],
    options: OpOptions,
  ) {
    super(options);
    this.identifier = identifier;
    this.attrs = new Map(
      Object.entries(attrs).filter((entry): entry is [string, string] => entry[1] !== undefined && entry[1] !== ''),
    );
    this.#caps = caps;
  }

  inputs(): readonly [] {
    return [];
  }

  toOp(context: MarshalContext): Op {
    const ofPlatform = /^(docker-image|oci-layout):\/\//.test(this.identifier);
    const platform = ofPlatform ? (this.options.platform ?? context.platform) : undefined;
    return makeOp({ kind: 'source', identifier: this.identifier, attrs: this.attrs }, [], platform);
  }

  caps(): readonly string[] {
    return this.#caps;
  }
}
