import { CPU_PERIOD, type ResourceLimits } from '../../limits/index.ts';
import type { LinuxResources } from '../../llb/index.ts';
import type { Digest } from '../../util/index.ts';
import type { CompiledGraphs } from '../compiled.ts';
import type { BuildRequest } from '../request.ts';

/** What the graphs say of single steps, else what was asked for all of them. */
export function limitsOfSteps(
  { platforms }: Pick<CompiledGraphs, 'platforms'>,
  { resources = {} }: BuildRequest,
): (vertex: Digest) => ResourceLimits {
  const own = new Map<Digest, ResourceLimits>();
  for (const { digest, metadata } of platforms.flatMap(({ graph }) => graph.vertices))
    if (metadata.linuxResources !== undefined) own.set(digest, metadata.linuxResources);
  return (vertex) => own.get(vertex) ?? resources;
}

/** Limits as a graph carries them, where there are any. */
export function linuxResources(limits: ResourceLimits | undefined): LinuxResources | undefined {
  if (limits === undefined) return undefined;
  const { memory = 0, memorySwap = 0, cpuQuota = 0, cpuPeriod = cpuQuota === 0 ? 0 : CPU_PERIOD } = limits;
  const { cpuShares = 0, cpusetCpus = '', cpusetMems = '' } = limits;
  return { memory, memorySwap, cpuShares, cpuPeriod, cpuQuota, cpusetCpus, cpusetMems };
}
