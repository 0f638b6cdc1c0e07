import type { AskedKey, Difference, StepOutcome, StepReason } from '../events/index.ts';
import type { Digest } from '../util/index.ts';

/** Something that a step's identity is made of. */
export interface Part {
  readonly what: Difference['what'];
  readonly name: string;
  /** Tells values apart and does not show them: a digest with the salt of the store. `''` for one that other machines may not know. */
  readonly id: string;
  /** The value, shortened, where it may be shown. */
  readonly shown?: string;
}

/** One input of a step. */
export interface StepInput {
  /** Position in the account of the step that makes it. */
  readonly step: number;
  /** Content key of what the step reads of it, where that stands for it. */
  readonly content?: Digest;
  /** Id of the list of what was read. */
  readonly listing?: string;
}

/** What kind of step it is; `local` is a directory of the machine. */
export type StepKind = 'image' | 'local' | 'http' | 'git' | 'run' | 'files' | 'other';

/** What is known of a step, to be compared with that of another build. */
export interface Step {
  readonly vertex: Digest;
  /** As shown. */
  readonly name: string;
  readonly kind: StepKind;
  /** `Dockerfile:7`, where it has a place. */
  readonly place?: string;
  readonly outcome: StepOutcome;
  /** How long it ran, in milliseconds. */
  readonly ms?: number;
  /** Somebody wanted it to run whatever is cached. */
  readonly isForced?: boolean;
  /** The cache that it was taken from, but for that of the store. */
  readonly from?: string;
  /** Where it was looked for. */
  readonly asked: readonly AskedKey[];
  /** Nodes of the key graph under which its result stands; none where it has no result. */
  readonly nodes: readonly string[];
  readonly parts: readonly Part[];
  readonly inputs: readonly StepInput[];
}

/** A step with what was found out about it. */
export interface ExplainedStep extends Step {
  readonly reason: StepReason;
}

/** What was built. */
export interface Lineage {
  /** The directory or address; `-` for an archive from standard input. */
  readonly context: string;
  readonly dockerfile: string;
  readonly target: string;
  readonly platforms: readonly string[];
}

/** A build with its steps, inputs before what reads them. */
export interface Account {
  readonly lineage: Lineage;
  /** Milliseconds since the epoch, when it began. */
  readonly at: number;
  readonly failed: boolean;
  /** What it has in common with other Dockerfiles, see `fingerprint`. */
  readonly prints: readonly string[];
  readonly steps: readonly Step[];
}

/** An account with reasons. */
export interface Explanation extends Account {
  readonly steps: readonly ExplainedStep[];
  /** The build that it was compared with: when it began, in ms since the epoch, and its context. Absent: there was none. */
  readonly comparedWith?: { readonly at: number; readonly context: string };
}
