/** One authentication scheme of a `WWW-Authenticate` header. Parameter names are lower case. */
export interface Challenge {
  readonly scheme: string;
  readonly parameters: ReadonlyMap<string, string>;
}

const TOKEN = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y;
/** What a scheme may have instead of parameters, such as the ticket of Negotiate: up to the next comma or the end. */
const TOKEN68 = /[A-Za-z0-9._~+/-]+=*[ \t]*(?=,|$)/y;
const MAX_LENGTH = 8192;
const MAX_PARAMETERS = 64;

/**
 * Parses a `WWW-Authenticate` header (RFC 9110, 11.6.1) in linear time. What comes after a syntax error or beyond
 * 8 KiB is dropped: a challenge is a hint by a server that need not be friendly.
 */
export function parseChallenges(header: string): Challenge[] {
  const text = header.slice(0, MAX_LENGTH);
  const challenges: { scheme: string; parameters: Map<string, string> }[] = [];
  let at = 0;
  const token = (): string | undefined => {
    TOKEN.lastIndex = at;
    const found = TOKEN.exec(text)?.[0];
    at += found?.length ?? 0;
    return found;
  };
  const skip = (chars: string): void => {
    while (at < text.length && chars.includes(text[at] ?? '')) at++;
  };
  for (skip(' \t,'); at < text.length; skip(' \t,')) {
    const name = token();
    if (name === undefined) break;
    skip(' \t');
    if (text[at] !== '=') {
      challenges.push({ scheme: name.toLowerCase(), parameters: new Map() });
      TOKEN68.lastIndex = at;
      at += TOKEN68.exec(text)?.[0].length ?? 0;
      continue;
    }
    at++;
    skip(' \t');
    const quoted = text[at] === '"';
    const value = quoted ? quotedString() : token();
    const parameters = challenges.at(-1)?.parameters;
    if (value === undefined || parameters === undefined || parameters.size >= MAX_PARAMETERS) break;
    if (!parameters.has(name.toLowerCase())) parameters.set(name.toLowerCase(), value);
  }
  return challenges;

  function quotedString(): string | undefined {
    let value = '';
    for (at++; at < text.length; at++) {
      const char = text[at] ?? '';
      if (char === '"') {
        at++;
        return value;
      }
      if (char === '\\') at++;
      value += text[at] ?? '';
    }
    return undefined;
  }
}
