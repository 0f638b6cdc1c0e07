import { cpus } from 'node:os';
import type { Command } from 'commander';
import { parseCpus, parseMemory, parseMemorySwap, type ResourceLimits } from '../../limits/index.ts';
import { type Ulimit, ULIMITS } from '../../sandbox/index.ts';
import { suggest, TsbuildError } from '../../util/index.ts';
import { named } from './named.ts';
import { collect } from './options.ts';

/** Options as commander gives them. */
export interface ResourceOptions {
  readonly memory?: string;
  readonly memorySwap?: string;
  readonly cpus?: string;
  readonly resource?: readonly string[];
  readonly cpuShares?: string;
  readonly cpuPeriod?: string;
  readonly cpuQuota?: string;
  readonly cpusetCpus?: string;
  readonly cpusetMems?: string;
}

/** Adds the limits of RUN steps, or of a container. @param whose as its help has it: `a RUN step` */
export function resourceOptions(command: Command, whose: string): Command {
  return command
    .option('-m, --memory <size>', `memory that ${whose} may have, e.g. 2g (default: no limit)`)
    .option('--memory-swap <size>', `memory and swap together, -1 for any amount (default: twice --memory)`)
    .option('--cpus <number>', `CPUs that ${whose} may keep busy, e.g. 1.5 (default: all)`);
}

/** Adds what docker has for containers beside these. */
export function cpuOptions(command: Command): Command {
  return command
    .option('-c, --cpu-shares <number>', 'its part of CPUs that are asked for by several, 1024 by default')
    .option('--cpu-period <microseconds>', 'length of the time that --cpu-quota is about (default: 100000)')
    .option('--cpu-quota <microseconds>', 'CPU time in each --cpu-period, as --cpus says it more simply')
    .option('--cpuset-cpus <list>', 'CPUs that it may run on, e.g. 0-2')
    .option('--cpuset-mems <list>', 'memory nodes that it may use');
}

/** BuildKit's form of the same, of commands that build. */
export function buildkitResourceOption(command: Command): Command {
  return command.option(
    '--resource <NAME=VALUE,…>',
    "the same and more, in BuildKit's form: memory, memory-swap, cpu-quota, cpu-period, cpu-shares, cpuset-cpus, cpuset-mems",
    collect,
  );
}

/** @param has limits that there are already @throws TsbuildError `TSB_USAGE` with the option */
export function parseResources(
  options: ResourceOptions,
  has: ResourceLimits = {},
): { readonly resources?: ResourceLimits } {
  const memory = named('--memory', options.memory, parseMemory);
  const quota = named('--cpus', options.cpus, (text) => parseCpus(text, cpus().length));
  const all: ResourceLimits = {
    ...has,
    ...(memory ? { memory } : {}),
    ...(quota ? { cpuQuota: quota } : {}),
    ...parsePairs(options.resource ?? [], memory),
    ...parseCpuOptions(options, quota),
  };
  const swap = named('--memory-swap', options.memorySwap, (text) => parseMemorySwap(text, all.memory));
  const resources = { ...all, ...(swap ? { memorySwap: swap } : {}) };
  return Object.keys(resources).length === 0 ? {} : { resources };
}

/** @param cpus what `--cpus` says already */
function parseCpuOptions(options: ResourceOptions, cpus: number | undefined): ResourceLimits {
  const { cpuShares, cpuPeriod, cpuQuota, cpusetCpus, cpusetMems } = options;
  if (cpus !== undefined && (cpuPeriod !== undefined || cpuQuota !== undefined))
    throw new TsbuildError('TSB_USAGE', 'Cannot use --cpus with --cpu-period or --cpu-quota: they say the same');
  const given = { 'cpu-shares': cpuShares, 'cpu-period': cpuPeriod, 'cpu-quota': cpuQuota };
  const all = Object.entries({ ...given, 'cpuset-cpus': cpusetCpus, 'cpuset-mems': cpusetMems });
  return Object.assign(
    {},
    ...all.map(([name, value]) => named(`--${name}`, value, (text) => RESOURCES[name]?.(text, undefined))),
  ) as ResourceLimits;
}

/** `--ulimit name=soft[:hard]`, in docker's spelling. @throws TsbuildError `TSB_USAGE` */
export function parseUlimit(text: string): Ulimit {
  const match = /^([a-z]+)=(-?\d+)(?::(-?\d+))?$/.exec(text);
  const [name, soft, hard] = [match?.[1] ?? '', Number(match?.[2]), Number(match?.[3] ?? match?.[2])];
  const bad = (why: string, hint?: string): TsbuildError =>
    new TsbuildError(
      'TSB_USAGE',
      `Cannot use --ulimit ${JSON.stringify(text)}: ${why}`,
      hint === undefined ? {} : { hint },
    );
  if (!match || !Number.isSafeInteger(soft) || !Number.isSafeInteger(hard) || soft < -1 || hard < -1)
    throw bad('expected NAME=SOFT[:HARD], for example nofile=1024:2048');
  if (!ULIMITS.includes(name)) {
    const near = suggest(name, ULIMITS);
    throw bad(
      'there is no such limit',
      near === undefined ? `the limits are ${ULIMITS.join(', ')}` : `did you mean ${near}?`,
    );
  }
  if (hard >= 0 && (soft < 0 || soft > hard)) throw bad('the soft limit is above the hard one');
  return { name, soft, hard };
}

type Parser = (text: string, memory: number | undefined) => ResourceLimits;

/** A number of the kernel's, within its bounds. */
function between(least: number, most: number, make: (value: number) => ResourceLimits): Parser {
  return (text) => {
    const value = /^\d{1,12}$/.test(text) ? Number(text) : Number.NaN;
    if (value === 0) return {};
    if (value >= least && value <= most) return make(value);
    throw new TsbuildError('TSB_USAGE', `Cannot use it: expected a number from ${least} to ${most}`);
  };
}

/** cpuset(7), "list format". */
function list(make: (value: string) => ResourceLimits): Parser {
  return (text) => {
    if (/^\d{1,4}(-\d{1,4})?(,\d{1,4}(-\d{1,4})?)*$/.test(text)) return make(text);
    throw new TsbuildError('TSB_USAGE', 'Cannot use it: expected numbers such as 0-2');
  };
}

const RESOURCES: Readonly<Record<string, Parser>> = {
  memory: (text) => ({ memory: parseMemory(text) }),
  'memory-swap': (text, memory) => ({ memorySwap: parseMemorySwap(text, memory) }),
  'cpu-quota': between(1000, 1e9, (cpuQuota) => ({ cpuQuota })),
  'cpu-period': between(1000, 1_000_000, (cpuPeriod) => ({ cpuPeriod })),
  'cpu-shares': between(2, 262_144, (cpuShares) => ({ cpuShares })),
  'cpuset-cpus': list((cpusetCpus) => ({ cpusetCpus })),
  'cpuset-mems': list((cpusetMems) => ({ cpusetMems })),
};

/** Lists have commas of their own: what has no `=` belongs to what was before it. Swap last, for it contains the memory. */
function parsePairs(values: readonly string[], memory: number | undefined): ResourceLimits {
  const pairs = values.flatMap((value) => value.split(/,(?=[a-z-]+=)/));
  const ordered = pairs.toSorted((a, b) => Number(a.startsWith('memory-swap=')) - Number(b.startsWith('memory-swap=')));
  let limits: ResourceLimits = {};
  for (const pair of ordered) {
    const [name, value] = [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)];
    const parse = pair.includes('=') && Object.hasOwn(RESOURCES, name) ? RESOURCES[name] : undefined;
    if (parse === undefined) {
      const near = suggest(name || pair, Object.keys(RESOURCES));
      throw new TsbuildError('TSB_USAGE', `Cannot use --resource ${JSON.stringify(pair)}: there is no such limit`, {
        hint: near === undefined ? `the limits are ${Object.keys(RESOURCES).join(', ')}` : `did you mean ${near}=?`,
      });
    }
    limits = { ...limits, ...named(`--resource ${name}=`, value, (text) => parse(text, limits.memory ?? memory)) };
  }
  return limits;
}

/**
 * `--pids-limit` as docker and podman have it: -1 and 0 are no limit.
 * @returns 0 for no limit
 * @throws TsbuildError `TSB_USAGE`
 */
export function parsePidsLimit(text: string): number {
  if (!/^(-1|\d{1,7})$/.test(text))
    throw new TsbuildError(
      'TSB_USAGE',
      `Cannot use --pids-limit ${JSON.stringify(text)}: expected a number of processes, or -1 for no limit`,
    );
  return Math.max(0, Number(text));
}
