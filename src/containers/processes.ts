import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Ticks of a second in /proc: the same on every Linux that people use. */
const TICKS = 100;

/** A process of a container, as this machine sees it. */
export interface ContainerProcess {
  readonly pid: number;
  readonly parent: number;
  readonly uid: number;
  /** ms since the machine's start. */
  readonly started: number;
  /** ms of processor time. */
  readonly cpu: number;
  /** Bytes. */
  readonly memory: number;
  readonly threads: number;
  readonly read: number;
  readonly written: number;
  /** The command line, or the name in brackets. */
  readonly command: string;
}

/**
 * All processes of a container: those in the pid namespace of its first one, or in its mount namespace where it shares the other.
 * @param first pid of that
 */
export function processesOf(first: number, shared: boolean): readonly ContainerProcess[] {
  const kind = shared ? 'mnt' : 'pid';
  const namespace = namespaceOf(first, kind);
  if (namespace === undefined) return [];
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => namespaceOf(pid, kind) === namespace)
    .flatMap((pid) => readProcess(pid) ?? []);
}

function namespaceOf(pid: number, kind: 'pid' | 'mnt'): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/${kind}`);
  } catch {
    return undefined;
  }
}

function readProcess(pid: number): ContainerProcess | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const words = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const name = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'));
    const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
    const field = (key: string): number => Number(new RegExp(`^${key}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0);
    // Fields of proc_pid_stat(5), counted from the third.
    const ticks = (field3: number): number => (Number(words[field3 - 3]) * 1000) / TICKS;
    return {
      pid,
      parent: Number(words[1]),
      uid: field('Uid'),
      started: ticks(22),
      cpu: ticks(14) + ticks(15),
      memory: field('VmRSS') * 1024,
      threads: field('Threads'),
      ...readIo(pid),
      command: line === '' ? `[${name}]` : line,
    };
  } catch {
    // It ended meanwhile.
    return undefined;
  }
}

function readIo(pid: number): { readonly read: number; readonly written: number } {
  try {
    const text = readFileSync(`/proc/${pid}/io`, 'utf8');
    const field = (key: string): number => Number(new RegExp(`^${key}: (\\d+)`, 'm').exec(text)?.[1] ?? 0);
    return { read: field('read_bytes'), written: field('write_bytes') };
  } catch {
    return { read: 0, written: 0 };
  }
}
