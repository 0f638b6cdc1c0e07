import type { HttpAnswer } from '../registry/index.ts';
import type { RecordedAnswer } from '../pins/index.ts';
import type { ProxyRequest } from './proxy-request.ts';
import { varyOf } from './tape.ts';
import { writtenAddress } from './web-address.ts';

/** Headers that mean something to clients. All others would make two records of one file differ, or are secrets. */
const KEPT: readonly string[] = [
  'cache-control', 'content-disposition', 'content-encoding', 'content-language', 'content-type', 'docker-content-digest', 'etag',
  'last-modified', 'link', 'location', 'vary', 'www-authenticate', 'x-linked-etag', 'x-linked-size', 'x-repo-commit',
]; // oxfmt-ignore

/** Longer headers are no ones that a review could make sense of. */
const MAX_HEADER = 8192;

/** Whether a later build is to get the same answer: what passes by itself is no answer. */
export function isLasting(status: number): boolean {
  return status >= 200 && status < 500 && ![206, 304, 407, 408, 416, 421, 425, 429].includes(status);
}

/** Whether the answer has a body (RFC 9110, 6.4.1). */
export function hasBody(method: string, status: number): boolean {
  return method !== 'HEAD' && status !== 204 && status !== 304;
}

/** The headers of a server's answer, for the client: as they came, but for those that nobody needs. */
export function keptHeaders(method: string, answer: HttpAnswer): Readonly<Record<string, string>> {
  // Of a body, the length is known when it is here.
  const names = method === 'HEAD' ? ['content-length', ...KEPT] : KEPT;
  return Object.fromEntries(
    names.toSorted().flatMap((name) => {
      const value = answer.header(name);
      const isPlain = value !== undefined && value.length <= MAX_HEADER && /^[\t\x20-\x7e\x80-\xff]*$/.test(value);
      return isPlain ? [[name, value]] : [];
    }),
  );
}

/** What is written down of an answer, but for its body. */
export function recordOf(request: ProxyRequest, answer: HttpAnswer): RecordedAnswer {
  const { method, written, authorized, sent, headers } = request;
  const kept = keptHeaders(method, answer);
  const vary = varyOf(kept['vary'], headers);
  const location = kept['location'];
  const link = kept['link'];
  return {
    method,
    url: written,
    ...(authorized ? { authorized: true as const } : {}),
    ...(vary === undefined ? {} : { vary }),
    ...(sent === undefined ? {} : { sent }),
    status: answer.status,
    headers: {
      ...kept,
      ...(location === undefined ? {} : { location: writtenReference(location, request.url) }),
      ...(link === undefined
        ? {}
        : { link: link.replace(/<([^>]*)>/g, (_, target: string) => `<${writtenReference(target, request.url)}>`) }),
    },
    steps: [],
  };
}

/** An address in a header, which may be relative, with no secret in it. */
function writtenReference(text: string, base: URL): string {
  if (!URL.canParse(text, base.href)) return '';
  const written = writtenAddress(new URL(text, base.href));
  // What needs no change stays as the server said it.
  return new URL(text, base.href).href === written ? text : written;
}
