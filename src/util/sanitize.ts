/** Characters of one UTF-16 unit beyond ASCII's first: DEL, C1 controls, separators of lines, and marks that change the direction of text. */
export const HIDDEN: RegExp = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

// eslint-disable-next-line no-control-regex
const UNSAFE = new RegExp(`[\\u0000-\\u0008\\u000b-\\u001f]|${HIDDEN.source}`);
const UNSAFE_OR_COLOR = new RegExp(`\\u001b\\[[0-9;:]*m|${UNSAFE.source}`, 'g');

/**
 * Makes text from outside (Dockerfiles, RUN output, tags, registry errors) safe to print (security rule 15).
 * Control characters become visible: ESC is `^[`, NUL is `^@`, C1 controls and bidi overrides are `\u{…}`. Tabs and newlines stay.
 * With `colors`, SGR sequences (`ESC [ … m`) pass through.
 */
export function sanitize(text: string, options: { readonly colors?: boolean } = {}): string {
  if (!UNSAFE.test(text)) return text;
  return text.replace(UNSAFE_OR_COLOR, (found) => {
    if (found.length > 1) return options.colors ? found : `^[${found.slice(1)}`;
    const code = found.charCodeAt(0);
    if (code < 0x20) return `^${String.fromCharCode(code + 64)}`;
    if (code === 0x7f) return '^?';
    return `\\u{${code.toString(16)}}`;
  });
}

/** `sanitize` and cut to one line of at most `limit` characters. */
export function sanitizeLine(text: string, limit = 500): string {
  const line = sanitize(text).replaceAll(/(?<!\s)\s*\n\s*/g, ' ');
  return line.length > limit ? `${line.slice(0, limit - 1)}…` : line;
}
