import { TsbuildError } from '../util/index.ts';
import {
  checkNumber,
  chosenValue,
  compareUtf8,
  emptyMessage,
  type Fields,
  isChosen,
  isDefault,
  MAX_DEPTH,
  oneofValue,
  setOneof,
} from './codec.ts';
import type { FieldSchema, MessageSchema } from './schema.ts';

/** What JSON can hold. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };
type JsonObject = { [key: string]: Json };

/**
 * The message in protojson's form: fields with their default value left out, 64-bit numbers as strings, bytes in base64,
 * enums by name (protobuf "ProtoJSON Format").
 */
export function messageToJson(schema: MessageSchema, value: Fields): JsonObject {
  const out: JsonObject = {};
  for (const field of schema.fields) {
    if (field.oneof) continue;
    const item = value[field.name];
    if (item === undefined) continue;
    if (field.map) {
      const entries = [...(item as ReadonlyMap<string, unknown>)].sort(([a], [b]) => compareUtf8(a, b));
      if (entries.length > 0)
        out[field.json] = Object.fromEntries(entries.map(([key, v]) => [key, itemToJson(field, v)]));
    } else if (field.repeated) {
      const items = item as readonly unknown[];
      if (items.length > 0) out[field.json] = items.map((v) => itemToJson(field, v));
    } else if (!isDefault(field, item)) out[field.json] = itemToJson(field, item);
  }
  const holder = oneofValue(schema, value);
  for (const field of schema.fields) {
    if (field.oneof && holder !== undefined && isChosen(field, holder)) {
      out[field.json] = itemToJson(field, chosenValue(field, holder));
    }
  }
  return out;
}

function itemToJson(field: FieldSchema, value: unknown): Json {
  const { type } = field;
  if (type.kind === 'message') return messageToJson(type.message(), value as Fields);
  if (type.kind === 'enum') return type.enum.json[type.enum.values.indexOf(value as string)] ?? '';
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (type.scalar === 'int64' || type.scalar === 'uint64' || type.scalar === 'bigint') return String(value);
  return value as Json;
}

/**
 * Reads a message from protojson's form.
 * @throws TsbuildError `TSB_LLB` naming the place that is wrong.
 */
export function messageFromJson(schema: MessageSchema, json: unknown, path: string = schema.name, depth = 0): Fields {
  if (depth > MAX_DEPTH) throw bad(schema.name, 'is nested too deeply');
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw bad(path, 'is not an object');
  const value = emptyMessage(schema);
  let oneofSeen: FieldSchema | undefined;
  for (const [key, item] of Object.entries(json)) {
    const field = schema.fields.find((candidate) => candidate.json === key);
    if (field === undefined) throw bad(`${path}.${key}`, 'is not known');
    if (item === null) continue;
    const where = `${path}.${key}`;
    if (field.oneof) {
      if (oneofSeen) throw bad(path, `has both "${oneofSeen.json}" and "${key}"`);
      oneofSeen = field;
      setOneof(schema, value, field, itemFromJson(field, item, where, depth));
    } else if (field.map) {
      if (typeof item !== 'object' || Array.isArray(item)) throw bad(where, 'is not an object');
      const entries = Object.entries(item as object);
      value[field.name] = new Map(entries.map(([k, v]) => [k, itemFromJson(field, v, `${where}.${k}`, depth)]));
    } else if (field.repeated) {
      if (!Array.isArray(item)) throw bad(where, 'is not a list');
      value[field.name] = item.map((v, index) => itemFromJson(field, v, `${where}[${index}]`, depth));
    } else value[field.name] = itemFromJson(field, item, where, depth);
  }
  return value;
}

function itemFromJson(field: FieldSchema, json: unknown, where: string, depth: number): unknown {
  const { type } = field;
  if (type.kind === 'message') return messageFromJson(type.message(), json, where, depth + 1);
  if (type.kind === 'enum') {
    const index = typeof json === 'number' ? json : typeof json === 'string' ? type.enum.json.indexOf(json) : -1;
    const value = type.enum.values[index];
    if (value === undefined) throw bad(where, `has the unknown value ${shown(json)}`);
    return value;
  }
  switch (type.scalar) {
    case 'string':
      if (typeof json === 'string') return json;
      throw bad(where, 'is not a string');
    case 'bytes':
      if (typeof json === 'string') return new Uint8Array(Buffer.from(json, 'base64'));
      throw bad(where, 'is not base64 text');
    case 'bool':
      if (typeof json === 'boolean') return json;
      throw bad(where, 'is not true or false');
    default: {
      const isInteger = typeof json === 'string' ? /^-?\d{1,20}$/.test(json) : Number.isSafeInteger(json);
      if (!isInteger) throw bad(where, 'is not a whole number');
      const number = BigInt(json as string | number);
      const unsigned = type.scalar === 'uint32' || type.scalar === 'uint64';
      if (number < (unsigned ? 0n : -(2n ** 63n)) || number >= (unsigned ? 2n ** 64n : 2n ** 63n)) {
        throw bad(where, 'is out of range');
      }
      return checkNumber(type.scalar, BigInt.asUintN(64, number), where);
    }
  }
}

/** A value for a message. What is nested is not looked into: it may be deeper than the call stack. */
function shown(json: unknown): string {
  if (typeof json === 'object') return Array.isArray(json) ? '[…]' : '{…}';
  return JSON.stringify(json).slice(0, MAX_SHOWN);
}

/** Characters of keys and values that a message shows. */
const MAX_SHOWN = 200;

function bad(where: string, problem: string): TsbuildError {
  const place = where.length > MAX_SHOWN ? `${where.slice(0, MAX_SHOWN)}…` : where;
  return new TsbuildError('TSB_LLB', `Cannot read LLB: ${place} ${problem}`);
}
