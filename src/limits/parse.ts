import { parseSize, TsbuildError } from '../util/index.ts';
import { CPU_PERIOD, type ResourceLimits } from './types.ts';

/** Docker's: with less, not even a shell starts. */
export const LEAST_MEMORY: number = 6 * 2 ** 20;
const LEAST_CPUS = 0.01;

/**
 * A limit of memory, in docker's units: `512m`, `2g`.
 * @returns bytes; 0 for no limit
 * @throws TsbuildError `TSB_USAGE`
 */
export function parseMemory(text: string): number {
  const bytes = parseSize(text);
  if (bytes > 0 && bytes < LEAST_MEMORY)
    throw new TsbuildError('TSB_USAGE', `Cannot use size ${JSON.stringify(text)}: the least memory is 6m`);
  return bytes;
}

/**
 * Memory and swap together.
 * @returns bytes; -1 for any amount of swap, 0 for as much swap as memory
 * @param memory bytes
 * @throws TsbuildError `TSB_USAGE`
 */
export function parseMemorySwap(text: string, memory: number | undefined): number {
  const bytes = text.trim() === '-1' ? -1 : parseSize(text);
  const bad = (why: string): TsbuildError =>
    new TsbuildError('TSB_USAGE', `Cannot use size ${JSON.stringify(text)}: ${why}`);
  if (bytes !== 0 && memory === undefined) throw bad('it takes a limit of memory as well, which it contains');
  if (bytes > 0 && memory !== undefined && bytes < memory) throw bad('it is less than the memory, which it contains');
  return bytes;
}

/**
 * A number of CPUs, with decimals, as docker takes it: `1.5`, `.5`.
 * @param most of the machine, where more than it has is a mistake
 * @returns microseconds of CPU time in each {@link CPU_PERIOD}; 0 for no limit
 * @throws TsbuildError `TSB_USAGE`
 */
export function parseCpus(text: string, most = 8192): number {
  const cpus = /^(?:\d{1,6}(?:\.\d{0,9})?|\.\d{1,9})$/.test(text) ? Number(text) : Number.NaN;
  if (cpus === 0) return 0;
  if (cpus >= LEAST_CPUS && cpus <= most) return Math.round(cpus * CPU_PERIOD);
  const why = Number.isNaN(cpus)
    ? 'expected a number such as 1.5'
    : cpus < LEAST_CPUS
      ? `the least is ${LEAST_CPUS}`
      : `there are only ${most}`;
  throw new TsbuildError('TSB_USAGE', `Cannot use ${JSON.stringify(text)} CPUs: ${why}`);
}

/** Bytes as flags have them: `64m`. */
export function formatMemory(bytes: number): string {
  const units = ['', 'k', 'm', 'g', 't'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && value % 1024 === 0 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${value}${units[unit] ?? ''}`;
}

/** CPUs as flags have them: `1.5`. */
export function formatCpus({ cpuQuota = 0, cpuPeriod = CPU_PERIOD }: ResourceLimits): string {
  return String(Math.round((cpuQuota / cpuPeriod) * 100) / 100);
}
