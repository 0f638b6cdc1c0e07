import { existsSync, readdirSync, type Stats, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { policyFiles } from '../../source-policy/index.ts';
import { worktreeStamp } from '../../source/index.ts';
import { version } from '../../util/index.ts';
import type { BuildOptions } from './build-display.ts';
import type { CliContext } from '../context.ts';
import { homeDirectory } from '../store-root.ts';

/** Options that decide what is built, of builds that can be remembered. */
const DECISIVE: readonly (keyof BuildOptions)[] = [
  'file',
  'target',
  'platform',
  'buildArg',
  'label',
  'network',
  'addHost',
  'hostname',
  'shmSize',
  'ulimit',
  'allow',
  'sourceDateEpoch',
  'strict',
  'tag',
  'output',
  'load',
  'push',
  'rewriteTimestamp',
  'annotation',
  'reproducible',
  'contextPerms',
  'locked',
  'lockFile',
  'offline',
  'sourcePolicy',
  // No part of a result. They are looked at by builds only, and one that cannot be used must not pass.
  'jobs',
  'maxSize',
  'memory',
  'memorySwap',
  'cpus',
  'resource',
  'pidsLimit',
  'timeout',
  'stepTimeout',
];

/** Options that decide how it is done and what is said about it. */
const INDIFFERENT: readonly string[] = [
  'onFailure',
  'isolation',
  'progress',
  'rawOutput',
  'quiet',
  'iidfile',
  'metadataFile',
  'call',
  'explain',
  'check',
  'debug',
];

/**
 * Names what was asked for, where that can be remembered (src/recall): a build from a local directory. Undefined
 * with any option that is not known to be harmless, such as those that forbid the cache, bring other sources or hand in secrets.
 */
export function recallKey(context: CliContext, path: string, options: BuildOptions): string | undefined {
  const { env, cwd } = context;
  for (const [name, value] of Object.entries(options)) {
    const plain = value === undefined || value === false || (name === 'cache' && value === true);
    const known = INDIFFERENT.includes(name) || (DECISIVE as readonly string[]).includes(name);
    if (!plain && !known && !(name === 'cacheFilter' && value === true)) return undefined;
  }
  if (options.cache === false || path === '-' || options.file === '-' || !isDirectory(resolve(cwd, path)))
    return undefined;
  const { file } = options;
  return JSON.stringify([
    programStamp(),
    cwd,
    path,
    DECISIVE.map((name) => options[name] ?? null),
    // Where the file is looked for, see `parseContextArgument`.
    file === undefined ? null : [existsSync(resolve(cwd, file)), existsSync(resolve(cwd, path, file))],
    env['SOURCE_DATE_EPOCH'] ?? null,
    env['TSBUILD_REPRODUCIBLE'] ?? null,
    aliasStamp(env),
    policyFiles(cwd, env, options.sourcePolicy).map((file) => statusOf(file)),
    usesRepository(env, options) ? (worktreeStamp(resolve(cwd, path)) ?? null) : null,
    (options.buildArg ?? []).filter((text) => !text.includes('=')).map((name) => env[name] ?? null),
  ]);
}

/** What would tell that short names mean other images: the files that may have aliases, by their status. */
function aliasStamp(env: CliContext['env']): readonly (readonly (string | number)[] | null)[] {
  const explicit = env['CONTAINERS_REGISTRIES_CONF'];
  if (explicit) return [statusOf(explicit)];
  const folders = ['/etc/containers', join(env['HOME'] || homeDirectory(), '.config/containers')];
  return folders.flatMap((folder) => {
    const dropIns = join(folder, 'registries.conf.d');
    const names = namesIn(dropIns);
    return [statusOf(join(folder, 'registries.conf')), ...names.map((name) => statusOf(join(dropIns, name)))];
  });
}

function statusOf(path: string): readonly (string | number)[] | null {
  const found = stat(path);
  return found ? [path, found.ino, found.size, found.ctimeMs, found.uid] : null;
}

/** Whether the result depends on what git knows of the context. */
function usesRepository(env: CliContext['env'], options: BuildOptions): boolean {
  return options.reproducible === true || options.contextPerms === 'auto' || Boolean(env['TSBUILD_REPRODUCIBLE']);
}

/** Another program may make another image of the same. Most of what makes images is in its other bundles. */
function programStamp(): readonly (string | number)[] {
  const own = fileURLToPath(import.meta.url);
  const stats = [own, ...['run', 'rest'].map((name) => join(dirname(own), `${name}.cjs`))].map(stat);
  return [version, ...stats.flatMap((one) => (one ? [one.mtimeMs, one.size] : []))];
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory).toSorted();
  } catch {
    return [];
  }
}

/** What cannot be seen is looked at again by the build, which says so. */
function stat(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}

function isDirectory(path: string): boolean {
  return stat(path)?.isDirectory() === true;
}
