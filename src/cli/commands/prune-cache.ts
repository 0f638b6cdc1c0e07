import { openSession, pruneSharedCache } from '../../engine/index.ts';
import type { Task } from '../../events/index.ts';
import { parseCacheTo } from '../../remote-cache/index.ts';
import { formatBytes, parseDuration, parseSize, TsbuildError } from '../../util/index.ts';
import { type CliContext, interruptible, print } from '../context.ts';
import { named } from '../options/named.ts';
import { parsePruneFilters } from '../options/prune-filters.ts';
import { sessionOptions } from '../session-options.ts';

interface PruneCacheOptions {
  readonly format: 'table' | 'json';
  readonly cache: readonly string[];
  readonly maxSize?: string;
  readonly keepStorage?: string;
  readonly keepDuration?: string;
  readonly filter?: readonly string[];
  readonly all?: boolean;
  readonly dryRun?: boolean;
  /** Those of the store. */
  readonly images?: boolean;
  readonly limits?: boolean;
  readonly minFree?: string;
}

/** @throws TsbuildError `TSB_USAGE` for options that only the store has: nobody must believe that they were heeded */
function requireSense({ images, limits, minFree, maxSize, keepStorage }: PruneCacheOptions): void {
  const flag = images ? '--images' : limits ? '--limits' : minFree === undefined ? undefined : '--min-free';
  if (flag !== undefined)
    throw new TsbuildError('TSB_USAGE', `Cannot use ${flag} with --cache: a shared cache has no such thing`, {
      hint: 'the store is pruned by a command of its own, without --cache',
    });
  if (maxSize !== undefined && keepStorage !== undefined)
    throw new TsbuildError(
      'TSB_USAGE',
      'Cannot use --max-size with --keep-storage: of a shared cache both say the same',
    );
}

/** `tsbuild prune --cache`: deletes what is old in a shared cache, or more than it may take. */
export async function pruneCaches(context: CliContext, options: PruneCacheOptions): Promise<number> {
  requireSense(options);
  const { filter, untilMs } = parsePruneFilters(options.filter ?? []);
  if (filter !== undefined)
    throw new TsbuildError('TSB_USAGE', 'Cannot use --filter with --cache, but for until=DURATION', {
      hint: 'records of a shared cache have no types and descriptions',
    });
  const keep = named('--keep-duration', options.keepDuration, parseDuration) ?? untilMs;
  const size =
    named('--max-size', options.maxSize, parseSize) ??
    named('--keep-storage', options.keepStorage, parseSize) ??
    (options.all ? 0 : undefined);
  if (keep === undefined && size === undefined)
    throw new TsbuildError('TSB_USAGE', 'Cannot prune a shared cache without knowing what may go', {
      hint: 'add --max-size SIZE, --keep-duration DURATION, or --all',
    });
  using interrupt = interruptible();
  const specs = options.cache.flatMap((text) => parseCacheTo(context.cwd, [asTarget(text)], context.env));
  await using session = openSession(sessionOptions(context, interrupt.signal));
  const task: Task = { signal: interrupt.signal, events: () => undefined };
  const rule = {
    ...(size === undefined ? {} : { maxBytes: size }),
    ...(keep === undefined ? {} : { before: context.now() - keep }),
    ...(options.dryRun ? { dryRun: true } : {}),
  };
  const reports = [];
  for (const [at, spec] of specs.entries()) {
    const pruned = await pruneSharedCache(session, task, spec, rule);
    reports.push({ cache: options.cache[at] ?? '', ...pruned });
    const deleted = `${options.dryRun ? 'Would delete' : 'Deleted'}:  ${pruned.deleted.length} objects`;
    // Of what is young nobody knows yet which record will name it.
    const isMore = rule.maxBytes !== undefined && pruned.bytes > rule.maxBytes;
    const left = `Left:  ${formatBytes(pruned.bytes)}${isMore ? ': what is younger than ten minutes stays' : ''}`;
    if (options.format !== 'json') await print(context, `${deleted}\n${left}\n`);
  }
  if (options.format === 'json') await print(context, `${JSON.stringify(reports, undefined, 2)}\n`);
  return 0;
}

/** `src=`, as caches are read, is as good as `dest=`. */
function asTarget(text: string): string {
  return text.replace(/(^|,)src=/, '$1dest=');
}
