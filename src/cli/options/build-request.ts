import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import type { BuildRequest } from '../../engine/index.ts';
import { parsePlatform } from '../../image/index.ts';
import { policyFiles, readSourcePolicies } from '../../source-policy/index.ts';
import { parseDuration, parseEpoch, parseSize, TsbuildError } from '../../util/index.ts';
import { parseAllow } from './allow.ts';
import { parseCacheFrom, parseCacheTo } from '../../remote-cache/index.ts';
import type { CliContext } from '../context.ts';
import { parseContextArgument } from './context-argument.ts';
import { parseHosts } from './hosts.ts';
import { type LockOptions, parseLockOptions } from './lock-options.ts';
import { named } from './named.ts';
import { parseLists, parsePairs } from './options.ts';
import { parsePidsLimit, parseResources, parseUlimit, type ResourceOptions } from './resource-options.ts';
import { parseSecrets } from './secrets.ts';
import { parseSsh } from './ssh.ts';

/** Options of `build` and `llb` as commander gives them. */
export interface GraphOptions extends LockOptions, ResourceOptions {
  readonly reproducible?: boolean;
  readonly contextPerms?: string;
  readonly file?: string;
  readonly target?: string;
  readonly platform?: readonly string[];
  readonly buildArg?: readonly string[];
  readonly label?: readonly string[];
  readonly buildContext?: readonly string[];
  /** `--no-cache` sets it to false. */
  readonly cache?: boolean;
  readonly cacheFilter?: readonly string[] | boolean;
  readonly pullNever?: boolean;
  readonly hostname?: string;
  readonly network?: string;
  readonly addHost?: readonly string[];
  readonly shmSize?: string;
  readonly ulimit?: readonly string[];
  readonly pidsLimit?: string;
  readonly allow?: readonly string[];
  readonly secret?: readonly string[];
  readonly ssh?: readonly string[];
  readonly sourceDateEpoch?: string;
  readonly cacheFrom?: readonly string[];
  readonly cacheTo?: readonly string[];
  readonly sourcePolicy?: readonly string[];
  readonly strict?: boolean;
  readonly jobs?: string;
  readonly timeout?: string;
  readonly stepTimeout?: string;
}

/**
 * Turns arguments into a request: paths are made absolute, values checked.
 * @throws TsbuildError `TSB_USAGE`
 */
export async function parseBuildRequest(
  context: CliContext,
  path: string,
  options: GraphOptions,
): Promise<BuildRequest> {
  const { env, cwd } = context;
  const sources = await parseContextArgument(context, path, options.file);
  const target = options.target;
  const shmSize = named('--shm-size', options.shmSize, parseSize);
  const sourceDateEpoch = parseEpoch(options.sourceDateEpoch ?? env['SOURCE_DATE_EPOCH']);
  const network = parseNetwork(options.network);
  const allowed = parseAllow(options.allow ?? []);
  const lock = parseLockOptions(cwd, options, sources.contextDir);
  const noCacheStages = parseLists(Array.isArray(options.cacheFilter) ? options.cacheFilter : []);
  return {
    ...sources,
    ...(target === undefined ? {} : { target }),
    platforms: parseLists(options.platform).map((text) => parsePlatform(text)),
    buildArgs: parsePairs('--build-arg', options.buildArg ?? [], (name) => env[name]),
    labels: parsePairs('--label', options.label ?? [], () => ''),
    namedContexts: parseNamedContexts(cwd, options.buildContext ?? []),
    noCache: options.cache === false,
    noCacheStages,
    pull: options.pull ?? false,
    ...(lock === undefined ? {} : { lock }),
    ...network,
    ...(options.hostname === undefined ? {} : { hostname: parseHostname(options.hostname) }),
    extraHosts: await parseHosts(options.addHost ?? []),
    ...(shmSize === undefined ? {} : { shmSize }),
    ulimits: (options.ulimit ?? []).map(parseUlimit),
    ...(options.pidsLimit === undefined ? {} : { processLimit: parsePidsLimit(options.pidsLimit) }),
    ...parseResources(options),
    // Who asks for the host's network for all steps grants it, as with docker.
    entitlements: new Set([...allowed.entitlements, ...(network.network === 'host' ? ['network.host'] : [])]),
    devices: allowed.devices,
    secrets: parseSecrets(context, options.secret ?? []),
    ssh: parseSsh(context, options.ssh ?? []),
    ...(sourceDateEpoch === undefined ? {} : { sourceDateEpoch }),
    ...(isReproducible(env, options) ? { reproducible: true } : {}),
    ...(options.contextPerms === undefined ? {} : { contextPerms: parseContextPerms(options.contextPerms) }),
    cacheFrom: parseCacheFrom(cwd, options.cacheFrom ?? [], env),
    cacheTo: parseCacheTo(cwd, options.cacheTo ?? [], env),
    ...parseTimeouts(options),
    jobs: parseJobs(options.jobs),
    sourcePolicies: readSourcePolicies(policyFiles(cwd, env, options.sourcePolicy)),
    strict: options.strict ?? false,
  };
}

/** `--reproducible` or `$TSBUILD_REPRODUCIBLE`, which is for all builds of a CI. @throws TsbuildError `TSB_USAGE` */
export function isReproducible(env: CliContext['env'], { reproducible }: GraphOptions): boolean {
  const text = env['TSBUILD_REPRODUCIBLE'] ?? '';
  if (reproducible === true || /^(1|true)$/.test(text)) return true;
  if (/^(|0|false)$/.test(text)) return false;
  throw new TsbuildError('TSB_USAGE', `Cannot use TSBUILD_REPRODUCIBLE=${JSON.stringify(text)}: expected 1 or 0`);
}

/** `--context-perms`. */
function parseContextPerms(text: string): 'auto' | 'preserve' {
  if (text === 'auto' || text === 'preserve') return text;
  throw new TsbuildError('TSB_USAGE', `Cannot use --context-perms ${JSON.stringify(text)}: expected auto or preserve`);
}

/** `--network`. Docker's other networks are a daemon's. */
function parseNetwork(text: string | undefined): Pick<BuildRequest, 'network' | 'recordNetwork'> {
  if (text === undefined) return {};
  if (text === 'default' || text === 'none' || text === 'host') return { network: text };
  if (text === 'record' || text === 'locked') return { recordNetwork: text };
  throw new TsbuildError(
    'TSB_USAGE',
    `Cannot use --network ${JSON.stringify(text)}: expected default, none, host, record or locked`,
  );
}

/** `--build-context name=value`. What is not a URL is a directory, relative to where the command was typed. */
function parseNamedContexts(cwd: string, values: readonly string[]): Map<string, string> {
  const contexts = parsePairs('--build-context', values);
  for (const [name, value] of contexts) {
    const remote = /^[a-z][a-z0-9+.-]*:\/\/|^git@/.test(value);
    if (value.startsWith('oci-layout://'))
      contexts.set(name, `oci-layout://${resolve(cwd, value.slice('oci-layout://'.length))}`);
    else if (!remote) contexts.set(name, resolve(cwd, value));
  }
  return contexts;
}

/** `--hostname`: what sethostname(2) and everyone who looks it up take. */
function parseHostname(text: string): string {
  if (text.length <= 64 && /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/i.test(text)) return text;
  throw new TsbuildError(
    'TSB_USAGE',
    `Cannot use --hostname ${JSON.stringify(text)}: expected up to 64 letters, digits, "-" and "."`,
  );
}

/** `--timeout` and `--step-timeout`. @throws TsbuildError `TSB_USAGE` */
export function parseTimeouts({
  timeout,
  stepTimeout,
}: Pick<GraphOptions, 'timeout' | 'stepTimeout'>): Pick<BuildRequest, 'timeoutMs' | 'stepTimeoutMs'> {
  return {
    ...(timeout === undefined ? {} : { timeoutMs: parseLimit('--timeout', timeout) }),
    ...(stepTimeout === undefined ? {} : { stepTimeoutMs: parseLimit('--step-timeout', stepTimeout) }),
  };
}

/** Longer than timers can wait: 24 days. */
const MAX_LIMIT_MS = 2 ** 31 - 1;

function parseLimit(flag: string, text: string): number {
  const ms = named(flag, text, parseDuration) ?? 0;
  if (ms > 0 && ms <= MAX_LIMIT_MS) return ms;
  throw new TsbuildError(
    'TSB_USAGE',
    `Cannot use ${flag} ${JSON.stringify(text)}: expected a time up to 24 days, for example 30m`,
  );
}

/** `--jobs`: steps at a time. Default: one per CPU, and at least 4. @throws TsbuildError `TSB_USAGE` */
export function parseJobs(text: string | undefined): number {
  if (text === undefined) return Math.max(4, availableParallelism());
  const jobs = Number(text);
  if (!Number.isInteger(jobs) || jobs < 1)
    throw new TsbuildError('TSB_USAGE', `Cannot use --jobs ${JSON.stringify(text)}: expected a number from 1`);
  return jobs;
}
