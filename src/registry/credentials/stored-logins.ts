import { guardFor, type Json } from '../../image/index.ts';
import type { Task } from '../../events/index.ts';
import { TsbuildError } from '../../util/index.ts';
import { changeAuthFile } from './auth-file-change.ts';
import { authFileName, type AuthFile, parseAuthFile, readAuthBytes } from './auth-file.ts';
import { helperServers, normalizeAuthKey, serverName } from './auth-key.ts';
import { type CredentialHelper, findHelper, type HelperOptions } from './credential-helper.ts';
import type { CredentialPlaces } from './credential-sources.ts';
import type { LoginTarget } from './login.ts';
import { AUTH_FILES } from '../registries-conf.ts';
import type { PasswordCredential } from '../types.ts';

/** Names the file that names helpers for all registries. */
const CONF = 'registries.conf';

/** Where credentials were put or removed. */
export interface LoginPlace {
  /** The auth file, or `registries.conf` where that names the helper. */
  readonly file: string;
  /** The helper that has them; without it they are in the file. */
  readonly helper?: string;
  /** Others could read the file. */
  readonly wasShared?: boolean;
}

/**
 * Puts credentials where the configuration says: into the helper that registries.conf puts before the auth files; else into the first file that has an entry for them already, so that no older one goes before
 * the new one, else where logins go; in there by the helper that the file names for the registry.
 * @throws TsbuildError
 */
export async function storeLogin(
  task: Task,
  target: LoginTarget,
  credential: PasswordCredential,
  places: CredentialPlaces,
): Promise<LoginPlace> {
  const { files, loginFile, helpers, credentialHelpers: [first = AUTH_FILES] = [] } = places;
  if (first !== AUTH_FILES && target.path === '') {
    await installed(first, CONF, helpers).store(task, serverName(target.key), credential);
    return { file: CONF, helper: first };
  }
  const path = files.find((file) => hasEntry(read(file), target.key)) ?? loginFile;
  const name = helperName(read(path), target);
  const helper = name === undefined ? undefined : installed(name, path, helpers);
  // Only the helper has them; the entry says that there are some, as docker's does.
  await helper?.store(task, serverName(target.key), credential);
  const text = Buffer.from(`${credential.username}:${credential.password}`).toString('base64');
  const entry = helper === undefined ? { auth: text } : {};
  const changed = changeAuthFile(path, (document) => {
    const auths = authsOf(document, path);
    const others = Object.entries(auths).filter(([name]) => normalizeAuthKey(name) !== target.key);
    return { ...document, auths: { ...Object.fromEntries(others), [serverName(target.key)]: entry } };
  });
  return {
    file: path,
    ...(helper === undefined ? {} : { helper: helper.name }),
    ...(changed?.wasShared ? { wasShared: true } : {}),
  };
}

/** A file that cannot be used is an error here: it is about to be changed. */
function read(path: string): AuthFile | undefined {
  const bytes = readAuthBytes(path);
  return bytes === undefined ? undefined : parseAuthFile(bytes, authFileName(path));
}

function hasEntry(file: AuthFile | undefined, key: string): boolean {
  return file !== undefined && (file.entries.has(key) || Boolean(file.credHelpers.get(key)));
}

/** Helpers know registries only, as with docker and podman. */
function helperName(file: AuthFile | undefined, { host, path }: LoginTarget): string | undefined {
  return path === '' ? (file?.credHelpers.get(host) ?? file?.credsStore) || undefined : undefined;
}

function installed(name: string, path: string, options: HelperOptions): CredentialHelper {
  const where = path === CONF ? CONF : authFileName(path);
  const helper = findHelper(name, options, where);
  if (helper !== undefined) return helper;
  throw new TsbuildError(
    'TSB_REGISTRY',
    `Cannot use the credential helper ${JSON.stringify(name)} of ${where}: no docker-credential-${name} in PATH`,
    {
      hint: `install it, or remove it from ${path === CONF ? 'credential-helpers' : 'credsStore and credHelpers'} in ${path}`,
    },
  );
}

function authsOf(document: Json, path: string): Json {
  return guardFor(authFileName(path)).object(document['auths'] ?? {}, 'auths');
}

/**
 * Removes the credentials of a registry, namespace or repository from all files and their helpers: none of them counts any more.
 * @returns where there were some
 * @throws TsbuildError
 */
export async function removeLogin(
  task: Task,
  target: LoginTarget,
  places: CredentialPlaces,
): Promise<readonly LoginPlace[]> {
  const removed: LoginPlace[] = [];
  for (const name of target.path === '' ? helpersOf(places) : [])
    if (await erase(task, name, CONF, places.helpers, () => helperServers(target.host)))
      removed.push({ file: CONF, helper: name });
  for (const path of places.files) {
    const file = read(path);
    if (file === undefined) continue;
    const name = helperName(file, target);
    if (name !== undefined && (await erase(task, name, path, places.helpers, () => helperServers(target.host))))
      removed.push({ file: path, helper: name });
    const changed = removeEntries(path, (name) => normalizeAuthKey(name) === target.key);
    if (changed && file.credentials.has(target.key)) removed.push({ file: path });
  }
  return removed;
}

/** Removes all credentials from all files, and from the helpers that they name. @returns where there were some @throws TsbuildError */
export async function removeAllLogins(task: Task, places: CredentialPlaces): Promise<readonly LoginPlace[]> {
  const removed: LoginPlace[] = [];
  for (const name of helpersOf(places))
    if (await erase(task, name, CONF, places.helpers, (helper) => helper.list(task)))
      removed.push({ file: CONF, helper: name });
  for (const path of places.files) {
    const file = read(path);
    if (file === undefined) continue;
    for (const [host, name] of file.credHelpers) {
      if (name !== '' && (await erase(task, name, path, places.helpers, () => helperServers(host))))
        removed.push({ file: path, helper: name });
    }
    const { credsStore } = file;
    if (
      credsStore !== undefined &&
      (await erase(task, credsStore, path, places.helpers, (helper) => helper.list(task)))
    )
      removed.push({ file: path, helper: credsStore });
    if (removeEntries(path, () => true) && file.credentials.size > 0) removed.push({ file: path });
  }
  return removed;
}

/** The helpers that registries.conf names. */
function helpersOf({ credentialHelpers = [] }: CredentialPlaces): readonly string[] {
  return credentialHelpers.filter((name) => name !== AUTH_FILES);
}

/** What a helper that is not installed has does not count anyway. @returns whether there was something */
async function erase(
  task: Task,
  name: string,
  path: string,
  options: HelperOptions,
  servers: (helper: CredentialHelper) => readonly string[] | Promise<readonly string[]>,
): Promise<boolean> {
  const helper = findHelper(name, options, path === CONF ? CONF : authFileName(path));
  let found = false;
  for (const server of helper === undefined ? [] : await servers(helper))
    found = (await helper?.erase(task, server)) || found;
  return found;
}

function removeEntries(path: string, isMeant: (name: string) => boolean): boolean {
  const changed = changeAuthFile(path, (document) => {
    const all = Object.entries(authsOf(document, path));
    const others = all.filter(([name]) => !isMeant(name));
    return others.length === all.length ? undefined : { ...document, auths: Object.fromEntries(others) };
  });
  return changed !== undefined;
}
