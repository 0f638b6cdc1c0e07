/** A value of two JSON documents that differs. */
export interface JsonDifference {
  readonly path: string;
  readonly image?: unknown;
  readonly rebuilt?: unknown;
}

/** Deeper documents are compared as a whole there. */
const MAX_DEPTH = 32;

/**
 * The differences of two JSON values, as deep as they can be named. Lists are compared by place.
 * @param path of the values, `''` for documents
 */
export function jsonDifferences(image: unknown, rebuilt: unknown, path = '', depth = 0): readonly JsonDifference[] {
  if (Object.is(image, rebuilt)) return [];
  if (depth < MAX_DEPTH && Array.isArray(image) && Array.isArray(rebuilt)) {
    const length = Math.max(image.length, rebuilt.length);
    return Array.from({ length }, (_, at) =>
      jsonDifferences(image[at], rebuilt[at], `${path}[${at}]`, depth + 1),
    ).flat();
  }
  if (depth < MAX_DEPTH && isObject(image) && isObject(rebuilt)) {
    const names = new Set([...Object.keys(image), ...Object.keys(rebuilt)]);
    return [...names]
      .toSorted()
      .flatMap((name) => jsonDifferences(own(image, name), own(rebuilt, name), join(path, name), depth + 1));
  }
  if (JSON.stringify(image) === JSON.stringify(rebuilt)) return [];
  return [{ path, ...(image === undefined ? {} : { image }), ...(rebuilt === undefined ? {} : { rebuilt }) }];
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function own(object: Readonly<Record<string, unknown>>, name: string): unknown {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}

function join(path: string, name: string): string {
  if (!/^[A-Za-z_$][\w$]*$/.test(name)) return `${path}[${JSON.stringify(name)}]`;
  return path === '' ? name : `${path}.${name}`;
}
