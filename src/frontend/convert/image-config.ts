import type { ContainerConfig, HistoryEntry, ImageConfig, Platform } from '../../image/index.ts';
import { goTime } from './go-format.ts';
import { DEFAULT_PATH_UNIX } from './paths.ts';
import type { TextRoom } from './text-room.ts';

/** PATH of images that set none; undefined for Windows, which has its own. */
export function defaultPath(os: string): string | undefined {
  return os === 'windows' ? undefined : `PATH=${DEFAULT_PATH_UNIX}`;
}

/** The config of a stage that starts from nothing. */
export function emptyImage(platform: Platform): ImageConfig {
  const path = defaultPath(platform.os);
  return {
    architecture: platform.architecture,
    os: platform.os,
    ...(platform.osVersion ? { 'os.version': platform.osVersion } : {}),
    ...(platform.variant ? { variant: platform.variant } : {}),
    config: { ...(path === undefined ? {} : { Env: [path] }), WorkingDir: '/' },
    rootfs: { type: 'layers', diff_ids: [] },
    history: [],
  };
}

const CONFIG_KEYS = [
  'User',
  'ExposedPorts',
  'Env',
  'Entrypoint',
  'Cmd',
  'Volumes',
  'WorkingDir',
  'Labels',
  'StopSignal',
  'ArgsEscaped',
  'Healthcheck',
  'OnBuild',
  'Shell',
] as const;

const IMAGE_KEYS = ['created', 'author', 'architecture', 'os', 'os.version', 'os.features', 'variant'] as const;

/**
 * A copy that can be changed, with what the image specification and Docker define and nothing else: other keys of a base
 * image (container ids, inline cache) describe that image and not the one being built.
 */
export function copyConfig(image: ImageConfig): ImageConfig {
  const config: ContainerConfig = {};
  for (const key of CONFIG_KEYS) {
    const value: unknown = image.config[key];
    if (value !== undefined && value !== null) config[key as string] = copied(value);
  }
  const out: ImageConfig = {
    architecture: image.architecture,
    os: image.os,
    config,
    rootfs: { type: 'layers', diff_ids: [...image.rootfs.diff_ids] },
    // Entries never change once they are there.
    history: [...image.history],
  };
  for (const key of IMAGE_KEYS) {
    const value: unknown = image[key];
    if (value !== undefined && value !== null && value !== '') out[key as string] = copied(value);
  }
  return out;
}

/** A copy down to the texts, which all copies share: a stage may be the base of thousands. */
function copied(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(copied);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, copied(item)]));
}

/** The platform that an image config names; undefined when it names none. */
export function platformOf(image: ImageConfig): Platform | undefined {
  if (!image.os || !image.architecture) return undefined;
  return {
    os: image.os,
    architecture: image.architecture,
    ...(image.variant ? { variant: image.variant } : {}),
    ...(image['os.version'] ? { osVersion: image['os.version'] } : {}),
  };
}

/** `KEY=value` split at the first `=`; without one the value is empty. */
export function splitEnv(entry: string): readonly [string, string] {
  const equals = entry.indexOf('=');
  return equals < 0 ? [entry, ''] : [entry.slice(0, equals), entry.slice(equals + 1)];
}

/** Sets a variable in a config's environment where it stands already, else at the end. */
export function setConfigEnv(config: ContainerConfig, key: string, value: string): void {
  const env = (config.Env ??= []);
  const places = placesOf(env);
  const index = places.get(key);
  if (index === undefined) places.set(key, env.push(`${key}=${value}`) - 1);
  else env[index] = `${key}=${value}`;
}

/** Where the variables of each list stand: looking for one would take as long as there are others. */
const PLACES = new WeakMap<readonly string[], Map<string, number>>();

function placesOf(env: readonly string[]): Map<string, number> {
  let places = PLACES.get(env);
  if (places === undefined) {
    places = new Map();
    for (const [index, entry] of env.entries()) {
      const [key] = splitEnv(entry);
      if (!places.has(key)) places.set(key, index);
    }
    PLACES.set(env, places);
  }
  return places;
}

/** Adds what an instruction did to the image's history. */
export function addHistory(
  image: ImageConfig,
  createdBy: string,
  { room, epoch }: { readonly room: TextRoom; readonly epoch: number | undefined },
  options: { readonly layer?: boolean } = {},
): void {
  const entry: HistoryEntry = { created_by: room.take(createdBy), comment: 'buildkit.dockerfile.v0' };
  if (epoch !== undefined) entry.created = goTime(epoch);
  if (!options.layer) entry.empty_layer = true;
  image.history.push(entry);
}
