import type { ByteString } from '../tree/index.ts';

/** One record of a PAX extended header. */
export interface PaxRecord {
  readonly key: ByteString;
  readonly value: Buffer;
}

/** Keys whose values end in fields that cannot hold NUL (Go archive/tar, validPAXRecord; CVE-2026-59874 of node-tar). */
const WITHOUT_NUL = new Set(['path', 'linkpath', 'uname', 'gname', 'GNU.sparse.name']);

/**
 * The records of a PAX extended header, each `LENGTH KEY=VALUE\n` with the length counting the whole record.
 * Returns the fault's description when the header is malformed.
 */
export function parsePax(data: Buffer): PaxRecord[] | string {
  const records: PaxRecord[] = [];
  let start = 0;
  while (start < data.length) {
    let at = start;
    let length = 0;
    while (at < data.length && at - start < 8) {
      const digit = (data[at] ?? 0) - 0x30;
      if (digit < 0 || digit > 9) break;
      length = length * 10 + digit;
      at++;
    }
    const end = start + length;
    if (at === start || data[at] !== 0x20 || end > data.length || end < at + 3)
      return 'a PAX record has a wrong length';
    if (data[end - 1] !== 0x0a) return 'a PAX record does not end in a newline';
    const equals = data.indexOf(0x3d, at + 1);
    if (equals === -1 || equals >= end - 1) return 'a PAX record has no "="';
    const key = data.toString('latin1', at + 1, equals);
    if (key === '' || key.includes('\0')) return 'a PAX record has no valid key';
    const value = data.subarray(equals + 1, end - 1);
    if (WITHOUT_NUL.has(key) && value.includes(0)) return `the PAX record "${key}" contains a NUL byte`;
    records.push({ key, value });
    start = end;
  }
  return records;
}

/** The bytes of a PAX extended header. Records are sorted by key, so that the same set gives the same bytes. */
export function formatPax(records: ReadonlyMap<ByteString, Buffer | ByteString>): Buffer {
  const keys = [...records.keys()].sort();
  return Buffer.concat(keys.map((key) => formatRecord(key, records.get(key) ?? '')));
}

function formatRecord(key: ByteString, value: Buffer | ByteString): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value, 'latin1') : value;
  const rest = key.length + bytes.length + 3;
  let length = rest + String(rest).length;
  if (String(length).length !== String(rest).length) length = rest + String(length).length;
  return Buffer.concat([Buffer.from(`${length} ${key}=`, 'latin1'), bytes, Buffer.from('\n')]);
}
