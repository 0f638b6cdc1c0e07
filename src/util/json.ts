import { TsbuildError } from './errors.ts';

/** What strict JSON parsing may allow; sizes are in bytes. */
export interface StrictJsonOptions {
  /** Named in messages, e.g. `manifest of "docker.io/library/alpine"`. */
  readonly what: string;
  /** Default 4 MiB, containerd's limit for manifests. */
  readonly maxBytes?: number;
  /** Default 64. */
  readonly maxDepth?: number;
}

/**
 * Parses a JSON document from outside so that every reader sees the same thing: valid UTF-8 without a byte order mark,
 * no key twice in one object (CVE-2021-41190 is about documents that two readers understand differently), no `__proto__`
 * key, no number that overflows, bounded size and depth.
 * @throws TsbuildError `TSB_IMAGE`
 */
export function parseStrictJson(bytes: Uint8Array, options: StrictJsonOptions): unknown {
  const fail = (why: string, cause?: unknown): TsbuildError =>
    new TsbuildError('TSB_IMAGE', `Cannot use ${options.what}: ${why}`, cause === undefined ? {} : { cause });
  const maxBytes = options.maxBytes ?? 4 * 1024 * 1024;
  if (bytes.length > maxBytes) throw fail(`it has ${bytes.length} bytes, more than the limit of ${maxBytes}`);
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) throw fail('it begins with a byte order mark');
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw fail('it is not valid UTF-8', error);
  }
  const problem = findAmbiguity(text, options.maxDepth ?? 64);
  if (problem !== undefined) throw fail(problem);
  try {
    return JSON.parse(text, (_key, value: unknown) => {
      if (typeof value === 'number' && !Number.isFinite(value)) throw new RangeError('a number is out of range');
      return value;
    });
  } catch (error) {
    throw fail(error instanceof RangeError ? error.message : 'it is not valid JSON', error);
  }
}

/**
 * One linear pass over the text before it is parsed: nesting depth and keys. Malformed text is left to JSON.parse,
 * but whatever JSON.parse accepts has been scanned in full.
 */
function findAmbiguity(text: string, maxDepth: number): string | undefined {
  const open: (Set<string> | undefined)[] = [];
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (char === '{' || char === '[') {
      open.push(char === '{' ? new Set() : undefined);
      if (open.length > maxDepth) return `it is nested deeper than ${maxDepth} levels`;
    } else if (char === '}' || char === ']') {
      open.pop();
    } else if (char === '"') {
      const end = endOfString(text, at);
      if (end === -1) return undefined;
      const keys = open.at(-1);
      if (keys !== undefined && isKey(text, end + 1)) {
        const key = unquote(text.slice(at, end + 1));
        if (key === undefined) return undefined;
        if (key === '__proto__') return 'it has the key "__proto__"';
        if (keys.has(key)) return `it has the key ${JSON.stringify(key.slice(0, 80))} twice in one object`;
        keys.add(key);
      }
      at = end;
    }
  }
  return undefined;
}

/** Index of the closing quote, or -1. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    const char = text[at];
    if (char === '"') return at;
    if (char === '\\') at++;
  }
  return -1;
}

function isKey(text: string, from: number): boolean {
  let at = from;
  while (text[at] === ' ' || text[at] === '\n' || text[at] === '\r' || text[at] === '\t') at++;
  return text[at] === ':';
}

function unquote(literal: string): string | undefined {
  try {
    return JSON.parse(literal) as string;
  } catch {
    return undefined;
  }
}
