import { sanitizeLine } from '../../../util/index.ts';
import {
  type CheckResult,
  checkStatus,
  countedWarnings,
  formatCheckDetails,
  jsonFailure,
  jsonFinding,
  warningsOf,
} from './check.ts';
import { json, jsonSource } from './format.ts';

/** The report on one of several files: a heading with its name and the number of warnings, then what there is to say. */
export function formatCheckOfMany(result: CheckResult): string {
  const name = sanitizeLine(result.file.name, 4096);
  const said = result.error && warningsOf(result) === 0 ? [] : [countedWarnings(result)];
  const verdict = [...(result.error ? ['cannot be built'] : []), ...said].join(', ');
  const details = formatCheckDetails(result).replace(/^\n/, '');
  return `== ${name}: ${verdict}\n${details === '' ? '' : `\n${details}\n`}`;
}

/** The last line of a report on several files. */
export function formatCheckTotal(results: readonly CheckResult[]): string {
  const warnings = results.map(warningsOf);
  const total = warnings.reduce((sum, count) => sum + count, 0);
  const touched = warnings.filter((count) => count > 0).length;
  const failed = results.filter(({ error }) => error !== undefined).length;
  const parts = [total === 0 ? 'no warnings' : `${counted(total, 'warning')} in ${counted(touched, 'file')}`];
  if (failed > 0) parts.push(`${counted(failed, 'file')} cannot be built`);
  return `Checked ${counted(results.length, 'file')}: ${parts.join(', ')}.\n`;
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** The exit code for several files: 1 when there is one that gives 1 alone. */
export function checkStatusOfMany(results: readonly CheckResult[]): 0 | 1 {
  return results.some((result) => checkStatus(result) === 1) ? 1 : 0;
}

/**
 * The report on several files in the form of that on one: BuildKit's `frontend.lint` has a list of sources, and a `sourceIndex` in
 * every location, left out for the first. What cannot be built is in `buildErrors`, and the first of it in `buildError`.
 */
export function formatCheckManyJson(results: readonly CheckResult[]): string {
  const items = (advice: boolean): object[] =>
    results.flatMap(({ findings }, index) =>
      findings.filter((finding) => finding.advice === advice).map((finding) => jsonFinding(finding, index)),
    );
  const advice = items(true);
  const errors = results.flatMap(({ error }, index) => (error ? [jsonFailure(error, index)] : []));
  return json({
    warnings: items(false),
    sources: results.map(({ file }) => ({ filename: file.name, data: jsonSource(file), language: 'Dockerfile' })),
    ...(advice.length > 0 && { advice }),
    ...(errors.length > 0 && { buildError: errors[0], buildErrors: errors }),
  });
}
