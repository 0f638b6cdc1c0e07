/**
 * Go's filepath.Match on Unix: `*` and `?` match anything but `/`, `[a-z]` and `[^a-z]` are classes, `\` escapes.
 * A leading dot is nothing special.
 * @returns undefined when the pattern is malformed
 */
export function matchGlob(pattern: string, name: string): boolean | undefined {
  const chars = Array.from(pattern);
  const text = Array.from(name);
  if (!isValidGlob(chars)) return undefined;
  return matchFrom(chars, 0, text, 0);
}

/** Whether the pattern means anything but itself. */
export function hasWildcards(pattern: string): boolean {
  for (let i = 0; i < pattern.length; i++) {
    const char = pattern[i];
    if (char === '\\') i++;
    else if (char === '*' || char === '?' || char === '[') return true;
  }
  return false;
}

/** Iterative with one point to come back to, the last star: linear stars cannot make it exponential. */
function matchFrom(pattern: readonly string[], start: number, text: readonly string[], at: number): boolean {
  let p = start;
  let t = at;
  let starPattern = -1;
  let starText = -1;
  for (;;) {
    if (pattern[p] === '*') {
      starPattern = ++p;
      starText = t;
      continue;
    }
    if (p === pattern.length && t === text.length) return true;
    const next = p < pattern.length && t < text.length ? matchOne(pattern, p, text[t] as string) : -1;
    if (next >= 0) {
      p = next;
      t++;
      continue;
    }
    if (starPattern < 0 || starText >= text.length || text[starText] === '/') return false;
    p = starPattern;
    t = ++starText;
  }
}

/** Matches one character; the index behind the pattern's element, or -1. */
function matchOne(pattern: readonly string[], p: number, char: string): number {
  const element = pattern[p];
  if (element === '?') return char === '/' ? -1 : p + 1;
  if (element === '\\') return pattern[p + 1] === char ? p + 2 : -1;
  if (element !== '[') return element === char ? p + 1 : -1;
  let i = p + 1;
  const negated = pattern[i] === '^';
  if (negated) i++;
  let found = false;
  for (let first = true; first || pattern[i] !== ']'; first = false) {
    if (pattern[i] === '\\') i++;
    const low = pattern[i++] ?? '';
    let high = low;
    if (pattern[i] === '-') {
      i++;
      if (pattern[i] === '\\') i++;
      high = pattern[i++] ?? '';
    }
    const code = char.codePointAt(0) ?? 0;
    if ((low.codePointAt(0) ?? 0) <= code && code <= (high.codePointAt(0) ?? 0)) found = true;
  }
  return found === negated ? -1 : i + 1;
}

function isValidGlob(pattern: readonly string[]): boolean {
  for (let i = 0; i < pattern.length; i++) {
    if (pattern[i] === '\\') {
      if (++i >= pattern.length) return false;
    } else if (pattern[i] === '[') {
      const end = endOfClass(pattern, i);
      if (end < 0) return false;
      i = end;
    }
  }
  return true;
}

/** Index of the `]` that closes the class at `start`, or -1 when it is malformed. */
function endOfClass(pattern: readonly string[], start: number): number {
  let i = start + 1;
  if (pattern[i] === '^') i++;
  for (let first = true; ; first = false) {
    if (pattern[i] === ']' && !first) return i;
    i = endOfClassChar(pattern, i);
    if (i >= 0 && pattern[i] === '-') i = endOfClassChar(pattern, i + 1);
    if (i < 0) return -1;
  }
}

function endOfClassChar(pattern: readonly string[], start: number): number {
  let i = start;
  if (i >= pattern.length || pattern[i] === '-' || pattern[i] === ']') return -1;
  if (pattern[i] === '\\' && ++i >= pattern.length) return -1;
  return i + 1 < pattern.length ? i + 1 : -1;
}
