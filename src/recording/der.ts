/**
 * What of DER (X.690) a certificate is written with. Only written: nothing that somebody else has encoded is read here.
 */

const UNIVERSAL = { integer: 0x02, bits: 0x03, bytes: 0x04, oid: 0x06, sequence: 0x30, set: 0x31, utf8: 0x0c } as const;

/** An element: tag, length, content. */
export function element(tag: number, ...content: readonly Uint8Array[]): Buffer {
  const size = content.reduce((sum, part) => sum + part.length, 0);
  return Buffer.concat([Buffer.from([tag, ...lengthOf(size)]), ...content]);
}

function lengthOf(size: number): readonly number[] {
  if (size < 0x80) return [size];
  const bytes: number[] = [];
  for (let rest = size; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return [0x80 | bytes.length, ...bytes];
}

/** Elements in their order. */
export function sequence(...elements: readonly Uint8Array[]): Buffer {
  return element(UNIVERSAL.sequence, ...elements);
}

/** A set of one element, which needs no order. */
export function setOf(only: Uint8Array): Buffer {
  return element(UNIVERSAL.set, only);
}

/** A number that is not negative, from its bytes, most significant first. */
export function integer(bytes: Uint8Array): Buffer {
  const first = bytes.findIndex((byte) => byte !== 0);
  const plain = first < 0 ? Uint8Array.of(0) : bytes.subarray(first);
  // The highest bit would make it a negative one.
  return element(UNIVERSAL.integer, (plain[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.of(0), plain]) : plain);
}

/** Whole bytes as bits; `unused` of the last ones are none. */
export function bitString(bytes: Uint8Array, unused = 0): Buffer {
  return element(UNIVERSAL.bits, Buffer.of(unused), bytes);
}

/** Bytes that are what an extension says. */
export function octets(bytes: Uint8Array): Buffer {
  return element(UNIVERSAL.bytes, bytes);
}

/** A name of many kinds, as `1.2.840.10045.4.3.2`. */
export function objectId(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes = [first * 40 + second, ...rest].flatMap((number) => {
    const digits: number[] = [number % 128];
    for (let left = Math.floor(number / 128); left > 0; left = Math.floor(left / 128))
      digits.unshift((left % 128) | 0x80);
    return digits;
  });
  return element(UNIVERSAL.oid, Buffer.from(bytes));
}

/** Text. */
export function utf8(text: string): Buffer {
  return element(UNIVERSAL.utf8, Buffer.from(text));
}

/** True: false is left out where it is the default. */
export const yes: Buffer = element(0x01, Buffer.of(0xff));

/** A moment as certificates have it: two digits for the year up to 2049, four afterwards (RFC 5280, 4.1.2.5). */
export function time(ms: number): Buffer {
  const text = new Date(ms).toISOString().replace(/[-:T]|\.\d+/g, '');
  return text < '2050' ? element(0x17, Buffer.from(text.slice(2))) : element(0x18, Buffer.from(text));
}

/** An element whose tag the surrounding structure defines. @param constructed it holds elements */
export function tagged(number: number, content: Uint8Array, constructed = true): Buffer {
  return element(0x80 | (constructed ? 0x20 : 0) | number, content);
}
