import { resolve } from 'node:path';
import type { SessionOptions } from '../engine/index.ts';
import { type CredentialPlaces, credentialPlaces, proxyVariables } from '../registry/index.ts';
import { parseIsolation } from '../sandbox/index.ts';
import { sanitizeLine, TsbuildError } from '../util/index.ts';
import type { CliContext } from './context.ts';
import { homeDirectory, storeRoot } from './store-root.ts';

/**
 * What a session needs to know of the environment. Warnings go to stderr unless `onWarning` takes them.
 * @throws TsbuildError `TSB_USAGE`
 */
export function sessionOptions(
  context: CliContext,
  signal: AbortSignal,
  onWarning?: (message: string) => void,
): SessionOptions {
  const { env } = context;
  const home = env['HOME'] || homeDirectory();
  return {
    root: storeRoot(context),
    now: context.now,
    signal,
    home,
    credentialSources: credentialsOf(context),
    onWarning: onWarning ?? ((message) => context.stderr.write(`warning: ${sanitizeLine(message)}\n`)),
    ...(env['CONTAINERS_REGISTRIES_CONF'] ? { registriesConf: env['CONTAINERS_REGISTRIES_CONF'] } : {}),
    ...(env['TSBUILD_HELPER'] ? { helper: env['TSBUILD_HELPER'] } : {}),
    ...(env['TSBUILD_ISOLATION'] ? { isolation: parseIsolation(env['TSBUILD_ISOLATION']) } : {}),
    ...(env['TSBUILD_CDI_SPEC_DIRS'] ? { deviceSpecDirs: specDirs(context, env['TSBUILD_CDI_SPEC_DIRS']) } : {}),
    ...(env['TSBUILD_CACHE_IMPORT_TIMEOUT']
      ? { cacheImportMs: parseImportTimeout(env['TSBUILD_CACHE_IMPORT_TIMEOUT']) }
      : {}),
    proxies: proxyVariables(env),
  };
}

/** What `--pull=never` and `--offline` mean for a session. */
export function reachOptions({
  pullNever,
  offline,
}: {
  readonly pullNever?: boolean;
  readonly offline?: boolean;
}): Pick<SessionOptions, 'neverPull' | 'offline'> {
  return { ...(pullNever ? { neverPull: true } : {}), ...(offline ? { offline: true } : {}) };
}

/** Where the user's credentials are. @param authFile the one that counts (`--authfile`) */
export function credentialsOf({ env, cwd, uid }: CliContext, authFile?: string): CredentialPlaces {
  const home = env['HOME'] || homeDirectory();
  return credentialPlaces(env, { home, uid }, authFile === undefined ? undefined : resolve(cwd, authFile));
}

/** `$TSBUILD_CACHE_IMPORT_TIMEOUT`, in seconds. @returns milliseconds @throws TsbuildError `TSB_USAGE` */
function parseImportTimeout(text: string): number {
  if (/^\d{1,6}$/.test(text)) return Number(text) * 1000;
  throw new TsbuildError(
    'TSB_USAGE',
    `Cannot use TSBUILD_CACHE_IMPORT_TIMEOUT=${JSON.stringify(text)}: expected a number of seconds, or 0 for no limit`,
  );
}

function specDirs({ cwd }: CliContext, list: string): readonly string[] {
  return list
    .split(':')
    .filter((dir) => dir !== '')
    .map((dir) => resolve(cwd, dir));
}
