import { createHmac } from 'node:crypto';
import type { ServiceRequest } from './service.ts';

/** The version of the protocol that is spoken. */
const VERSION = '2021-12-02';

/** How requests to a storage account prove whose they are: with the account's key, or by a token in their addresses. */
export type AzureAccess =
  | { readonly kind: 'key'; readonly account: string; readonly key: string }
  | { readonly kind: 'token'; readonly token: string };

/** A request to a storage account, before it is authorized. */
export interface AzureRequest {
  readonly method: ServiceRequest['method'];
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
}

/** @param at milliseconds since the epoch */
export function authorized(access: AzureAccess, at: number, request: AzureRequest): ServiceRequest {
  const { method, body } = request;
  const url = new URL(request.url);
  const headers: Record<string, string> = {
    'x-ms-version': VERSION,
    'x-ms-date': new Date(at).toUTCString(),
    ...request.headers,
  };
  const sent = { method, url, headers, ...(body === undefined ? {} : { body }) };
  if (access.kind === 'token') {
    // As it was given: its signature is over the very characters.
    url.search = [url.search.slice(1), access.token.replace(/^\?/, '')].filter((part) => part !== '').join('&');
    return sent;
  }
  const signature = createHmac('sha256', Buffer.from(access.key, 'base64'))
    .update(stringToSign(access.account, sent))
    .digest('base64');
  return { ...sent, authorization: `SharedKey ${access.account}:${signature}` };
}

/** What is signed ("Authorize with Shared Key", Blob service since 2015-02-21). */
function stringToSign(
  account: string,
  { method, url, headers, body }: ServiceRequest & { readonly body?: Uint8Array },
): string {
  const length = body === undefined || body.length === 0 ? '' : String(body.length);
  const plain = [
    'content-encoding',
    'content-language',
    '',
    'content-md5',
    'content-type',
    'date',
    'if-modified-since',
    'if-match',
    'if-none-match',
    'if-unmodified-since',
    'range',
  ];
  const lines = plain.map((name) => (name === '' ? length : (headers[name] ?? '')));
  const own = Object.entries(headers)
    .filter(([name]) => name.startsWith('x-ms-'))
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}:${value}`);
  const query = [...url.searchParams]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `\n${name.toLowerCase()}:${value}`);
  return [method, ...lines, ...own, `/${account}${url.pathname}${query.join('')}`].join('\n');
}
