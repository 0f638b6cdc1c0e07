import type { Difference, ReasonKind, StepReason } from '../events/index.ts';
import type { Account, Explanation, ExplainedStep, Step } from './account.ts';
import { alignSteps, textOf } from './align.ts';
import { compareListings, type LoadListing } from './compare-listings.ts';
import { compareParts } from './compare-parts.ts';
import { reasonText, oneLine } from './text.ts';

/** Differences that are named; of the others there is the number. */
const MAX_DIFFERENCES = 10;

/** The nearest earlier build, and what is still known of it. */
export interface Earlier {
  readonly account: Account;
  readonly load: LoadListing;
  /** Nothing of it was forgotten. */
  readonly isWhole: boolean;
  /** It is what a cache of other machines tells, which is not all: values that may be secrets, and files of large contexts. */
  readonly isForeign?: boolean;
  /** Whether there was a result at a node of the key graph when the build began. */
  readonly had: (node: string) => boolean;
}

/**
 * Says for each step of a build why it ran, or that it did not. Steps are compared with their partners in the earlier build
 * (`alignSteps`); of a step that nothing of its own has changed for, the reason is the first input that is not what it was.
 * @param earlier absent where there is none
 */
export function explain(account: Account, earlier: Earlier | undefined): Explanation {
  const partners = earlier ? alignSteps(earlier.account.steps, account.steps) : [];
  const explained: ExplainedStep[] = [];
  for (const [at, step] of account.steps.entries()) {
    const partner = earlier?.account.steps[partners[at] ?? -1];
    const reason = reasonOf({ step, partner, earlier, explained });
    explained.push({ ...step, reason });
  }
  return { ...account, steps: explained, ...(earlier ? { comparedWith: whichOf(earlier) } : {}) };
}

function whichOf({ account }: Earlier): NonNullable<Explanation['comparedWith']> {
  return { at: account.at, context: account.lineage.context };
}

interface Situation {
  readonly step: Step;
  readonly partner: Step | undefined;
  readonly earlier: Earlier | undefined;
  /** What comes before it in the graph. */
  readonly explained: readonly ExplainedStep[];
}

/** What was found out about one step, before it is put into words. */
type Finding = Pick<StepReason, 'kind' | 'differences' | 'more'> & {
  readonly cause?: ExplainedStep;
  readonly text?: string;
};

function reasonOf(situation: Situation): StepReason {
  const { step } = situation;
  const { kind, differences, more, cause, text } = find(situation);
  const { outcome, asked, from } = step;
  const of = { outcome, kind, differences, more, asked, ...(from === undefined ? {} : { from }) };
  return {
    ...of,
    text: text ?? reasonText({ ...of, text: '' }, cause),
    ...(cause === undefined ? {} : { cause: cause.reason.cause ?? cause.vertex }),
  };
}

function find(situation: Situation): Finding {
  const { step, partner, earlier } = situation;
  const plain = (kind: ReasonKind): Finding => ({ kind, differences: [], more: 0 });
  switch (step.outcome) {
    case 'cached':
      return plain('hit');
    case 'stopped':
    case 'unneeded':
      return plain('none');
    case 'ran':
    case 'failed':
      break;
  }
  if (step.isForced) return plain('no-cache');
  if (earlier === undefined) return plain('no-record');
  if (partner === undefined) return plain(earlier.isWhole ? 'new' : 'no-record');
  const { differences, total, cause: source } = ownDifferences(situation, partner, earlier);
  if (total > 0) {
    const named = differences.slice(0, MAX_DIFFERENCES);
    return { kind: 'changed', differences: named, more: total - named.length, ...(source ? { cause: source } : {}) };
  }
  const cause = changedInput(situation, partner, earlier);
  if (cause !== undefined) return { ...plain('input'), cause };
  if (earlier.isForeign) return { ...plain('none'), text: 'what has changed is not among what the cache tells of it' };
  if (partner.outcome === 'failed')
    return { ...plain('none'), text: 'nothing has changed, but it failed the last time' };
  return plain(partner.nodes.length === 0 || partner.nodes.some(earlier.had) ? 'none' : 'gone');
}

/** What differs of the step itself and of what it reads; and the step that made what it reads otherwise, where that is all. */
function ownDifferences(
  { step, explained }: Situation,
  partner: Step,
  { load }: Earlier,
): { readonly differences: readonly Difference[]; readonly total: number; readonly cause?: ExplainedStep } {
  const parts = compareParts(partner.parts, step.parts);
  const differences = [...parts];
  let total = parts.length;
  let cause: ExplainedStep | undefined;
  for (const [at, input] of step.inputs.entries()) {
    const was = partner.inputs[at];
    if (was?.content === undefined || input.content === undefined || was.content === input.content) continue;
    const made = explained[input.step];
    const isContext = made === undefined || made.kind === 'local';
    // The files of a directory of the machine are what somebody changed. Those of a stage follow from its steps.
    if (!isContext && made.outcome === 'ran') cause ??= made;
    const of = isContext ? {} : { of: stageOf(made) };
    const found =
      was.listing === undefined || input.listing === undefined
        ? undefined
        : compareListings(load, was.listing, input.listing, MAX_DIFFERENCES);
    if (found === undefined || found.total === 0) {
      differences.push({ what: 'file', name: 'something that it reads', change: 'changed', ...of });
      total++;
    } else {
      differences.push(...found.first.map((difference) => ({ ...difference, ...of })));
      total += found.total;
    }
  }
  return { differences, total, ...(parts.length === 0 && cause !== undefined ? { cause } : {}) };
}

/** What people call the stage that a step is of. */
function stageOf(step: Step): string {
  const stage = /^\[(.*?) *\d+\/\d+\] /.exec(step.name)?.[1] ?? '';
  return stage === '' ? oneLine(textOf(step), 60) : `stage ${stage}`;
}

/** The step beneath that makes this one stand on something else. */
function changedInput({ step, explained }: Situation, partner: Step, earlier: Earlier): ExplainedStep | undefined {
  const candidates = step.inputs.flatMap((input, at) => {
    const of = explained[input.step];
    if (of === undefined || of.kind === 'local') return [];
    const was = earlier.account.steps[partner.inputs[at]?.step ?? -1];
    // Where nothing is known of what was there, it may be the same.
    const isOther = was !== undefined && was.nodes.length > 0 && !was.nodes.some((node) => of.nodes.includes(node));
    return of.outcome === 'ran' || of.outcome === 'failed' || isOther ? [of] : [];
  });
  return candidates.find(({ outcome }) => outcome === 'ran') ?? candidates[0];
}
