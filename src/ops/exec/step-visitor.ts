import type { StepSpec } from '../../sandbox/index.ts';
import type { Digest, TsbuildError } from '../../util/index.ts';

/** A step in the sandbox in which it would run or has run. Paths in `spec` are there until the visit is over. */
export interface VisitedStep {
  readonly vertex: Digest;
  readonly name: string;
  readonly spec: StepSpec;
}

/** Somebody who looks into steps while a build goes on. What they do there is thrown away with the step. */
export interface StepVisitor {
  /** Whether a step is to be visited before it runs, and in its place. Absent: none is. */
  readonly wants?: (name: string) => boolean;
  /**
   * Looks into a step.
   * @param failure what it failed of, with the files as it left them; undefined before it runs
   */
  readonly visit: (step: VisitedStep, failure: TsbuildError | undefined) => Promise<void>;
}
