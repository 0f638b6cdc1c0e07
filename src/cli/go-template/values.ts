import { Float, floatOf, shortest } from './float.ts';

/**
 * Values of templates: strings, whole numbers, floats, booleans, lists, and two kinds of objects, as in Go. A plain object is a struct, whose fields are
 * known: another name is a mistake; those that are functions are methods. A `Map` is a map, in which a name is there or not.
 */
export type Struct = Readonly<Record<string, unknown>>;

/** Whether a value is a struct: an object that is neither a list nor a map. */
export function isStruct(value: unknown): value is Struct {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Map) &&
    !(value instanceof Float)
  );
}

/** What Go's templates take for true. */
export function isTrue(value: unknown): boolean {
  if (value === undefined || value === null) return false;
  if (Array.isArray(value)) return value.length > 0;
  if (value instanceof Map) return value.size > 0;
  return isStruct(value) || Boolean(floatOf(value) ?? value);
}

/** A value as Go's `%v` prints it. */
export function display(value: unknown): string {
  if (value === undefined) return '<no value>';
  // What may be null is a list or a map that is empty.
  if (value === null) return '[]';
  if (Array.isArray(value)) return `[${value.map(display).join(' ')}]`;
  if (value instanceof Map) {
    const entries = [...(value as ReadonlyMap<string, unknown>)].sort(([a], [b]) => (a < b ? -1 : 1));
    return `map[${entries.map(([key, item]) => `${key}:${display(item)}`).join(' ')}]`;
  }
  if (isStruct(value)) {
    const fields = Object.values(value).filter((field) => typeof field !== 'function');
    return `{${fields.map(display).join(' ')}}`;
  }
  const float = floatOf(value);
  if (float !== undefined) return (float < 0 ? '-' : '') + shortest(Math.abs(float));
  // eslint-disable-next-line typescript/no-base-to-string -- only primitives are left
  return String(value);
}

/** A value as JSON in the form of Go's encoder, maps by their keys. */
export function toJson(value: unknown, indent?: number): string {
  const plain = (_key: string, item: unknown): unknown =>
    item instanceof Float
      ? item.value
      : item instanceof Map
        ? Object.fromEntries([...(item as ReadonlyMap<string, unknown>)].sort(([a], [b]) => (a < b ? -1 : 1)))
        : item;
  // What ends a line in JavaScript is escaped.
  return JSON.stringify(value ?? null, plain, indent).replaceAll(
    /[\u2028\u2029]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16)}`,
  );
}
