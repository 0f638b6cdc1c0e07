import type { ReportFacts, ReportStep, StepState } from '../facts.ts';
import { shortReason } from './causes.ts';
import { drawGraph, type GraphDrawing } from './columns.ts';
import { byId, el, style, track, svg } from './dom.ts';
import { duration } from './format.ts';
import { GLYPHS, labelOf, onSelect, search, select, shortText, WORDS } from './state.ts';

/** Pixels of a row, and of a column of the graph; columns beyond so many share the last. */
const ROW = 34;
const COLUMN = 18;
const MAX_COLUMNS = 12;

type Filter = 'all' | StepState | 'critical';

interface Row {
  readonly step: number;
  readonly element: HTMLElement;
  readonly badge: HTMLElement;
  /** What is searched, in small letters: the log's are made when they are first asked for. */
  readonly text: string;
  log?: string;
}

/** The graph of the build as a list: a row for each step with what became of it and why, searched and filtered. */
export function showSteps(facts: ReportFacts): void {
  const list = byId('steps');
  const shown = facts.steps.flatMap((step, index) =>
    step.kind === 'internal' || step.kind === 'output' ? [] : [index],
  );
  const drawing = drawGraph(facts.steps, shown);
  const columns = Math.min(drawing.columns, MAX_COLUMNS);
  style(list, { '--gutter': `${columns * COLUMN + 6}px`, '--row': `${ROW}px` });
  const most = Math.max(1, ...facts.steps.map(({ ms }) => ms));
  const lines = graphLines(facts, drawing);
  const rows = drawing.places.map(({ step, column }): Row => {
    const found = facts.steps[step] as ReportStep;
    const badge = el('span', { class: 'badge', hidden: true });
    const element = rowOf(facts, found, { step, most, badge, column: Math.min(column, MAX_COLUMNS - 1) });
    return {
      step,
      element,
      badge,
      text: `${found.name}\n${found.reason?.text ?? ''}\n${found.error ?? ''}`.toLowerCase(),
    };
  });
  list.append(lines, ...rows.map(({ element }) => element));

  const input = byId('search') as HTMLInputElement;
  let filter: Filter = 'all';
  let visible: readonly Row[] = rows;
  const apply = (): void => {
    search.text = input.value.trim();
    const wanted = search.text.toLowerCase();
    visible = rows.filter((row) => {
      const step = facts.steps[row.step] as ReportStep;
      const isOf = filter === 'all' || (filter === 'critical' ? step.critical : step.state === filter);
      const inLog = wanted === '' ? 0 : countIn(logOf(row, step), wanted);
      row.badge.hidden = inLog === 0;
      row.badge.textContent = inLog > 99 ? '99+ in the log' : `${inLog} in the log`;
      const isFound = isOf && (wanted === '' || inLog > 0 || row.text.includes(wanted));
      row.element.hidden = !isFound;
      return isFound;
    });
    // Lines between rows mean nothing where rows are missing.
    list.classList.toggle('filtered', visible.length < rows.length);
    byId('steps-count').textContent = visible.length === rows.length ? '' : `${visible.length} of ${rows.length}`;
    byId('steps-none').hidden = visible.length > 0;
  };
  let timer: number | undefined;
  input.addEventListener('input', () => {
    window.clearTimeout(timer);
    timer = window.setTimeout(apply, 90);
  });
  input.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' && event.key !== 'ArrowDown') return;
    event.preventDefault();
    window.clearTimeout(timer);
    apply();
    const [first] = visible;
    if (first === undefined) return;
    first.element.focus();
    if (event.key === 'Enter') select(first.step, true);
  });
  for (const button of filterButtons(facts)) {
    button.addEventListener('click', () => {
      filter = button.value as Filter;
      for (const other of byId('filters').querySelectorAll('button'))
        other.setAttribute('aria-pressed', String(other === button));
      apply();
    });
    byId('filters').append(button);
  }
  setUpKeys(list, () => visible);
  onSelect((step) => {
    for (const { element, step: own } of rows) element.setAttribute('aria-selected', String(own === step));
    rows.find((row) => row.step === step)?.element.scrollIntoView({ block: 'nearest' });
  });
  apply();
}

function rowOf(
  facts: ReportFacts,
  step: ReportStep,
  { step: index, most, badge, column }: { step: number; most: number; badge: HTMLElement; column: number },
): HTMLElement {
  const { state, reason, error, critical, ms } = step;
  const text = shortText(step);
  const label = labelOf(step);
  const why = error ?? (reason === undefined ? '' : shortReason(facts, reason));
  const element = el(
    'div',
    {
      role: 'option',
      tabindex: -1,
      class: `step ${state}${critical ? ' critical' : ''}`,
      'aria-selected': 'false',
    },
    el('span', { class: 'dot', 'aria-hidden': 'true' }, GLYPHS[state]),
    el('span', { class: 'label' }, label),
    el('span', { class: 'text' }, text),
    el('span', { class: 'sr-only' }, `, ${WORDS[state]}${critical ? ', on the critical path' : ''}, `),
    badge,
    el('span', { class: 'why', title: reason?.text ?? why }, why),
    track(ms / most),
    el('span', { class: 'ms' }, ms > 0 || state === 'ran' ? duration(ms) : state === 'skipped' ? '–' : WORDS[state]),
  );
  element.addEventListener('click', () => {
    element.focus({ preventScroll: true });
    select(index);
  });
  return style(element, { '--column': `${column * COLUMN}px` });
}

/** The lines of the graph, behind the list: down in the column of a step, and over to what stands on it. */
function graphLines(facts: ReportFacts, { edges, places }: GraphDrawing): SVGElement {
  const x = (column: number): number => Math.min(column, MAX_COLUMNS - 1) * COLUMN + COLUMN / 2 + 3;
  const y = (row: number): number => row * ROW + ROW / 2;
  const isCritical = (step: number): boolean => facts.steps[step]?.critical === true;
  const path = (only: boolean): string =>
    edges
      .filter(({ from, to }) => (isCritical(from.step) && isCritical(to.step)) === only)
      .map(({ from, to }) => {
        const [x1, y1, x2, y2] = [x(from.column), y(from.row), x(to.column), y(to.row)];
        if (x1 === x2) return `M${x1} ${y1}V${y2}`;
        return `M${x1} ${y1}V${y2 - ROW}C${x1} ${y2 - ROW / 4} ${x2} ${y2 - (ROW * 3) / 4} ${x2} ${y2}`;
      })
      .join('');
  const drawing = svg(
    'svg',
    { class: 'graph', 'aria-hidden': 'true', height: places.length * ROW },
    svg('path', { d: path(false) || 'M0 0' }),
    svg('path', { class: 'critical', d: path(true) || 'M0 0' }),
  );
  return drawing;
}

function filterButtons({ steps }: ReportFacts): readonly HTMLButtonElement[] {
  const own = steps.filter(({ kind }) => kind === 'step' || kind === 'source');
  const kinds: readonly (readonly [Filter, string, number])[] = [
    ['all', 'All', own.length],
    ['ran', 'Ran', own.filter(({ state }) => state === 'ran').length],
    ['cached', 'Cached', own.filter(({ state }) => state === 'cached').length],
    ['failed', 'Failed', own.filter(({ state }) => state === 'failed').length],
    ['critical', 'Critical path', own.filter(({ critical }) => critical).length],
  ];
  return kinds
    .filter(([kind, , count]) => kind === 'all' || count > 0)
    .map(([kind, word, count]) =>
      el(
        'button',
        { type: 'button', value: kind, 'aria-pressed': String(kind === 'all') },
        word,
        el('small', {}, ` ${count}`),
      ),
    );
}

function logOf(row: Row, step: ReportStep): string {
  return (row.log ??= step.log?.lines.join('\n').toLowerCase() ?? '');
}

function countIn(text: string, wanted: string): number {
  let count = 0;
  for (let at = text.indexOf(wanted); at >= 0 && count < 100; at = text.indexOf(wanted, at + wanted.length)) count++;
  return count;
}

/** Arrows, Home, End and the page keys go through the rows that are shown. */
function setUpKeys(list: HTMLElement, visible: () => readonly Row[]): void {
  let current: HTMLElement | undefined = visible()[0]?.element;
  current?.setAttribute('tabindex', '0');
  const enter = (element: HTMLElement): void => {
    current?.setAttribute('tabindex', '-1');
    current = element;
    element.setAttribute('tabindex', '0');
  };
  list.addEventListener('focusin', ({ target }) => {
    if (target instanceof HTMLElement && target.classList.contains('step')) enter(target);
  });
  list.addEventListener('keydown', (event) => {
    const rows = visible();
    const at = rows.findIndex(({ element }) => element === document.activeElement);
    const page = Math.max(1, Math.floor(list.clientHeight / ROW) - 1);
    const places: Readonly<Record<string, number>> = {
      ArrowDown: at + 1,
      ArrowUp: at - 1,
      PageDown: at + page,
      PageUp: at - page,
      Home: 0,
      End: rows.length - 1,
    };
    const row = rows[Math.max(0, at)];
    if ((event.key === 'Enter' || event.key === ' ') && row !== undefined) select(row.step, true);
    else if (event.key in places) {
      const next = rows[Math.min(rows.length - 1, Math.max(0, places[event.key] ?? 0))];
      if (next === undefined) return;
      enter(next.element);
      next.element.focus({ preventScroll: true });
      next.element.scrollIntoView({ block: 'nearest' });
    } else return;
    event.preventDefault();
  });
}
