import { setTimeout as delay } from 'node:timers/promises';
import { errnoOf, fromErrno } from '../util/index.ts';
import type { KernelFiles } from './kernel-files.ts';
import type { Place } from './places.ts';
import { settingsFor } from './settings.ts';
import type { HeldGroup, ResourceLimits } from './types.ts';

/** ms between attempts to remove a group whose last process is still on its way out. */
const PATIENCE: readonly number[] = [1, 5, 20, 100, 500];

/** What the kernel has counted of a group. */
export interface GroupCounts {
  /** Processes that were ended because memory had run out. */
  readonly killed: number;
  /** Bytes: the most that the group had, with files in memory and the kernel's cache. Undefined where the kernel does not say. */
  readonly peakMemory?: number;
}

/** The group of one step: one directory in each tree that limits it. */
export class StepGroup {
  readonly directories: readonly string[];
  /** The same, with what each limits. */
  readonly held: readonly HeldGroup[];
  readonly #files: KernelFiles;
  /** Where memory is counted. */
  readonly #memory: { readonly version: 1 | 2; readonly directory: string } | undefined;

  /**
   * Makes groups in places, with limits.
   * @throws TsbuildError `TSB_SANDBOX` when the kernel refuses; nothing is left behind then
   */
  constructor(files: KernelFiles, places: readonly Place[], name: string, limits: ResourceLimits) {
    this.#files = files;
    const made: string[] = [];
    try {
      for (const { version, directory: parent, controllers } of places) {
        const directory = `${parent}/${name}`;
        files.makeGroup(directory);
        made.push(directory);
        for (const controller of controllers) {
          const above = (file: string): string | undefined => files.read(`${parent}/${file}`);
          for (const { file, value, optional } of settingsFor(controller, version, limits, above))
            this.#write(`${directory}/${file}`, value, optional ?? false);
          if (controller === 'memory') this.#memory = { version, directory };
        }
      }
    } catch (error) {
      for (const directory of made) removeNow(files, directory);
      throw fromErrno(error, 'Cannot limit the step', 'TSB_SANDBOX');
    }
    this.directories = made;
    this.held = places.map(({ version, controllers }, at) => ({ version, controllers, directory: made[at] ?? '' }));
  }

  /** What was counted, once the step has ended. */
  counts(): GroupCounts {
    if (this.#memory === undefined) return { killed: 0 };
    const { version, directory } = this.#memory;
    const read = (file: string): string => this.#files.read(`${directory}/${file}`) ?? '';
    const killed = /^oom_kill (\d+)$/m.exec(read(version === 1 ? 'memory.oom_control' : 'memory.events'))?.[1];
    const peak = read(version === 1 ? 'memory.max_usage_in_bytes' : 'memory.peak').trim();
    return { killed: Number(killed ?? 0), ...(/^\d+$/.test(peak) ? { peakMemory: Number(peak) } : {}) };
  }

  /** Whether somebody else has taken it away, and its processes out of it before. */
  isLost(): boolean {
    return this.directories.some((directory) => this.#files.read(`${directory}/cgroup.procs`) === undefined);
  }

  /** Takes the group away. What is left of it when that fails, the next command takes. */
  async remove(): Promise<void> {
    for (const directory of this.directories)
      for (const ms of PATIENCE) {
        if (removeNow(this.#files, directory)) break;
        await delay(ms);
      }
  }

  #write(path: string, value: string, optional: boolean): void {
    try {
      this.#files.write(path, value);
    } catch (error) {
      if (!optional) throw error;
    }
  }
}

/** Whether a group is gone now. */
export function removeNow(files: KernelFiles, directory: string): boolean {
  try {
    files.removeGroup(directory);
    return true;
  } catch (error) {
    return errnoOf(error) === 'ENOENT';
  }
}
