import type { StepUsage } from '../events/index.ts';
import { formatBytes } from '../util/index.ts';
import type { StepView } from './trace.ts';

/** Steps that the summary has lines for: of more, those that took the most CPU time. */
const MOST_LINES = 10;

/** Milliseconds of CPU time, in programs and in the kernel. */
export function cpuTime({ userMs, systemMs }: StepUsage): number {
  return userMs + systemMs;
}

/**
 * What RUN steps used, at the end of a log: one line for each, behind the number that it has there.
 * @param steps in the order of their numbers
 */
export function usageLines(steps: readonly { readonly number: number; readonly step: StepView }[]): string {
  const used = steps.flatMap(({ number, step: { usage } }) => (usage === undefined ? [] : [{ number, usage }]));
  if (used.length === 0) return '';
  const heaviest = new Set(used.toSorted((a, b) => cpuTime(b.usage) - cpuTime(a.usage)).slice(0, MOST_LINES));
  const lines = used.filter((one) => heaviest.has(one)).map(({ number, usage }) => `#${number} ${usageText(usage)}\n`);
  return `\n${lines.join('')}`;
}

function usageText(usage: StepUsage): string {
  const { peakMemory, readBytes, writtenBytes } = usage;
  const parts = [
    `${(cpuTime(usage) / 1000).toFixed(2)}s CPU`,
    `${formatBytes(peakMemory)} memory`,
    `${formatBytes(readBytes)} read`,
    `${formatBytes(writtenBytes)} written`,
  ];
  return `used ${parts.join(', ')}`;
}
