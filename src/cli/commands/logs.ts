import { createReadStream } from 'node:fs';
import { openSession } from '../../engine/index.ts';
import type { StepLog } from '../../store/index.ts';
import { formatBytes, sanitize, suggest, TsbuildError } from '../../util/index.ts';
import { type CliContext, interruptible, print } from '../context.ts';
import { sessionOptions } from '../session-options.ts';
import { formatAge, formatTable } from '../table.ts';

/**
 * `tsbuild logs [STEP]`: lists what was kept of failed steps, or prints the newest log of one.
 * @param step an id, the beginning of one, or a part of the step's name
 */
export async function logsCommand(
  context: CliContext,
  step: string | undefined,
  options: { readonly format: 'table' | 'json' },
): Promise<number> {
  using interrupt = interruptible();
  await using session = openSession(sessionOptions(context, interrupt.signal));
  const logs = session.store.logs.list();
  if (step === undefined) await list(context, logs, options.format);
  else await show(context, find(logs, step));
  return 0;
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
  const found =
    logs.find(({ id }) => id === wanted || id.startsWith(wanted)) ?? logs.find(({ step }) => step.includes(wanted));
  if (found !== undefined) return found;
  const near = suggest(
    wanted,
    logs.map(({ step }) => step),
  );
  throw new TsbuildError('TSB_NOT_FOUND', `Cannot show the log of ${JSON.stringify(wanted)}: none was kept`, {
    hint:
      near === undefined
        ? '"tsbuild logs" lists the logs that there are: those of the last steps that failed'
        : `did you mean ${JSON.stringify(near)}?`,
  });
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
