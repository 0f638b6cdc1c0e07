/** Shorter values would be found everywhere by chance, and what is left between the stars would be of no use. */
const SHORTEST = 4;

/** Larger ones are files, which nobody prints in base64 on one line. It bounds the automaton: there are up to six forms of it. */
const LARGEST_ENCODED = 16 * 1024;

/**
 * What to hide of a secret in the output of steps: the value without white space around it, each of its lines likewise (a step that
 * prints a key file indented, or greps in it), and the value in base64, which is how tools show it without being asked to
 * (`Authorization: Basic`, config.json, Kubernetes). Nothing for values shorter than four bytes.
 */
export function hiddenForms(secret: Uint8Array): readonly Uint8Array[] {
  const bytes = Buffer.from(secret);
  // A variable is text: what is no valid UTF-8 gets replacement characters on its way there.
  const text = Buffer.from(bytes.toString());
  const forms = (text.equals(bytes) ? [bytes] : [bytes, text]).flatMap((form) => {
    const value = trim(form);
    return [value, ...linesOf(value), ...(value.length <= LARGEST_ENCODED ? encoded(value) : [])];
  });
  return forms.filter(({ length }) => length >= SHORTEST);
}

function linesOf(value: Buffer): readonly Buffer[] {
  const lines: Buffer[] = [];
  let start = 0;
  for (let at = 0; at <= value.length; at++) {
    const byte = value[at];
    if (byte !== undefined && byte !== 0x0a && byte !== 0x0d) continue;
    lines.push(trim(value.subarray(start, at)));
    start = at + 1;
  }
  return lines;
}

function trim(bytes: Buffer): Buffer {
  let start = 0;
  let end = bytes.length;
  while (start < end && isSpace(bytes[start])) start++;
  while (end > start && isSpace(bytes[end - 1])) end--;
  return bytes.subarray(start, end);
}

/** As C's `isspace`. */
function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || (byte !== undefined && byte >= 0x09 && byte <= 0x0d);
}

/**
 * The value within longer base64, e.g. of `user:VALUE`: it may begin at any of the three bytes that four characters stand for.
 * Characters that also hold bits of what is before are left out; at the end there are both forms, with and without those.
 */
function encoded(value: Buffer): readonly Buffer[] {
  if (value.length < SHORTEST) return [];
  return [0, 1, 2].flatMap((offset) => {
    const shifted = Buffer.concat([Buffer.alloc(offset), value]);
    const first = Math.ceil((offset * 8) / 6);
    const whole = Math.floor((shifted.length * 8) / 6);
    return [shifted.toString('base64'), shifted.toString('base64url')].flatMap((text) => [
      Buffer.from(text.slice(first)),
      Buffer.from(text.slice(first, whole)),
    ]);
  });
}
