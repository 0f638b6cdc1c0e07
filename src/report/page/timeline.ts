import type { ReportFacts } from '../facts.ts';
import { byId, el, style, svg } from './dom.ts';
import { bytes, duration, tickStep } from './format.ts';
import { type Bar, laneGroups } from './lanes.ts';
import { labelOf, onSelect, select, shortText, WORDS } from './state.ts';

/** Pixels of a row, and of one of transfers. */
const ROW = 26;
const THIN = 14;
const GAP = 10;
const MAX_ZOOM = 400;
/** Pixels that are left free at the end, and below which a bar has no text. */
const END = 24;
const NARROW = 56;

/** What was at work when. Places are parts of the width, so that zooming is one number. */
export function showTimeline(facts: ReportFacts): void {
  const total = Math.max(1, facts.build.ms);
  const view = byId('timeline');
  const canvas = byId('timeline-canvas');
  const names = byId('timeline-names');
  const groups = laneGroups(facts);
  if (groups.every(({ kind }) => kind !== 'work'))
    byId('timeline-note').textContent = 'No step ran: everything was in the cache, or the build ended before.';
  const critical = new Map(facts.criticalPath.map((piece, at) => [`${piece.step} ${piece.span[1]}`, at]));
  const centres: { at: number; from: number; to: number; y: number }[] = [];
  const all: { element: HTMLElement; y: number; start: number; size: number }[] = [];
  let y = 8;
  for (const { name, kind, rows } of groups) {
    const height = kind === 'transfers' ? THIN : ROW;
    const cached = facts.steps.filter((step) => step.state === 'cached' && (step.stage ?? 'steps') === name).length;
    const label = el(
      'div',
      { class: `lane-name ${kind}` },
      el('span', {}, name),
      cached > 0 && kind === 'work' ? el('small', {}, `+${cached} cached`) : undefined,
    );
    names.append(style(label, { '--top': `${y}px`, '--height': `${rows.length * height}px` }));
    const group = el('div', { role: 'group', 'aria-label': name, class: 'lane' });
    style(group, { '--top': `${y - GAP / 2}px`, '--height': `${rows.length * height + GAP}px` });
    canvas.append(group);
    for (const [row, bars] of rows.entries()) {
      const top = y + row * height;
      for (const bar of bars) {
        const at = bar.transfer === undefined ? critical.get(`${bar.step} ${bar.span[1]}`) : undefined;
        const element = barOf(facts, bar, at !== undefined);
        style(element, {
          '--from': bar.span[0] / total,
          '--size': (bar.span[1] - bar.span[0]) / total,
          '--top': `${top - y + GAP / 2}px`,
        });
        group.append(element);
        all.push({ element, y: top, start: bar.span[0], size: (bar.span[1] - bar.span[0]) / total });
        const piece = at === undefined ? undefined : facts.criticalPath[at];
        if (at !== undefined && piece)
          centres.push({ at, from: piece.span[0] / total, to: piece.span[1] / total, y: top + (ROW - 4) / 2 });
      }
    }
    y += rows.length * height + GAP;
  }
  byId('timeline-readout').textContent = 'Hover over a bar, or go through them with the arrow keys.';
  style(byId('timeline-body'), { '--height': `${y}px` });
  canvas.append(connectors(centres, y));
  const drawAxis = setUpAxis(total, y);
  setUpZoom(view, total, (width) => {
    for (const { element, size } of all) {
      const isNarrow = size * width < NARROW;
      if (element.classList.contains('narrow') !== isNarrow) element.classList.toggle('narrow', isNarrow);
    }
    drawAxis();
  });
  setUpKeys(view, all);
}

function barOf(facts: ReportFacts, bar: Bar, isCritical: boolean): HTMLElement {
  const step = facts.steps[bar.step];
  const transfer = bar.transfer === undefined ? undefined : facts.transfers[bar.transfer];
  const ms = bar.span[1] - bar.span[0];
  const title = [step ? labelOf(step) : '', step ? shortText(step) : ''].filter(Boolean).join('  ');
  const said =
    transfer === undefined
      ? `${title} · ${duration(ms)}${step === undefined || step.state === 'ran' ? '' : ` · ${WORDS[step.state]}`}${isCritical ? ' · on the critical path' : ''}`
      : `${transfer.id} · ${bytes(transfer.bytes)} in ${duration(ms)}${ms > 0 ? `, ${bytes((transfer.bytes / ms) * 1000)}/s` : ''}`;
  const kind =
    transfer?.direction ??
    (step?.kind === 'step' || step?.kind === 'source' ? (step.state === 'failed' ? 'failed' : 'work') : 'apart');
  const element = el('div', {
    role: 'option',
    class: `bar ${kind}${isCritical ? ' critical' : ''}`,
    tabindex: -1,
    'aria-selected': 'false',
    'aria-label': said,
    'data-step': bar.step,
  });
  if (transfer === undefined)
    element.append(el('span', {}, (step?.number === undefined ? title : shortText(step)).slice(0, 160)));
  const readout = byId('timeline-readout');
  const tell = (): void => void (readout.textContent = said);
  element.addEventListener('mouseenter', tell);
  element.addEventListener('focus', tell);
  element.addEventListener('click', () => {
    element.focus({ preventScroll: true });
    select(bar.step);
  });
  return element;
}

/** The line that leads along the critical path, from the end of each bar to the next. */
function connectors(
  pieces: readonly { at: number; from: number; to: number; y: number }[],
  height: number,
): SVGElement {
  const path = pieces.toSorted((a, b) => a.at - b.at);
  const lines = path.slice(1).flatMap((to, index) => {
    const from = path[index];
    return from === undefined || from.y === to.y ? [] : [`M${from.to * 1000} ${from.y}H${to.from * 1000}V${to.y}`];
  });
  return svg(
    'svg',
    { class: 'connectors', viewBox: `0 0 1000 ${height}`, preserveAspectRatio: 'none', 'aria-hidden': 'true' },
    svg('path', { d: lines.join('') || 'M0 0' }),
  );
}

/** Marks of the axis, for what is to be seen and as much to its sides. @returns draws them again, after the zoom has changed */
function setUpAxis(total: number, height: number): () => void {
  const axis = byId('timeline-axis');
  const view = byId('timeline');
  let drawn: readonly [number, number] = [0, -1];
  const draw = (): void => {
    const width = Math.max(1, axis.clientWidth);
    const step = tickStep(total, Math.max(3, width / 110));
    const from = Math.max(0, view.scrollLeft - view.clientWidth);
    const to = Math.min(width, view.scrollLeft + 2 * view.clientWidth);
    const marks: HTMLElement[] = [];
    for (let at = Math.ceil(((from / width) * total) / step) * step; at <= (to / width) * total; at += step) {
      const text = at === 0 ? '0' : duration(at).replace(/\.?0+ s$/, ' s');
      marks.push(
        style(el('span', { class: 'tick' }, el('b', {}, text)), { '--from': at / total, '--height': `${height}px` }),
      );
    }
    axis.replaceChildren(...marks);
    drawn = [from, to];
  };
  const later = inFrame(draw);
  new ResizeObserver(later).observe(view);
  const isDrawn = (): boolean =>
    view.scrollLeft >= drawn[0] && Math.min(axis.clientWidth, view.scrollLeft + view.clientWidth) <= drawn[1];
  view.addEventListener('scroll', () => (isDrawn() ? undefined : later()), { passive: true });
  return later;
}

/** Calls back once in the next frame, however often it is asked for. */
function inFrame(work: () => void): () => void {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      work();
    });
  };
}

/** Zooming is one width: the places of bars are parts of it. @param changed is called when it is another one */
function setUpZoom(view: HTMLElement, total: number, changed: (width: number) => void): void {
  const canvas = byId('timeline-canvas');
  const axis = byId('timeline-axis');
  const most = Math.min(MAX_ZOOM, Math.max(1, total / 20));
  let zoom = 1;
  const widthOf = (): number => Math.max(0, view.clientWidth - END) * zoom;
  const apply = (): void => {
    for (const element of [canvas, axis]) element.style.width = `${widthOf()}px`;
    changed(widthOf());
  };
  const set = (next: number, anchor = view.clientWidth / 2): void => {
    const before = (view.scrollLeft + anchor) / Math.max(1, widthOf());
    zoom = Math.min(most, Math.max(1, next));
    apply();
    view.scrollLeft = before * widthOf() - anchor;
    (byId('zoom-out') as HTMLButtonElement).disabled = zoom === 1;
  };
  byId('zoom-in').addEventListener('click', () => set(zoom * 1.6));
  byId('zoom-out').addEventListener('click', () => set(zoom / 1.6));
  byId('zoom-fit').addEventListener('click', () => set(1));
  view.addEventListener(
    'wheel',
    (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      set(zoom * Math.exp(-event.deltaY / 300), event.clientX - view.getBoundingClientRect().left);
    },
    { passive: false },
  );
  view.addEventListener('keydown', (event) => {
    if (event.key === '+' || event.key === '=') set(zoom * 1.6);
    else if (event.key === '-') set(zoom / 1.6);
    else if (event.key === '0') set(1);
  });
  new ResizeObserver(apply).observe(view);
  // On paper the page is as wide as the paper.
  window.addEventListener('beforeprint', () => {
    for (const element of [canvas, axis]) element.style.width = '';
  });
  window.addEventListener('afterprint', apply);
  set(1);
}

/** Arrows go along a row and from row to row; the bar that has the focus is the one that Tab comes back to. */
function setUpKeys(view: HTMLElement, all: readonly { element: HTMLElement; y: number; start: number }[]): void {
  const byTime = all.toSorted((a, b) => a.start - b.start || a.y - b.y);
  let current = byTime[0];
  current?.element.setAttribute('tabindex', '0');
  const go = (next: typeof current): void => {
    if (next === undefined) return;
    current?.element.setAttribute('tabindex', '-1');
    current = next;
    next.element.setAttribute('tabindex', '0');
    next.element.focus({ preventScroll: true });
    next.element.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  };
  view.addEventListener('focusin', ({ target }) => {
    const found = all.find(({ element }) => element === target);
    if (found === undefined) return;
    current?.element.setAttribute('tabindex', '-1');
    current = found;
    found.element.setAttribute('tabindex', '0');
  });
  const nearest = (list: typeof all, start: number): typeof current =>
    list.toSorted((a, b) => Math.abs(a.start - start) - Math.abs(b.start - start))[0];
  view.addEventListener('keydown', (event) => {
    if (current === undefined) return;
    const { y, start } = current;
    const rows = [...new Set(all.map((one) => one.y))].sort((a, b) => a - b);
    const at = byTime.indexOf(current);
    const row = rows.indexOf(y);
    const inRow = (place: number): typeof current =>
      nearest(
        all.filter((one) => one.y === rows[place]),
        start,
      );
    switch (event.key) {
      case 'ArrowRight':
        go(byTime[at + 1]);
        break;
      case 'ArrowLeft':
        go(byTime[at - 1]);
        break;
      case 'ArrowDown':
        go(inRow(row + 1));
        break;
      case 'ArrowUp':
        go(inRow(row - 1));
        break;
      case 'Home':
        go(byTime[0]);
        break;
      case 'End':
        go(byTime.at(-1));
        break;
      case 'Enter':
      case ' ':
        select(Number(current.element.dataset['step']), true);
        break;
      default:
        return;
    }
    event.preventDefault();
  });
  onSelect((step) => {
    for (const { element } of all)
      element.setAttribute('aria-selected', String(Number(element.dataset['step']) === step));
  });
}
