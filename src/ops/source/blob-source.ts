import { linkSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { SourceOp } from '../../llb/index.ts';
import type { CacheMap } from '../../solver/index.ts';
import {
  canonicalDigest,
  type Digest,
  hexOf,
  isDigest,
  redactUrls,
  sanitizeLine,
  TsbuildError,
} from '../../util/index.ts';
import type { Task } from '../../events/index.ts';
import type { OpResult } from '../result.ts';
import { fileAttributes, layerOfFile } from './one-file.ts';
import type { SourcePieces } from './source-pieces.ts';

/**
 * Identity of a blob of a registry or an OCI layout as a file: its digest and how the file looks. The digest is what is asked for, so that
 * nobody needs to be asked.
 */
export function blobMap(pieces: SourcePieces, vertex: Digest, source: SourceOp): CacheMap<OpResult> {
  const digest = digestOf(source);
  const { filename, mode, uid, gid } = fileAttributes(source.attrs);
  pieces.report.notes.source(vertex, { what: 'source', name: redactUrls(source.identifier), value: digest });
  return {
    digest: canonicalDigest('tsbuild.blob.v1', { digest, name: filename ?? hexOf(digest), mode, owner: [uid, gid] }),
    deps: [],
  };
}

/** Brings a blob into the store and makes it the only file of a layer, of the time 0, as BuildKit has it. */
export async function runBlob(pieces: SourcePieces, task: Task, vertex: Digest, source: SourceOp): Promise<OpResult> {
  const { origins } = pieces;
  const { filename, mode, uid, gid } = fileAttributes(source.attrs);
  const digest = digestOf(source);
  const path = await bringBlob(pieces, task, vertex, source);
  const dir = origins.remote.temporary();
  try {
    linkSync(path, `${dir}/file`);
    const file = { dir, name: filename ?? hexOf(digest), mode, uid, gid, time: 0 };
    return await layerOfFile(pieces, task, file, `blob ${redactUrls(source.identifier)}`);
  } finally {
    origins.remote.discard(dir);
  }
}

/** Brings a blob into the store, and gives its file there, which was read from end to end and has the digest. @throws TsbuildError */
export async function bringBlob(pieces: SourcePieces, task: Task, vertex: Digest, source: SourceOp): Promise<string> {
  const digest = digestOf(source);
  await pieces.origins.blob(task, source, digest, vertex);
  await checkBlob(pieces, task, digest);
  return pieces.snapshots.store.blobs.path(digest);
}

/** A blob of an earlier command is read before it becomes a file: a damaged one is fetched again. @throws DamageError */
async function checkBlob({ snapshots: { store } }: SourcePieces, { signal }: Task, digest: Digest): Promise<void> {
  const { streamBlob } = await import('../../exporter/index.ts');
  const size = store.blobs.info(digest)?.size ?? 0;
  for (const chunk of streamBlob(store.blobs, { digest, size })) {
    if (chunk.length > 0) await nextTurn();
    signal.throwIfAborted();
  }
}

/** The digest in a blob's name. @throws TsbuildError `TSB_LLB` for one that is not named by its digest */
export function digestOf({ identifier }: SourceOp): Digest {
  const digest = identifier.slice(identifier.lastIndexOf('@') + 1);
  if (identifier.includes('@') && isDigest(digest)) return digest;
  throw new TsbuildError(
    'TSB_LLB',
    `Cannot use blob ${JSON.stringify(sanitizeLine(redactUrls(identifier), 300))}: checksum required in blob reference`,
    { hint: 'end its name with "@sha256:" and the digest' },
  );
}
