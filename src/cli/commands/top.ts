import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { isLive, processesOf, sharesProcesses } from '../../containers/index.ts';
import { fromErrno, TsbuildError } from '../../util/index.ts';
import { type CliContext, printForeign } from '../context.ts';
import { withContainers } from '../containers/each-container.ts';
import { formatTable } from '../lists/table.ts';

/** `tsbuild top`: the processes of a container, with the numbers that the machine has for them. */
export async function topCommand(context: CliContext, name: string, options: readonly string[]): Promise<number> {
  return withContainers(context, async ({ containers }) => {
    const container = containers.find(name);
    const state = await containers.state(container);
    if (!isLive(state) || state.pid === 0)
      throw new TsbuildError('TSB_STEP', `Container ${container.name} is not running`);
    if (options.length > 0) {
      const pids = processesOf(state.pid, sharesProcesses(container.record)).map(({ pid }) => pid);
      await printForeign(context, psOf(new Set(pids), options));
      return 0;
    }
    const uptime = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]) * 1000;
    const rows = processesOf(state.pid, sharesProcesses(container.record)).map((process) => [
      String(process.uid),
      String(process.pid),
      String(process.parent),
      clock(uptime - process.started),
      clock(process.cpu),
      process.command,
    ]);
    await printForeign(context, formatTable(['UID', 'PID', 'PPID', 'ELAPSED', 'TIME', 'CMD'], rows));
    return 0;
  });
}

/**
 * What ps(1) of this machine says of processes, as docker has it.
 * @param options of ps
 * @throws TsbuildError `TSB_USAGE`
 */
function psOf(pids: ReadonlySet<number>, options: readonly string[]): string {
  const { error, status, stdout, stderr } = spawnSync('ps', options, { encoding: 'utf8', maxBuffer: 2 ** 28 });
  if (error) throw fromErrno(error, 'Cannot run ps of this machine, which knows these options', 'TSB_USAGE');
  if (status !== 0)
    throw new TsbuildError('TSB_USAGE', `Cannot use the options ${options.join(' ')} of ps: ${firstLine(stderr)}`);
  const [header = '', ...lines] = stdout.split('\n');
  const columns = words(header);
  const at = columns.indexOf('PID');
  if (at < 0)
    throw new TsbuildError('TSB_USAGE', 'Cannot tell processes apart: ps prints no column PID', { hint: 'add -o pid' });
  const rows = lines.map((line) => words(line, columns.length)).filter((row) => pids.has(Number(row[at])));
  return formatTable(columns, rows);
}

const firstLine = (text: string): string => text.split('\n').find((line) => line.trim() !== '') ?? 'it failed';

/** @param most how many there are; the last has the rest of the line */
function words(line: string, most = Infinity): readonly string[] {
  const all = line.trim().split(/\s+/);
  return all.length <= most ? all : [...all.slice(0, most - 1), all.slice(most - 1).join(' ')];
}

/** `1:02:03`. @param ms milliseconds */
function clock(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const two = (count: number): string => String(count % 60).padStart(2, '0');
  return `${Math.floor(seconds / 3600)}:${two(Math.floor(seconds / 60))}:${two(seconds)}`;
}
