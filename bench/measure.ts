import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';

export interface Measure {
  /** Wall time in ms. */
  readonly wall: number;
  /** Largest resident set of any of its processes in kB; 0 without GNU time. */
  readonly peak: number;
}

/** Whether a command is on the PATH. */
export function has(command: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${command}`]).status === 0;
}

/** What an earlier command left to be written is written, and all files below a directory are in memory. */
export function settle(folder: string): void {
  spawnSync('sync');
  spawnSync('sh', ['-c', 'find "$0" -type f -exec cat {} + > /dev/null', folder]);
}

/**
 * Runs a command to its end in `work` and measures it.
 * @param until a file that it writes: the time is that until then
 * @throws Error when it fails
 */
export function measure(
  work: string,
  command: readonly string[],
  env: Record<string, string> = {},
  until?: string,
): Measure {
  const report = join(work, 'time.txt');
  const timed = has('/usr/bin/time');
  const [program = '', ...args] = timed ? ['/usr/bin/time', '-f', '%M', '-o', report, ...command] : command;
  if (until !== undefined) rmSync(until, { force: true });
  const began = Date.now();
  const start = performance.now();
  const done = spawnSync(program, args, { cwd: work, env: { ...process.env, ...env }, encoding: 'utf8' });
  const whole = performance.now() - start;
  if (done.status !== 0)
    throw new Error(`${command.join(' ')} ended with ${done.status ?? done.signal}\n${done.stdout}\n${done.stderr}`);
  const wall = until === undefined ? whole : statSync(until).mtimeMs - began;
  return { wall, peak: timed ? Number(readFileSync(report, 'utf8').trim().split('\n').at(-1)) : 0 };
}

/** The middle one. */
export function medianOf(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

/** The median time, with the largest peak. */
export function median(values: readonly Measure[]): Measure {
  const sorted = values.map(({ wall }) => wall).sort((a, b) => a - b);
  return {
    wall: sorted[Math.floor(sorted.length / 2)] ?? Number.NaN,
    peak: Math.max(...values.map(({ peak }) => peak)),
  };
}
