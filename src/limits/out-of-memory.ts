import { formatBytes } from '../util/index.ts';
import type { KernelFiles } from './kernel-files.ts';
import { formatMemory } from './parse.ts';

/** That memory ran out, in words: behind what failed, and what to do. */
export interface OutOfMemory {
  readonly text: string;
  readonly hint: string;
}

/**
 * Where a process was refused memory by a limit of its own, which stands in for that of the whole.
 * @param limit bytes
 */
export function processOutOfMemory(limit: number): OutOfMemory {
  const { hint } = outOfMemory(limit, undefined, 'step');
  return { text: `out of memory (limit: ${formatMemory(limit)} for each process)`, hint };
}

/**
 * @param limit bytes
 * @param files bytes of files that the step had in memory when it ended
 * @param owner what sets another limit
 */
export function outOfMemory(limit: number, files: number | undefined, owner: 'step' | 'container'): OutOfMemory {
  const more =
    owner === 'step'
      ? '--memory SIZE sets another limit, or for this step a comment above it: # tsbuild: memory=2g'
      : '--memory SIZE sets another limit';
  // A tmpfs keeps what it has when the process that wrote it is ended, so that the next one is ended, too.
  const inFiles =
    files !== undefined && files > limit / 2
      ? `${formatBytes(files)} of it were files in memory (tmpfs mounts, /dev/shm); `
      : '';
  return { text: `out of memory (limit: ${formatMemory(limit)})`, hint: inFiles + more };
}

/** Where nothing was limited, and the machine, or the container around this process, had no more. */
export const machineOutOfMemory: OutOfMemory = {
  text: 'out of memory: the machine, or the container around tsbuild, had no more',
  hint: 'give it more memory, or run fewer steps at a time with --jobs',
};

/** Looks whether the kernel ends processes for want of memory, anywhere on the machine: there is one counter for all. */
export class MemoryWatch {
  readonly #files: KernelFiles;
  readonly #before: number;

  constructor(files: KernelFiles) {
    this.#files = files;
    this.#before = this.#count();
  }

  /** Since this was made. */
  hasKilled(): boolean {
    return this.#count() > this.#before;
  }

  /** proc_vmstat(5), since Linux 4.13. */
  #count(): number {
    return Number(/^oom_kill (\d+)$/m.exec(this.#files.read('/proc/vmstat') ?? '')?.[1] ?? 0);
  }
}
