import { type ErrorCode, firstError, TsbuildError } from '../util/index.ts';

/** How a list of refusals is said. */
interface Reason {
  readonly code: ErrorCode;
  /** Of one thing: `Cannot use WHAT: ` goes before it. */
  readonly why: string;
  /** Of several: their list follows. */
  readonly several: string;
  readonly hint: string;
}

/**
 * Collects what a build asked for and may not have, so that one failure names all of it and not the first thing alone: who is told one
 * missing image after the other comes back as many times.
 */
export class Refusals {
  readonly #reason: Reason;
  readonly #refused = new Map<TsbuildError, string>();

  constructor(reason: Reason) {
    this.#reason = reason;
  }

  /**
   * The error for one thing.
   * @param what as a list shows it: `image docker.io/library/debian:12`
   */
  refuse(what: string): TsbuildError {
    const { code, why, hint } = this.#reason;
    const error = new TsbuildError(code, `Cannot use ${what}: ${why}`, { hint });
    this.#refused.set(error, what);
    return error;
  }

  /** The failure of a build that was refused several things: all of them. Any other failure as it is. */
  explain(thrown: unknown): unknown {
    const names = [...new Set(this.#refused.values())].toSorted();
    if (names.length < 2 || !this.#isCause(firstError(thrown))) return thrown;
    const { code, several, hint } = this.#reason;
    return new TsbuildError(code, `${several}\n${names.map((what) => `  ${what}`).join('\n')}`, {
      hint,
      cause: thrown,
    });
  }

  #isCause(thrown: unknown): boolean {
    for (let at = thrown; at instanceof Error; at = at.cause)
      if (at instanceof TsbuildError && this.#refused.has(at)) return true;
    return false;
  }
}

/** Of `--offline`. */
export function offlineRefusals(): Refusals {
  return new Refusals({
    code: 'TSB_NETWORK',
    why: 'it is not in the store, and --offline asks nobody',
    several: 'Cannot build offline: the store lacks',
    hint: 'build once without --offline, or bring images with "tsbuild import FILE -t NAME"',
  });
}

/** Of `--locked`. @param path of the lock file */
export function lockedRefusals(path: string): Refusals {
  return new Refusals({
    code: 'TSB_LOCK',
    why: `${path} does not name it, and --locked takes nothing else`,
    several: `Cannot build with --locked: ${path} does not name`,
    hint: 'build with --update-lock, and look at what it adds',
  });
}
