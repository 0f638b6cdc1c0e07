import type { ReportFacts, ReportStep, WhyStep } from '../facts.ts';
import { byId, type Child, el } from './dom.ts';
import { bytes, duration, offset, percent } from './format.ts';
import { showLog } from './log.ts';
import { GLYPHS, labelOf, onSelect, search, select, WORDS } from './state.ts';

/** The description of the step that is chosen, beside the list or, on narrow screens, over it. */
export function setUpDetails(facts: ReportFacts): void {
  const panel = byId('details');
  byId('details-close').addEventListener('click', () => select(undefined));
  onSelect((index, focus) => {
    const step = index === undefined ? undefined : facts.steps[index];
    panel.hidden = step === undefined;
    document.body.classList.toggle('with-details', step !== undefined);
    if (step === undefined || index === undefined) return;
    byId('details-title').replaceChildren(
      el('span', { class: `dot ${step.state}`, 'aria-hidden': 'true' }, GLYPHS[step.state]),
      ` ${labelOf(step) || (step.kind === 'output' ? 'Output' : 'Preparing')} `,
      el('small', {}, WORDS[step.state], step.critical ? ' · on the critical path' : ''),
    );
    byId('details-body').replaceChildren(...describe(facts, step, index).filter((child) => child !== undefined));
    panel.scrollTop = 0;
    if (focus) byId('details-close').focus({ preventScroll: true });
    panel.scrollIntoView({ block: 'nearest' });
  });
}

function describe(facts: ReportFacts, step: ReportStep, index: number): readonly Child[] {
  const rows: [string, ...Child[]][] = [];
  const { spans, ms, lines, inputs, reason, error, usage } = step;
  if (reason !== undefined)
    rows.push([reason.kind === 'hit' ? 'Why cached' : 'Why it ran', reason.text, ...differences(facts, reason)]);
  if (spans.length > 0) {
    const times = spans.map(([start, end]) => `${offset(start)} – ${offset(end)} s`).join(', ');
    rows.push([
      'Time',
      `${duration(ms)}, ${percent(ms / Math.max(1, facts.build.ms))} of the build`,
      el('small', {}, times),
    ]);
  }
  if (usage !== undefined)
    rows.push([
      'Used',
      `${duration(usage.userMs + usage.systemMs)} of CPU time, ${bytes(usage.peakMemory)} of memory`,
      el('small', {}, `${bytes(usage.readBytes)} read from disk, ${bytes(usage.writtenBytes)} written`),
    ]);
  if (lines !== undefined)
    rows.push([
      'Dockerfile',
      el(
        'a',
        { href: `#line-${lines[0]}` },
        lines[0] === lines[1] ? `line ${lines[0]}` : `lines ${lines[0]} to ${lines[1]}`,
      ),
    ]);
  for (const layer of facts.layers.filter((one) => one.step === index).slice(0, 1)) {
    const { size, contentSize } = layer;
    if (size !== undefined)
      rows.push(['Layer', `${bytes(size)}${contentSize === undefined ? '' : `, ${bytes(contentSize)} unpacked`}`]);
  }
  const users = facts.steps.flatMap((one, at) => (one.inputs.includes(index) ? [at] : []));
  if (inputs.length > 0) rows.push(['Stands on', links(facts, inputs)]);
  if (users.length > 0) rows.push(['Used by', links(facts, users)]);
  const moved = facts.transfers.filter((one) => one.step === index);
  if (moved.length > 0) rows.push(['Moved', transferList(moved)]);
  rows.push(['Digest', el('code', {}, step.digest)]);
  return [
    el('pre', { class: 'instruction', tabindex: 0, 'aria-label': 'Instruction' }, step.text),
    error === undefined ? undefined : el('p', { class: 'error' }, error),
    el(
      'dl',
      { class: 'facts' },
      ...rows.map(([name, ...values]) => el('div', {}, el('dt', {}, name), el('dd', {}, ...values))),
    ),
    step.log === undefined
      ? el('p', { class: 'muted' }, step.kind === 'step' && step.state === 'ran' ? 'It printed nothing.' : '')
      : showLog(step.log, step.spans[0]?.[0] ?? 0, search.text),
  ];
}

function differences(facts: ReportFacts, { differences, more, cause }: WhyStep): readonly Child[] {
  const items = differences.map(({ what, name, change, before, after }) => {
    const values = [before, after].filter((value) => value !== undefined).join(' → ');
    return el(
      'li',
      {},
      `${what} `,
      el('code', {}, name),
      ` ${change}`,
      values === '' ? undefined : el('small', {}, ` ${values}`),
    );
  });
  return [
    items.length === 0
      ? undefined
      : el('ul', { class: 'reasons' }, ...items, more === 0 ? undefined : el('li', {}, `and ${more} more`)),
    cause === undefined ? undefined : el('span', {}, ' ', links(facts, [cause])),
  ];
}

function links({ steps }: ReportFacts, list: readonly number[]): Child {
  const shown = list.slice(0, 20);
  return el(
    'span',
    { class: 'links' },
    ...shown.map((index) => {
      const step = steps[index] as ReportStep;
      return el(
        'button',
        { type: 'button', title: step.name, onclick: () => select(index, true) },
        labelOf(step) || step.text,
      );
    }),
    shown.length < list.length ? ` and ${list.length - shown.length} more` : undefined,
  );
}

const ARROWS = { down: '↓', up: '↑', local: '·' } as const;

function transferList(moved: readonly ReportFacts['transfers'][number][]): Child {
  return el(
    'ul',
    { class: 'moved' },
    ...moved
      .slice(0, 50)
      .map(({ id, direction, bytes: count, span: [start, end] }) =>
        el(
          'li',
          {},
          `${ARROWS[direction]} ${bytes(count)} in ${duration(end - start)} `,
          el('small', {}, id.replace(/sha256:([0-9a-f]{12})[0-9a-f]+/, '$1')),
        ),
      ),
  );
}
