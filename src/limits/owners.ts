import type { KernelFiles } from './kernel-files.ts';

/**
 * Groups outlive the process that made them, so their names say whose they are: its number, the pid namespace that this number is of, and
 * when it began, for numbers come again. `tsbuild-4026531836-4711-123456.9f3a-1`, and `.own` for the group of the process itself.
 */
const NAME = /^tsbuild-(\d+)-(\d+)-(\d+)(?:\.([0-9a-f]+(?:-\d+)?|own))?$/;

/** The name of what belongs to this process; what belongs to it adds `.` and a number. */
export function ownerName(files: KernelFiles, pid: number): string {
  return `tsbuild-${pidNamespace(files)}-${pid}-${startOf(files, pid) ?? 0}`;
}

/** Whether a group is one of a tsbuild's own processes. */
export function isOwnGroup(name: string): boolean {
  return NAME.exec(name)?.[4] === 'own';
}

/**
 * Whether the owner of a group is known to be dead. Processes of other pid namespaces cannot be seen from here, so that theirs are left
 * alone.
 */
export function isDead(files: KernelFiles, name: string): boolean {
  const match = NAME.exec(name);
  if (!match || match[1] !== pidNamespace(files)) return false;
  return startOf(files, Number(match[2])) !== match[3];
}

/** The process that a process is a child of; undefined when it cannot be seen. */
export function parentOf(files: KernelFiles, pid: number): number | undefined {
  const parent = statusFields(files, pid)?.[1];
  return parent === undefined ? undefined : Number(parent);
}

/** When it was started, in ticks after the machine; undefined when there is no such process. */
function startOf(files: KernelFiles, pid: number): string | undefined {
  return statusFields(files, pid)?.[19];
}

/** Fields of proc_pid_stat(5) from the third on. The second is a name, which may have anything in it. */
function statusFields(files: KernelFiles, pid: number): readonly string[] | undefined {
  const text = files.read(`/proc/${pid}/stat`);
  return text?.slice(text.lastIndexOf(')') + 2).split(' ');
}

function pidNamespace(files: KernelFiles): string {
  return /\d+/.exec(files.link('/proc/self/ns/pid') ?? '')?.[0] ?? '0';
}
