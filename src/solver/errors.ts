import { type Digest, firstError, isTsbuildError, messageOf, TsbuildError } from '../util/index.ts';

/** A vertex failed. Message, code, hint and ranges are those of the cause. */
export class SolveError extends TsbuildError {
  readonly vertex: Digest;
  readonly vertexName: string;

  constructor(vertex: Digest, vertexName: string, thrown: unknown) {
    const cause = firstError(thrown);
    const known = isTsbuildError(cause) ? cause : undefined;
    super(known?.code ?? 'TSB_INTERNAL', messageOf(cause), {
      cause,
      ...(known?.hint === undefined ? {} : { hint: known.hint }),
      ...(known === undefined ? {} : { ranges: known.ranges }),
    });
    this.name = 'SolveError';
    this.vertex = vertex;
    this.vertexName = vertexName;
  }
}

/** What `solve` rejects with after its task was aborted. */
export function canceledError(reason: unknown): TsbuildError {
  if (isTsbuildError(reason)) return reason;
  return new TsbuildError('TSB_CANCELED', 'The build was canceled', { cause: reason });
}
