/**
 * The messages of BuildKit's solver/pb/ops.proto as tables. One table per message serves the wire form, the JSON form and
 * the TypeScript objects of ops.ts, so that a field cannot be known to one of them only.
 */

/** Types of fields. `bigint` is int64 where a number would lose digits. */
export type ScalarType = 'string' | 'bytes' | 'bool' | 'int32' | 'uint32' | 'int64' | 'uint64' | 'bigint';

/** Names of an enum's values by number: `json` as in the proto file, `values` as in ops.ts. */
export interface EnumSchema {
  readonly name: string;
  readonly values: readonly string[];
  readonly json: readonly string[];
}

/** What a field holds. A message is named by a function, since messages refer to each other in circles. */
export type FieldType =
  | { readonly kind: 'scalar'; readonly scalar: ScalarType }
  | { readonly kind: 'enum'; readonly enum: EnumSchema }
  | { readonly kind: 'message'; readonly message: () => MessageSchema };

/** One field of a message in all three forms. */
export interface FieldSchema {
  /** The field's number in the proto file: what the wire knows it by. */
  readonly number: number;
  /** Property of the object in ops.ts. */
  readonly name: string;
  /** Key in protojson. */
  readonly json: string;
  readonly type: FieldType;
  readonly repeated?: boolean;
  /** A map with string keys; `type` is the value's. */
  readonly map?: boolean;
  /** A member of the message's oneof; the object says which by `kind`, which is `name` unless `tag` is given. */
  readonly oneof?: boolean;
  /** Value of `kind` where the object calls the member otherwise than the proto file does. */
  readonly tag?: string;
}

/** One message: its fields by number. `encodeMessage` says in which order they are written. */
export interface MessageSchema {
  readonly name: string;
  readonly fields: readonly FieldSchema[];
  /** Where the oneof's value is: in a property of its own, or spread into the object. */
  readonly oneof?: { readonly property: string } | 'inline';
  /** Unknown fields are passed over and not refused: they cannot change what is built. */
  readonly lenient?: boolean;
}

type Extra = Partial<Pick<FieldSchema, 'json' | 'repeated' | 'map' | 'oneof' | 'tag'>>;

/** A maker of fields of one scalar type. */
function scalar(type: ScalarType): (number: number, name: string, extra?: Extra) => FieldSchema {
  return (number, name, extra) => ({ number, name, json: name, type: { kind: 'scalar', scalar: type }, ...extra });
}

/** proto3's string: UTF-8, which is checked. */
export const string: ReturnType<typeof scalar> = scalar('string');
/** proto3's bytes. */
export const bytes: ReturnType<typeof scalar> = scalar('bytes');
/** proto3's bool; false is the default and is not written. */
export const bool: ReturnType<typeof scalar> = scalar('bool');
/** int32, where negative numbers take ten bytes on the wire. */
export const int32: ReturnType<typeof scalar> = scalar('int32');
/** uint32. */
export const uint32: ReturnType<typeof scalar> = scalar('uint32');
/** 64 bits as a number; values that a number cannot hold exactly are refused. */
export const int64: ReturnType<typeof scalar> = scalar('int64');
/** uint64, with the limits of `int64`. */
export const uint64: ReturnType<typeof scalar> = scalar('uint64');
/** int64 as a bigint: nanoseconds. */
export const nanoseconds: ReturnType<typeof scalar> = scalar('bigint');

/** A field with one of an enum's values. A number without a name is refused: it may mean something to the build. */
export function enumeration(number: number, name: string, values: EnumSchema, extra?: Extra): FieldSchema {
  return { number, name, json: name, type: { kind: 'enum', enum: values }, ...extra };
}

/** A field that is a message of its own. */
export function message(number: number, name: string, schema: () => MessageSchema, extra?: Extra): FieldSchema {
  return { number, name, json: name, type: { kind: 'message', message: schema }, ...extra };
}
