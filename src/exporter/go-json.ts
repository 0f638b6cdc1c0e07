/** JSON as Go's encoding/json writes it. Digests of configs and manifests depend on every byte, so it is kept in one place. */

/** Compact, as `json.Marshal`: keys in the order they have, undefined ones left out. */
export function goJson(value: unknown): string {
  return escapeHtml(JSON.stringify(value));
}

/** With two spaces, as `json.MarshalIndent(value, "", "  ")`. */
export function goJsonIndented(value: unknown): string {
  return escapeHtml(JSON.stringify(value, undefined, 2));
}

/** Go escapes what could end a script in HTML, and the line separators of JavaScript. All of it can only be within strings. */
function escapeHtml(text: string): string {
  return text.replaceAll(/[<>&\u2028\u2029]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** An object with its keys in byte order, as Go writes maps; undefined when there is none or it is empty (`omitempty`). */
export function sortedMap<T>(map: Readonly<Record<string, T>> | undefined): Record<string, T> | undefined {
  const entries = Object.entries(map ?? {});
  if (entries.length === 0) return undefined;
  entries.sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  return Object.fromEntries(entries);
}

/** A time as Go writes it: RFC 3339 with no more fractional digits than needed. */
export function goTime(ms: number): string {
  return new Date(ms).toISOString().replace(/\.?0*Z$/, 'Z');
}
