import { isDigest } from '../util/index.ts';
import { decodeMessage, encodeMessage, type Fields } from './codec.ts';
import { type Json, messageFromJson, messageToJson } from './json.ts';
import { definitionSchema, metadataSchema, opSchema, sourceMapSchema } from './messages.ts';
import type { Definition, Op, OpMetadata, SourceMap } from './ops.ts';
import { malformed, type WireWriter } from './wire.ts';

/** The largest definition that is read, in bytes; BuildKit's own transport takes 16 MiB. */
export const MAX_DEFINITION_BYTES: number = 64 * 1024 * 1024;

/** Marshals an op byte for byte as BuildKit's Go client does, so that digests agree. */
export function encodeOp(op: Op, writer?: WireWriter): Uint8Array {
  return encodeMessage(opSchema, op as unknown as Fields, writer);
}

/**
 * Reads one op. Only its form is checked, `loadGraph` checks its meaning.
 * @throws TsbuildError `TSB_LLB`
 */
export function decodeOp(bytes: Uint8Array): Op {
  const op = decodeMessage(opSchema, bytes) as unknown as Op;
  for (const [index, input] of op.inputs.entries()) {
    if (!isDigest(input.digest)) throw malformed(`input ${index} of an op is not a sha256 digest`);
  }
  return op;
}

/** The definition as one protobuf message, which is what BuildKit reads and writes. */
export function encodeDefinition(definition: Definition): Uint8Array {
  return encodeMessage(definitionSchema, definition as unknown as Fields);
}

/**
 * Reads a definition that came from outside.
 * @throws TsbuildError `TSB_LLB`
 */
export function decodeDefinition(bytes: Uint8Array): Definition {
  if (bytes.length > MAX_DEFINITION_BYTES) {
    throw malformed(`the definition has ${bytes.length} bytes, more than ${MAX_DEFINITION_BYTES}`);
  }
  return checkKeys(decodeMessage(definitionSchema, bytes) as unknown as Definition);
}

function checkKeys(definition: Definition): Definition {
  for (const key of [...definition.metadata.keys(), ...(definition.source?.locations.keys() ?? [])]) {
    if (!isDigest(key)) throw malformed(`${JSON.stringify(String(key).slice(0, 100))} is not the digest of an op`);
  }
  return definition;
}

/** One op in protojson's form. */
export function opToJson(op: Op): Json {
  return messageToJson(opSchema, op as unknown as Fields);
}

/**
 * Reads one op from protojson's form.
 * @throws TsbuildError `TSB_LLB`
 */
export function opFromJson(json: unknown): Op {
  return messageFromJson(opSchema, json) as unknown as Op;
}

/** Metadata in protojson's form. */
export function metadataToJson(metadata: OpMetadata): Json {
  return messageToJson(metadataSchema, metadata as unknown as Fields);
}

/**
 * Reads metadata from protojson's form.
 * @throws TsbuildError `TSB_LLB`
 */
export function metadataFromJson(json: unknown): OpMetadata {
  return messageFromJson(metadataSchema, json) as unknown as OpMetadata;
}

/**
 * Reads a source map from protojson's form.
 * @throws TsbuildError `TSB_LLB`
 */
export function sourceMapFromJson(json: unknown): SourceMap {
  return messageFromJson(sourceMapSchema, json) as unknown as SourceMap;
}

/** A source map in protojson's form. */
export function sourceMapToJson(source: SourceMap): Json {
  return messageToJson(sourceMapSchema, source as unknown as Fields);
}
