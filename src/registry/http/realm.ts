import { sanitizeLine, TsbuildError } from '../../util/index.ts';
import { addressKind } from './private-address.ts';

/**
 * Checks the token server that a registry names (CVE-2026-48978 and the like: credentials go there). It is an absolute
 * URL without user info; HTTPS unless the registry itself is spoken to over HTTP; another host is fine when it is a name
 * or public address, since that is how most registries do it, but not when it is an address of an internal network.
 * @param registry the URL that answered 401
 * @throws TsbuildError `TSB_REGISTRY`
 */
export function validateRealm(realm: string | undefined, registry: URL): URL {
  const fail = (why: string): TsbuildError =>
    new TsbuildError(
      'TSB_REGISTRY',
      `Cannot log in to ${registry.origin}: its token server ${JSON.stringify(sanitizeLine(realm ?? '', 200))} is not acceptable: ${why}`,
    );
  if (realm === undefined || !URL.canParse(realm)) throw fail('it is not an absolute URL');
  const url = new URL(realm);
  if (url.username !== '' || url.password !== '') throw fail('it contains user information');
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && registry.protocol === 'http:')) {
    throw fail(`its scheme is "${url.protocol.slice(0, -1)}"`);
  }
  if (url.hostname !== registry.hostname && !isReachable(url, registry)) {
    throw fail('it is an address of an internal network');
  }
  url.hash = '';
  return url;
}

/**
 * Whether the user's credentials may go to a token server: to the registry's own origin (scheme, host and port), else only when the
 * registry named it over TLS whose certificate was checked. Over plain HTTP anybody on the way could name one, and on the port of a shared
 * machine anybody may listen.
 * @param registry the URL that answered 401
 */
export function mayHaveCredentials(realm: URL, registry: URL, options: { readonly insecure: boolean }): boolean {
  return realm.origin === registry.origin || (registry.protocol === 'https:' && !options.insecure);
}

/**
 * Whether a URL that a registry points to (redirect) may be asked, without credentials: an outside registry must not
 * make this machine talk to itself or to the cloud's metadata service, nor downgrade to HTTP.
 */
export function isAcceptableRedirect(target: URL, registry: URL): boolean {
  if (target.protocol !== 'https:' && !(target.protocol === 'http:' && registry.protocol === 'http:')) return false;
  if (target.hostname === registry.hostname) return true;
  // Object stores of internal registries are often named by private address; what they answer is checked by digest.
  return addressKind(target.hostname) === 'private' || isReachable(target, registry);
}

/** A registry on the internet must not send its users' credentials to their own network. */
function isReachable(target: URL, registry: URL): boolean {
  const kind = addressKind(target.hostname);
  if (kind === 'name' || kind === 'public') return true;
  return kind !== 'forbidden' && kind === addressKind(registry.hostname);
}
