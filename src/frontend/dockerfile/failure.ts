import { atPlace, type SourceRange, TsbuildError } from '../../util/index.ts';

/** Words from the Dockerfile are part of messages, and may be very long. */
const MAX_MESSAGE = 4096;

/** A Dockerfile mistake. The texts are BuildKit's, which scripts and people know. */
export function dockerfileError(message: string, ranges: readonly SourceRange[] = [], hint?: string): TsbuildError {
  const short = message.length > MAX_MESSAGE ? `${message.slice(0, MAX_MESSAGE)}…` : message;
  return new TsbuildError('TSB_DOCKERFILE', short, { ranges, ...(hint === undefined ? {} : { hint }) });
}

/** The same mistake, said to be at `line` of the Dockerfile. */
export function parseError(message: string, line: number, ranges: readonly SourceRange[], hint?: string): TsbuildError {
  return dockerfileError(`dockerfile parse error on line ${line}: ${message}`, ranges, hint);
}

/** Runs `action`; a Dockerfile mistake that it throws without a place is thrown again with `ranges`. */
export function placed<T>(ranges: readonly SourceRange[], action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw atPlace(error, ranges);
  }
}

/** One range for each line from `first` to `last`. */
export function lineRanges(file: string, first: number, last: number): SourceRange[] {
  const ranges: SourceRange[] = [];
  for (let line = first; line <= Math.max(first, last); line++) ranges.push({ file, startLine: line, endLine: line });
  return ranges;
}
