import { gunzipSync, gzipSync } from 'node:zlib';
import { guardFor } from '../../image/index.ts';
import { parseStrictJson } from '../../util/index.ts';
import { MAX_TIME } from '../remote-config.ts';
import { MAX_ENVELOPE_BYTES } from './envelope.ts';

/** Largest index, in bytes as it is kept (compressed) and in bytes of what it says. */
export const MAX_INDEX_BYTES: number = 2 * 1024 * 1024;
const MAX_INDEX_TEXT = 32 * 1024 * 1024;
const MAX_ENTRIES = 5000;

/** A record as an index has it. */
export interface IndexEntry {
  readonly name: string;
  /** When it was last written, or kept from expiring, in milliseconds since the epoch. */
  readonly touchedAt: number;
  /** The record in its envelope. */
  readonly envelope: Uint8Array;
}

/**
 * Many records of a scope in one object, so that a build gets them with one question. It is a hint: the last of two writers wins, and what is
 * not in it is asked for by its name; each record in it is held against the policy like any other.
 */
export function encodeIndex(scope: string, entries: readonly IndexEntry[]): Buffer {
  // The newest are the likeliest to be asked for.
  const kept = entries.toSorted((a, b) => b.touchedAt - a.touchedAt).slice(0, MAX_ENTRIES);
  for (;;) {
    const records = kept.map(({ name, touchedAt, envelope }) => ({
      name,
      touchedAt,
      envelope: Buffer.from(envelope).toString('utf8'),
    }));
    const text = JSON.stringify({ version: 1, scope, records });
    const bytes = gzipSync(text);
    if (bytes.length <= MAX_INDEX_BYTES && Buffer.byteLength(text) <= MAX_INDEX_TEXT) return bytes;
    kept.length = Math.floor(kept.length / 2);
  }
}

/**
 * Reads an index, which anybody may have written.
 * @throws TsbuildError `TSB_IMAGE`; an error of zlib
 */
export function decodeIndex(bytes: Uint8Array, scope: string, what: string): ReadonlyMap<string, IndexEntry> {
  const guard = guardFor(what);
  const text = gunzipSync(bytes, { maxOutputLength: MAX_INDEX_TEXT });
  const document = guard.object(parseStrictJson(text, { what, maxBytes: MAX_INDEX_TEXT }), '');
  if (document['version'] !== 1) throw guard.fail('version', 'is not 1: a newer tsbuild wrote it');
  if (document['scope'] !== scope) throw guard.fail('scope', 'is another one');
  const entries = guard.list(document['records'], 'records', MAX_ENTRIES).map((value, at): [string, IndexEntry] => {
    const path = `records[${at}]`;
    const { name, touchedAt, envelope } = guard.object(value, path);
    const sealed = Buffer.from(guard.string(envelope, `${path}.envelope`));
    if (typeof touchedAt !== 'number' || !(touchedAt >= 0 && touchedAt <= MAX_TIME))
      throw guard.fail(`${path}.touchedAt`, 'is not a time in milliseconds');
    if (sealed.length > MAX_ENVELOPE_BYTES) throw guard.fail(`${path}.envelope`, 'is too large');
    const text = guard.string(name, `${path}.name`);
    return [text, { name: text, touchedAt, envelope: sealed }];
  });
  return new Map(entries);
}
