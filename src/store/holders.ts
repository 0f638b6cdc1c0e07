import fs from 'node:fs';
import { join } from 'node:path';
import { errnoOf } from '../util/index.ts';

/** A process that another one waits for. */
export interface Holder {
  readonly pid: number;
  /** Its command line, without Node's part of it. */
  readonly command: string;
  readonly cwd?: string;
  /** Since when, in milliseconds since the epoch, by the clock of the file system. */
  readonly since: number;
}

/**
 * Who holds a kernel lock on a file, as far as this process can see: not processes of another pid namespace. The kernel knows it at any
 * time, so that nobody has to write down what he is doing.
 */
export function holdersOf(path: string): readonly Holder[] {
  const stat = fs.lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return [];
  const pids = new Set<number>();
  for (const line of readOr('/proc/locks').split('\n')) {
    // `1: POSIX  ADVISORY  WRITE 31565 fe:00:2196769 0 EOF`; devices are not compared, for those of btrfs are others than in `stat`.
    const match = /^\d+: POSIX +\S+ +WRITE +(\d+) +\S+:(\d+) /.exec(line);
    if (match && Number(match[2]) === stat.ino && hasOpen(Number(match[1]), path)) pids.add(Number(match[1]));
  }
  return [...pids].filter((pid) => pid !== process.pid).map((pid) => describeProcess(pid, stat.ctimeMs));
}

/** Who else uses the store right now: whoever has a session in it. */
export function otherUsers(sessions: string): readonly Holder[] {
  return fs.readdirSync(sessions).flatMap((id) => holdersOf(join(sessions, id)));
}

/** One line for people, e.g. `process 12 (tsbuild build -t app ., in /src, for 3 s)`. */
export function formatHolder({ pid, command, cwd, since }: Holder, now: number): string {
  const facts = [
    command,
    ...(cwd === undefined ? [] : [`in ${cwd}`]),
    `for ${Math.max(0, Math.round((now - since) / 1000))} s`,
  ].filter((fact) => fact !== '');
  return `process ${pid} (${facts.join(', ')})`;
}

/** Inode numbers are unique within one file system only. Processes of other users do not show their files: they are believed. */
function hasOpen(pid: number, path: string): boolean {
  const dir = `/proc/${pid}/fd`;
  try {
    return fs.readdirSync(dir).some((fd) => readLink(join(dir, fd)) === path);
  } catch (error) {
    return errnoOf(error) === 'EACCES';
  }
}

function describeProcess(pid: number, since: number): Holder {
  const words = readOr(`/proc/${pid}/cmdline`).split('\0').slice(0, -1);
  const program = words.findIndex((word) => word.endsWith('/launch.cjs'));
  const shown = program < 0 ? words : ['tsbuild', ...words.slice(program + 1)];
  const cwd = readLink(`/proc/${pid}/cwd`);
  return {
    pid,
    command: shown.join(' ').slice(0, 300),
    ...(cwd === undefined ? {} : { cwd }),
    since,
  };
}

function readLink(path: string): string | undefined {
  try {
    return fs.readlinkSync(path);
  } catch {
    return undefined;
  }
}

function readOr(path: string): string {
  try {
    return fs.readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
