import { readFileSync } from 'node:fs';
import { isLive, processesOf, sharesProcesses } from '../../containers/index.ts';
import { TsbuildError } from '../../util/index.ts';
import { type CliContext, printForeign } from '../context.ts';
import { withContainers } from '../containers/each-container.ts';
import { formatTable } from '../lists/table.ts';

/** `tsbuild top`: the processes of a container, with the numbers that the machine has for them. */
export async function topCommand(context: CliContext, name: string, options: readonly string[]): Promise<number> {
  if (options.length > 0)
    throw new TsbuildError('TSB_USAGE', 'Cannot give top options of ps: it does not call that', {
      hint: `ps itself, where the image has it: tsbuild exec ${name} ps ${options.join(' ')}`,
    });
  return withContainers(context, async ({ containers }) => {
    const container = containers.find(name);
    const state = await containers.state(container);
    if (!isLive(state) || state.pid === 0)
      throw new TsbuildError('TSB_STEP', `Container ${container.name} is not running`);
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

/** `1:02:03`. @param ms milliseconds */
function clock(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const two = (count: number): string => String(count % 60).padStart(2, '0');
  return `${Math.floor(seconds / 3600)}:${two(Math.floor(seconds / 60))}:${two(seconds)}`;
}
