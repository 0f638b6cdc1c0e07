import { isIP } from 'node:net';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { type BuildRequest, emptyRequest, isRemoteContext, namedDockerfile } from '../engine/index.ts';
import { parsePlatform } from '../image/index.ts';
import { parseCacheFrom, parseCacheTo } from '../remote-cache/index.ts';
import type { SecretSource } from '../secrets/index.ts';
import { policyFiles, readSourcePolicies } from '../source-policy/index.ts';
import { parseEpoch, TsbuildError } from '../util/index.ts';
import { resourcesOf } from './resources.ts';
import type { BuildSource, Secret } from './source.ts';

/** Longer than timers can wait: 24 days. */
const MAX_LIMIT_MS = 2 ** 31 - 1;

/** The command line takes eleven digits: the year 5138. */
const MAX_EPOCH = 99_999_999_999;

/**
 * What is built, as the engine has it: the same that the command line makes of such options. Paths are from the working directory.
 * @throws TsbuildError `TSB_USAGE`, `TSB_NOT_FOUND`, `TSB_POLICY`
 */
export function requestOf(source: BuildSource): BuildRequest {
  const { noCache = false, target, network, shmSize } = source;
  const sourceDateEpoch = source.sourceDateEpoch ?? parseEpoch(process.env['SOURCE_DATE_EPOCH']);
  const places = placesOf(source);
  const lock = lockOf(source, places.contextDir);
  return {
    ...emptyRequest,
    ...places,
    ...(target === undefined ? {} : { target }),
    platforms: (source.platforms ?? []).map((text) => parsePlatform(text)),
    buildArgs: byName('buildArgs', source.buildArgs, (value) => value),
    labels: byName('labels', source.labels, (value) => value),
    namedContexts: byName('buildContexts', source.buildContexts, placeOf),
    secrets: byName('secrets', source.secrets, secretOf),
    ssh: byName('ssh', source.ssh, (paths, id) => agentOf(id, paths)),
    noCache: noCache === true,
    noCacheStages: typeof noCache === 'boolean' ? [] : noCache,
    pull: source.pull ?? false,
    ...(network === 'record' || network === 'locked'
      ? { recordNetwork: network }
      : network === undefined
        ? {}
        : { network }),
    extraHosts: Object.entries(source.extraHosts ?? {}).map(hostOf),
    ...(shmSize === undefined ? {} : { shmSize: whole('shmSize', shmSize) }),
    ulimits: (source.ulimits ?? []).map(({ name, soft, hard }) => ({
      name,
      soft: whole('ulimits', soft, -1),
      hard: whole('ulimits', hard, -1),
    })),
    entitlements: new Set([...(source.allow ?? []), ...(network === 'host' ? ['network.host'] : [])]),
    ...((source.reproducible ?? isReproducible()) ? { reproducible: true } : {}),
    ...(sourceDateEpoch === undefined
      ? {}
      : { sourceDateEpoch: whole('sourceDateEpoch', sourceDateEpoch, 0, MAX_EPOCH) }),
    ...(lock === undefined ? {} : { lock }),
    sourcePolicies: readSourcePolicies(policyFiles(process.cwd(), process.env, source.sourcePolicies)),
    cacheFrom: parseCacheFrom(process.cwd(), source.cacheFrom ?? [], process.env),
    cacheTo: parseCacheTo(process.cwd(), source.cacheTo ?? [], process.env),
    ...(source.timeout === undefined ? {} : { timeoutMs: whole('timeout', source.timeout, 1, MAX_LIMIT_MS) }),
    ...(source.stepTimeout === undefined
      ? {}
      : { stepTimeoutMs: whole('stepTimeout', source.stepTimeout, 1, MAX_LIMIT_MS) }),
    ...resourcesOf(source),
    jobs: source.jobs === undefined ? Math.max(4, availableParallelism()) : whole('jobs', source.jobs, 1),
    strict: source.strict ?? false,
    ...(source.explain ? { explain: true } : {}),
  };
}

/** Context and Dockerfile. */
function placesOf({ context, file }: BuildSource): Pick<BuildRequest, 'contextDir' | 'context' | 'dockerfile'> {
  const cwd = process.cwd();
  const contextDir = isRemoteContext(cwd, context) ? undefined : resolve(context);
  return {
    ...(contextDir === undefined ? { context: { kind: 'remote', url: context } } : { contextDir }),
    ...(file === undefined ? {} : { dockerfile: namedDockerfile(cwd, contextDir, file) }),
  };
}

/** @throws TsbuildError `TSB_USAGE` for the empty name */
function byName<T, R>(
  option: string,
  values: Readonly<Record<string, T>> = {},
  make: (value: T, name: string) => R,
): Map<string, R> {
  if (Object.hasOwn(values, ''))
    throw new TsbuildError('TSB_USAGE', `Cannot use "${option}": one of its names is empty`);
  return new Map(Object.entries(values).map(([name, value]) => [name, make(value, name)]));
}

/** @throws TsbuildError `TSB_USAGE` for what is no whole number within the bounds */
function whole(option: string, value: number, least = 0, most: number = Number.MAX_SAFE_INTEGER): number {
  if (Number.isSafeInteger(value) && value >= least && value <= most) return value;
  const limit = most === Number.MAX_SAFE_INTEGER ? '' : ` to ${most}`;
  throw new TsbuildError('TSB_USAGE', `Cannot use "${option}" ${value}: expected a whole number from ${least}${limit}`);
}

/** `host-gateway` is this machine, whose network steps share. */
function hostOf([host, written]: [string, string]): { readonly host: string; readonly ip: string } {
  const ip = written === 'host-gateway' ? '127.0.0.1' : written.replace(/^\[(.*)\]$/, '$1');
  if (/^[^:=\s]+$/.test(host) && isIP(ip) !== 0 && !ip.includes('%')) return { host, ip };
  const entry = `${JSON.stringify(host)}: ${JSON.stringify(written)}`;
  throw new TsbuildError('TSB_USAGE', `Cannot use "extraHosts" { ${entry} }: expected a name and an address`);
}

function secretOf(secret: Secret): SecretSource {
  return typeof secret === 'string' ? { kind: 'value', value: secret } : { kind: 'file', path: resolve(secret.file) };
}

/** The agent of the caller, where no socket and no key is named. */
function agentOf(id: string, paths: readonly string[]): readonly string[] {
  if (paths.length > 0) return paths.map((path) => resolve(path));
  const { SSH_AUTH_SOCK: socket } = process.env;
  if (socket) return [resolve(socket)];
  throw new TsbuildError(
    'TSB_USAGE',
    `Cannot use "ssh" ${id}: there is no SSH agent, because SSH_AUTH_SOCK is not set`,
  );
}

/** A directory becomes absolute; what has a scheme is what it is. */
function placeOf(value: string): string {
  const layout = /^oci-layout:\/\/(.*)$/.exec(value)?.[1];
  if (layout !== undefined) return `oci-layout://${resolve(layout)}`;
  return /^[a-z][a-z0-9+.-]*:\/\/|^git@/.test(value) ? value : resolve(value);
}

function isReproducible(): boolean {
  const { TSBUILD_REPRODUCIBLE: text = '' } = process.env;
  if (/^(1|true)$/.test(text)) return true;
  if (/^(|0|false)$/.test(text)) return false;
  throw new TsbuildError('TSB_USAGE', `Cannot use TSBUILD_REPRODUCIBLE=${JSON.stringify(text)}: expected 1 or 0`);
}

/** The lock file of the context; in the working directory, where the context comes from elsewhere, only when it is asked for. */
function lockOf({ lock, offline, pull, network }: BuildSource, contextDir: string | undefined): BuildRequest['lock'] {
  const { file, locked = false, update } = lock ?? {};
  if (update !== undefined && (locked || offline))
    throw new TsbuildError('TSB_USAGE', `Cannot update a lock file with ${locked ? '"locked"' : '"offline"'}`);
  if (offline && pull) throw new TsbuildError('TSB_USAGE', 'Cannot use "offline" with "pull"');
  if (file === '') throw new TsbuildError('TSB_USAGE', 'Cannot use "lock": the path of its file is empty');
  const named = file !== undefined;
  const records = network === 'record' || network === 'locked';
  if (contextDir === undefined && !named && !locked && update === undefined && !records) return undefined;
  const path = named ? resolve(file) : resolve(contextDir ?? '.', 'tsbuild.lock');
  if (update !== undefined)
    return { path, named, policy: { kind: 'update', ...(update === true ? {} : { names: update }) } };
  // One that is to be written need not be there.
  return { path, named: named && network !== 'record', policy: { kind: locked ? 'locked' : 'use' } };
}
