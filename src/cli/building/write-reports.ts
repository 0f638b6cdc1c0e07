import type { Task } from '../../events/index.ts';
import { type BuildRecord, renderJson, renderPage, type ReportFacts, reportOf } from '../../report/index.ts';
import type { Store } from '../../store/index.ts';
import { type CliContext, print } from '../context.ts';
import type { ReportTarget } from './report-targets.ts';
import { writeResult } from './build-display.ts';

/** A report in one of its forms. */
export function render(facts: ReportFacts, format: ReportTarget['format']): string {
  switch (format) {
    case 'html':
      return renderPage(facts);
    case 'json':
      return renderJson(facts);
  }
}

/** Writes the reports of a build. @throws TsbuildError `TSB_EXPORT` when one cannot be written */
export async function writeReports(
  context: CliContext,
  store: Store,
  task: Task,
  record: BuildRecord,
  targets: readonly ReportTarget[],
): Promise<void> {
  const facts = await reportOf(store, task, record);
  for (const { format, path } of targets) {
    const text = render(facts, format);
    if (path === undefined) await print(context, text);
    else writeResult(context, path, text);
  }
}
