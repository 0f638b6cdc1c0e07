import { fromErrno } from '../util/index.ts';
import type { KernelFiles } from './kernel-files.ts';
import { controllersFor, type Setting, settingsFor } from './settings.ts';
import type { Controller, HeldGroup, ResourceLimits } from './types.ts';

/**
 * Changes the limits of something that runs.
 * @param groups that it has been in since its start: a process that has begun in none is not put into one
 * @param now what the groups hold @param next what they are to hold; all of it where something fails, or nothing
 * @returns controllers that none of the groups has, so that nothing was changed; empty when all is done
 * @throws TsbuildError `TSB_SANDBOX` when the kernel refuses
 */
export function changeGroups(
  files: KernelFiles,
  groups: readonly HeldGroup[],
  now: ResourceLimits,
  next: ResourceLimits,
): readonly Controller[] {
  const missing = controllersFor(next).filter((name) => !groups.some(({ controllers }) => controllers.includes(name)));
  if (missing.length > 0) return missing;
  try {
    write(files, groups, now, next);
    return [];
  } catch (error) {
    try {
      write(files, groups, next, now);
    } catch {
      // The kernel has said why already.
    }
    throw fromErrno(error, 'Cannot change the limits', 'TSB_SANDBOX', {
      hints: { EBUSY: 'it uses more memory than that now, which the kernel cannot take from it' },
    });
  }
}

function write(files: KernelFiles, groups: readonly HeldGroup[], now: ResourceLimits, next: ResourceLimits): void {
  for (const { version, directory, controllers } of groups)
    for (const controller of controllers) {
      const above = (file: string): string | undefined => files.read(`${directory}/../${file}`);
      const settings = settingsFor(controller, version, next, above);
      // Memory alone may not be more than with swap at any time (memory_cgroup, version 1): what grows grows from the other end.
      const grows = controller === 'memory' && (next.memory ?? 0) > (now.memory ?? 0);
      for (const setting of grows ? settings.toReversed() : settings) writeOne(files, directory, setting);
    }
}

function writeOne(files: KernelFiles, directory: string, { file, value, optional }: Setting): void {
  try {
    files.write(`${directory}/${file}`, value);
  } catch (error) {
    if (!optional || files.read(`${directory}/${file}`) !== undefined) throw error;
  }
}
