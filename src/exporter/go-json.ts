/** JSON as Go's encoding/json writes it. Digests of configs and manifests depend on every byte, so it is kept in one place. */

/** Compact, as `json.Marshal`: keys in the order they have, undefined ones left out. */
export function goJson(value: unknown): string {
  return escapeHtml(encode(value, '', '') ?? 'null');
}

/** With two spaces, as `json.MarshalIndent(value, "", "  ")`. */
export function goJsonIndented(value: unknown): string {
  return escapeHtml(encode(value, '  ', '\n') ?? 'null');
}

/** As `JSON.stringify`, but for maps whose keys are numbers: objects list those first, and by their value. Structs have none. */
function encode(value: unknown, indent: string, newline: string): string | undefined {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const inner = newline + indent;
  const around = (open: string, parts: readonly string[], close: string): string =>
    parts.length === 0 ? open + close : open + inner + parts.join(`,${inner}`) + newline + close;
  if (Array.isArray(value)) {
    const items = value as readonly unknown[];
    const parts = items.map((item) => encode(item, indent, inner) ?? 'null');
    return around('[', parts, ']');
  }
  const colon = indent === '' ? ':' : ': ';
  const entries = Object.entries(value);
  if (entries.some(([key]) => /^\d+$/.test(key))) entries.sort(byKey);
  const parts = entries.flatMap(([key, item]) => {
    const text = encode(item, indent, inner);
    return text === undefined ? [] : [`${JSON.stringify(key)}${colon}${text}`];
  });
  return around('{', parts, '}');
}

/** The order in which Go writes maps. */
function byKey([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** Go escapes what could end a script in HTML, and the line separators of JavaScript. All of it can only be within strings. */
function escapeHtml(text: string): string {
  return text.replaceAll(/[<>&\u2028\u2029]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** An object with its keys in byte order, as Go writes maps; undefined when there is none or it is empty (`omitempty`). */
export function sortedMap<T>(map: Readonly<Record<string, T>> | undefined): Record<string, T> | undefined {
  const entries = Object.entries(map ?? {});
  if (entries.length === 0) return undefined;
  entries.sort(byKey);
  return Object.fromEntries(entries);
}

/** A time as Go writes it: RFC 3339 with no more fractional digits than needed. */
export function goTime(ms: number): string {
  return new Date(ms).toISOString().replace(/\.?0*Z$/, 'Z');
}
