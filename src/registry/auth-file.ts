import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf, fromErrno, isTsbuildError, parseStrictJson, TsbuildError } from '../util/index.ts';
import { guardFor, type Json } from '../image/index.ts';
import type { Credential, Credentials } from './types.ts';

/** Larger files are no auth files. */
const MAX_BYTES = 1 << 20;

/** Names of the Docker Hub in auth files, as docker and podman write them. */
const HUB = ['docker.io', 'index.docker.io', 'registry-1.docker.io', 'registry.hub.docker.com'];

/**
 * Where auth files are: the one that `$REGISTRY_AUTH_FILE` names and no other, else podman's and docker's.
 * @param env the environment, which only the command line reads
 */
export function authFilePaths(env: Readonly<Record<string, string | undefined>>, home: string): readonly string[] {
  const { REGISTRY_AUTH_FILE, XDG_RUNTIME_DIR, DOCKER_CONFIG } = env;
  if (REGISTRY_AUTH_FILE) return [REGISTRY_AUTH_FILE];
  return [
    ...(XDG_RUNTIME_DIR ? [join(XDG_RUNTIME_DIR, 'containers/auth.json')] : []),
    join(DOCKER_CONFIG || join(home, '.docker'), 'config.json'),
  ];
}

/**
 * Credentials from files that `docker login` and `podman login` write (config.json, containers-auth.json(5)): the plain entries of
 * `auths`, by host. Credential helpers are other programs and are not run. Files are read when a registry first asks; one
 * that does not exist has no credentials, one that cannot be used is told about and left aside.
 * @param paths the first file that has an entry for the host counts
 */
export function authFileCredentials(paths: readonly string[], onWarning: (message: string) => void): Credentials {
  let files: readonly ReadonlyMap<string, Credential>[] | undefined;
  return {
    get(_task, host) {
      files ??= paths.map((path) => readAuthFile(path, onWarning));
      return Promise.resolve(files.map((file) => file.get(hostKey(host))).find((found) => found !== undefined));
    },
  };
}

function readAuthFile(path: string, onWarning: (message: string) => void): ReadonlyMap<string, Credential> {
  const what = `auth file ${JSON.stringify(path)}`;
  try {
    const bytes = read(path, what);
    return bytes === undefined ? new Map() : parseAuths(bytes, what);
  } catch (error) {
    if (!isTsbuildError(error)) throw error;
    onWarning(error.message);
    return new Map();
  }
}

function read(path: string, what: string): Buffer | undefined {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
    throw fromErrno(error, `Cannot read ${what}`, 'TSB_REGISTRY');
  }
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile() || stat.size > MAX_BYTES)
      throw new TsbuildError('TSB_REGISTRY', `Cannot read ${what}: it is not a file of reasonable size`);
    return readFileSync(fd);
  } catch (error) {
    throw fromErrno(error, `Cannot read ${what}`, 'TSB_REGISTRY');
  } finally {
    closeSync(fd);
  }
}

/**
 * The entries of an auth file by host. Those that say nothing (a helper keeps them) are left out; messages never quote a value.
 * @throws TsbuildError `TSB_IMAGE` when it is not JSON of that form
 */
export function parseAuths(bytes: Uint8Array, what: string): ReadonlyMap<string, Credential> {
  const guard = guardFor(what);
  const document = guard.object(parseStrictJson(bytes, { what, maxBytes: MAX_BYTES }), '');
  const found = new Map<string, Credential>();
  const auths = document['auths'] ?? {};
  for (const [name, value] of Object.entries(guard.object(auths, 'auths'))) {
    const credential = credentialOf(guard.object(value, 'auths'));
    // Entries for a namespace (host/path) are podman's; a host has one credential here.
    const host = hostKey(
      name
        .replace(/^https?:\/\//, '')
        .replace(/\/v[12]\/?$/, '')
        .replace(/\/$/, ''),
    );
    if (credential !== undefined && !host.includes('/') && !found.has(host)) found.set(host, credential);
  }
  return found;
}

function credentialOf({ auth, identitytoken, username, password }: Json): Credential | undefined {
  if (typeof identitytoken === 'string' && identitytoken !== '') return { identityToken: identitytoken };
  if (typeof username === 'string' && typeof password === 'string' && username !== '') return { username, password };
  if (typeof auth !== 'string') return undefined;
  const text = Buffer.from(auth, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return colon < 1 ? undefined : { username: text.slice(0, colon), password: text.slice(colon + 1) };
}

/** Docker files its own registry under an old URL. */
function hostKey(host: string): string {
  const lower = host.toLowerCase();
  return HUB.includes(lower) ? 'docker.io' : lower;
}
