import type { BytePath } from '../sys/index.ts';

/**
 * Raw bytes as a string with one character per byte (latin1). Names in archives and file systems need not be UTF-8;
 * in this form they are map keys, compare in byte order with `<`, and cost less than Buffers.
 */
export type ByteString = string;

/** The byte string of ordinary text, by its UTF-8 form. */
export function fromText(text: string): ByteString {
  return isAscii(text) ? text : Buffer.from(text).toString('latin1');
}

/** The bytes, as text for people: what is not UTF-8 becomes U+FFFD. */
export function toText(bytes: ByteString): string {
  return isAscii(bytes) ? bytes : Buffer.from(bytes, 'latin1').toString();
}

/** The form that the calls of src/sys take. */
export function toPath(bytes: ByteString): BytePath {
  return isAscii(bytes) ? bytes : Buffer.from(bytes, 'latin1');
}

/** The bytes quoted for a message: escaped and cut. */
export function quote(bytes: ByteString): string {
  const text = toText(bytes);
  return JSON.stringify(text.length > 300 ? `${text.slice(0, 300)}…` : text);
}

/** Whether every byte is below 0x80. */
export function isAscii(bytes: ByteString): boolean {
  // eslint-disable-next-line no-control-regex
  return !/[^\u0000-\u007f]/.test(bytes);
}

/** Orders byte strings by their bytes. */
export function compareBytes(a: ByteString, b: ByteString): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
