/**
 * Names and paths of files in trees are *byte strings*: JavaScript strings with one character (U+0000..U+00FF) per byte,
 * as Node's `latin1` encoding makes them. They keep names that are not UTF-8 byte exact, compare in byte order with `<`,
 * and are cheap map keys. Text from outside (Dockerfiles, LLB) is turned into them with `toByteString`.
 */
export type ByteString = string;

// eslint-disable-next-line no-control-regex
const NOT_ASCII = /[^\u0000-\u007f]/;

/** The byte string of a text's UTF-8 form. */
export function toByteString(text: string): ByteString {
  return NOT_ASCII.test(text) ? Buffer.from(text, 'utf8').toString('latin1') : text;
}

/** The byte string of raw bytes. */
export function fromBytes(bytes: Uint8Array): ByteString {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

/** What Node's fs and src/sys take for a byte string: the string itself where it is ASCII, else its bytes. */
export function toFsPath(bytes: ByteString): string | Buffer {
  return NOT_ASCII.test(bytes) ? Buffer.from(bytes, 'latin1') : bytes;
}

/** The text of a byte string, for messages and pattern matching; bytes that are not UTF-8 become U+FFFD. */
export function toText(bytes: ByteString): string {
  return NOT_ASCII.test(bytes) ? Buffer.from(bytes, 'latin1').toString('utf8') : bytes;
}

/** Byte order, for `sort`. */
export function compareBytes(a: ByteString, b: ByteString): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Joins a path below a root and a name; the root is `''`. */
export function joinPath(dir: ByteString, name: ByteString): ByteString {
  return dir === '' ? name : `${dir}/${name}`;
}
