import type { Task } from '../../events/index.ts';
import { isTsbuildError } from '../../util/index.ts';
import { authFileName, type AuthFile, parseAuthFile, readAuthBytes } from './auth-file.ts';
import { authKeysFor, helperServers, hostKey } from './auth-key.ts';
import type { HelperOptions } from './credential-helper.ts';
import { AUTH_FILES } from '../registries-conf.ts';
import type { Credential, Credentials } from '../types.ts';

/** Where a user's credentials may be. */
export interface CredentialSources {
  /** `$DOCKER_AUTH_CONFIG`, GitLab's variable: the text of an auth file, which counts before all files. */
  readonly inline?: string;
  /** Paths of auth files; the first that knows a registry counts. */
  readonly files: readonly string[];
  /** How credential helpers are found and run. Without it there are none. */
  readonly helpers?: HelperOptions;
  /** What counts, in order, as registries.conf has it: names of helpers, and `AUTH_FILES` for all of the above. Default: that alone. */
  readonly credentialHelpers?: readonly string[];
}

/** Where a credential was found, for people. */
export interface FoundCredential {
  readonly credential: Credential;
  /** `auth file "/home/me/.docker/config.json"`, `credential helper "pass"`. */
  readonly where: string;
}

/**
 * The credentials of the user: of the helpers that registries.conf names, and of auth files as `docker login` and `podman login` write them, and of the credential helpers that they
 * name. Within a file the order is: the helper of the registry (`credHelpers`), entries for a namespace or repository (podman's), the
 * helper for all (`credsStore`), the entry for the registry. Files are read when a registry first asks; one that does not exist
 * has no credentials, one that cannot be used is told about and left aside, and so is a helper that is not installed. A helper that fails
 * is an error: whoever has configured one does not want to be somebody else, or nobody, without a word (CVE-2021-41092).
 */
export function userCredentials(sources: CredentialSources, onWarning: (message: string) => void): Credentials {
  const finder = new CredentialFinder(sources, onWarning);
  return { get: async (task, host, path) => (await finder.find(task, host, path))?.credential };
}

/** Looks for credentials, and remembers what files and helpers said. */
export class CredentialFinder {
  readonly #sources: CredentialSources;
  readonly #onWarning: (message: string) => void;
  #files: readonly AuthFile[] | undefined;
  /** What helpers said, by helper and registry: one may show a dialogue each time. */
  readonly #asked = new Map<string, Promise<Credential | undefined>>();

  constructor(sources: CredentialSources, onWarning: (message: string) => void) {
    this.#sources = sources;
    this.#onWarning = onWarning;
  }

  /** @throws TsbuildError `TSB_REGISTRY` when a helper fails */
  async find(task: Task, host: string, path = ''): Promise<FoundCredential | undefined> {
    for (const source of this.#sources.credentialHelpers ?? [AUTH_FILES]) {
      const found =
        source === AUTH_FILES
          ? await this.#findInFiles(task, host, path)
          : await this.#ask(task, source, host, 'registries.conf');
      if (found !== undefined) return found;
    }
    return undefined;
  }

  async #findInFiles(task: Task, host: string, path: string): Promise<FoundCredential | undefined> {
    this.#files ??= [...this.#inline(), ...this.#sources.files.flatMap((file) => this.#read(file))];
    for (const file of this.#files) {
      const found = await this.#findIn(task, file, host, path);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  async #findIn(task: Task, file: AuthFile, host: string, path: string): Promise<FoundCredential | undefined> {
    const keys = authKeysFor(host, path);
    const plain = (wanted: readonly string[]): FoundCredential | undefined => {
      const credential = wanted.map((key) => file.credentials.get(key)).find((found) => found !== undefined);
      return credential === undefined ? undefined : { credential, where: file.name };
    };
    const own = file.credHelpers.get(hostKey(host));
    // An empty name says that the store of all others is not for this registry.
    const store = own === undefined ? file.credsStore : undefined;
    return (
      (await this.#ask(task, own, host, file.name)) ??
      plain(keys.slice(0, -1)) ??
      (await this.#ask(task, store, host, file.name)) ??
      plain(keys.slice(-1))
    );
  }

  async #ask(task: Task, name: string | undefined, host: string, from: string): Promise<FoundCredential | undefined> {
    const { helpers } = this.#sources;
    if (!name || helpers === undefined) return undefined;
    const key = `${name} ${hostKey(host)}`;
    let asked = this.#asked.get(key);
    if (asked === undefined) this.#asked.set(key, (asked = this.#askHelper(task, name, host, from, helpers)));
    const credential = await asked;
    return credential === undefined ? undefined : { credential, where: `credential helper ${JSON.stringify(name)}` };
  }

  async #askHelper(
    task: Task,
    name: string,
    host: string,
    from: string,
    options: HelperOptions,
  ): Promise<Credential | undefined> {
    const { findHelper } = await import('./credential-helper.ts');
    const helper = findHelper(name, options, from);
    if (helper === undefined) {
      this.#onWarning(`${from} names the credential helper ${JSON.stringify(name)}, which is not installed: \
no docker-credential-${name} in PATH`);
      return undefined;
    }
    for (const server of helperServers(host)) {
      const found = await helper.get(task, server);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #inline(): readonly AuthFile[] {
    const { inline } = this.#sources;
    return inline ? this.#parse(Buffer.from(inline), 'the variable DOCKER_AUTH_CONFIG') : [];
  }

  #read(path: string): readonly AuthFile[] {
    return this.#left(() => {
      const bytes = readAuthBytes(path);
      return bytes === undefined ? [] : this.#parse(bytes, authFileName(path));
    });
  }

  #parse(bytes: Buffer, what: string): readonly AuthFile[] {
    return this.#left(() => [parseAuthFile(bytes, what)]);
  }

  /** What cannot be used is told about and left aside. */
  #left(read: () => readonly AuthFile[]): readonly AuthFile[] {
    try {
      return read();
    } catch (error) {
      if (!isTsbuildError(error)) throw error;
      this.#onWarning(error.message);
      return [];
    }
  }
}
