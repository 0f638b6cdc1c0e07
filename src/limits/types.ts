/**
 * What a step, or a container, may use of the machine. Absent: no limit. The numbers are those of BuildKit's `LinuxResources`, so that a
 * graph can carry them.
 */
export interface ResourceLimits {
  /** Bytes of all its processes, with their files in memory and what the kernel keeps for them. */
  readonly memory?: number;
  /** Bytes of memory and swap together, -1 for any amount of swap. Absent: as much swap as memory, as docker has it. */
  readonly memorySwap?: number;
  /** Microseconds of CPU time in each period of so many microseconds (default 100,000). */
  readonly cpuQuota?: number;
  readonly cpuPeriod?: number;
  /** Weight against others that want the CPUs at the same time, from 2 to 262,144; 1,024 is that of a group without one. */
  readonly cpuShares?: number;
  /** Numbers of CPUs and memory nodes, as `0-3,8`. */
  readonly cpusetCpus?: string;
  readonly cpusetMems?: string;
  /** Processes and threads. */
  readonly processes?: number;
}

/** The parts of the kernel that limits are for, by their names in cgroups. */
export type Controller = 'memory' | 'cpu' | 'cpuset' | 'pids';

/** A group that holds limits of something that runs. */
export interface HeldGroup {
  readonly version: 1 | 2;
  readonly directory: string;
  readonly controllers: readonly Controller[];
}

/** Microseconds in which a quota is counted, docker's and the kernel's. */
export const CPU_PERIOD = 100_000;
