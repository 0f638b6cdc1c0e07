import type { Task } from '../../events/index.ts';
import type { SourceOp } from '../../llb/index.ts';
import type { CacheMap } from '../../solver/index.ts';
import { canonicalDigest, type Digest, redactUrls, TsbuildError } from '../../util/index.ts';
import type { KindRunner, OpVertex } from '../kind-runner.ts';
import { type OpResult, snapshot } from '../result.ts';
import { blobMap, runBlob } from './blob-source.ts';
import { gitMap, runGitSource } from './git-source.ts';
import { httpMap, runHttp } from './http-source.ts';
import { imageOf, platformOf } from '../image-source.ts';
import type { SourcePieces } from './source-pieces.ts';

/** Sources: images and their blobs, local directories, downloads and git repositories, told apart by the scheme of their identifiers. */
export function sourceRunner(pieces: SourcePieces): KindRunner<SourceOp> {
  return {
    cacheMap: (task, vertex, source) => sourceMap(pieces, task, vertex, source),
    run: async (task, vertex, source) => [await runSource(pieces, task, vertex, source)],
  };
}

/** What stands before `://`; empty for what has no scheme, which no source has. */
function schemeOf(identifier: string): string {
  return identifier.slice(0, Math.max(0, identifier.indexOf('://')));
}

/** What identifies a source. Images and downloads are asked about here, since what they are now is their key. */
async function sourceMap(
  pieces: SourcePieces,
  task: Task,
  vertex: OpVertex,
  source: SourceOp,
): Promise<CacheMap<OpResult>> {
  const { op, digest } = vertex;
  switch (schemeOf(source.identifier)) {
    case 'docker-image':
    case 'oci-layout': {
      const image = await imageOf(pieces.origins, task, vertex, source);
      pieces.report.notes.source(digest, { what: 'base', name: shownReference(source), value: image.manifestDigest });
      const key = (kind: string, digest: string): Digest =>
        canonicalDigest('tsbuild.image.v1', { kind, digest, platform: platformOf(op) });
      return {
        digest: key('manifest', image.manifestDigest),
        deps: [],
        // The same files under another name or compression are the same base (BuildKit's second phase).
        async *alternatives() {
          yield key('chain', image.chainId);
        },
      };
    }
    case 'local':
      return {
        // Two contexts of one name are not the same: only the content of what is read counts, hence `volatile`.
        digest: canonicalDigest('tsbuild.local.v1', [
          source.identifier,
          ...[...source.attrs].filter(([name]) => name !== 'local.session').flat(),
        ]),
        deps: [],
        volatile: true,
      };
    case 'http':
    case 'https':
      return httpMap(pieces, task, digest, source);
    case 'docker-image+blob':
    case 'oci-layout+blob':
      return blobMap(pieces, digest, source);
    case 'git':
      return gitMap(pieces, task, digest, source);
    default:
      throw new TsbuildError(
        'TSB_LLB',
        `Cannot use source ${JSON.stringify(source.identifier)}: sources of this kind are not supported`,
      );
  }
}

/** A reference as people write it. */
function shownReference({ identifier }: SourceOp): string {
  return redactUrls(identifier.replace(/^docker-image:\/\//, '').replace(/@sha256:[0-9a-f]+$/, ''));
}

/** Brings a source in. Images come as names of layers: bytes are fetched when something wants to see them. */
async function runSource(pieces: SourcePieces, task: Task, vertex: OpVertex, source: SourceOp): Promise<OpResult> {
  const { digest } = vertex;
  switch (schemeOf(source.identifier)) {
    case 'local':
      return localSource(pieces, task, source);
    case 'http':
    case 'https':
      return runHttp(pieces, task, digest, source);
    case 'docker-image+blob':
    case 'oci-layout+blob':
      return runBlob(pieces, task, digest, source);
    case 'git':
      return runGitSource(pieces, task, digest, source);
    default:
      return snapshot((await imageOf(pieces.origins, task, vertex, source)).layers);
  }
}

/** A local directory, read in place; of files that are not wanted whole, a layer that tells of them. */
async function localSource(pieces: SourcePieces, task: Task, source: SourceOp): Promise<OpResult> {
  const local = pieces.origins.local(source.identifier.slice('local://'.length), source.attrs);
  if (!source.attrs.has('local.metadatatransfer')) return local;
  const { isMetadataOnly, layerOfMetadata } = await import('./metadata-source.ts');
  return isMetadataOnly(source) ? layerOfMetadata(pieces, task, source, local) : local;
}
