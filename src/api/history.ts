import { resolve } from 'node:path';
import { storedExplanation } from '../engine/index.ts';
import { explanationFacts, type ExplanationFacts } from '../explain/index.ts';
import { keptBuilds, renderPage, type ReportFacts, reportOf } from '../report/index.ts';
import { TsbuildError } from '../util/index.ts';
import { type CommonOptions, openCall } from './session.ts';

/** Options of `explain`. */
export interface ExplainOptions extends Pick<CommonOptions, 'root' | 'onWarning'> {
  /** The last build of this directory or address. Default: the last one of all. */
  readonly context?: string;
  /** The last one of this target stage. */
  readonly target?: string;
}

/**
 * Why the steps of the last build ran or did not. Builds nothing.
 * @throws TsbuildError `TSB_NOT_FOUND` when the store knows of no such build
 */
export async function explain(options: ExplainOptions = {}): Promise<ExplanationFacts> {
  const { context, target } = options;
  await using call = openCall(options);
  const found = storedExplanation(call.session.store, ({ lineage }) => {
    const isContext = context === undefined || [context, resolve(context)].includes(lineage.context);
    return isContext && (target === undefined || lineage.target === target);
  });
  if (found !== undefined) return explanationFacts(found);
  throw new TsbuildError('TSB_NOT_FOUND', 'Cannot explain: the store knows of no such build', {
    hint: 'builds are remembered in the store that they were made in, until "tsbuild prune"',
  });
}

/** Options of `report`. */
export interface ReportOptions extends Pick<CommonOptions, 'root' | 'signal' | 'onWarning'> {
  /** One of the last ten, by its id in `tsbuild report --list` or the beginning of that. Default: the last one. */
  readonly build?: string;
}

/**
 * What happened in the last build, or in one before it, also in one that failed.
 * @throws TsbuildError `TSB_NOT_FOUND` when the store knows of no such build
 */
export async function report(options: ReportOptions = {}): Promise<ReportFacts> {
  const { build } = options;
  await using call = openCall(options);
  const { store } = call.session;
  const found = keptBuilds(store).find(({ stored }) => build === undefined || stored.id.startsWith(build));
  if (found !== undefined) return await reportOf(store, call.task, found.record);
  const what = build === undefined ? 'the last build' : JSON.stringify(build);
  throw new TsbuildError('TSB_NOT_FOUND', `Cannot report on ${what}: no such build is remembered`, {
    hint: 'builds are remembered in the store that they were made in, until "tsbuild prune"',
  });
}

/** A report as one HTML page that loads nothing: what `tsbuild report` writes. */
export function reportPage(facts: ReportFacts): string {
  return renderPage(facts);
}
