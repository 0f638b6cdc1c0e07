import { guardFor } from '../../image/index.ts';
import { type Digest, isDigest, isTsbuildError, parseStrictJson } from '../../util/index.ts';
import { openEnvelope } from './envelope.ts';
import { MAX_RECORD_BYTES, RECORD_TYPES } from './record.ts';

/** The blobs that a record in its envelope names, of a step, a cache mount or a tree and whoever wrote it; undefined when it has no result, or is damaged. */
export function namedLayers(envelope: Uint8Array): readonly Digest[] | undefined {
  const what = 'record of a cache';
  try {
    const guard = guardFor(what);
    const { payload } = openEnvelope(envelope, what, RECORD_TYPES);
    const { layers } = guard.object(parseStrictJson(payload, { what, maxBytes: MAX_RECORD_BYTES }), '');
    if (layers === undefined) return undefined;
    return guard
      .list(layers, 'layers')
      .map((layer) => guard.object(layer, 'layers')['digest'])
      .filter((digest): digest is Digest => typeof digest === 'string' && isDigest(digest));
  } catch (error) {
    if (isTsbuildError(error, 'TSB_IMAGE')) return undefined;
    throw error;
  }
}
