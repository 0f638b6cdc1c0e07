import { treeRemover } from '../../engine/index.ts';
import { prune, type PruneReport, Store } from '../../store/index.ts';
import { formatBytes, parseDuration, parseSize, TsbuildError } from '../../util/index.ts';
import { type CliContext, interruptible, print } from '../context.ts';
import { sessionOptions } from '../session-options.ts';
import { usageTable } from '../usage-table.ts';
import { othersOf, sayWaiting } from '../waiting.ts';

interface PruneOptions {
  readonly format: 'table' | 'json';
  readonly all?: boolean;
  readonly images?: boolean;
  readonly keepStorage?: string;
  readonly filter?: readonly string[];
  readonly dryRun?: boolean;
}

/** ms: what was used in the last day stays, unless an option says what goes or how much stays. */
const KEEP_SINCE = 24 * 3600 * 1000;

/** `tsbuild prune`. It needs the store and a helper, and loads no more. */
export async function pruneCommand(context: CliContext, options: PruneOptions): Promise<number> {
  using interrupt = interruptible();
  const own = sessionOptions(context, interrupt.signal);
  const { root, now, onWarning } = own;
  using store = Store.open(root, {
    now,
    onWarning: (warning) => onWarning(warning.message),
    ...(options.dryRun ? {} : { makeRoom: true }),
  });
  const { until, keepStorageBytes } = {
    until: parseUntil(options.filter ?? []),
    keepStorageBytes: options.keepStorage === undefined ? undefined : parseSize(options.keepStorage),
  };
  const untilMs = until ?? (options.all || keepStorageBytes !== undefined ? undefined : KEEP_SINCE);
  if (options.images && !options.dryRun) for (const image of store.images.list()) store.images.remove(image.name);
  const isTable = options.format !== 'json';
  const report = await prune(store, {
    removeTrees: treeRemover(own),
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
  sayWhatStays(context, store, report);
  return 0;
}

/** What was not removed because of running builds, and which they are. */
function sayWhatStays(context: CliContext, store: Store, { inUseBytes, skipped }: PruneReport): void {
  const others = othersOf(context, store);
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
