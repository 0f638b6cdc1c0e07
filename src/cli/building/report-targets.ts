import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { TsbuildError } from '../../util/index.ts';
import type { BuildOptions } from './build-display.ts';
import type { CliContext } from '../context.ts';

/** Where a report goes. */
export interface ReportTarget {
  readonly format: 'html' | 'json';
  /** As typed; undefined for standard output. */
  readonly path: string | undefined;
}

/**
 * `--report`.
 * @param isTaken something else goes to standard output
 * @throws TsbuildError `TSB_USAGE`
 */
export function parseReportTargets(
  { cwd }: CliContext,
  { report = [], quiet = false }: BuildOptions,
  isTaken: boolean,
): readonly ReportTarget[] {
  const targets = report.map((text): ReportTarget => {
    if (text === 'json') return { format: 'json', path: undefined };
    const [, kind] = /\.(html?|json)$/i.exec(text) ?? [];
    if (kind === undefined)
      throw new TsbuildError('TSB_USAGE', `Cannot use --report ${JSON.stringify(text)}: the name says no form`, {
        hint: 'end it with .html or .json, or write --report=json for standard output',
      });
    if (!existsSync(dirname(resolve(cwd, text))))
      throw new TsbuildError(
        'TSB_USAGE',
        `Cannot write the report ${JSON.stringify(text)}: there is no such directory`,
        {
          hint: `mkdir -p ${dirname(text)}`,
        },
      );
    return { format: kind.toLowerCase() === 'json' ? 'json' : 'html', path: text };
  });
  const onStdout = targets.filter(({ path }) => path === undefined);
  if (onStdout.length > 0 && (isTaken || quiet || onStdout.length > 1))
    throw new TsbuildError('TSB_USAGE', 'Cannot use --report=json: something else goes to standard output', {
      hint: 'name a file: --report build.json',
    });
  return targets;
}
