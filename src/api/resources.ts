import { parseCpus, parseMemory, type ResourceLimits } from '../limits/index.ts';

/** Limits of a container or of each RUN step. */
export interface Resources {
  /** Bytes of memory. */
  readonly memory?: number;
  /** CPUs that may be kept busy, with decimals. */
  readonly cpus?: number;
}

/** As `--memory` and `--cpus`. @throws TsbuildError `TSB_USAGE` */
export function resourcesOf({ memory, cpus }: Resources): { readonly resources?: ResourceLimits } {
  if (memory === undefined && cpus === undefined) return {};
  return {
    resources: {
      ...(memory === undefined ? {} : { memory: parseMemory(String(memory)) }),
      ...(cpus === undefined ? {} : { cpuQuota: parseCpus(String(cpus)) }),
    },
  };
}
