import { type Digest, isDigest, parseStrictJson } from '../util/index.ts';
import { type Guard, guardFor, type Json } from './guards.ts';

/** Health check as Docker stores it: times in nanoseconds, absent or 0 = inherit. */
export interface HealthcheckConfig {
  readonly Test?: readonly string[];
  readonly Interval?: number;
  readonly Timeout?: number;
  readonly StartPeriod?: number;
  readonly StartInterval?: number;
  readonly Retries?: number;
}

/** The `config` object of an image config, with Docker's extensions. Unknown keys survive a build. */
export interface ContainerConfig {
  User?: string;
  ExposedPorts?: Record<string, Record<string, never>>;
  Env?: string[];
  Entrypoint?: string[];
  Cmd?: string[];
  Volumes?: Record<string, Record<string, never>>;
  WorkingDir?: string;
  Labels?: Record<string, string>;
  StopSignal?: string;
  ArgsEscaped?: boolean;
  Healthcheck?: HealthcheckConfig;
  OnBuild?: string[];
  Shell?: string[];
  [key: string]: unknown;
}

/** One step of how an image came about. Entries with `empty_layer` have no layer in `rootfs`. */
export interface HistoryEntry {
  created?: string;
  author?: string;
  created_by?: string;
  comment?: string;
  empty_layer?: boolean;
}

/** Image config (image-spec config.md). `diff_ids` are digests of uncompressed layers, bottom first. */
export interface ImageConfig {
  created?: string;
  author?: string;
  architecture: string;
  os: string;
  'os.version'?: string;
  'os.features'?: string[];
  variant?: string;
  config: ContainerConfig;
  rootfs: { type: 'layers'; diff_ids: Digest[] };
  history: HistoryEntry[];
  [key: string]: unknown;
}

/** Key of an image config that has the cache within the image (`--cache-to type=inline`), BuildKit's. */
export const INLINE_CACHE_KEY = 'moby.buildkit.cache.v0';

/** Largest image config that is read, in bytes; configs with an inline build cache are the large ones. */
export const MAX_CONFIG_BYTES: number = 8 * 1024 * 1024;

/**
 * Parses an image config. Known keys are checked, unknown ones survive; null stands for absent, as Go writes it.
 * @param what names the document in messages, e.g. `config of "docker.io/library/alpine"`
 * @throws TsbuildError `TSB_IMAGE` naming the place in the document
 */
export function parseImageConfig(bytes: Uint8Array, what: string): ImageConfig {
  const guard = guardFor(what);
  const document = guard.object(parseStrictJson(bytes, { what, maxBytes: MAX_CONFIG_BYTES }), '');
  const rootfs = guard.object(document['rootfs'] ?? {}, 'rootfs');
  if (isGiven(rootfs['type']) && rootfs['type'] !== 'layers') throw guard.fail('rootfs.type', 'is not "layers"');
  const config: ImageConfig = {
    ...document,
    architecture: guard.string(document['architecture'], 'architecture'),
    os: guard.string(document['os'], 'os'),
    config: containerConfig(guard, document['config']),
    rootfs: { type: 'layers', diff_ids: diffIds(guard, rootfs['diff_ids']) },
    history: guard
      .list(document['history'] ?? [], 'history')
      .map((entry, index) => history(guard, entry, `history[${index}]`)),
  };
  for (const key of ['created', 'author', 'variant', 'os.version'] as const) {
    const value = guard.optionalString(document[key], key);
    if (value === undefined) delete config[key];
  }
  if (guard.stringList(document['os.features'], 'os.features') === undefined) delete config['os.features'];
  return config;
}

/** Go writes null for what is absent. */
function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null;
}

function diffIds(guard: Guard, value: unknown): Digest[] {
  return guard.list(value ?? [], 'rootfs.diff_ids').map((item, index) => {
    if (!isDigest(item)) throw guard.fail(`rootfs.diff_ids[${index}]`, 'is not a sha256 digest');
    return item;
  });
}

function containerConfig(guard: Guard, value: unknown): ImageConfig['config'] {
  if (value === undefined || value === null) return {};
  const found = guard.object(value, 'config');
  for (const key of ['User', 'WorkingDir', 'StopSignal']) guard.optionalString(found[key], `config.${key}`);
  for (const key of ['Entrypoint', 'Cmd', 'OnBuild', 'Shell']) guard.stringList(found[key], `config.${key}`);
  // No program can be given such a variable: said here, where the image has a name.
  for (const [at, variable] of (guard.stringList(found['Env'], 'config.Env') ?? []).entries())
    if (variable.includes('\0')) throw guard.fail(`config.Env[${at}]`, 'has a NUL character');
  for (const key of ['ExposedPorts', 'Volumes']) {
    if (isGiven(found[key])) guard.object(found[key], `config.${key}`);
  }
  guard.strings(found['Labels'], 'config.Labels');
  if (isGiven(found['ArgsEscaped']) && typeof found['ArgsEscaped'] !== 'boolean') {
    throw guard.fail('config.ArgsEscaped', 'is not true or false');
  }
  healthcheck(guard, found['Healthcheck']);
  return Object.fromEntries(Object.entries(found).filter(([, item]) => item !== null));
}

function healthcheck(guard: Guard, value: unknown): void {
  if (value === undefined || value === null) return;
  const found = guard.object(value, 'config.Healthcheck');
  guard.stringList(found['Test'], 'config.Healthcheck.Test');
  for (const key of ['Interval', 'Timeout', 'StartPeriod', 'StartInterval', 'Retries']) {
    const number = found[key];
    if (isGiven(number) && !Number.isInteger(number)) {
      throw guard.fail(`config.Healthcheck.${key}`, 'is not a whole number');
    }
  }
}

function history(guard: Guard, value: unknown, path: string): HistoryEntry {
  const found: Json = guard.object(value, path);
  for (const key of ['created', 'author', 'created_by', 'comment']) guard.optionalString(found[key], `${path}.${key}`);
  const empty = found['empty_layer'];
  if (isGiven(empty) && typeof empty !== 'boolean') throw guard.fail(`${path}.empty_layer`, 'is not true or false');
  return Object.fromEntries(Object.entries(found).filter(([, item]) => item !== null)) as HistoryEntry;
}
