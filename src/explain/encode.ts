import type { Account, Explanation, ExplainedStep } from './account.ts';

/** Of the texts below. Others are not there. */
const VERSION = 1;

/** An account as texts: what is of the build, and each step. */
export interface EncodedAccount {
  readonly head: string;
  readonly steps: readonly string[];
}

/** Writes an account for `decodeAccount`. */
export function encodeAccount({ steps, ...build }: Explanation): EncodedAccount {
  return {
    head: JSON.stringify({ version: VERSION, count: steps.length, ...build }),
    steps: steps.map((step) => JSON.stringify(step)),
  };
}

/** What is still known of an account. */
export interface DecodedAccount {
  readonly explanation: Explanation;
  /** Nothing of it was forgotten. */
  readonly isWhole: boolean;
}

/**
 * Reads an account. Steps that were forgotten leave a gap, so that the others keep their positions.
 * @param steps by position
 * @returns undefined for what is none
 */
export function decodeAccount(head: string, steps: ReadonlyMap<number, string>): DecodedAccount | undefined {
  try {
    const { version, count, ...build } = JSON.parse(head) as Omit<Account, 'steps'> & {
      readonly version: unknown;
      readonly count: number;
    };
    if (version !== VERSION || !Number.isSafeInteger(count)) return undefined;
    const all = Array.from({ length: count }, (_, at) => decodeStep(steps.get(at)));
    return {
      explanation: { ...build, steps: all.map((step) => step ?? FORGOTTEN) },
      isWhole: all.every((step) => step !== undefined),
    };
  } catch {
    return undefined;
  }
}

function decodeStep(text: string | undefined): ExplainedStep | undefined {
  return text === undefined ? undefined : (JSON.parse(text) as ExplainedStep);
}

/** Stands for a step that nothing is known of. */
const FORGOTTEN: ExplainedStep = {
  vertex: 'sha256:',
  name: '',
  kind: 'other',
  outcome: 'unneeded',
  asked: [],
  nodes: [],
  parts: [],
  inputs: [],
  reason: { outcome: 'unneeded', kind: 'none', text: '', differences: [], more: 0, asked: [] },
};
