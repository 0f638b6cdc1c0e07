import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf, fromErrno, parseStrictJson, TsbuildError } from '../../util/index.ts';
import { guardFor, type Json } from '../../image/index.ts';
import { normalizeAuthKey } from './auth-key.ts';
import type { Credential } from '../types.ts';

/** Larger files are no auth files. */
export const MAX_AUTH_BYTES: number = 1 << 20;

/** Where auth files are. */
export interface AuthFilePaths {
  /** In the order in which they count: the first that knows a registry. */
  readonly files: readonly string[];
  /** Which of them a login goes to where none has an entry for the registry. */
  readonly loginFile: string;
}

/**
 * Where auth files are (containers-auth.json(5), docker's config.json): the one that `$REGISTRY_AUTH_FILE` names and no other, else podman's
 * two and docker's. A login goes to docker's, which outlives a reboot and every tool reads.
 * @param env the environment, which only the command line reads
 */
export function authFilePaths(
  env: Readonly<Record<string, string | undefined>>,
  user: { readonly home: string; readonly uid: number },
): AuthFilePaths {
  const { REGISTRY_AUTH_FILE, XDG_RUNTIME_DIR, XDG_CONFIG_HOME, DOCKER_CONFIG } = env;
  if (REGISTRY_AUTH_FILE) return { files: [REGISTRY_AUTH_FILE], loginFile: REGISTRY_AUTH_FILE };
  const docker = join(DOCKER_CONFIG || join(user.home, '.docker'), 'config.json');
  return {
    files: [
      ...(XDG_RUNTIME_DIR ? [join(XDG_RUNTIME_DIR, 'containers/auth.json')] : []),
      // Others than root get a runtime directory from podman itself.
      ...(!XDG_RUNTIME_DIR && user.uid === 0 ? ['/run/containers/0/auth.json'] : []),
      join(XDG_CONFIG_HOME || join(user.home, '.config'), 'containers/auth.json'),
      docker,
    ],
    loginFile: docker,
  };
}

/** What an auth file says. Keys are normalised, see `normalizeAuthKey`. */
export interface AuthFile {
  /** How messages name it. */
  readonly name: string;
  readonly credentials: ReadonlyMap<string, Credential>;
  /** What it has entries for, also those that say nothing but that a helper has the credentials. */
  readonly entries: ReadonlySet<string>;
  /** Names of helper programs by registry. */
  readonly credHelpers: ReadonlyMap<string, string>;
  /** The helper for all other registries. */
  readonly credsStore: string | undefined;
}

/** The bytes of an auth file; undefined when there is none. @throws TsbuildError */
export function readAuthBytes(path: string): Buffer | undefined {
  const what = authFileName(path);
  let fd: number;
  try {
    // Not to wait for whoever writes to a named pipe.
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
    throw fromErrno(error, `Cannot read ${what}`, 'TSB_REGISTRY');
  }
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile() || stat.size > MAX_AUTH_BYTES)
      throw new TsbuildError('TSB_REGISTRY', `Cannot read ${what}: it is not a file of reasonable size`);
    return readFileSync(fd);
  } catch (error) {
    throw fromErrno(error, `Cannot read ${what}`, 'TSB_REGISTRY');
  } finally {
    closeSync(fd);
  }
}

/** How messages name an auth file. */
export function authFileName(path: string): string {
  return `auth file ${JSON.stringify(path)}`;
}

/** The whole of an auth file. @param what names it in messages, which never quote a value @throws TsbuildError `TSB_IMAGE` */
export function parseAuthDocument(bytes: Uint8Array, what: string): Json {
  // podman makes empty files, and docker takes them.
  if (bytes.length === 0) return {};
  return guardFor(what).object(parseStrictJson(bytes, { what, maxBytes: MAX_AUTH_BYTES }), '');
}

/**
 * What an auth file says. Entries that say nothing (a helper keeps them) have no credentials.
 * @throws TsbuildError `TSB_IMAGE` when it is not JSON of that form
 */
export function parseAuthFile(bytes: Uint8Array, what: string): AuthFile {
  const guard = guardFor(what);
  const document = parseAuthDocument(bytes, what);
  const credentials = new Map<string, Credential>();
  const entries = new Set<string>();
  for (const [name, value] of Object.entries(guard.object(document['auths'] ?? {}, 'auths'))) {
    const credential = credentialOf(guard.object(value, 'auths'));
    const key = normalizeAuthKey(name);
    entries.add(key);
    if (credential !== undefined && !credentials.has(key)) credentials.set(key, credential);
  }
  const credHelpers = Object.entries(guard.strings(document['credHelpers'], 'credHelpers') ?? {});
  return {
    name: what,
    credentials,
    entries,
    credHelpers: new Map(credHelpers.map(([name, helper]) => [normalizeAuthKey(name), helper])),
    credsStore: guard.optionalString(document['credsStore'], 'credsStore') || undefined,
  };
}

/** What an entry of `auths` holds. Tokens go before a password, as in docker. */
function credentialOf({ auth, identitytoken, registrytoken, username, password }: Json): Credential | undefined {
  // It goes into a header: visible ASCII only.
  if (typeof registrytoken === 'string' && /^[\x21-\x7e]+$/.test(registrytoken))
    return { registryToken: registrytoken };
  if (typeof identitytoken === 'string' && identitytoken !== '') return { identityToken: identitytoken };
  if (typeof username === 'string' && typeof password === 'string' && username !== '') return { username, password };
  if (typeof auth !== 'string') return undefined;
  const text = Buffer.from(auth, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return colon < 1
    ? undefined
    : { username: text.slice(0, colon), password: text.slice(colon + 1).replace(/\0+$/, '') };
}
