/**
 * What steps may use of the machine: how limits are written (`parseMemory`, `parseCpus`), where the kernel holds them (`Limiter`) and what
 * is said where it does not.
 */
export type { GroupCounts } from './group.ts';
export { type KernelFiles, kernelFiles } from './kernel-files.ts';
export { sweepDeadGroups } from './ledger.ts';
export { type LimitedStep, Limiter, type LimiterOptions, unlimited, withStandIns } from './limiter.ts';
export { type LimitsReport, lookAtLimits } from './look.ts';
export { machineOutOfMemory, type OutOfMemory, outOfMemory, processOutOfMemory } from './out-of-memory.ts';
export { formatCpus, formatMemory, parseCpus, parseMemory, parseMemorySwap } from './parse.ts';
export { CPU_PERIOD, type Controller, type HeldGroup, type ResourceLimits } from './types.ts';
export { changeGroups } from './change-groups.ts';
