import { createReadStream } from 'node:fs';
import type { FileDemands } from '../../signatures/index.ts';
import type { HttpResource } from '../../source/index.ts';
import { canonicalDigest, type Digest, redactUrls, TsbuildError } from '../../util/index.ts';
import type { Task } from '../../events/index.ts';
import { HTTP_SIGNATURE } from './signature-attributes.ts';
import type { SourcePieces } from './source-pieces.ts';

const FACT_KIND = 'http.signed';
/** Of a file at a time, in bytes. */
const CHUNK = 1 << 20;

/**
 * The signature that a download must have; undefined where none is demanded.
 * @throws TsbuildError `TSB_LLB` for a signature without a key, or a key without a signature
 */
export function fileDemandsOf(attrs: ReadonlyMap<string, string>): FileDemands | undefined {
  const [publicKey, signature] = [attrs.get(HTTP_SIGNATURE.publicKey), attrs.get(HTTP_SIGNATURE.signature)];
  if (publicKey === undefined && signature === undefined) return undefined;
  if (publicKey && signature) return { publicKey, signature };
  throw new TsbuildError('TSB_LLB', 'http signature verification requires both pubkey and signature', {
    hint: 'give http.sig.pubkey and http.sig.signature, both in ASCII armour',
  });
}

/**
 * Holds what an address gives to the signature that is demanded, before it has a key. That these bytes have it is remembered: it will not
 * change, and the next build need not have the file.
 * @param digest what the bytes are
 * @throws TsbuildError `TSB_SIGNATURE`, and what the download throws
 */
export async function holdToSignature(
  pieces: SourcePieces,
  task: Task,
  vertex: Digest,
  resource: HttpResource,
  digest: Digest,
  demands: FileDemands,
): Promise<void> {
  const { facts } = pieces.snapshots.store;
  const { publicKey, signature } = demands;
  const key = canonicalDigest('tsbuild.http.signed.v1', { digest, publicKey, signature });
  if (facts.get(FACT_KIND, key)?.value === true) return;
  const [{ verifyFile }, http] = await Promise.all([import('../../signatures/index.ts'), pieces.origins.remote.http()]);
  const { path } = await http.file(task, vertex, resource, digest);
  await verifyFile(redactUrls(resource.url), contentOf(path, task), demands, pieces.report.now());
  facts.put(FACT_KIND, key, true);
}

async function* contentOf(path: string, { signal }: Task): AsyncGenerator<Uint8Array, void, void> {
  for await (const chunk of createReadStream(path, { highWaterMark: CHUNK })) {
    signal.throwIfAborted();
    yield chunk as Buffer;
  }
}
