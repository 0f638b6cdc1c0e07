import type { ReportFacts } from '../facts.ts';
import { byId, el, track } from './dom.ts';
import { duration, percent } from './format.ts';
import { labelOf, select, shortText } from './state.ts';

/** Steps of the path that are named; of more the longest. */
const MOST = 12;

/** What the build's duration hangs on, in order, each with its part of it. */
export function showCriticalPath({ criticalPath, steps, build, summary }: ReportFacts): void {
  const list = byId('critical-list');
  const together = new Map<number, number>();
  for (const { step, span } of criticalPath) together.set(step, (together.get(step) ?? 0) + span[1] - span[0]);
  const longest = new Set(
    [...together]
      .sort((a, b) => b[1] - a[1])
      .slice(0, MOST)
      .map(([step]) => step),
  );
  const most = Math.max(1, ...together.values());
  for (const [step, ms] of together) {
    const found = steps[step];
    if (found === undefined || !longest.has(step)) continue;
    const button = el(
      'button',
      { type: 'button', class: 'path-step', onclick: () => select(step, true) },
      el('span', { class: 'label' }, labelOf(found) || (found.kind === 'output' ? 'output' : 'preparing')),
      el('span', { class: 'text' }, shortText(found)),
      track(ms / most),
      el('span', { class: 'ms' }, duration(ms)),
      el('span', { class: 'part' }, percent(ms / Math.max(1, build.ms))),
    );
    list.append(el('li', {}, button));
  }
  const hidden = together.size - longest.size;
  const waiting = Math.max(0, build.ms - summary.criticalMs);
  byId('critical-note').textContent = [
    `These steps waited for each other: ${duration(summary.criticalMs)} of ${duration(build.ms)}. The build ends sooner only if one of them does.`,
    hidden > 0 ? `${hidden} shorter ones are left out.` : '',
    waiting > build.ms * 0.1 ? `In the other ${duration(waiting)} none of them was at work.` : '',
  ]
    .filter(Boolean)
    .join(' ');
}
