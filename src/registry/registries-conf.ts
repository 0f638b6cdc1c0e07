import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf, fromErrno, messageOf, TsbuildError } from '../util/index.ts';
import { type Endpoint, isLoopbackHost } from './http/endpoint.ts';
import { formatReference, isHost, parseReference, type Reference } from '../image/index.ts';

/** A place to pull from instead of, and before, the registry itself. */
export interface MirrorConfig {
  /** `host[:port][/path]`. */
  readonly location: string;
  readonly insecure: boolean;
  /** Which references may come from here. */
  readonly pull: 'all' | 'digest-only' | 'tag-only';
}

/** One `[[registry]]` table of registries.conf. */
export interface RegistryConfig {
  /** `host[:port][/path…]`, or `*.example.com` for all hosts below a domain. */
  readonly prefix: string;
  /** What replaces the prefix; undefined keeps it. */
  readonly location?: string;
  readonly insecure: boolean;
  readonly blocked: boolean;
  readonly mirrors: readonly MirrorConfig[];
}

/** What tsbuild uses of containers-registries.conf(5), version 2. */
export interface RegistriesConfig {
  readonly unqualifiedSearchRegistries: readonly string[];
  readonly registries: readonly RegistryConfig[];
  /** Short name, e.g. `fedora`, to full name, e.g. `registry.fedoraproject.org/fedora`. */
  readonly aliases: ReadonlyMap<string, string>;
  /** Where credentials are looked for, in order: names of credential helpers, and `AUTH_FILES` for the auth files. */
  readonly credentialHelpers: readonly string[];
  /** Hosts that the user called insecure for this command (`--tls-verify=false`, `registry.insecure=true`). */
  readonly insecureHosts?: ReadonlySet<string>;
  /** Hosts that the user wants verified in this command, whatever else is configured (`--tls-verify`). */
  readonly secureHosts?: ReadonlySet<string>;
}

/** Stands for auth files among the credential helpers of registries.conf. */
export const AUTH_FILES = 'containers-auth.json';

/** No configuration: every registry as it is named, over HTTPS. */
export const emptyRegistriesConfig: RegistriesConfig = {
  unqualifiedSearchRegistries: [],
  registries: [],
  aliases: new Map(),
  credentialHelpers: [AUTH_FILES],
};

/** Where configuration may be; the caller reads the environment. */
export interface RegistriesConfPaths {
  /** Value of `$CONTAINERS_REGISTRIES_CONF`: then nothing else is read, and the file must exist. */
  readonly explicit?: string;
  /** Home directory, for `.config/containers/registries.conf`. */
  readonly home?: string;
  /** Default `/etc/containers`. */
  readonly system?: string;
}

/**
 * Loads registries.conf: the explicit file, else the user's, else the system's, followed by the drop-in files of
 * `registries.conf.d` in both places, where later ones count more. What short names mean, and who is asked for passwords, is taken from
 * drop-ins of root or of the caller only.
 * @throws TsbuildError `TSB_USAGE` when a file is malformed or the explicit one missing
 */
export async function loadRegistriesConf(paths: RegistriesConfPaths): Promise<RegistriesConfig> {
  if (paths.explicit !== undefined && paths.explicit !== '') {
    const text = readIfThere(paths.explicit);
    if (text === undefined) {
      throw new TsbuildError(
        'TSB_USAGE',
        `Cannot read registry configuration ${JSON.stringify(paths.explicit)}: it does not exist`,
        {
          hint: 'correct or unset CONTAINERS_REGISTRIES_CONF',
        },
      );
    }
    return parseRegistriesConf(text, paths.explicit);
  }
  const user = paths.home === undefined ? undefined : join(paths.home, '.config/containers');
  const folders = [paths.system ?? '/etc/containers', ...(user === undefined ? [] : [user])];
  let main = emptyRegistriesConfig;
  for (const folder of folders.toReversed()) {
    const file = join(folder, 'registries.conf');
    const text = readIfThere(file);
    if (text === undefined) continue;
    main = await parseRegistriesConf(text, file);
    break;
  }
  const registries = new Map(main.registries.map((registry) => [registry.prefix, registry]));
  const aliases = new Map(main.aliases);
  let { credentialHelpers } = main;
  for (const file of folders.flatMap((folder) => dropIns(join(folder, 'registries.conf.d')))) {
    const dropIn = await parseRegistriesConf(readIfThere(file) ?? '', file);
    for (const registry of dropIn.registries) registries.set(registry.prefix, registry);
    if (!isOwn(file)) continue;
    for (const [short, full] of dropIn.aliases) aliases.set(short, full);
    if (dropIn.credentialHelpers !== emptyRegistriesConfig.credentialHelpers) ({ credentialHelpers } = dropIn);
  }
  return { ...main, registries: [...registries.values()], aliases, credentialHelpers };
}

/** Whether a file is root's or the caller's, and nobody else can write to it. */
function isOwn(file: string): boolean {
  const stat = statSync(file, { throwIfNoEntry: false });
  return stat !== undefined && [0, process.geteuid?.()].includes(stat.uid) && (stat.mode & 0o002) === 0;
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
    throw fromErrno(error, `Cannot read registry configuration ${JSON.stringify(file)}`, 'TSB_USAGE');
  }
}

function dropIns(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => name.endsWith('.conf'))
      .sort()
      .map((name) => join(folder, name));
  } catch {
    return [];
  }
}

/**
 * Parses the text of a registries.conf. Unknown keys are ignored, as containers/image does.
 * @param name of the file, for messages
 * @throws TsbuildError `TSB_USAGE`
 */
export async function parseRegistriesConf(text: string, name: string): Promise<RegistriesConfig> {
  const fail = (why: string, cause?: unknown): TsbuildError =>
    new TsbuildError('TSB_USAGE', `Cannot use registry configuration ${JSON.stringify(name)}: ${why}`, {
      ...(cause === undefined ? {} : { cause }),
      hint: 'see containers-registries.conf(5); version 2 of the format is supported',
    });
  const { parse } = await import('smol-toml');
  let document: Record<string, unknown>;
  try {
    document = parse(text);
  } catch (error) {
    throw fail(messageOf(error).split('\n')[0] ?? 'it is not valid TOML', error);
  }
  if (document['registries'] !== undefined) throw fail('it is in version 1 of the format ("[registries.search]")');

  const tables = (value: unknown, what: string): Record<string, unknown>[] => {
    if (value === undefined) return [];
    if (!Array.isArray(value) || !value.every(isTable)) throw fail(`"${what}" is not a list of tables`);
    return value;
  };
  const string = (table: Record<string, unknown>, key: string): string | undefined => {
    const value = table[key];
    if (value !== undefined && typeof value !== 'string') throw fail(`"${key}" is not a string`);
    return value === '' ? undefined : value;
  };
  const flag = (table: Record<string, unknown>, key: string): boolean => {
    const value = table[key] ?? false;
    if (typeof value !== 'boolean') throw fail(`"${key}" is not true or false`);
    return value;
  };
  const location = (table: Record<string, unknown>, key: string): string | undefined => {
    const value = string(table, key)?.replace(/(?<!\/)\/+$/, '');
    if (value !== undefined && !isLocation(value)) {
      throw fail(`"${key}" is ${JSON.stringify(value)}, expected "host[:port][/path]" without a scheme`);
    }
    return value;
  };

  const registries = tables(document['registry'], 'registry').map((table): RegistryConfig => {
    const target = location(table, 'location');
    const prefix = string(table, 'prefix') ?? target;
    if (prefix === undefined) throw fail('a [[registry]] has neither "prefix" nor "location"');
    if (!isLocation(prefix.startsWith('*.') ? prefix.slice(2) : prefix)) {
      throw fail(`"prefix" is ${JSON.stringify(prefix)}, expected "host[:port][/path]" or "*.domain"`);
    }
    const byDigestOnly = flag(table, 'mirror-by-digest-only');
    return {
      prefix,
      ...(target === undefined ? {} : { location: target }),
      insecure: flag(table, 'insecure'),
      blocked: flag(table, 'blocked'),
      mirrors: tables(table['mirror'], 'registry.mirror').map((mirror): MirrorConfig => {
        const from = location(mirror, 'location');
        if (from === undefined) throw fail('a [[registry.mirror]] has no "location"');
        const pull = string(mirror, 'pull-from-mirror') ?? (byDigestOnly ? 'digest-only' : 'all');
        if (pull !== 'all' && pull !== 'digest-only' && pull !== 'tag-only') {
          throw fail(`"pull-from-mirror" is ${JSON.stringify(pull)}, expected "all", "digest-only" or "tag-only"`);
        }
        return { location: from, insecure: flag(mirror, 'insecure'), pull };
      }),
    };
  });

  const search = document['unqualified-search-registries'] ?? [];
  if (!Array.isArray(search) || !search.every((item) => typeof item === 'string' && isLocation(item))) {
    throw fail('"unqualified-search-registries" is not a list of registries');
  }
  const aliases = document['aliases'] ?? {};
  if (!isTable(aliases)) throw fail('"aliases" is not a table');
  const helpers = document['credential-helpers'] ?? [];
  if (!Array.isArray(helpers) || !helpers.every((item) => typeof item === 'string'))
    throw fail('"credential-helpers" is not a list of names');
  return {
    ...(helpers.length === 0 ? emptyRegistriesConfig : { credentialHelpers: helpers }),
    unqualifiedSearchRegistries: search as string[],
    registries,
    aliases: new Map(
      Object.entries(aliases).map(([short, full]) => {
        if (typeof full !== 'string') throw fail(`alias ${JSON.stringify(short)} is not a string`);
        return [short, full];
      }),
    ),
  };
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

function isLocation(text: string): boolean {
  const slash = text.indexOf('/');
  const path = slash === -1 ? '' : text.slice(slash + 1);
  return isHost(slash === -1 ? text : text.slice(0, slash)) && /^[a-z0-9._/:@-]*$/i.test(path) && !path.includes('..');
}

/**
 * The hosts to ask for a reference, in order: mirrors first, then the registry itself or what replaces it.
 * @throws TsbuildError `TSB_REGISTRY` when the configuration blocks the registry
 */
export function endpointsFor(reference: Reference, config: RegistriesConfig): Endpoint[] {
  const endpoints = configuredEndpoints(reference, config);
  const { insecureHosts, secureHosts } = config;
  if (insecureHosts === undefined && secureHosts === undefined) return endpoints;
  return endpoints.map((endpoint) => {
    if (secureHosts?.has(endpoint.host)) return { ...endpoint, insecure: false };
    return insecureHosts?.has(endpoint.host) ? { ...endpoint, insecure: true } : endpoint;
  });
}

function configuredEndpoints(reference: Reference, config: RegistriesConfig): Endpoint[] {
  const entry = findRegistry(reference, config.registries);
  if (entry === undefined) return [originOf(reference, false)];
  if (entry.blocked) {
    throw new TsbuildError(
      'TSB_REGISTRY',
      `Cannot use image ${JSON.stringify(formatReference(reference))}: registry ${JSON.stringify(entry.prefix)} is blocked by registries.conf`,
    );
  }
  const wanted = reference.digest === undefined ? 'digest-only' : 'tag-only';
  const mirrors = entry.mirrors
    .filter((mirror) => mirror.pull !== wanted)
    .map((mirror) => rewrite(reference, entry.prefix, mirror.location, mirror.insecure, true));
  const { location } = entry;
  return [
    ...mirrors,
    location === undefined
      ? originOf(reference, entry.insecure)
      : rewrite(reference, entry.prefix, location, entry.insecure, false),
  ];
}

function originOf({ host, path }: Reference, insecure: boolean): Endpoint {
  return { host, path, insecure: insecure || isLoopbackHost(host), mirror: false };
}

/** The entry with the longest prefix that ends at a boundary of the name. */
function findRegistry(reference: Reference, registries: readonly RegistryConfig[]): RegistryConfig | undefined {
  const name = formatReference(reference);
  let best: RegistryConfig | undefined;
  for (const registry of registries) {
    const { prefix } = registry;
    const matches = prefix.startsWith('*.')
      ? reference.host.endsWith(prefix.slice(1)) && reference.host.length > prefix.length - 1
      : name.startsWith(prefix) && (name.length === prefix.length || '/:@'.includes(name[prefix.length] ?? ''));
    if (matches && (best === undefined || prefix.length > best.prefix.length)) best = registry;
  }
  return best;
}

function rewrite(reference: Reference, prefix: string, location: string, insecure: boolean, mirror: boolean): Endpoint {
  const name = `${reference.host}/${reference.path}`;
  const rest = prefix.startsWith('*.') ? `/${reference.path}` : name.slice(Math.min(prefix.length, name.length));
  // Goes through the reference parser again: what the configuration makes of a name obeys the same grammar.
  const slash = (location + rest).indexOf('/');
  const host = slash === -1 ? location : (location + rest).slice(0, slash);
  const path = slash === -1 ? '' : (location + rest).slice(slash + 1);
  parseReference(`${host}/${path}`);
  return { host, path, insecure: insecure || isLoopbackHost(host), mirror };
}
