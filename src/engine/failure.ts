import { SolveError } from '../solver/index.ts';
import {
  firstError,
  formatSourceExcerpt,
  isTsbuildError,
  type SourceFile,
  type SourceRange,
  TsbuildError,
} from '../util/index.ts';
import type { Mask } from '../secrets/index.ts';

/** A failed build with the place in the source that it is about. */
export class BuildFailure extends TsbuildError {
  /** The lines of the source, ready to print; may be empty. */
  readonly excerpt: string;
  /** A vertex failed, in contrast to the request or the Dockerfile being wrong. */
  readonly solving: boolean;

  /** @param mask for everything that is said */
  constructor(error: TsbuildError, file: SourceFile | undefined, ranges: readonly SourceRange[], mask?: Mask) {
    const show = (text: string): string => mask?.text(text) ?? text;
    super(error.code, show(error.message), {
      // Causes have words of their own, which nobody has masked: they stay where there is nothing to hide in any of them.
      ...(hidesNothing(error, show) ? { cause: error } : {}),
      ranges,
      ...(error.hint === undefined ? {} : { hint: show(error.hint) }),
    });
    this.name = 'BuildFailure';
    this.excerpt = file === undefined ? '' : show(formatSourceExcerpt(file, ranges));
    this.solving = error instanceof SolveError || error.code === 'TSB_DOCKERFILE';
  }
}

function hidesNothing(error: unknown, show: (text: string) => string): boolean {
  for (let at = error; at instanceof Error; at = at.cause)
    if ([at.message, at.stack ?? ''].some((text) => show(text) !== text)) return false;
  return true;
}

/**
 * The error with its place in the source.
 * @param rangesOf where a vertex comes from
 * @param mask hides secrets in what it says
 */
export function locateFailure(
  thrown: unknown,
  file: SourceFile | undefined,
  rangesOf: (vertex: string) => readonly SourceRange[],
  mask?: Mask,
): unknown {
  const error = firstError(thrown);
  if (!isTsbuildError(error) || error instanceof BuildFailure || error.code === 'TSB_CANCELED') return error;
  const ranges = error.ranges.length > 0 || !(error instanceof SolveError) ? error.ranges : rangesOf(error.vertex);
  return new BuildFailure(error, file, ranges, mask);
}
