import { sanitizeLine, TsbuildError } from '../util/index.ts';
import type { RecordMode } from './tape.ts';

/** Something that a step asked for and did not get. */
export interface Problem {
  /** `new`: a locked build has no answer to it. `lost`: what is written down cannot be had any more. */
  readonly kind: 'new' | 'refused' | 'unreachable' | 'lost';
  /** Method and address, redacted. */
  readonly what: string;
  readonly why: string;
  readonly hint?: string;
}

/** Problems that are told of one step. */
const MAX_TOLD = 10;

/** What went wrong in the network of a step. */
export class Problems {
  readonly #mode: RecordMode;
  readonly #lock: string;
  readonly #found = new Map<string, Problem>();
  #fatal: TsbuildError | undefined;

  /** @param lock name of the lock file, for messages */
  constructor(mode: RecordMode, lock: string) {
    this.#mode = mode;
    this.#lock = lock;
  }

  note(problem: Problem): void {
    const { what } = problem;
    if (this.#found.size < 1000 && !this.#found.has(what)) this.#found.set(what, problem);
  }

  /** What the step cannot get over, whatever it says itself: it may have got bytes that are not those that were recorded. */
  fail(error: TsbuildError): void {
    this.#fatal ??= error;
  }

  /** The step has ended well. @throws TsbuildError for what it cannot have got over */
  check(): void {
    if (this.#fatal) throw this.#fatal;
  }

  /** What to warn of when the step got on without; undefined when there is nothing. */
  warning(): string | undefined {
    if (this.#found.size === 0) return undefined;
    const hint = this.#hint();
    return `${this.#list()}; the step went on without${hint === undefined ? '' : ` (${hint})`}`;
  }

  /** The step's failure, with what its network has to do with it. */
  explain(error: unknown): unknown {
    if (this.#fatal) return this.#fatal;
    if (this.#found.size === 0 || !(error instanceof TsbuildError)) return error;
    const hint = this.#hint() ?? error.hint;
    return new TsbuildError(error.code, `${error.message}: ${this.#list()}`, {
      cause: error,
      ...(hint === undefined ? {} : { hint }),
    });
  }

  #list(): string {
    const all = [...this.#found.values()];
    const told = all.slice(0, MAX_TOLD).map(({ what, why }) => `${sanitizeLine(what, 300)} ${sanitizeLine(why, 300)}`);
    return [...told, ...(all.length > MAX_TOLD ? [`and ${all.length - MAX_TOLD} more`] : [])].join('; ');
  }

  #hint(): string | undefined {
    const all = [...this.#found.values()];
    const hint = all.find((problem) => problem.hint !== undefined)?.hint;
    if (this.#mode === 'locked' && all.some(({ kind }) => kind === 'new'))
      return `build with --network=record, and look at what it adds to ${this.#lock}`;
    return hint;
  }
}
