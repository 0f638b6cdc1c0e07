import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import {
  type ContainerRecord,
  type HealthCheck,
  LOG_LIMITS,
  parseSignal,
  type RestartPolicy,
} from '../../containers/index.ts';
import type { NewContainer } from '../../engine/index.ts';
import type { ImageConfig } from '../../image/index.ts';
import { currentUser, type MountSpec, nameservers, parseCapability, resolvConfOfHost } from '../../sandbox/index.ts';
import { parseEnvFile } from '../../runtime/index.ts';
import { fromErrno, parseDuration, parseSize, TsbuildError } from '../../util/index.ts';
import { parseNetwork } from './container-network.ts';
import { parseAttach } from './attach-option.ts';
import type { LifeOptions, ProcessOptions } from './container-options.ts';
import type { CliContext } from '../context.ts';
import { readEnvFile } from './env-file.ts';
import { parseHosts } from './hosts.ts';
import { parsePairs } from './options.ts';
import { parseSysctls } from './sysctl-option.ts';
import { parseShares } from './share-options.ts';
import { named } from './named.ts';
import { parsePidsLimit, parseResources, parseUlimit } from './resource-options.ts';

/** Docker's, in seconds. */
const STOP_TIMEOUT = 10;

/**
 * What the options say of the process in a container.
 * @throws TsbuildError `TSB_USAGE`
 */
export async function parseProcess(
  context: CliContext,
  command: readonly string[],
  options: ProcessOptions,
  mounts: readonly MountSpec[],
): Promise<NewContainer['process']> {
  const files = (options.envFile ?? []).flatMap((file) => readEnvFile(context, file));
  const env = [...files, ...(options.env ?? [])];
  const shares = parseShares(options);
  const shmSize = named('--shm-size', options.shmSize, parseSize);
  return {
    callerEnv: context.env,
    hostname: shares.uts === 'host' ? hostname() : parseHostname(options.hostname),
    network: parseNetwork(options).mode,
    ...(command.length === 0 ? {} : { command }),
    ...(options.entrypoint === undefined ? {} : { entrypoint: options.entrypoint }),
    ...(env.length === 0 ? {} : { env }),
    mounts,
    ...(options.workdir === undefined ? {} : { workdir: options.workdir }),
    ...(options.user === undefined ? {} : { user: options.user }),
    ...parseResources(options),
    ...(options.pidsLimit === undefined ? {} : { processLimit: parsePidsLimit(options.pidsLimit) }),
    ...(options.ulimit === undefined ? {} : { ulimits: options.ulimit.map(parseUlimit) }),
    // As with docker, 0 is for the default.
    ...(shmSize === undefined || shmSize === 0 ? {} : { shmSize }),
    ...parameters(options),
    ...parseSecurity(options.securityOpt ?? []),
    ...(options.capAdd === undefined ? {} : { capAdd: options.capAdd.map(parseCapability) }),
    ...(options.capDrop === undefined ? {} : { capDrop: options.capDrop.map(parseCapability) }),
    ...(options.privileged ? { privileged: true } : {}),
    ...parseUserns(options.userns),
    ...(shares.processes === undefined ? {} : { processes: shares.processes }),
    ...(shares.ipc === undefined ? {} : { ipc: shares.ipc }),
    ...(shares.uts === undefined ? {} : { uts: shares.uts }),
    ...(options.groupAdd === undefined ? {} : { groups: options.groupAdd.map(parseGroup) }),
    ...(await parseDns(options)),
    ...(options.readOnly ? { readonly: true } : {}),
    ...(options.interactive ? { interactive: true } : {}),
    ...(options.tty ? { tty: true } : {}),
    ...(options.init ? { init: true } : {}),
    ...(options.addHost === undefined ? {} : { extraHosts: await parseHosts(options.addHost) }),
  };
}

/** `--sysctl`, and `--domainname`, which is one of them. */
function parameters({ sysctl, domainname }: ProcessOptions): Pick<NewContainer['process'], 'sysctls'> {
  if (domainname !== undefined && (!/^[\w.-]+$/.test(domainname) || domainname.length > 64))
    throw new TsbuildError('TSB_USAGE', `Cannot use --domainname ${JSON.stringify(domainname)}`, {
      hint: 'a domain name has at most 64 letters, digits, "-" and "."',
    });
  if (sysctl === undefined && domainname === undefined) return {};
  return {
    sysctls: {
      ...parseSysctls(sysctl ?? []),
      ...(domainname === undefined ? {} : { 'kernel.domainname': domainname }),
    },
  };
}

/** @returns an empty text for one that is made up */
function parseHostname(text = ''): string {
  // uname(2): __NEW_UTS_LEN.
  if (Buffer.byteLength(text) > 64 || /[\s/]/.test(text))
    throw new TsbuildError('TSB_USAGE', `Cannot use --hostname ${JSON.stringify(text)}`, {
      hint: 'a host name has at most 64 letters, digits, "-" and "."',
    });
  return text;
}

/** `--userns`. Every container has a user namespace; which ids it has is what can be chosen. */
function parseUserns(text: string | undefined): Pick<NewContainer['process'], 'keepIds'> {
  if (text === undefined) return {};
  if (text !== 'keep-id')
    throw new TsbuildError('TSB_USAGE', `Cannot use --userns ${JSON.stringify(text)}`, {
      hint: 'keep-id is possible; without it you are root of the container, in a user namespace of its own',
    });
  const { uid, gid } = currentUser();
  if (uid === 0)
    throw new TsbuildError(
      'TSB_USAGE',
      'Cannot use --userns=keep-id as root: the ids of the container are none of yours',
    );
  return { keepIds: { uid, gid } };
}

/** An id, or a name of the image's /etc/group, which is looked up at the start. */
function parseGroup(text: string): number | string {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  if (/^[^\d\s:,][^\s:,]*$/.test(text)) return text;
  throw new TsbuildError(
    'TSB_USAGE',
    `Cannot use --group-add ${JSON.stringify(text)}: expected the id of a group, or a name of the image's /etc/group`,
  );
}

/** `--dns` and its like, as a file. */
async function parseDns(options: ProcessOptions): Promise<{ readonly resolvConf?: string }> {
  const { dns = [], dnsSearch = [] } = options;
  const dnsOption = [...(options.dnsOption ?? []), ...(options.dnsOpt ?? [])];
  if (dns.length + dnsSearch.length + dnsOption.length === 0) return {};
  const { isIP } = await import('node:net');
  const wrong = dns.find((address) => isIP(address) === 0);
  if (wrong !== undefined)
    throw new TsbuildError('TSB_USAGE', `Cannot use --dns ${JSON.stringify(wrong)}: expected an address`);
  const odd = [...dnsSearch, ...dnsOption].find((word) => !/^[\w.:-]+$/.test(word));
  if (odd !== undefined)
    throw new TsbuildError('TSB_USAGE', `Cannot write ${JSON.stringify(odd)} into /etc/resolv.conf`);
  const servers = dns.length > 0 ? dns : nameservers(resolvConfOfHost() ?? '');
  return {
    resolvConf: [
      ...servers.map((address) => `nameserver ${address}`),
      ...(dnsSearch.length > 0 ? [`search ${dnsSearch.join(' ')}`] : []),
      ...(dnsOption.length > 0 ? [`options ${dnsOption.join(' ')}`] : []),
      '',
    ].join('\n'),
  };
}

/** What security options change; those of AppArmor and SELinux name what no container here has, so that being without is what there is. */
const SECURITY: Readonly<Record<string, Pick<NewContainer['process'], 'noNewPrivileges' | 'unfiltered' | 'unmasked'>>> =
  {
    'no-new-privileges': { noNewPrivileges: true },
    'no-new-privileges=true': { noNewPrivileges: true },
    'no-new-privileges=false': { noNewPrivileges: false },
    'seccomp=unconfined': { unfiltered: true },
    'seccomp=builtin': { unfiltered: false },
    'systempaths=unconfined': { unmasked: true },
    'unmask=all': { unmasked: true },
    'apparmor=unconfined': {},
    'label=disable': {},
  };

/** `--security-opt` of docker and podman. @throws TsbuildError `TSB_USAGE` */
function parseSecurity(values: readonly string[]): (typeof SECURITY)[string] {
  const found = values.map((text) => {
    const word = text.replace(':', '=').replace(/^unmask=ALL$/, 'unmask=all');
    if (Object.hasOwn(SECURITY, word)) return SECURITY[word];
    throw new TsbuildError('TSB_USAGE', `Cannot use --security-opt ${JSON.stringify(text)}: it is not supported`, {
      hint: 'no-new-privileges is, seccomp=unconfined (no filter of system calls; one of a file is not taken) and systempaths=unconfined (nothing of /proc hidden)',
    });
  });
  const { noNewPrivileges, ...others } = Object.assign({}, ...found) as (typeof SECURITY)[string];
  return { ...others, ...(noNewPrivileges ? { noNewPrivileges } : {}) };
}

/**
 * What the options say of a container's life; the image is asked for what they leave open.
 * @throws TsbuildError `TSB_USAGE`
 */
export function parseLife(
  context: CliContext,
  options: LifeOptions,
  detached: boolean,
): (image: ImageConfig) => ReturnType<NewContainer['life']> {
  const restart = parseRestart(options.restart ?? 'no');
  if (options.rm && restart.name !== 'no')
    throw new TsbuildError('TSB_USAGE', 'Cannot use --rm with --restart: it would be removed when it ends');
  const log = parseLog(options.logOpt ?? [], options.logDriver);
  const files = (options.labelFile ?? []).flatMap((file) => readLabelFile(context, file));
  const given = Object.fromEntries(parsePairs('--label', [...files, ...(options.label ?? [])], () => ''));
  if (options.stopSignal !== undefined) parseSignal(options.stopSignal);
  const stopTimeout = parseSeconds('--stop-timeout', options.stopTimeout ?? String(STOP_TIMEOUT));
  const health = parseHealth(options);
  const { attach, interactive = false } = options;
  const attached = attach === undefined ? undefined : parseAttach({ attach, interactive });
  const scope = options.scope ?? context.env['TSBUILD_SCOPE'];
  return ({ config }): Omit<ContainerRecord, 'format' | 'id' | 'created' | 'image' | 'imageConfig' | 'step'> => {
    const check = health(config);
    return {
      autoRemove: options.rm ?? false,
      detached,
      restart,
      stopSignal: options.stopSignal ?? (config.StopSignal || 'SIGTERM'),
      stopTimeout,
      labels: { ...config.Labels, ...given },
      log,
      ...(attached === undefined ? {} : { attach: attached }),
      ...(check === undefined ? {} : { health: check }),
      ...(scope === undefined || scope === '' ? {} : { scope }),
    };
  };
}

/** `--restart`. @throws TsbuildError `TSB_USAGE` */
export function parseRestart(text: string): RestartPolicy {
  const [name = '', most, ...rest] = text.split(':');
  const known = ['no', 'on-failure', 'always', 'unless-stopped'] as const;
  const policy = known.find((each) => each === name);
  if (
    policy === undefined ||
    rest.length > 0 ||
    (most !== undefined && (policy !== 'on-failure' || !/^\d{1,6}$/.test(most)))
  )
    throw new TsbuildError('TSB_USAGE', `Cannot use --restart ${JSON.stringify(text)}`, {
      hint: 'the policies are no, on-failure[:N], always and unless-stopped',
    });
  return { name: policy, most: Number(most ?? 0) };
}

/** Docker's options of its files that change nothing in what can be read here. */
const SILENT_LOG_OPTIONS = ['labels', 'labels-regex', 'env', 'env-regex', 'tag', 'compress', 'mode', 'max-buffer-size'];

function parseLog(values: readonly string[], driver: string | undefined): NonNullable<ContainerRecord['log']> {
  const pairs = parsePairs('--log-opt', values);
  const files = pairs.get('max-file') ?? String(LOG_LIMITS.maxFiles);
  for (const name of pairs.keys())
    if (name !== 'max-size' && name !== 'max-file' && !SILENT_LOG_OPTIONS.includes(name))
      throw new TsbuildError('TSB_USAGE', `Cannot use --log-opt ${name}: there are max-size and max-file`);
  if (!/^[1-9]\d?$/.test(files))
    throw new TsbuildError('TSB_USAGE', `Cannot use --log-opt max-file=${files}: expected a number from 1 to 99`);
  const size = pairs.get('max-size');
  const maxBytes =
    size === undefined
      ? LOG_LIMITS.maxBytes
      : size === '-1'
        ? undefined
        : named('--log-opt max-size=', size, parseSize);
  if (maxBytes === 0)
    throw new TsbuildError('TSB_USAGE', `Cannot use --log-opt max-size=${size}: expected a size, or -1 for no limit`);
  // No file at all.
  if (driver === 'none') return { maxBytes: 0, maxFiles: 0 };
  return { maxBytes: maxBytes ?? 0, maxFiles: Number(files) };
}

/** Whole seconds, -1 for any number of them. @throws TsbuildError `TSB_USAGE` */
export function parseSeconds(flag: string, text: string): number {
  if (/^(?:-1|\d{1,8})$/.test(text)) return Number(text);
  throw new TsbuildError('TSB_USAGE', `Cannot use ${flag} ${JSON.stringify(text)}: expected a number of seconds`);
}

const DEFAULTS = { interval: 30_000, timeout: 30_000, startPeriod: 0, startInterval: 5000, retries: 3 } as const;

function parseHealth(options: LifeOptions): (config: ImageConfig['config']) => HealthCheck | undefined {
  const { healthCmd, healthcheck = true } = options;
  const given = {
    interval: healthTime('--health-interval', options.healthInterval),
    timeout: healthTime('--health-timeout', options.healthTimeout),
    startPeriod: healthTime('--health-start-period', options.healthStartPeriod),
    startInterval: healthTime('--health-start-interval', options.healthStartInterval),
  };
  const retries = options.healthRetries;
  if (retries !== undefined && !/^\d{1,6}$/.test(retries))
    throw new TsbuildError('TSB_USAGE', `Cannot use --health-retries ${JSON.stringify(retries)}: expected a number`);
  if (!healthcheck && (healthCmd !== undefined || Object.values(given).some((one) => one !== undefined)))
    throw new TsbuildError('TSB_USAGE', 'Cannot use --no-healthcheck with other options of the health check');
  return ({ Healthcheck, Shell }) => {
    const own = Healthcheck?.Test ?? [];
    const test = healthCmd === undefined ? own : ['CMD-SHELL', healthCmd];
    if (!healthcheck || test[0] === undefined || test[0] === 'NONE') return undefined;
    const words = test[0] === 'CMD-SHELL' ? [...(Shell ?? ['/bin/sh', '-c']), test.slice(1).join(' ')] : test.slice(1);
    if (words.length === 0) return undefined;
    // Images have nanoseconds; 0 is for the default.
    const image = (value: number | undefined): number | undefined =>
      value === undefined || value === 0 ? undefined : positive(Math.round(value / 1e6));
    return {
      test: words,
      interval: given.interval ?? image(Healthcheck?.Interval) ?? DEFAULTS.interval,
      timeout: given.timeout ?? image(Healthcheck?.Timeout) ?? DEFAULTS.timeout,
      startPeriod: given.startPeriod ?? image(Healthcheck?.StartPeriod) ?? DEFAULTS.startPeriod,
      startInterval: given.startInterval ?? image(Healthcheck?.StartInterval) ?? DEFAULTS.startInterval,
      retries: Number(retries ?? 0) || Healthcheck?.Retries || DEFAULTS.retries,
    };
  };
}

/** A time of the check. @returns ms; undefined where none is given, and for 0, which stands for the image's or the default */
function healthTime(flag: string, text: string | undefined): number | undefined {
  const ms = text === '0' ? 0 : named(flag, text, parseDuration);
  if (ms === 0 && /[1-9]/.test(text ?? ''))
    throw new TsbuildError('TSB_USAGE', `Cannot use ${flag} ${JSON.stringify(text)}: it is less than 1ms`);
  return ms || undefined;
}

/** At least a millisecond: what is shorter would be done all the time. */
function positive(ms: number): number {
  return Math.max(1, ms);
}

function readLabelFile(context: CliContext, file: string): readonly string[] {
  try {
    // In docker's form of env files, where a name alone has the empty value.
    return parseEnvFile(file, readFileSync(resolve(context.cwd, file)), undefined);
  } catch (error) {
    throw fromErrno(error, `Cannot read label file ${JSON.stringify(file)}`, 'TSB_USAGE');
  }
}
