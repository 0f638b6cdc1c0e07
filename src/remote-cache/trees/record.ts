import { guardFor } from '../../image/index.ts';
import { MAX_TREE_SUMMARY } from '../../tree/index.ts';
import { canonicalDigest, type Digest, hexOf, isDigest, parseStrictJson, TsbuildError } from '../../util/index.ts';
import { type Author, decodeAuthor, MAX_RECORD_BYTES, textAt, timeAt } from '../steps/record.ts';

/** What a shared cache has of the file tree of one base image: names and attributes, and no content. */
export interface TreeRecord {
  readonly scope: string;
  /** 64 hexadecimal digits: what it was asked for by. */
  readonly name: string;
  /** The chain ID of the layers that have the tree (image-spec config.md). */
  readonly chain: Digest;
  /** In milliseconds since the epoch. */
  readonly writtenAt: number;
  readonly author: Author;
  /** See `encodeSummary` of src/tree. */
  readonly summary: Uint8Array;
}

/** The name of a tree's record: 64 hexadecimal digits, the same on every machine. */
export function treeRecordName(chain: Digest): string {
  return hexOf(canonicalDigest('tsbuild.tree-summary.v1', [chain]));
}

/**
 * It has no layers: what looks after a place learns from that that it needs none.
 * @throws TsbuildError `TSB_EXPORT` when it is larger than readers take
 */
export function encodeTreeRecord({ summary, ...record }: TreeRecord): Buffer {
  const text = Buffer.from(summary).toString('base64');
  const bytes = Buffer.from(JSON.stringify({ version: 1, ...record, layers: [], summary: text }));
  if (bytes.length > MAX_RECORD_BYTES || summary.length > MAX_TREE_SUMMARY)
    throw new TsbuildError('TSB_EXPORT', 'its record is larger than readers take');
  return bytes;
}

/**
 * Reads a record, which anybody may have written. What is in its summary is not looked at.
 * @param expected what it was asked for by: a sound record in the place of another one is none
 * @throws TsbuildError `TSB_IMAGE` naming the place in the document
 */
export function decodeTreeRecord(
  bytes: Uint8Array,
  { scope, chain }: Pick<TreeRecord, 'scope' | 'chain'>,
  what: string,
): TreeRecord {
  const guard = guardFor(what);
  const document = guard.object(parseStrictJson(bytes, { what, maxBytes: MAX_RECORD_BYTES }), '');
  if (document['version'] !== 1) throw guard.fail('version', 'is not 1: a newer tsbuild wrote it');
  if (document['scope'] !== scope) throw guard.fail('scope', 'is another one than that it is kept in');
  const name = treeRecordName(chain);
  if (!isDigest(document['chain']) || document['chain'] !== chain || document['name'] !== name)
    throw guard.fail('chain', 'is that of another image than that it is kept for');
  const text = textAt(guard, document['summary'], 'summary', Math.ceil(MAX_TREE_SUMMARY / 3) * 4);
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text)) throw guard.fail('summary', 'is not base64');
  return {
    scope,
    name,
    chain,
    writtenAt: timeAt(guard, document['writtenAt'], 'writtenAt'),
    author: decodeAuthor(guard, document['author']),
    summary: Buffer.from(text, 'base64'),
  };
}
