/**
 * A numeric field of a tar header: octal digits between spaces and NULs, or base-256 (first bit set, two's
 * complement). What stands behind a NUL that ends it is nobody's. Undefined when it is neither, or beyond 2^53 (never
 * rounded).
 */
export function parseNumber(block: Buffer, start: number, length: number): number | undefined {
  const first = block[start] ?? 0;
  if (first & 0x80) return parseBase256(block, start, length);
  let at = start;
  let end = start + length;
  while (at < end && isBlank(block[at])) at++;
  while (end > at && isBlank(block[end - 1])) end--;
  let value = 0;
  for (; at < end && block[at] !== 0; at++) {
    const digit = (block[at] ?? 0) - 0x30;
    if (digit < 0 || digit > 7) return undefined;
    value = value * 8 + digit;
  }
  return Number.isSafeInteger(value) ? value : undefined;
}

function isBlank(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0;
}

function parseBase256(block: Buffer, start: number, length: number): number | undefined {
  // Bit 6 of the first byte is the sign.
  const negative = ((block[start] ?? 0) & 0x40) !== 0;
  let value = negative ? -1 : 0;
  for (let index = 0; index < length; index++) {
    let byte = block[start + index] ?? 0;
    if (index === 0) byte = negative ? byte | 0x80 : byte & 0x7f;
    value = index === 0 && negative ? byte - 256 : value * 256 + byte;
    if (!Number.isSafeInteger(value)) return undefined;
  }
  return value;
}

/** A decimal number without sign, at most 2^53 - 1; undefined for anything else. */
export function parseDecimal(text: string): number | undefined {
  if (!/^\d{1,16}$/.test(text)) return undefined;
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : undefined;
}

/** A PAX time: decimal seconds, maybe negative, maybe with a fraction, of which nine digits count. */
export function parsePaxTime(text: string): { sec: number; nsec: number } | undefined {
  const match = /^(-?)(\d{1,16})(?:\.(\d*))?$/.exec(text);
  if (!match) return undefined;
  const whole = Number(match[2]);
  if (!Number.isSafeInteger(whole)) return undefined;
  const nsec = Number((match[3] ?? '').slice(0, 9).padEnd(9, '0'));
  if (match[1] !== '-') return { sec: whole, nsec };
  return nsec === 0 ? { sec: 0 - whole, nsec: 0 } : { sec: -whole - 1, nsec: 1_000_000_000 - nsec };
}
