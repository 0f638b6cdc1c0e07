import { messageOf } from '../util/index.ts';
import { liftingLimits } from './explain.ts';
import { StepGroup, removeNow } from './group.ts';
import { readHierarchies } from './hierarchies.ts';
import type { KernelFiles } from './kernel-files.ts';
import { ownerName } from './owners.ts';
import { findPlaces, type Obstacle, type Place } from './places.ts';
import type { Controller } from './types.ts';

/** What of limits works on a machine. */
export interface LimitsReport {
  readonly state: 'ok' | 'warning';
  readonly text: string;
  /** What would lift the rest. */
  readonly fix?: string;
}

const ASKED: readonly Controller[] = ['memory', 'cpu', 'pids'];
/** Something that every machine has. */
const TRIAL = { memory: 64 * 2 ** 20, cpuQuota: 100_000, processes: 100 };

/**
 * Tries limits with a group that nothing is put into. Where this process would have to move for it, that it could is all that is found out.
 * @param pid of this process
 * @param isRoot whether it is root's
 */
export function lookAtLimits(files: KernelFiles, pid: number, isRoot: boolean): LimitsReport {
  const hierarchies = readHierarchies(files);
  const { places, missing } = findPlaces(files, hierarchies, ASKED, pid);
  const refused = tryGroup(
    files,
    places.filter(({ prepare }) => prepare === undefined),
    pid,
  );
  if (refused !== undefined)
    return {
      state: 'warning',
      text: `the kernel refuses cgroups: ${refused}`,
      fix: liftingLimits('none', undefined, isRoot),
    };
  const held = ASKED.filter((name) => !missing.has(name));
  const how = [...new Set(places.map(({ version }) => `cgroup v${version}`))].join(' and ');
  const works = held.length === 0 ? '' : `${held.map((name) => WORDS[name]).join(', ')} by ${how}`;
  // Processes are limited in another way where there is no group.
  const lacking = [...missing].filter(([name]) => name !== 'pids');
  if (lacking.length === 0) return { state: 'ok', text: works };
  const [, obstacle] = lacking[0] as readonly [Controller, Obstacle];
  const rest = lacking.map(([name]) => (name === 'memory' ? '--memory for each process only' : '--cpus not at all'));
  const version = hierarchies.some((one) => one.controllers.includes('memory'))
    ? 1
    : hierarchies.length > 0
      ? 2
      : undefined;
  return {
    state: 'warning',
    text: `${works === '' ? '' : `${works}; `}${rest.join(', ')}`,
    fix: liftingLimits(obstacle, version, isRoot),
  };
}

const WORDS: Readonly<Record<Controller, string>> = {
  memory: 'memory',
  cpu: 'CPUs',
  cpuset: 'sets of CPUs',
  pids: 'processes',
};

/** Why a group cannot be made after all. */
function tryGroup(files: KernelFiles, places: readonly Place[], pid: number): string | undefined {
  try {
    const group = new StepGroup(files, places, `${ownerName(files, pid)}.0`, TRIAL);
    for (const directory of group.directories) removeNow(files, directory);
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}
