/** Memory of processes that a bench started, by what /proc says of them. */
import { readdirSync, readFileSync } from 'node:fs';

/** Where a kind of memory is told: the most that one process had alone, or what it has with its part of what it shares. */
const FILES = { VmHWM: 'status', Pss: 'smaps_rollup' } as const;

/** Processes of all users. */
export function processes(): readonly string[] {
  return readdirSync('/proc').filter((pid) => /^\d+$/.test(pid));
}

/** Memory of the processes with such a command line, in kB. @param before those that were there already, of others */
export function memoryOf(command: RegExp, kind: keyof typeof FILES, before: ReadonlySet<string>): number {
  return processes()
    .filter((pid) => !before.has(pid))
    .reduce((sum, pid) => {
      try {
        if (!command.test(readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' '))) return sum;
        const text = readFileSync(`/proc/${pid}/${FILES[kind]}`, 'utf8');
        return sum + Number(new RegExp(`^${kind}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 0);
      } catch {
        return sum;
      }
    }, 0);
}
