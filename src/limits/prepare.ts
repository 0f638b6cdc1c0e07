import { errnoOf, fromErrno } from '../util/index.ts';
import type { KernelFiles } from './kernel-files.ts';
import type { Place } from './places.ts';

/** Processes may begin while others are moved; those of one build are done in a few rounds. */
const ROUNDS = 20;

/**
 * Makes a group of version 2 hand its controllers down: its processes, which are ours, go into a group beneath it, for only a group without
 * processes may. They stay there: going back would take the limits from steps of others in this process.
 * @param home name for the group of this process
 * @throws TsbuildError `TSB_SANDBOX`
 */
export function handDown(files: KernelFiles, place: Place, home: string): void {
  const { directory, controllers, prepare } = place;
  if (prepare === undefined) return;
  const own = `${directory}/${home}`;
  try {
    if (prepare.move.length > 0) {
      make(files, own);
      let left = prepare.move;
      for (let round = 0; left.length > 0 && round < ROUNDS; round++) {
        for (const pid of left) move(files, own, pid);
        left = (files.read(`${directory}/cgroup.procs`) ?? '').split('\n').filter(Boolean).map(Number);
      }
    }
    files.write(`${directory}/cgroup.subtree_control`, controllers.map((name) => `+${name}`).join(' '));
  } catch (error) {
    throw fromErrno(error, 'Cannot prepare groups for limits', 'TSB_SANDBOX');
  }
}

function make(files: KernelFiles, directory: string): void {
  try {
    files.makeGroup(directory);
  } catch (error) {
    // By another session of this process.
    if (errnoOf(error) !== 'EEXIST') throw error;
  }
}

function move(files: KernelFiles, directory: string, pid: number): void {
  try {
    files.write(`${directory}/cgroup.procs`, String(pid));
  } catch (error) {
    // It has ended meanwhile.
    if (errnoOf(error) !== 'ESRCH') throw error;
  }
}
