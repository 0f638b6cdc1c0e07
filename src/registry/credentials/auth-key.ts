/** Names of the Docker Hub in auth files, as docker and podman write them. */
const HUB = ['docker.io', 'index.docker.io', 'registry-1.docker.io', 'registry.hub.docker.com'];

/** Under what docker files the credentials of its own registry, in files and in helpers; podman reads it too. */
const HUB_SERVER = 'https://index.docker.io/v1/';

/** `host[:port]` in lower case; `docker.io` for every name of the Docker Hub. */
export function hostKey(host: string): string {
  const lower = host.toLowerCase();
  return HUB.includes(lower) ? 'docker.io' : lower;
}

/**
 * A key of an auth file in the one form that keys are compared in: `host[:port]`, or podman's `host[:port]/namespace[/repository]`.
 * Docker's keys may be addresses, of which the host counts (`https://quay.io/v1/`), and hosts with a version of the interface.
 */
export function normalizeAuthKey(key: string): string {
  const bare = key.replace(/^https?:\/\//i, '');
  const [host = '', ...path] = (bare === key ? bare.replace(/\/v[12]\/?$/, '') : (bare.split('/')[0] ?? '')).split('/');
  return [hostKey(host), ...path].filter((part) => part !== '').join('/');
}

/** The keys that can have the credentials of a repository, the narrowest first: `host/a/b`, `host/a`, `host`. */
export function authKeysFor(host: string, path = ''): readonly string[] {
  const parts = path === '' ? [] : path.split('/');
  return Array.from({ length: parts.length + 1 }, (_, index) =>
    [hostKey(host), ...parts.slice(0, parts.length - index)].join('/'),
  );
}

/** What docker calls a registry where it files credentials. @param key normalised */
export function serverName(key: string): string {
  return key === 'docker.io' ? HUB_SERVER : key;
}

/** The names under which a credential helper may know a registry: docker's, and for the Docker Hub podman's too. */
export function helperServers(host: string): readonly string[] {
  return hostKey(host) === 'docker.io' ? [HUB_SERVER, 'docker.io'] : [host];
}
