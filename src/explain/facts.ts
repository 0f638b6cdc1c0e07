import type { StepOutcome, StepReason } from '../events/index.ts';
import type { Digest } from '../util/index.ts';
import type { Explanation, StepKind } from './account.ts';
import { hintsOf } from './costly.ts';

/** Why the steps of a build ran or did not, for programs: what `tsbuild explain --format=json` prints. */
export interface ExplanationFacts {
  /** The directory or address that was built; `-` for an archive from standard input. */
  readonly context: string;
  readonly dockerfile: string;
  /** `''` for the last stage. */
  readonly target: string;
  readonly platforms: readonly string[];
  /** When the build began, ISO 8601. */
  readonly startedAt: string;
  /** It failed: what comes after that was not looked at. */
  readonly failed: boolean;
  readonly comparedWith: { readonly startedAt: string; readonly context: string } | null;
  /** Inputs before what reads them. */
  readonly steps: readonly ExplainedFacts[];
  /** Changes that made many later steps run, the dearest first. */
  readonly hints: readonly HintFacts[];
}

/** One step of them. */
export interface ExplainedFacts {
  /** The digest of the step in the graph. */
  readonly vertex: Digest;
  readonly name: string;
  readonly type: StepKind;
  /** Such as `Dockerfile:7`. */
  readonly place: string | null;
  /** How long it ran. */
  readonly milliseconds: number | null;
  readonly outcome: StepOutcome;
  readonly reason: Omit<StepReason, 'cause' | 'from'> & { readonly cause: Digest | null; readonly from: string | null };
}

/** What to change in the Dockerfile, and the time that it would have saved. */
export interface HintFacts {
  /** The step where it began. */
  readonly vertex: Digest;
  readonly text: string;
  /** How many later steps ran for it, and how long they took. */
  readonly steps: number;
  readonly milliseconds: number;
}

/** An explanation for programs. */
export function explanationFacts(explanation: Explanation): ExplanationFacts {
  const { lineage, at, comparedWith, failed, steps } = explanation;
  return {
    ...lineage,
    startedAt: new Date(at).toISOString(),
    failed,
    comparedWith:
      comparedWith === undefined
        ? null
        : { startedAt: new Date(comparedWith.at).toISOString(), context: comparedWith.context },
    steps: steps
      .filter(({ kind, name }) => kind !== 'local' && name !== '')
      .map(({ vertex, name, kind, place, ms, outcome, reason }) => ({
        vertex,
        name,
        type: kind,
        place: place ?? null,
        milliseconds: ms ?? null,
        outcome,
        reason: { ...reason, cause: reason.cause ?? null, from: reason.from ?? null },
      })),
    hints: hintsOf(explanation).map(({ vertex, text, steps: count, ms }) => ({
      vertex,
      text,
      steps: count,
      milliseconds: ms,
    })),
  };
}
