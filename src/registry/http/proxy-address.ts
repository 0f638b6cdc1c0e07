import { TsbuildError } from '../../util/index.ts';
import { isLoopbackHost } from './endpoint.ts';
import { isWithoutProxy } from './no-proxy.ts';
import type { RegistryOptions } from '../types.ts';

/** Of errors of requests that went by way of a proxy: which one. */
const ways = new WeakMap<object, string>();

/**
 * The proxy that a request goes by way of; undefined for one that goes straight. As in Go and curl, `host:port` is an HTTP proxy, and HTTPS
 * has one of its own or none.
 * @throws TsbuildError `TSB_NETWORK` when the variable names nothing that can be used
 */
export function proxyFor(url: URL, proxy: RegistryOptions['proxy']): URL | undefined {
  if (proxy === undefined || isLoopbackHost(url.host) || isWithoutProxy(url, proxy.no)) return undefined;
  const named = url.protocol === 'https:' ? proxy.https : proxy.http;
  if (named === undefined || named === '') return undefined;
  const text = /^[a-z][a-z0-9+.-]*:\/\//i.test(named) ? named : `http://${named}`;
  const address = URL.canParse(text) ? new URL(text) : undefined;
  if (address !== undefined && /^https?:$/.test(address.protocol)) return address;
  // Not in full: there may be a password in it.
  const what = address === undefined ? 'is not an address' : `begins with ${address.protocol}//`;
  throw new TsbuildError(
    'TSB_NETWORK',
    `Cannot use the proxy of HTTP_PROXY or HTTPS_PROXY for ${url.host}: it ${what}`,
    {
      hint: 'name it as http://HOST:PORT, or leave the host out with NO_PROXY',
    },
  );
}

/** Remembers of a failure by way of which proxy it came about. */
export function noteProxy(error: unknown, proxy: URL | undefined): void {
  if (proxy !== undefined && typeof error === 'object' && error !== null) ways.set(error, proxy.origin);
}

/** What to say of that, after the reason. A server that cannot be reached is often a proxy that cannot. */
export function byWayOf(error: unknown): string {
  const proxy = typeof error === 'object' && error !== null ? ways.get(error) : undefined;
  return proxy === undefined ? '' : `, by way of the proxy ${proxy} (HTTP_PROXY, HTTPS_PROXY)`;
}
