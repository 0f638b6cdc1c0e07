import { SolveError } from '../solver/index.ts';
import {
  firstError,
  formatSourceExcerpt,
  isTsbuildError,
  type SourceFile,
  type SourceRange,
  TsbuildError,
} from '../util/index.ts';

/** A failed build with the place in the source that it is about. */
export class BuildFailure extends TsbuildError {
  /** The lines of the source, ready to print; may be empty. */
  readonly excerpt: string;
  /** A vertex failed, in contrast to the request or the Dockerfile being wrong. */
  readonly solving: boolean;

  constructor(error: TsbuildError, file: SourceFile | undefined, ranges: readonly SourceRange[]) {
    super(error.code, error.message, {
      cause: error,
      ranges,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
    });
    this.name = 'BuildFailure';
    this.excerpt = file === undefined ? '' : formatSourceExcerpt(file, ranges);
    this.solving = error instanceof SolveError || error.code === 'TSB_DOCKERFILE';
  }
}

/**
 * The error with its place in the source.
 * @param rangesOf where a vertex comes from
 */
export function locateFailure(
  thrown: unknown,
  file: SourceFile | undefined,
  rangesOf: (vertex: string) => readonly SourceRange[],
): unknown {
  const error = firstError(thrown);
  if (!isTsbuildError(error) || error instanceof BuildFailure || error.code === 'TSB_CANCELED') return error;
  const ranges = error.ranges.length > 0 || !(error instanceof SolveError) ? error.ranges : rangesOf(error.vertex);
  return new BuildFailure(error, file, ranges);
}
