import { openSession, type Session, treeRemover } from '../../engine/index.ts';
import { check, du, overhead, prune, type PruneReport, type UsageRecord } from '../../store/index.ts';
import { formatBytes, parseDuration, parseSize, TsbuildError } from '../../util/index.ts';
import type { TreeUsage } from '../../worker/index.ts';
import { type CliContext, interruptible, print } from '../context.ts';
import { sessionOptions } from '../session-options.ts';
import { othersOf, sayWaiting } from '../waiting.ts';
import { formatAge, formatTable } from '../table.ts';

interface FormatOptions {
  readonly format: 'table' | 'json';
}

/** `tsbuild du` */
export async function duCommand(context: CliContext, options: FormatOptions): Promise<number> {
  using interrupt = interruptible();
  await using session = openSession(sessionOptions(context, interrupt.signal));
  const known = du(session.store);
  const more = await overhead(session.store, async (paths) =>
    (await usages(session, paths, interrupt.signal)).map(({ bytes }) => bytes),
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

/** Measures trees that may belong to sub-ids; the worker is started when there are any. */
async function usages(session: Session, paths: readonly string[], signal: AbortSignal): Promise<readonly TreeUsage[]> {
  return paths.length === 0 ? [] : (await session.worker()).call('usage', { paths }, { signal });
}

/** Records as lines. Only a terminal gets short ids and descriptions that end at its edge: what stands in a file must still be of use. */
function usageTable(context: CliContext, records: readonly UsageRecord[]): string {
  const { isTTY, columns } = context.stdout;
  const rows = records.map((record): readonly string[] => {
    const { id, type, size, usedAt, description } = record;
    const marks = `${record.shared ? '*' : ''}${record.inUse ? ' (in use)' : ''}`;
    const isHash = type !== 'image' && type !== 'exec.cachemount';
    return [
      isTTY && isHash ? id.slice(0, 20) : id,
      type,
      `${formatBytes(size)}${marks}`,
      formatAge(context.now() - usedAt),
      description,
    ];
  });
  return formatTable(['ID', 'TYPE', 'SIZE', 'LAST USED', 'DESCRIPTION'], rows, isTTY ? columns : undefined);
}

interface PruneOptions extends FormatOptions {
  readonly all?: boolean;
  readonly images?: boolean;
  readonly keepStorage?: string;
  readonly filter?: readonly string[];
  readonly dryRun?: boolean;
}

/** ms: what was used in the last day stays, unless an option says what goes or how much stays. */
const KEEP_SINCE = 24 * 3600 * 1000;

/** `tsbuild prune` */
export async function pruneCommand(context: CliContext, options: PruneOptions): Promise<number> {
  using interrupt = interruptible();
  await using session = openSession({
    ...sessionOptions(context, interrupt.signal),
    ...(options.dryRun ? {} : { makeRoom: true }),
  });
  const { until, keepStorageBytes } = {
    until: parseUntil(options.filter ?? []),
    keepStorageBytes: options.keepStorage === undefined ? undefined : parseSize(options.keepStorage),
  };
  const untilMs = until ?? (options.all || keepStorageBytes !== undefined ? undefined : KEEP_SINCE);
  if (options.images && !options.dryRun)
    for (const image of session.store.images.list()) session.store.images.remove(image.name);
  const isTable = options.format !== 'json';
  const report = await prune(session.store, {
    removeTrees: treeRemover(session.options),
    signal: interrupt.signal,
    onWait: sayWaiting(context),
    ...(options.all ? { all: true } : {}),
    ...(options.dryRun ? { dryRun: true, ...(options.images ? { withoutImages: true } : {}) } : {}),
    ...(keepStorageBytes === undefined ? {} : { keepStorageBytes }),
    ...(untilMs === undefined ? {} : { untilMs }),
    onChosen: async (records, bytes) => {
      if (!isTable) return;
      const table = records.length === 0 ? '' : usageTable(context, records);
      await print(context, `${table}${options.dryRun ? 'Would free' : 'To be freed'}:  ${formatBytes(bytes)}\n`);
    },
  });
  if (!isTable) await print(context, `${JSON.stringify(report, undefined, 2)}\n`);
  else if (!options.dryRun) await print(context, `Freed:  ${formatBytes(report.freedBytes)}\n`);
  sayWhatStays(context, session, report);
  return 0;
}

/** What was not removed because of running builds, and which they are. */
function sayWhatStays(context: CliContext, session: Session, { inUseBytes, skipped }: PruneReport): void {
  const others = othersOf(context, session.store);
  if (skipped !== undefined)
    context.stderr.write(`warning: Nothing was removed: ${skipped}${others === '' ? '' : `: ${others}`}\n`);
  else if (inUseBytes > 0 && others !== '')
    context.stderr.write(`Not freed:  ${formatBytes(inUseBytes)}, in use by ${others}\n`);
}

/** `--filter until=DURATION` in ms; the last one counts. */
function parseUntil(filters: readonly string[]): number | undefined {
  let untilMs: number | undefined;
  for (const filter of filters) {
    const match = /^until=(.+)$/.exec(filter);
    if (!match)
      throw new TsbuildError(
        'TSB_USAGE',
        `Cannot use --filter ${JSON.stringify(filter)}: only until=DURATION is known`,
        { hint: 'for example: --filter until=48h' },
      );
    untilMs = parseDuration(match[1] ?? '');
  }
  return untilMs;
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
    measure: async (paths) => (await usages(session, paths, interrupt.signal)).map(({ stamp }) => stamp),
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
