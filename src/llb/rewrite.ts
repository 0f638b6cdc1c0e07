import { type Digest, sha256 } from '../util/index.ts';
import { encodeOp } from './definition.ts';
import { type LlbVertex, loadGraph } from './graph.ts';
import { mergeMetadata } from './marshal.ts';
import type { Definition, Op, SourceLocation, SourceOp } from './ops.ts';

/**
 * A definition with other sources: what depends on them gets other digests, and what is known of the ops beside that goes along.
 * @param change gives the source as it should be, the same object to leave it
 * @returns the same definition when nothing changes
 * @throws TsbuildError `TSB_LLB` for a malformed definition, and what `change` throws
 */
export function rewriteSources(
  definition: Definition,
  change: (source: SourceOp, vertex: LlbVertex) => SourceOp,
): Definition {
  const { vertices, result } = loadGraph(definition);
  const changes = new Map<Digest, SourceOp>();
  for (const vertex of vertices) {
    const { body } = vertex.op;
    if (body?.kind !== 'source') continue;
    const changed = change(body, vertex);
    if (changed !== body) changes.set(vertex.digest, changed);
  }
  if (changes.size === 0 || result === undefined) return definition;
  const renamed = new Map<string, Digest>();
  const def: Uint8Array[] = [];
  const add = (op: Op): Digest => {
    const bytes = encodeOp({
      ...op,
      inputs: op.inputs.map((input) => ({ ...input, digest: renamed.get(input.digest) ?? input.digest })),
    });
    def.push(bytes);
    return sha256(bytes);
  };
  for (const { digest, op } of vertices) {
    const body = changes.get(digest);
    renamed.set(digest, add(body === undefined ? op : { ...op, body }));
  }
  const last = definition.def.at(-1);
  const end = add({ inputs: [{ digest: result.vertex.digest, index: result.output }] });
  if (last !== undefined) renamed.set(sha256(last), end);
  const { source } = definition;
  return {
    def: unique(def),
    metadata: renamedKeys(definition.metadata, renamed, mergeMetadata),
    ...(source === undefined
      ? {}
      : { source: { ...source, locations: renamedKeys(source.locations, renamed, mergeLocations) } }),
  };
}

/** A definition whose result is one source. */
export function definitionOfSource(body: SourceOp): Definition {
  const bytes = encodeOp({ inputs: [], body });
  return { def: [bytes, encodeOp({ inputs: [{ digest: sha256(bytes), index: 0 }] })], metadata: new Map() };
}

/** Two sources may have become one. */
function unique(ops: readonly Uint8Array[]): readonly Uint8Array[] {
  return [...new Map(ops.map((bytes) => [sha256(bytes), bytes])).values()];
}

function renamedKeys<T, K extends string>(
  entries: ReadonlyMap<K, T>,
  renamed: ReadonlyMap<string, Digest>,
  merge: (one: T, other: T) => T,
): Map<Digest, T> {
  const out = new Map<Digest, T>();
  for (const [digest, entry] of entries) {
    const name = renamed.get(digest);
    if (name === undefined) continue;
    const known = out.get(name);
    out.set(name, known === undefined ? entry : merge(known, entry));
  }
  return out;
}

function mergeLocations<T extends { readonly locations: readonly SourceLocation[] }>(one: T, other: T): T {
  return { ...one, locations: [...one.locations, ...other.locations] };
}
