import type { EnumSchema, FieldSchema, MessageSchema, ScalarType } from './schema.ts';
import { malformed, WireReader, wireTypes, WireWriter } from './wire.ts';

/** An object of ops.ts seen through its schema. */
export type Fields = Readonly<Record<string, unknown>>;

/** How deep messages may be nested; ops of Dockerfiles have some five levels. */
export const MAX_DEPTH = 32;

/** The part of `value` that holds the oneof's members, or undefined when none is set. */
export function oneofValue(schema: MessageSchema, value: Fields): Fields | undefined {
  if (schema.oneof === undefined) return undefined;
  return schema.oneof === 'inline' ? value : (value[schema.oneof.property] as Fields | undefined);
}

/** Whether `field` is the member of its oneof that `holder` says it is. */
export function isChosen(field: FieldSchema, holder: Fields | undefined): boolean {
  return holder !== undefined && holder['kind'] === (field.tag ?? field.name);
}

/** Members of a oneof that are messages are spread into their holder, scalars are a property of it. */
export function chosenValue(field: FieldSchema, holder: Fields): unknown {
  return field.type.kind === 'message' ? holder : holder[field.name];
}

/**
 * Encodes in the order of Go's deterministic marshaller, which vertex digests rest on: plain fields by number, then the
 * oneof's member, map entries sorted by key, scalars with their default value left out.
 * @param writer an empty one, for callers with many messages
 */
export function encodeMessage(schema: MessageSchema, value: Fields, writer: WireWriter = new WireWriter()): Uint8Array {
  encodeFields(writer, schema, value);
  return writer.finish();
}

/** Plain fields, then the oneof. */
function encodeFields(writer: WireWriter, schema: MessageSchema, value: Fields): void {
  for (const field of schema.fields) if (!field.oneof) encodeField(writer, field, value[field.name]);
  const holder = oneofValue(schema, value);
  if (holder !== undefined) {
    for (const field of schema.fields) {
      if (field.oneof && isChosen(field, holder)) encodeSingle(writer, field, chosenValue(field, holder));
    }
  }
}

/** A field with all its values; defaults are not written. */
function encodeField(writer: WireWriter, field: FieldSchema, value: unknown): void {
  if (value === undefined) return;
  if (field.map) {
    const items = value as ReadonlyMap<string, unknown>;
    const single = { ...field, number: 2 };
    for (const key of sortUtf8([...items.keys()])) {
      writer.tag(field.number, wireTypes.bytes).nested(() => {
        writer.tag(1, wireTypes.bytes).string(key);
        encodeSingle(writer, single, items.get(key));
      });
    }
  } else if (field.repeated) {
    const items = value as readonly unknown[];
    if (items.length === 0) return;
    if (isPacked(field)) {
      writer.tag(field.number, wireTypes.bytes).nested(() => {
        for (const item of items) encodeVarint(writer, field, item);
      });
    } else for (const item of items) encodeSingle(writer, field, item);
  } else if (!isDefault(field, value)) encodeSingle(writer, field, value);
}

function encodeSingle(writer: WireWriter, field: FieldSchema, value: unknown): void {
  const { type } = field;
  if (type.kind === 'message') {
    writer.tag(field.number, wireTypes.bytes).nested(() => encodeFields(writer, type.message(), value as Fields));
  } else if (type.kind === 'scalar' && type.scalar === 'string') {
    writer.tag(field.number, wireTypes.bytes).string(value as string);
  } else if (type.kind === 'scalar' && type.scalar === 'bytes') {
    writer.tag(field.number, wireTypes.bytes).bytes(value as Uint8Array);
  } else {
    writer.tag(field.number, wireTypes.varint);
    encodeVarint(writer, field, value);
  }
}

function encodeVarint(writer: WireWriter, field: FieldSchema, value: unknown): void {
  if (field.type.kind === 'enum') {
    const number = field.type.enum.values.indexOf(value as string);
    if (number < 0) throw new RangeError(`${JSON.stringify(value)} is not a value of ${field.type.enum.name}`);
    writer.varint(BigInt(number));
  } else writer.varint(BigInt(value as number | bigint | boolean));
}

/** Numbers of a repeated field stand in one run (proto3). */
function isPacked(field: FieldSchema): boolean {
  const { type } = field;
  return type.kind === 'enum' || (type.kind === 'scalar' && type.scalar !== 'string' && type.scalar !== 'bytes');
}

/** Whether proto3 leaves the value out. */
export function isDefault(field: FieldSchema, value: unknown): boolean {
  if (field.type.kind === 'message') return false;
  if (field.type.kind === 'enum') return value === field.type.enum.values[0];
  return (
    value === '' ||
    value === 0 ||
    value === 0n ||
    value === false ||
    (value instanceof Uint8Array && value.length === 0)
  );
}

const BEYOND = /[\ud800-\uffff]/;

/** In the order of the UTF-8 forms, which is Go's string order. Sorts in place. */
function sortUtf8(keys: string[]): string[] {
  if (keys.length < 2) return keys;
  return keys.some((key) => BEYOND.test(key)) ? keys.sort(compareUtf8) : keys.sort();
}

/** Order of the UTF-8 forms, which is Go's string order. */
export function compareUtf8(a: string, b: string): number {
  // Of characters below the surrogates, UTF-16 has the same order.
  if (!BEYOND.test(a) && !BEYOND.test(b)) return a < b ? -1 : a > b ? 1 : 0;
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/**
 * Decodes untrusted bytes into a complete object: absent scalars get their default.
 * @throws TsbuildError `TSB_LLB` on anything that is not a well-formed message of this schema.
 */
export function decodeMessage(schema: MessageSchema, bytes: Uint8Array, depth = 0): Fields {
  if (depth > MAX_DEPTH) throw malformed('messages are nested too deeply');
  const value = emptyMessage(schema);
  const seen = new Set<number>();
  const reader = new WireReader(bytes);
  let oneofSeen: FieldSchema | undefined;
  while (!reader.done) {
    const { field: number, wireType } = reader.tag();
    const field = schema.fields.find((candidate) => candidate.number === number);
    if (field === undefined) {
      if (!schema.lenient) throw malformed(`${schema.name} has an unknown field ${number}`);
      reader.skip(wireType);
      continue;
    }
    if (!field.repeated && !field.map) {
      if (seen.has(number)) throw malformed(`${schema.name}.${field.name} is given twice`);
      seen.add(number);
    }
    if (field.oneof) {
      if (oneofSeen) throw malformed(`${schema.name} has both ${oneofSeen.name} and ${field.name}`);
      oneofSeen = field;
      setOneof(schema, value, field, decodeSingle(schema, field, reader, wireType, depth));
    } else if (field.map) {
      const [key, item] = decodeEntry(schema, field, reader, wireType, depth);
      (value[field.name] as Map<string, unknown>).set(key, item);
    } else if (field.repeated) {
      const items = value[field.name] as unknown[];
      if (isPacked(field) && wireType === wireTypes.bytes) {
        const packed = new WireReader(reader.bytes());
        while (!packed.done) items.push(decodeVarint(schema, field, packed.varint()));
      } else items.push(decodeSingle(schema, field, reader, wireType, depth));
    } else value[field.name] = decodeSingle(schema, field, reader, wireType, depth);
  }
  return value;
}

/** An object with every scalar, list and map at its default. */
export function emptyMessage(schema: MessageSchema): Record<string, unknown> {
  const value: Record<string, unknown> = {};
  for (const field of schema.fields) {
    if (field.oneof) continue;
    if (field.map) value[field.name] = new Map();
    else if (field.repeated) value[field.name] = [];
    else if (field.type.kind === 'scalar') value[field.name] = defaultOf(field.type.scalar);
    else if (field.type.kind === 'enum') value[field.name] = field.type.enum.values[0];
  }
  return value;
}

function defaultOf(scalar: ScalarType): unknown {
  if (scalar === 'string') return '';
  if (scalar === 'bytes') return new Uint8Array();
  if (scalar === 'bool') return false;
  return scalar === 'bigint' ? 0n : 0;
}

/** Puts a decoded oneof member where `oneofValue` finds it. */
export function setOneof(
  schema: MessageSchema,
  value: Record<string, unknown>,
  field: FieldSchema,
  member: unknown,
): void {
  const kind = field.tag ?? field.name;
  const spread = field.type.kind === 'message' ? (member as Fields) : { [field.name]: member };
  if (schema.oneof === 'inline') Object.assign(value, { kind }, spread);
  else if (schema.oneof !== undefined) value[schema.oneof.property] = { kind, ...spread };
}

/** One entry of a map: a message of key and value. */
function decodeEntry(
  schema: MessageSchema,
  field: FieldSchema,
  reader: WireReader,
  wireType: number,
  depth: number,
): [string, unknown] {
  const name = `${schema.name}.${field.name}`;
  if (wireType !== wireTypes.bytes) throw malformed(`${name} has wire type ${wireType}`);
  const entry = new WireReader(reader.bytes());
  let key = '';
  let item: unknown =
    field.type.kind === 'message'
      ? emptyMessage(field.type.message())
      : field.type.kind === 'scalar'
        ? defaultOf(field.type.scalar)
        : field.type.enum.values[0];
  while (!entry.done) {
    const tag = entry.tag();
    if (tag.field === 1 && tag.wireType === wireTypes.bytes) key = entry.string();
    else if (tag.field === 2) item = decodeSingle(schema, field, entry, tag.wireType, depth);
    else throw malformed(`an entry of ${name} has an unknown field ${tag.field}`);
  }
  return [key, item];
}

function decodeSingle(
  schema: MessageSchema,
  field: FieldSchema,
  reader: WireReader,
  wireType: number,
  depth: number,
): unknown {
  const { type } = field;
  const isText = type.kind === 'message' || (type.kind === 'scalar' && !isPacked(field));
  if (wireType !== (isText ? wireTypes.bytes : wireTypes.varint)) {
    throw malformed(`${schema.name}.${field.name} has wire type ${wireType}`);
  }
  if (type.kind === 'message') return decodeMessage(type.message(), reader.bytes(), depth + 1);
  if (type.kind === 'scalar' && type.scalar === 'string') return reader.string();
  if (type.kind === 'scalar' && type.scalar === 'bytes') return reader.bytes();
  return decodeVarint(schema, field, reader.varint());
}

function decodeVarint(schema: MessageSchema, field: FieldSchema, raw: bigint): unknown {
  const name = `${schema.name}.${field.name}`;
  if (field.type.kind === 'enum') return enumValue(field.type.enum, raw, name);
  if (field.type.kind !== 'scalar') throw malformed(`${name} is not a number`);
  return checkNumber(field.type.scalar, raw, name);
}

/**
 * The name of an enum's value.
 * @throws TsbuildError `TSB_LLB`: a value that we do not know may change what is built
 */
function enumValue(schema: EnumSchema, raw: bigint, name: string): string {
  const value = raw < BigInt(schema.values.length) ? schema.values[Number(raw)] : undefined;
  if (value === undefined) throw malformed(`${name} has the unknown value ${BigInt.asIntN(64, raw)}`);
  return value;
}

/** Checks the range of a number given as an unsigned 64-bit value. */
export function checkNumber(scalar: ScalarType, raw: bigint, name: string): number | bigint | boolean {
  if (scalar === 'bool') return raw !== 0n;
  const value = scalar === 'uint32' || scalar === 'uint64' ? raw : BigInt.asIntN(64, raw);
  if (scalar === 'bigint') return value;
  const [low, high] = RANGES[scalar as keyof typeof RANGES];
  if (value < low || value > high) throw malformed(`${name} is ${value}, which is out of range`);
  return Number(value);
}

const SAFE = BigInt(Number.MAX_SAFE_INTEGER);
const RANGES = {
  int32: [-(2n ** 31n), 2n ** 31n - 1n],
  uint32: [0n, 2n ** 32n - 1n],
  int64: [-SAFE, SAFE],
  uint64: [0n, SAFE],
} as const;
