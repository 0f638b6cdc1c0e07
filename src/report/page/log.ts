import type { StepLog } from '../facts.ts';
import { byId, el, style } from './dom.ts';
import { bytes, offset, plural } from './format.ts';

/** Lines of one block: blocks that are not to be seen cost nothing. */
const BLOCK = 200;
/** Pixels of a line. */
const LINE = 18;
/** Places that are marked; of more it is said that there are more. */
const MOST = 5000;

/** Something that was found: the line, and where in it. */
interface Hit {
  readonly line: number;
  readonly at: number;
}

/**
 * The output of a step, with the second of its line and a search. Lines are text in few elements, so that the browser's own search, selecting
 * and copying work.
 * @param start of the step, ms after the start of the build
 * @param wanted what to look for at once
 */
export function showLog(log: StepLog, start: number, wanted: string): HTMLElement {
  const { lines, times, lost } = log;
  const input = el('input', {
    type: 'search',
    placeholder: 'Find in the log',
    'aria-label': 'Find in the log',
    spellcheck: 'false',
  });
  const count = el('span', { class: 'count', 'aria-live': 'polite' });
  const view = el('div', { class: 'log', tabindex: 0, role: 'region', 'aria-label': 'Output of the step' });
  const blocks: Text[] = [];
  for (let at = 0; at < lines.length; at += BLOCK) {
    if (lost !== undefined && lost.before >= at && lost.before < at + BLOCK)
      view.append(el('p', { class: 'lost' }, `… ${bytes(lost.bytes)} are left out here …`));
    const part = lines.slice(at, at + BLOCK);
    const text = document.createTextNode(`${part.join('\n')}\n`);
    blocks.push(text);
    const stamps = times.slice(at, at + BLOCK).map((time) => offset(Math.max(0, time - start)));
    const block = el(
      'div',
      { class: 'block' },
      el('pre', { class: 'times', 'aria-hidden': 'true' }, stamps.join('\n')),
      el('pre', {}, text),
    );
    view.append(style(block, { '--lines': part.length, '--line': `${LINE}px` }));
  }
  const head = el(
    'div',
    { class: 'log-head' },
    el('h4', {}, 'Output ', el('small', {}, `${plural(lines.length, 'line')}, ${bytes(log.bytes)}`)),
    count,
    input,
  );

  let hits: readonly Hit[] = [];
  let current = -1;
  const rangeOf = ({ line, at }: Hit): Range | undefined => {
    const text = blocks[Math.floor(line / BLOCK)];
    if (text === undefined) return undefined;
    const range = document.createRange();
    let before = 0;
    for (let one = Math.floor(line / BLOCK) * BLOCK; one < line; one++) before += (lines[one]?.length ?? 0) + 1;
    range.setStart(text, before + at);
    range.setEnd(text, before + at + input.value.length);
    return range;
  };
  const go = (next: number): void => {
    current = hits.length === 0 ? -1 : (next + hits.length) % hits.length;
    const hit = hits[current];
    const range = hit && rangeOf(hit);
    mark('current', range === undefined ? [] : [range]);
    count.textContent =
      input.value === '' ? '' : `${current + 1} of ${hits.length === MOST ? `${MOST}+` : hits.length}`;
    if (range === undefined) return;
    const block = range.startContainer.parentElement?.parentElement;
    const top = (block?.offsetTop ?? 0) + ((hit?.line ?? 0) % BLOCK) * LINE;
    view.scrollTop = Math.max(0, top - view.clientHeight / 2);
  };
  const find = (): void => {
    hits = input.value === '' ? [] : hitsIn(lines, input.value.toLowerCase());
    // Blocks that were never shown are marked all the same: ranges cost little.
    mark(
      'found',
      hits.flatMap((hit) => rangeOf(hit) ?? []),
    );
    go(0);
  };
  input.addEventListener('input', find);
  input.addEventListener('keydown', (event) => {
    if (event.key === 'Enter') go(current + (event.shiftKey ? -1 : 1));
    if (event.key !== 'Escape' || input.value === '') return;
    input.value = '';
    find();
    event.stopPropagation();
  });
  mark('found', []);
  mark('current', []);
  if (wanted !== '' && hitsIn(lines, wanted.toLowerCase(), 1).length > 0) {
    input.value = wanted;
    requestAnimationFrame(find);
  } else
    requestAnimationFrame(
      () => void (view.scrollTop = byId('result').dataset['result'] === 'failed' ? view.scrollHeight : 0),
    );
  return el('div', { class: 'log-box' }, head, view);
}

function hitsIn(lines: readonly string[], wanted: string, most = MOST): readonly Hit[] {
  const hits: Hit[] = [];
  for (const [line, text] of lines.entries()) {
    const small = text.toLowerCase();
    // Letters that become two when they are made small would move what follows.
    const searched = small.length === text.length ? small : text;
    for (let at = searched.indexOf(wanted); at >= 0; at = searched.indexOf(wanted, at + wanted.length)) {
      hits.push({ line, at });
      if (hits.length >= most) return hits;
    }
  }
  return hits;
}

/** Marks places without touching the text, where the browser can. */
function mark(name: string, ranges: readonly Range[]): void {
  if (!('highlights' in CSS)) return;
  CSS.highlights.set(name, new Highlight(...ranges));
}
