import { type Digest, isDigest } from '../util/index.ts';
import { Fault } from './fault.ts';

/** What a request is about. Names are checked, so that nothing else is ever a part of a path or a key. */
export type Route =
  | { readonly kind: 'base' }
  | { readonly kind: 'catalog' }
  | { readonly kind: 'tags'; readonly name: string }
  | { readonly kind: 'manifest'; readonly name: string; readonly reference: { tag: string } | { digest: Digest } }
  | { readonly kind: 'blob'; readonly name: string; readonly digest: Digest }
  | { readonly kind: 'uploads'; readonly name: string }
  | { readonly kind: 'upload'; readonly name: string; readonly id: string }
  | { readonly kind: 'referrers'; readonly name: string; readonly digest: Digest };

const NAME = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^\w[\w.-]{0,127}$/;
const MAX_NAME = 255;

/**
 * Reads a path below `/v2/` (distribution-spec, "Endpoints").
 * @param path of the URL, decoded
 * @returns undefined for a path that the spec does not know
 * @throws Fault for a name, tag or digest that can be none
 */
export function routeOf(path: string): Route | undefined {
  if (path === '/v2' || path === '/v2/') return { kind: 'base' };
  if (path === '/v2/_catalog') return { kind: 'catalog' };
  const [, name = '', rest = ''] =
    /^\/v2\/(.+?)\/((?:tags\/list|manifests\/[^/]*|blobs\/uploads\/[^/]*|blobs\/[^/]*|referrers\/[^/]*)\/?)$/.exec(
      path,
    ) ?? [];
  if (rest === '') return undefined;
  if (name.length > MAX_NAME || !NAME.test(name)) throw new Fault(400, 'NAME_INVALID', 'invalid repository name');
  const [kind = '', last = '', id = ''] = rest.split('/');
  if (kind === 'tags') return { kind: 'tags', name };
  if (kind === 'referrers') return { kind: 'referrers', name, digest: digestOf(last) };
  if (kind === 'blobs' && last !== 'uploads') return { kind: 'blob', name, digest: digestOf(last) };
  if (kind === 'blobs') return id === '' ? { kind: 'uploads', name } : { kind: 'upload', name, id };
  if (last.includes(':')) return { kind: 'manifest', name, reference: { digest: digestOf(last) } };
  if (!TAG.test(last)) throw new Fault(400, 'TAG_INVALID', 'invalid tag');
  return { kind: 'manifest', name, reference: { tag: last } };
}

/** A digest of a path or a query. @throws Fault */
export function digestOf(text: string): Digest {
  if (isDigest(text)) return text;
  throw new Fault(400, 'DIGEST_INVALID', 'invalid digest: "sha256:" and 64 lower-case hexadecimal digits are expected');
}

/** A repository's name of a query. @throws Fault */
export function nameOf(text: string): string {
  if (text.length <= MAX_NAME && NAME.test(text)) return text;
  throw new Fault(400, 'NAME_INVALID', 'invalid repository name');
}
