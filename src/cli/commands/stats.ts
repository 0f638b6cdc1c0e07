import { readFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { type Container, type ContainerProcess, isLive, processesOf, sharesProcesses } from '../../containers/index.ts';
import { formatBytes } from '../../util/index.ts';
import { type CliContext, printForeign } from '../context.ts';
import { withContainers, type Work } from '../containers/each-container.ts';
import { formatList } from '../lists/format-list.ts';

/** Options of `stats`. */
export interface StatsOptions {
  readonly all?: boolean;
  readonly stream: boolean;
  /** `--no-trunc` */
  readonly trunc?: boolean;
  readonly format?: string;
}

/** ms between two looks, from which the processor's use follows. */
const SPAN = 1000;

/**
 * `tsbuild stats`: what /proc says of the containers' processes. Without a control group of their own memory is the sum of what each has
 * resident, where what they share counts for each; and nobody counts their network.
 */
export async function statsCommand(
  context: CliContext,
  names: readonly string[],
  options: StatsOptions,
): Promise<number> {
  return withContainers(context, async (work) => {
    const live = options.stream && context.stdout.isTTY === true;
    for (const name of names) work.containers.find(name);
    let before = await look(work, names, options.all ?? false);
    for (;;) {
      await delay(SPAN, undefined, { signal: work.signal }).catch(() => undefined);
      const after = await look(work, names, options.all ?? false);
      const rows = after.map((sample) =>
        rowOf(
          sample,
          before.find(({ container }) => container.id === sample.container.id),
          options.trunc ?? true,
        ),
      );
      const text = formatList(options.format, {
        columns: [
          ['CONTAINER ID', 'Container'],
          ['NAME', 'Name'],
          ['CPU %', 'CPUPerc'],
          ['MEM USAGE / LIMIT', 'MemUsage'],
          ['MEM %', 'MemPerc'],
          ['NET I/O', 'NetIO'],
          ['BLOCK I/O', 'BlockIO'],
          ['PIDS', 'PIDs'],
        ],
        rows,
        json: rows,
      });
      // The cursor home and everything below it gone: what was there is drawn over.
      if (live) context.stdout.write('\u001b[H\u001b[J');
      await printForeign(context, text);
      if (!live || work.signal.aborted) return 0;
      before = after;
    }
  });
}

interface Sample {
  readonly container: Container;
  readonly at: number;
  readonly processes: readonly ContainerProcess[];
}

async function look({ containers }: Work, names: readonly string[], all: boolean): Promise<readonly Sample[]> {
  const wanted = names.length > 0 ? names.flatMap((name) => containers.lookUp(name) ?? []) : containers.list();
  const samples: Sample[] = [];
  for (const container of wanted) {
    const state = await containers.state(container);
    if (!isLive(state) && !all && names.length === 0) continue;
    samples.push({
      container,
      at: Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]) * 1000,
      processes: state.pid === 0 ? [] : processesOf(state.pid, sharesProcesses(container.record)),
    });
  }
  return samples;
}

function rowOf(
  { container, at, processes }: Sample,
  before: Sample | undefined,
  trunc: boolean,
): Readonly<Record<string, string>> {
  const sum = (field: 'cpu' | 'memory' | 'read' | 'written' | 'threads', of = processes): number =>
    of.reduce((total, process) => total + process[field], 0);
  const span = before === undefined ? 0 : at - before.at;
  const cpu = before === undefined || span <= 0 ? 0 : Math.max(0, sum('cpu') - sum('cpu', before.processes)) / span;
  const memory = sum('memory');
  // More than the machine has nobody gets.
  const limit = Math.min(container.record.resources?.memory || Infinity, totalmem());
  return {
    Container: trunc ? container.id.slice(0, 12) : container.id,
    ID: container.id,
    Name: container.name,
    CPUPerc: `${(cpu * 100).toFixed(2)}%`,
    MemUsage: `${formatBytes(memory)} / ${formatBytes(limit)}`,
    MemPerc: `${((memory / limit) * 100).toFixed(2)}%`,
    NetIO: '--',
    BlockIO: `${formatBytes(sum('read'))} / ${formatBytes(sum('written'))}`,
    PIDs: String(sum('threads')),
  };
}
