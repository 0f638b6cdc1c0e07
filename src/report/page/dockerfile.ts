import type { ReportFacts, ReportStep, ReportWarning } from '../facts.ts';
import { byId, type Child, el, track } from './dom.ts';
import { bytes, duration, plural } from './format.ts';
import { GLYPHS, labelOf, select, WORDS } from './state.ts';

/** The Dockerfile, each instruction with what it took and made, and warnings beneath the lines that they are about. */
export function showDockerfile(facts: ReportFacts): void {
  const { dockerfile, warnings, steps } = facts;
  const isPlaced = ({ file, lines }: ReportWarning): boolean =>
    dockerfile !== undefined && lines !== undefined && (file === undefined || file === dockerfile.name);
  const general = warnings.filter((warning) => !isPlaced(warning));
  byId('warnings').append(...general.map(warningBox));
  byId('warnings').hidden = general.length === 0;
  const note = byId('dockerfile-note');
  note.textContent = warnings.length === 0 ? 'No warnings.' : `${plural(warnings.length, 'warning')}.`;
  if (dockerfile === undefined) {
    byId('dockerfile').hidden = true;
    byId('dockerfile-section').hidden = warnings.length === 0;
    return;
  }
  note.textContent = `${dockerfile.name}. ${note.textContent}`;
  const at = new Map<number, number[]>();
  for (const [index, { lines, kind, number }] of steps.entries()) {
    if (lines === undefined || (kind !== 'step' && number === undefined)) continue;
    at.set(lines[0], [...(at.get(lines[0]) ?? []), index]);
  }
  const most = Math.max(1, ...steps.map(({ ms }) => ms));
  const marked = new Set(warnings.filter(isPlaced).flatMap(({ lines }) => (lines ? range(lines) : [])));
  const list = byId('dockerfile-lines');
  const rows = dockerfile.text.replace(/\n$/, '').split('\n');
  for (const [index, text] of rows.entries()) {
    const number = index + 1;
    const own = (at.get(number) ?? []).map((step) => [step, steps[step] as ReportStep] as const);
    const longest = own.toSorted((a, b) => b[1].ms - a[1].ms)[0];
    const line = el(
      'li',
      { id: `line-${number}`, class: marked.has(number) ? 'marked' : undefined },
      el('span', { class: 'number' }, String(number)),
      el('code', {}, ...colored(text)),
      longest === undefined ? undefined : chip(facts, longest[0], longest[1], own.length - 1, most),
    );
    list.append(line);
    for (const warning of warnings)
      if (isPlaced(warning) && warning.lines?.[1] === number) line.append(warningBox(warning));
  }
}

function range([first, last]: readonly [number, number]): readonly number[] {
  return Array.from({ length: Math.min(1000, last - first + 1) }, (_, at) => first + at);
}

/** What an instruction took: the longest of the steps that it stands for. */
function chip(facts: ReportFacts, index: number, step: ReportStep, others: number, most: number): HTMLElement {
  const size = facts.layers.find((layer) => layer.step === index)?.size;
  const said = step.state === 'ran' ? duration(step.ms) : step.state === 'skipped' ? '–' : WORDS[step.state];
  return el(
    'button',
    {
      type: 'button',
      class: `chip ${step.state}${step.critical ? ' critical' : ''}`,
      'aria-label': `${said}, ${labelOf(step)}: ${WORDS[step.state]}. Show the step`,
      onclick: () => select(index, true),
    },
    el('span', { class: 'size' }, size === undefined || size < 1000 ? '' : bytes(size)),
    el('span', { class: 'said' }, said, others > 0 ? el('small', {}, ` +${others}`) : undefined),
    track(step.ms / most),
    el('span', { class: 'dot', 'aria-hidden': 'true' }, GLYPHS[step.state]),
  );
}

function warningBox({ code, message, description, url, file, lines }: ReportWarning): HTMLElement {
  const place = lines === undefined ? undefined : `${file === undefined ? '' : `${file}, `}line ${lines[0]}`;
  return el(
    'div',
    { class: 'warning' },
    el(
      'strong',
      {},
      url === undefined ? code : el('a', { href: url, rel: 'noreferrer noopener', target: '_blank' }, code),
    ),
    ` ${message}`,
    description === undefined ? undefined : el('p', {}, description),
    place === undefined ? undefined : el('span', { class: 'sr-only' }, place),
  );
}

/** The keyword of an instruction, comments, and the rest, as text. */
function colored(text: string): readonly Child[] {
  if (/^\s*#/.test(text)) return [el('span', { class: 'comment' }, text)];
  const match = /^(\s*)([A-Za-z]+)(\s.*)?$/.exec(text);
  const keyword =
    /^(?:FROM|RUN|CMD|LABEL|MAINTAINER|EXPOSE|ENV|ADD|COPY|ENTRYPOINT|VOLUME|USER|WORKDIR|ARG|ONBUILD|STOPSIGNAL|HEALTHCHECK|SHELL)$/i;
  if (match === null || !keyword.test(match[2] ?? '')) return [text === '' ? ' ' : text];
  return [match[1] ?? '', el('span', { class: 'keyword' }, match[2] ?? ''), match[3] ?? ''];
}
