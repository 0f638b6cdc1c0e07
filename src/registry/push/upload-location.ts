import { type Digest, sanitizeLine, TsbuildError } from '../../util/index.ts';
import { displayUrl } from '../http/answer.ts';
import type { HttpAnswer } from '../http/http.ts';
import { isAcceptableRedirect } from '../http/realm.ts';

/**
 * Where a registry wants the bytes of an upload: on its own host, or on one that it may send us to (SSRF, as for redirects). A path is one
 * of the host that answered.
 * @throws TsbuildError `TSB_REGISTRY`
 */
export function uploadLocation(answer: HttpAnswer, doing: string): URL {
  const location = answer.header('location');
  const fail = (why: string): TsbuildError =>
    new TsbuildError('TSB_REGISTRY', `${doing}: the place for the upload that ${answer.url.host} names ${why}`);
  if (location === undefined) throw fail('is missing');
  if (!URL.canParse(location, answer.url.href)) throw fail('is not a URL');
  const url = new URL(location, answer.url.href);
  if (url.username !== '' || url.password !== '') throw fail('contains user information');
  if (!isAcceptableRedirect(url, answer.url))
    throw fail(
      `is not acceptable from there: ${sanitizeLine(url.origin === 'null' ? url.protocol : displayUrl(url), 200)}`,
    );
  url.hash = '';
  return url;
}

/** The place with the digest that ends an upload. What the registry put into the query stays as it is, for it may be signed. */
export function withDigest(location: URL, digest: Digest): URL {
  const url = new URL(location);
  url.search = `${url.search}${url.search === '' ? '?' : '&'}digest=${encodeURIComponent(digest)}`;
  return url;
}

/**
 * How many bytes of an upload a registry has, by `Range: 0-<last>`; undefined when it does not say. Of `0-0` nobody can tell whether it is
 * one byte or none, and Debian's docker-registry means none: so do we, for one byte is soon sent again.
 */
export function receivedBytes(answer: HttpAnswer): number | undefined {
  const match = /^(?:bytes=)?0-(\d{1,15})$/.exec(answer.header('range')?.trim() ?? '');
  if (match === null) return undefined;
  const last = Number(match[1]);
  return last === 0 ? 0 : last + 1;
}
