import { readFileSync } from 'node:fs';

/** Whether a process is there and is no zombie. It may end at any moment, also between two looks. */
export function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
}
