import { allCachedText, type StepReason } from '../events/index.ts';
import { sanitizeLine } from '../util/index.ts';
import type { ExplainedStep, Explanation } from './account.ts';
import { textOf } from './align.ts';
import { hintsOf, seconds } from './costly.ts';
import { differenceText, oneLine } from './text.ts';

/** Differences of one step that are listed beneath it. */
const MAX_LISTED = 6;

/** How an explanation is shown. */
export interface RenderOptions {
  /** Says how long ago a time is, in ms since the epoch. */
  readonly age: (at: number) => string;
  /** What is shown are some steps of many, each in a line of its own. */
  readonly single?: boolean;
}

/**
 * An explanation for people: what ran and why, then what to do. Steps that came from the cache are one line in all.
 */
export function renderExplanation(explanation: Explanation, { age, single = false }: RenderOptions): string {
  const steps = explanation.steps.filter(isShown);
  const cached = steps.filter(({ outcome }) => outcome === 'cached');
  const others = steps.filter(({ outcome }) => outcome !== 'cached');
  const { comparedWith, failed, lineage } = explanation;
  if (others.length === 0 && !single) return allCachedText(steps.length);
  const against =
    comparedWith === undefined
      ? 'there is no earlier build to compare with'
      : `compared with the build ${comparedWith.context === lineage.context ? '' : `of ${comparedWith.context} `}${age(comparedWith.at)}`;
  const lines = [
    ...(single ? [] : [`${cached.length} of ${steps.length} steps came from the cache; ${against}`]),
    ...(single ? steps : others).flatMap(stepLines),
    ...(single ? [] : hintsOf(explanation)).map((hint) => `hint: ${hint.text}`),
    ...(failed ? ['the build failed: steps after that were not looked at'] : []),
  ];
  return lines.map((line) => `${sanitizeLine(line, 1000)}\n`).join('');
}

/** Directories of the machine and what nobody needed are no news. */
function isShown({ kind, outcome, name }: ExplainedStep): boolean {
  return kind !== 'local' && outcome !== 'unneeded' && name !== '';
}

function stepLines(step: ExplainedStep): readonly string[] {
  const { reason, outcome } = step;
  const took = step.ms === undefined || outcome === 'cached' ? '' : `, ${seconds(step.ms)}`;
  const place = step.place === undefined ? '' : ` [${step.place}${took}]`;
  return [
    `  ${oneLine(textOf(step), 80)} ${word(reason)}: ${reason.text}${place}`,
    ...listed(reason),
    ...reason.asked.map(
      ({ cache, key }) => `      not in the cache ${cache}${key === '' ? '' : `, asked for ${key.slice(0, 16)}`}`,
    ),
  ];
}

/** All but the first, which is in the text. */
function listed({ differences, more }: StepReason): readonly string[] {
  const others = differences.slice(1, MAX_LISTED);
  const rest = differences.length - 1 - others.length + more;
  return [
    ...others.map((difference) => `      ${differenceText(difference)}`),
    ...(others.length > 0 && rest > 0 ? [`      and ${rest} more`] : []),
  ];
}

function word({ outcome }: StepReason): string {
  switch (outcome) {
    case 'cached':
      return 'hit';
    case 'ran':
      return 'missed';
    case 'failed':
      return 'missed, and failed';
    case 'stopped':
      return 'was stopped';
    case 'unneeded':
      return 'was not needed';
  }
}
