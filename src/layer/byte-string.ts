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

/**
 * A path of an archive without empty and `.` parts and with `..` taken lexically, which cannot leave the root: what
 * containerd makes of it.
 */
export function memberPath(path: ByteString): ByteString {
  if (!/(?:^|\/)\.{0,2}(?:\/|$)/.test(path)) return path;
  const names: ByteString[] = [];
  for (const name of path.split('/')) {
    if (name === '..') names.pop();
    else if (name !== '' && name !== '.') names.push(name);
  }
  return names.join('/');
}
