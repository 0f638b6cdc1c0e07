import { openSession, treeRemover } from '../../engine/index.ts';
import { check, du, overhead, type UsageRecord } from '../../store/index.ts';
import { formatBytes } from '../../util/index.ts';
import { type CliContext, interruptible, print } from '../context.ts';
import { sessionOptions } from '../session-options.ts';
import { sayWaiting } from '../waiting.ts';
import { usageTable } from '../lists/usage-table.ts';

interface FormatOptions {
  readonly format: 'table' | 'json';
}

/** `tsbuild du` */
export async function duCommand(context: CliContext, options: FormatOptions): Promise<number> {
  using interrupt = interruptible();
  await using session = openSession(sessionOptions(context, interrupt.signal));
  const known = du(session.store);
  const more = await overhead(session.store, async (paths) =>
    (await session.measure(paths, interrupt.signal)).map(({ bytes }) => bytes),
  );
  const sizeOf = (records: readonly UsageRecord[]): number => records.reduce((total, { size }) => total + size, 0);
  const report = {
    records: [...known.records, ...more],
    totalBytes: known.totalBytes + sizeOf(more),
    reclaimableBytes: known.reclaimableBytes + sizeOf(more.filter(({ inUse }) => !inUse)),
  };
  if (options.format === 'json') {
    await print(context, `${JSON.stringify(report, undefined, 2)}\n`);
    return 0;
  }
  const table = usageTable(context, report.records);
  await print(
    context,
    `${table}Reclaimable:  ${formatBytes(report.reclaimableBytes)}\nTotal:        ${formatBytes(report.totalBytes)}\n`,
  );
  return 0;
}

interface CheckOptions extends FormatOptions {
  readonly repair?: boolean;
}

/** `tsbuild store check`: 0 when the store is sound (or was repaired), 1 when something is damaged. */
export async function checkCommand(context: CliContext, options: CheckOptions): Promise<number> {
  using interrupt = interruptible();
  await using session = openSession({
    ...sessionOptions(context, interrupt.signal),
    ...(options.repair ? { makeRoom: true } : {}),
  });
  const report = await check(session.store, {
    signal: interrupt.signal,
    onWait: sayWaiting(context),
    ...(options.repair ? { repair: true } : {}),
    removeTrees: treeRemover(session.options),
    measure: async (paths) => (await session.measure(paths, interrupt.signal)).map(({ stamp }) => stamp),
  });
  const damaged = report.problems.filter((problem) => !problem.harmless && !problem.repaired);
  if (options.format === 'json') {
    await print(context, `${JSON.stringify(report, undefined, 2)}\n`);
    return damaged.length > 0 ? 1 : 0;
  }
  for (const problem of report.problems) {
    const state = problem.repaired ? 'repaired' : problem.harmless ? 'harmless' : 'damaged';
    await print(context, `${state}: ${problem.message}\n`);
  }
  const summary =
    damaged.length === 0
      ? 'The store is sound'
      : `${damaged.length} ${damaged.length === 1 ? 'thing is' : 'things are'} damaged; run "tsbuild store check --repair"`;
  await print(context, `${summary}: ${report.blobs} blobs, ${report.layers} layers, ${formatBytes(report.bytes)}.\n`);
  return damaged.length > 0 ? 1 : 0;
}
