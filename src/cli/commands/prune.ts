import { treeRemover } from '../../engine/index.ts';
import { isLimited, keepWithin, prune, type PruneReport, Store, type UsageRecord } from '../../store/index.ts';
import { formatBytes, parseDuration, parseSize, TsbuildError } from '../../util/index.ts';
import { type CliContext, interruptible, print } from '../context.ts';
import { named } from '../options/named.ts';
import { parsePruneFilters } from '../options/prune-filters.ts';
import { sessionOptions } from '../session-options.ts';
import { configPath, storeLimits } from '../options/store-limits.ts';
import { usageTable } from '../lists/usage-table.ts';
import { othersOf, sayWaiting } from '../waiting.ts';

interface PruneOptions {
  readonly format: 'table' | 'json';
  readonly all?: boolean;
  readonly images?: boolean;
  readonly keepStorage?: string;
  readonly maxSize?: string;
  readonly minFree?: string;
  readonly keepDuration?: string;
  readonly filter?: readonly string[];
  readonly limits?: boolean;
  readonly cache?: readonly string[];
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
  const { filter, untilMs: until } = parsePruneFilters(options.filter ?? []);
  const keep = named('--keep-duration', options.keepDuration, parseDuration) ?? until;
  const sizes = {
    ...sizeOf('keepStorageBytes', '--keep-storage', options.keepStorage),
    ...sizeOf('maxBytes', '--max-size', options.maxSize),
    ...sizeOf('minFreeBytes', '--min-free', options.minFree),
  };
  const isBounded = Object.keys(sizes).length > 0;
  const untilMs = keep ?? (options.all || isBounded ? undefined : KEEP_SINCE);
  const limits = options.limits ? await storeLimits(context, undefined) : undefined;
  if (limits && !isLimited(limits))
    throw new TsbuildError('TSB_USAGE', 'Cannot keep the store within its limits: the settings have none', {
      hint: `write '[store]' and 'max-size = "20GB"' to ${configPath(context)}`,
    });
  if (options.images && !options.dryRun) for (const image of store.images.list()) store.images.remove(image.name);
  const isTable = options.format !== 'json';
  const tools = {
    removeTrees: treeRemover(own),
    signal: interrupt.signal,
    onWait: sayWaiting(context),
    ...(options.dryRun ? { dryRun: true } : {}),
    onChosen: async (records: readonly UsageRecord[], bytes: number) => {
      if (!isTable) return;
      const table = records.length === 0 ? '' : usageTable(context, records);
      await print(context, `${table}${options.dryRun ? 'Would free' : 'To be freed'}:  ${formatBytes(bytes)}\n`);
    },
  };
  const reports =
    limits === undefined
      ? [
          await prune(store, {
            ...tools,
            ...sizes,
            ...(filter === undefined ? {} : { filter }),
            ...(options.all ? { all: true } : {}),
            ...(options.dryRun && options.images ? { withoutImages: true } : {}),
            ...(untilMs === undefined ? {} : { untilMs }),
          }),
        ]
      : await keepWithin(store, limits, tools);
  const report = summary(reports);
  if (!isTable) await print(context, `${JSON.stringify(report, undefined, 2)}\n`);
  else if (!options.dryRun) await print(context, `Freed:  ${formatBytes(report.freedBytes)}\n`);
  sayWhatStays(context, store, report);
  return 0;
}

function sizeOf<Name extends string>(
  name: Name,
  flag: string,
  text: string | undefined,
): Readonly<Partial<Record<Name, number>>> {
  const bytes = named(flag, text, parseSize);
  return (bytes === undefined ? {} : { [name]: bytes }) as Partial<Record<Name, number>>;
}

/** What was not removed because of running builds, and which they are. */
function sayWhatStays(context: CliContext, store: Store, { inUseBytes, skipped }: PruneReport): void {
  const others = othersOf(context, store);
  if (skipped !== undefined)
    context.stderr.write(`warning: Nothing was removed: ${skipped}${others === '' ? '' : `: ${others}`}\n`);
  else if (inUseBytes > 0 && others !== '')
    context.stderr.write(`Not freed:  ${formatBytes(inUseBytes)}, in use by ${others}\n`);
}

/** What several rules came to. */
function summary(reports: readonly PruneReport[]): PruneReport {
  const skipped = reports.find((report) => report.skipped !== undefined)?.skipped;
  return {
    removed: reports.flatMap(({ removed }) => removed),
    freedBytes: reports.reduce((sum, { freedBytes }) => sum + freedBytes, 0),
    inUseBytes: reports.at(-1)?.inUseBytes ?? 0,
    ...(skipped === undefined ? {} : { skipped }),
  };
}
