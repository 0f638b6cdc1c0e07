import { createReadStream } from 'node:fs';
import { openSession } from '../../engine/index.ts';
import type { StepLog } from '../../store/index.ts';
import { formatBytes, sanitize, suggest, TsbuildError } from '../../util/index.ts';
import { type CliContext, interruptible, print } from '../context.ts';
import { Containers } from '../../containers/index.ts';
import { type ContainerLogOptions, containerLogs } from '../containers/container-logs.ts';
import { sessionOptions } from '../session-options.ts';
import { formatAge, formatTable } from '../lists/table.ts';

/** Options of `logs`. */
export interface LogsOptions extends ContainerLogOptions {
  readonly format: 'table' | 'json';
}

/**
 * `tsbuild logs [CONTAINER|STEP]`: lists what was kept of failed steps, or prints the log of a container, or the newest log of a step. A
 * container's name or id comes first: it names one thing, where a part of a step's name is looked for in all of them.
 * @param step a container, or an id of a step's log, the beginning of one, or a part of the step's name
 */
export async function logsCommand(
  context: CliContext,
  step: string | undefined,
  options: LogsOptions,
): Promise<number> {
  using interrupt = interruptible();
  await using session = openSession(sessionOptions(context, interrupt.signal));
  const containers = new Containers(session.store);
  const container = step === undefined ? undefined : containers.lookUp(step);
  if (container !== undefined)
    return await containerLogs(context, { container, containers, signal: interrupt.signal }, options);
  const logs = session.store.logs.list();
  requireContainer(step, options);
  if (step === undefined) await list(context, logs, options.format);
  else await show(context, find(logs, step));
  return 0;
}

/** @throws TsbuildError for options that only a container's log has */
function requireContainer(step: string | undefined, options: LogsOptions): void {
  const given = (['follow', 'tail', 'timestamps', 'since', 'until'] as const).find(
    (name) => options[name] !== undefined,
  );
  if (given === undefined) return;
  if (step === undefined) throw new TsbuildError('TSB_USAGE', `Cannot use --${given} without a container's name`);
  throw new TsbuildError('TSB_NOT_FOUND', `No such container: ${step}`, {
    hint: `--${given} is for containers, which "tsbuild ps -a" lists; logs of build steps are printed as a whole`,
  });
}

async function list(context: CliContext, logs: readonly StepLog[], format: 'table' | 'json'): Promise<void> {
  if (format === 'json') {
    await print(context, `${JSON.stringify(logs, undefined, 2)}\n`);
    return;
  }
  const { isTTY, columns } = context.stdout;
  const rows = logs.map(({ id, step, bytes, failedAt }) => [
    id,
    formatAge(context.now() - failedAt),
    formatBytes(bytes),
    step,
  ]);
  await print(context, formatTable(['ID', 'FAILED', 'SIZE', 'STEP'], rows, isTTY ? columns : undefined));
}

function find(logs: readonly StepLog[], wanted: string): StepLog {
  // Nothing is a part of every name; a script whose variable is empty means none of them.
  const found =
    wanted === ''
      ? undefined
      : (logs.find(({ id }) => id.startsWith(wanted)) ?? logs.find(({ step }) => step.includes(wanted)));
  if (found !== undefined) return found;
  const near = suggest(
    wanted,
    logs.map(({ step }) => step),
  );
  throw new TsbuildError(
    'TSB_NOT_FOUND',
    `Cannot show the log of ${JSON.stringify(wanted)}: no container has that name, and no step that failed`,
    {
      hint:
        near === undefined
          ? '"tsbuild ps -a" lists containers, "tsbuild logs" the logs of the last steps that failed'
          : `did you mean ${JSON.stringify(near)}?`,
    },
  );
}

/** As the step printed it, but for a terminal, which it must not control. */
async function show(context: CliContext, { path }: StepLog): Promise<void> {
  if (context.stdout.isTTY !== true) {
    for await (const chunk of createReadStream(path)) await print(context, chunk as Uint8Array);
    return;
  }
  for await (const text of createReadStream(path, 'utf8'))
    await print(context, sanitize(String(text).replaceAll('\r\n', '\n'), { colors: true }));
}
