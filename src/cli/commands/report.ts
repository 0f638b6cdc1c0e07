import { openSession } from '../../engine/index.ts';
import type { Task } from '../../events/index.ts';
import { type KeptBuild, keptBuilds, reportOf } from '../../report/index.ts';
import type { Store } from '../../store/index.ts';
import { formatBytes, sanitizeLine, TsbuildError } from '../../util/index.ts';
import { type CliContext, interruptible, print } from '../context.ts';
import { sessionOptions } from '../session-options.ts';
import { formatAge, formatTable } from '../lists/table.ts';
import type { ReportTarget } from '../building/report-targets.ts';
import { render } from '../building/write-reports.ts';
import { writeResult } from '../building/build-display.ts';

/** Options of `tsbuild report`. */
export interface ReportOptions {
  readonly format?: ReportTarget['format'];
  readonly output?: string;
  readonly list?: boolean;
}

/** `tsbuild report`: the page, or the facts, of the last build or of one before it. */
export async function reportCommand(
  context: CliContext,
  build: string | undefined,
  options: ReportOptions,
): Promise<number> {
  using interrupt = interruptible();
  const task: Task = { signal: interrupt.signal, events: () => undefined };
  await using session = openSession(sessionOptions(context, interrupt.signal));
  const { store } = session;
  if (options.list) {
    await list(context, store, options.format);
    return 0;
  }
  const target = targetOf(context, options);
  const { record } = find(store, build);
  const text = render(await reportOf(store, task, record), target.format);
  if (target.path === undefined) await print(context, text);
  else writeResult(context, target.path, text);
  const age = formatAge(context.now() - record.startedAt);
  context.stderr.write(
    `${sanitizeLine(record.about.title, 200)}, built ${age}. A build that only repeats one leaves no record\n`,
  );
  return 0;
}

/** @throws TsbuildError `TSB_USAGE` for a page on a terminal */
function targetOf({ stdout }: CliContext, { format, output }: ReportOptions): ReportTarget {
  if (output !== undefined && output !== '-')
    return { path: output, format: format ?? (/\.json$/i.test(output) ? 'json' : 'html') };
  if ((format ?? 'html') === 'html' && stdout.isTTY === true)
    throw new TsbuildError('TSB_USAGE', 'Cannot show a page on a terminal', {
      hint: 'write it to a file: tsbuild report -o build.html',
    });
  return { path: undefined, format: format ?? 'html' };
}

function find(store: Store, wanted: string | undefined): KeptBuild {
  const all = keptBuilds(store);
  // Not what an empty variable of a script makes of it.
  const found = all.find(({ stored }) => wanted === undefined || (wanted !== '' && stored.id.startsWith(wanted)));
  if (found !== undefined) return found;
  const what = wanted === undefined ? 'the last build' : JSON.stringify(wanted);
  throw new TsbuildError('TSB_NOT_FOUND', `Cannot report on ${what}: no such build is remembered`, {
    hint:
      all.length > 0
        ? '"tsbuild report --list" lists those that are'
        : 'builds are remembered in the store that they were made in ($TSBUILD_ROOT), until "tsbuild prune"',
  });
}

async function list(context: CliContext, store: Store, format: ReportOptions['format']): Promise<void> {
  const all = keptBuilds(store);
  if (format === 'json') {
    const builds = all.map(({ stored: { id }, record: { about, result, startedAt, ms } }) => ({
      id: shownId(id),
      title: about.title,
      result,
      startedAt,
      ms,
    }));
    await print(context, `${JSON.stringify(builds, undefined, 2)}\n`);
    return;
  }
  const { isTTY, columns } = context.stdout;
  const rows = all.map(({ stored, record }) => [
    shownId(stored.id),
    formatAge(context.now() - record.startedAt),
    record.result,
    `${(record.ms / 1000).toFixed(1)}s`,
    formatBytes(stored.bytes),
    sanitizeLine(record.about.title, 200),
  ]);
  const head = ['ID', 'STARTED', 'RESULT', 'TOOK', 'SIZE', 'BUILD'];
  await print(context, formatTable(head, rows, isTTY ? columns : undefined));
}

/** Without what its file ends in. */
function shownId(id: string): string {
  return id.replace(/\.json$/, '');
}
