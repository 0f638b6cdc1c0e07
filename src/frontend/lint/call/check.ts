import {
  formatSourceExcerpt,
  sanitize,
  sanitizeLine,
  type SourceFile,
  type TsbuildError,
} from '../../../util/index.ts';
import type { Finding } from '../linter.ts';
import { json, jsonLocation, jsonSource } from './format.ts';

/** What `--call=check` found. */
export interface CheckResult {
  readonly file: SourceFile;
  readonly findings: readonly Finding[];
  /** What would have failed the build. */
  readonly error?: TsbuildError;
}

/** The exit code: 1 for any warning or error; advice alone is 0. */
export function checkStatus({ findings, error }: CheckResult): 0 | 1 {
  return error || findings.some((finding) => !finding.advice) ? 1 : 0;
}

/** The report for people: the number of warnings, each warning with its place, then advice, then the error if any. */
export function formatCheck(result: CheckResult): string {
  const head = result.error && warningsOf(result) === 0 ? '' : `Check complete, ${countedWarnings(result)}\n`;
  return head + formatCheckDetails(result);
}

/** What is behind the number of warnings in a report. */
export function formatCheckDetails({ file, findings, error }: CheckResult): string {
  const all = sorted(findings);
  const parts: string[] = [];
  for (const warning of all) if (!warning.advice) parts.push(formatFinding(file, warning, 'WARNING'));
  for (const advice of all) if (advice.advice) parts.push(formatFinding(file, advice, 'ADVICE'));
  if (error) {
    if (all.length > 0) parts.push('\n');
    parts.push(`${sanitize(error.message)}\n`, formatSourceExcerpt(file, error.ranges));
  }
  return parts.join('');
}

/** How many findings are warnings. */
export function warningsOf({ findings }: CheckResult): number {
  return findings.filter(({ advice }) => !advice).length;
}

/** The number of warnings in BuildKit's words. */
export function countedWarnings(result: CheckResult): string {
  const warnings = warningsOf(result);
  if (warnings === 0) return 'no warnings found.';
  return warnings === 1 ? '1 warning has been found!' : `${warnings} warnings have been found!`;
}

function formatFinding(file: SourceFile, finding: Finding, kind: string): string {
  const url = finding.url === undefined ? '' : ` - ${finding.url}`;
  const help = finding.help === undefined ? '' : `${finding.help}\n`;
  const excerpt = formatSourceExcerpt(file, finding.ranges);
  return `\n${kind}: ${finding.code}${url}\n${sanitizeLine(finding.message, 2000)}\n${help}${excerpt}`;
}

/** By first line, those without a place first and in the order of their names. */
function sorted(findings: readonly Finding[]): readonly Finding[] {
  const lineOf = (finding: Finding): number => finding.ranges[0]?.startLine ?? 0;
  return [...findings].sort((a, b) => {
    if (lineOf(a) !== lineOf(b)) return lineOf(a) - lineOf(b);
    return lineOf(a) === 0 && a.code !== b.code ? (a.code < b.code ? -1 : 1) : 0;
  });
}

/** The report as BuildKit's `frontend.lint` 1.0.0 JSON, with our advice in a key of its own. */
export function formatCheckJson({ file, findings, error }: CheckResult): string {
  const advice = findings.filter((finding) => finding.advice);
  return json({
    warnings: findings.filter((finding) => !finding.advice).map((finding) => jsonFinding(finding)),
    sources: [{ filename: file.name, data: jsonSource(file), language: 'Dockerfile' }],
    ...(advice.length > 0 && { advice: advice.map((finding) => jsonFinding(finding)) }),
    ...(error && { buildError: jsonFailure(error) }),
  });
}

/** One finding in the JSON report. @param source which of the report's sources it is in */
export function jsonFinding(finding: Finding, source = 0): object {
  return {
    ruleName: finding.code,
    description: finding.description,
    url: finding.url,
    detail: finding.message,
    location: jsonLocation(finding.ranges, source) ?? { ranges: [] },
  };
}

/** What would fail the build in the JSON report. @param source which of the report's sources it is in */
export function jsonFailure(error: TsbuildError, source = 0): object {
  const none = source === 0 ? { ranges: [] } : { sourceIndex: source, ranges: [] };
  return { message: error.message, location: jsonLocation(error.ranges, source) ?? none };
}
