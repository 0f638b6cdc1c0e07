import type { ReportFacts, WhyStep } from '../facts.ts';
import { byId, el } from './dom.ts';
import { duration, plural } from './format.ts';
import { labelOf, select, shortText } from './state.ts';

/** Changes that are named; more than these is a build of something else. */
const MOST = 3;

/** Why a step ran, short enough for a list: what changed, or the step that it follows. */
export function shortReason({ steps }: ReportFacts, { kind, text, differences, more, cause, from }: WhyStep): string {
  const [first] = differences;
  const followed = cause === undefined ? undefined : steps[cause];
  if (kind === 'hit') return from === undefined ? '' : text;
  if (kind === 'changed' && first !== undefined) {
    const others = differences.length - 1 + more;
    return `${first.name} ${first.change}${others === 0 ? '' : ` and ${others} more`}`;
  }
  if (kind === 'input' && followed !== undefined) return `because of ${labelOf(followed) || shortText(followed)}`;
  return text;
}

/** The changes that made steps run, each with what it cost, above the list of steps. */
export function showCauses(facts: ReportFacts): void {
  const { steps } = facts;
  const costs = new Map<number, { count: number; ms: number }>();
  for (const [index, { reason, ms, state }] of steps.entries()) {
    if (state === 'cached' || reason === undefined) continue;
    const root = reason.cause ?? (reason.kind === 'changed' ? index : undefined);
    if (root === undefined) continue;
    const cost = costs.get(root) ?? { count: 0, ms: 0 };
    costs.set(root, { count: cost.count + 1, ms: cost.ms + ms });
  }
  const list = byId('causes');
  for (const [root, { count, ms }] of [...costs].sort((a, b) => b[1].ms - a[1].ms).slice(0, MOST)) {
    const step = steps[root];
    const why = step?.reason === undefined ? '' : shortReason(facts, step.reason);
    if (step === undefined || why === '') continue;
    list.append(
      el(
        'li',
        {},
        el('strong', {}, why),
        `: ${plural(count, 'step')} ran again, ${duration(ms)} of work. First `,
        el(
          'button',
          { type: 'button', class: 'link', onclick: () => select(root, true) },
          labelOf(step) || shortText(step),
        ),
      ),
    );
  }
  list.hidden = list.childElementCount === 0;
}
