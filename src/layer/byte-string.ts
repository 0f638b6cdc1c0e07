import { type ByteString, toText } from '../tree/index.ts';

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
