import type { Digest } from '../util/digest.ts';

/** What became of a step. `unneeded`: nothing that was built depends on its result; `stopped`: the build ended before. */
export type StepOutcome = 'cached' | 'ran' | 'failed' | 'stopped' | 'unneeded';

/**
 * Why: `hit`, its result was in a cache; `changed`, something that it is or reads, see `differences`; `input`, only what it stands on, see
 * `cause`; `new`, the earlier build had no such step; `no-record`, there is no earlier build to compare with; `gone`, nothing
 * has changed, but the earlier result is not there any more; `no-cache`, somebody wanted it to run; `none`, there is no more to say.
 */
export type ReasonKind = 'hit' | 'changed' | 'input' | 'new' | 'no-record' | 'gone' | 'no-cache' | 'none';

/** Something that is not as it was when the step last ran. */
export interface Difference {
  /**
   * `file`: a path that it reads; `variable`: an ARG or ENV; `base`: an image; `command`: what RUN executes; `option`: a flag or a part of
   * the instruction; `source`: what a web address or git repository has; `device`: one of the machine.
   */
  readonly what: 'file' | 'variable' | 'base' | 'command' | 'option' | 'source' | 'device';
  /** The path, the name of the variable, the reference, … For a command what it is, in a word. */
  readonly name: string;
  /** `mode`, `owner`, `type` and `target` (of a symbolic link) are of files. */
  readonly change: 'added' | 'removed' | 'changed' | 'mode' | 'owner' | 'type' | 'target';
  /** As it was and as it is, shortened, where that may be shown: never the value of a secret. */
  readonly before?: string;
  readonly after?: string;
  /** For a file that is not of a build context: the step that made it, as people call it. */
  readonly of?: string;
  /** What is known is that it is one of so many files beneath `name`. */
  readonly oneOf?: number;
}

/** A cache of another machine that did not have a step. */
export interface AskedKey {
  /** The cache, as `--cache-from` names it. */
  readonly cache: string;
  readonly key: string;
}

/** Why a step ran, or what it was taken from. Texts have no secrets in them, and are as hostile as the Dockerfile. */
export interface StepReason {
  readonly outcome: StepOutcome;
  readonly kind: ReasonKind;
  /** One line for people, without the name of the step: `src/a.ts changed (sha256 ab12… -> cd34…), 2 more files`. */
  readonly text: string;
  /** The first ones, the one that counts before all. */
  readonly differences: readonly Difference[];
  /** How many there are besides. */
  readonly more: number;
  /** The step whose change is the reason: this one stands on it or copies from it, perhaps by way of others. */
  readonly cause?: Digest;
  /** For a hit in a cache of another machine: that cache. */
  readonly from?: string;
  /** For a step that ran: where it was looked for. */
  readonly asked: readonly AskedKey[];
}

/** Why a step ran or did not. One for each step, once the graph is solved or has failed; only where somebody asked for it. */
export interface ReasonEvent {
  readonly type: 'reason';
  readonly vertex: Digest;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly reason: StepReason;
}

/** Says of a build that nothing of it ran. Here, since a build that is remembered says it too, which loads next to nothing. */
export function allCachedText(steps: number): string {
  const all =
    steps === 1
      ? 'the one step came from the cache: nothing that it reads'
      : `all ${steps} steps came from the cache: nothing that they read`;
  return `${all} has changed\n`;
}
