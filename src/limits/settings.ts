import { type Controller, CPU_PERIOD, type ResourceLimits } from './types.ts';

/** What is written to a file of a group. */
export interface Setting {
  readonly file: string;
  readonly value: string;
  /** The kernel may lack the file: accounting of swap can be turned off. */
  readonly optional?: boolean;
}

/** Controllers that it takes to hold limits. Processes are limited by other means as well, and alone no reason for a group. */
export function controllersFor(limits: ResourceLimits): readonly Controller[] {
  const { memory, cpuQuota, cpuShares, cpusetCpus, cpusetMems, processes } = limits;
  const wanted: Controller[] = [];
  if (memory) wanted.push('memory');
  if (cpuQuota || cpuShares) wanted.push('cpu');
  if (cpusetCpus || cpusetMems) wanted.push('cpuset');
  if (processes && wanted.length > 0) wanted.push('pids');
  return wanted;
}

/**
 * How a controller is told of limits.
 * @param parent reads a file of the group above: version 1 wants sets of CPUs to be whole
 */
export function settingsFor(
  controller: Controller,
  version: 1 | 2,
  limits: ResourceLimits,
  parent: (file: string) => string | undefined,
): readonly Setting[] {
  switch (controller) {
    case 'memory':
      return version === 1 ? memory1(limits) : memory2(limits);
    case 'cpu':
      return version === 1 ? cpu1(limits) : cpu2(limits);
    case 'cpuset':
      return (['cpus', 'mems'] as const).flatMap((kind): Setting[] => {
        const asked = kind === 'cpus' ? limits.cpusetCpus : limits.cpusetMems;
        const value = asked || (version === 1 ? parent(`cpuset.${kind}`)?.trim() : '');
        return value ? [{ file: `cpuset.${kind}`, value }] : [];
      });
    case 'pids':
      return [{ file: 'pids.max', value: String(limits.processes || 'max') }];
  }
}

/** The limit without swap first: that of both together may not be lower at any time. */
function memory1({ memory = 0, memorySwap = 0 }: ResourceLimits): readonly Setting[] {
  const both = memorySwap === 0 ? 2 * memory : memorySwap;
  return [
    { file: 'memory.limit_in_bytes', value: String(memory) },
    { file: 'memory.memsw.limit_in_bytes', value: String(both), optional: true },
  ];
}

function memory2({ memory = 0, memorySwap = 0 }: ResourceLimits): readonly Setting[] {
  const swap = memorySwap === 0 ? memory : Math.max(0, memorySwap - memory);
  return [
    { file: 'memory.max', value: String(memory) },
    { file: 'memory.swap.max', value: memorySwap < 0 ? 'max' : String(swap), optional: true },
  ];
}

function cpu1({ cpuQuota = 0, cpuPeriod = 0, cpuShares = 0 }: ResourceLimits): readonly Setting[] {
  return [
    ...(cpuPeriod > 0 ? [{ file: 'cpu.cfs_period_us', value: String(cpuPeriod) }] : []),
    ...(cpuQuota > 0 ? [{ file: 'cpu.cfs_quota_us', value: String(cpuQuota) }] : []),
    ...(cpuShares > 0 ? [{ file: 'cpu.shares', value: String(cpuShares) }] : []),
  ];
}

function cpu2({ cpuQuota = 0, cpuPeriod = 0, cpuShares = 0 }: ResourceLimits): readonly Setting[] {
  // From 2 to 262,144 onto 1 to 10,000, as OCI runtimes have it.
  const weight = 1 + Math.floor(((Math.min(Math.max(cpuShares, 2), 262_144) - 2) * 9999) / 262_142);
  return [
    ...(cpuQuota > 0 ? [{ file: 'cpu.max', value: `${cpuQuota} ${cpuPeriod > 0 ? cpuPeriod : CPU_PERIOD}` }] : []),
    ...(cpuShares > 0 ? [{ file: 'cpu.weight', value: String(weight) }] : []),
  ];
}
