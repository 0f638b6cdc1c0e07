import type { ReportStatus, Task } from '../../events/index.ts';
import { messageOf, messageWithHint, TsbuildError } from '../../util/index.ts';
import { withInternalVertex } from '../internal-vertex.ts';
import type { Session } from '../session.ts';

/** Something that is brought to a place of `--cache-to`. */
export interface CacheExportJob {
  /** What goes where, as a message names it: `cache to example.com/cache:main`. */
  readonly what: string;
  /** The same as progress shows it; `exporting` and `what` when absent. */
  readonly vertex?: string;
  readonly run: (status: ReportStatus, task: Task) => Promise<void>;
}

/**
 * Brings something to each place that was asked for, one after the other. One that fails is a warning, unless the user wants to know.
 * @param jobOf undefined for a place that takes nothing
 * @throws TsbuildError `TSB_EXPORT` of the first with `ignore-error=false` that failed, once all were tried; `TSB_CANCELED`; what `jobOf` throws
 */
export async function exportToEach<Spec extends { readonly ignoreError: boolean }>(
  { now }: Pick<Session, 'now'>,
  task: Task,
  specs: readonly Spec[],
  jobOf: (spec: Spec) => CacheExportJob | undefined,
): Promise<void> {
  let failure: TsbuildError | undefined;
  for (const spec of specs) {
    const job = jobOf(spec);
    if (job === undefined) continue;
    const { what, vertex = `exporting ${what}`, run } = job;
    try {
      await withInternalVertex(task, now, vertex, (_, status, inner) => run(status, inner));
    } catch (error) {
      task.signal.throwIfAborted();
      const doing = `Cannot export ${what}: `;
      if (!spec.ignoreError) failure ??= asFailure(doing + messageOf(error), error);
      else
        task.events({
          type: 'diagnostic',
          diagnostic: {
            code: 'CacheExport',
            severity: 'warning',
            message: doing + messageWithHint(error),
            ranges: [],
          },
          at: now(),
        });
    }
  }
  if (failure !== undefined) throw failure;
}

function asFailure(message: string, cause: unknown): TsbuildError {
  const hint = cause instanceof TsbuildError ? cause.hint : undefined;
  return new TsbuildError('TSB_EXPORT', message, { cause, ...(hint === undefined ? {} : { hint }) });
}
