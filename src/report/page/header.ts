import type { ReportFacts } from '../facts.ts';
import { byId, el, style, type Child } from './dom.ts';
import { bytes, duration, percent, plural } from './format.ts';
import { select } from './state.ts';

const RESULTS = { done: ['✓', 'Built'], failed: ['✕', 'Failed'], canceled: ['◌', 'Canceled'] } as const;

/** What was built, how that went, and the figures that say most. */
export function showHeader({ build, summary, warnings, version, layers }: ReportFacts): void {
  const [glyph, word] = RESULTS[build.result];
  byId('result').append(el('span', { 'aria-hidden': 'true' }, glyph), ` ${word}`);
  byId('result').dataset['result'] = build.result;
  // A long name breaks where its parts end.
  byId('title').append(...build.title.split(/(?<=[/:@])/).flatMap((part) => [part, el('wbr')]));
  const meta = byId('meta');
  const started = new Date(build.startedAt);
  const add = (label: string, ...values: readonly Child[]): void =>
    meta.append(el('div', {}, el('dt', {}, label), el('dd', {}, ...values)));
  add('Started', el('time', { datetime: started.toISOString() }, dateOf(started)));
  add('Context', el('code', { title: build.context }, build.context));
  if (build.target !== undefined) add('Target', el('code', {}, build.target));
  if (build.platforms.length > 0)
    add(build.platforms.length > 1 ? 'Platforms' : 'Platform', build.platforms.join(', '));
  for (const { digest } of build.outputs) add('Digest', ...digestWithCopy(digest));
  const names = build.outputs.flatMap((output) => output.names).filter((name) => name !== build.title);
  if (names.length > 0) add('Also', ...names.flatMap((name, at) => [at > 0 ? ', ' : undefined, el('code', {}, name)]));
  add('tsbuild', version);
  if (build.error !== undefined) showFailure(build.error);

  const cells = byId('figures');
  const cell = (label: string, value: string, note: Child = '', extra?: Child): void =>
    cells.append(
      el(
        'div',
        { class: 'figure' },
        el('dt', {}, label),
        el('dd', {}, el('span', { class: 'value' }, ...units(value)), el('span', { class: 'note' }, note), extra),
      ),
    );
  cell(
    'Duration',
    duration(build.ms),
    `${duration(summary.criticalMs)} on the critical path`,
    meter(summary.criticalMs / Math.max(1, build.ms), 'critical'),
  );
  cell(
    'Cache hits',
    summary.hitRate === undefined ? '–' : percent(summary.hitRate),
    `${summary.cached} of ${plural(summary.steps, 'step')}`,
    meter(summary.hitRate ?? 0, 'cached'),
  );
  cell('Ran', String(summary.ran), summary.failed > 0 ? `and ${summary.failed} failed` : 'steps');
  cell(
    'Network',
    bytes(summary.downloaded + summary.uploaded),
    `↓ ${bytes(summary.downloaded)}  ↑ ${bytes(summary.uploaded)}`,
  );
  cell(
    'Image',
    summary.imageBytes === undefined ? '–' : bytes(summary.imageBytes),
    layers.length === 0 ? 'no layers' : `in ${plural(layers.length, 'layer')}`,
  );
  cell(
    'Warnings',
    String(warnings.length),
    warnings.length === 0 ? 'none' : el('a', { href: '#dockerfile-section' }, 'in the Dockerfile'),
  );
}

/** The unit smaller than the number. */
function units(value: string): readonly Child[] {
  return value.split(' ').map((part): Child => (/^[\d.,–]+$/.test(part) ? part : el('small', {}, ` ${part} `)));
}

function meter(part: number, kind: string): HTMLElement {
  const bar = el('span', { class: `meter ${kind}`, 'aria-hidden': 'true' });
  return style(bar, { '--part': Math.min(1, Math.max(0, part)) });
}

function dateOf(date: Date): string {
  const day = date.toLocaleDateString('en-GB', { day: 'numeric', month: 'short', year: 'numeric' });
  return `${day}, ${date.toLocaleTimeString('en-GB')}`;
}

function digestWithCopy(digest: string): readonly Child[] {
  const button = el('button', { type: 'button', class: 'quiet', 'aria-label': 'Copy the digest' }, 'Copy');
  button.addEventListener('click', () => {
    navigator.clipboard.writeText(digest).then(
      () => (button.textContent = 'Copied'),
      () => (button.textContent = 'Not allowed'),
    );
  });
  return [el('code', { class: 'digest', title: digest }, digest), button];
}

function showFailure({ message, hint, step }: NonNullable<ReportFacts['build']['error']>): void {
  const box = byId('failure');
  box.hidden = false;
  box.append(el('p', { class: 'message' }, message));
  if (hint !== undefined) box.append(el('p', {}, `Hint: ${hint}`));
  if (step !== undefined)
    box.append(el('button', { type: 'button', onclick: () => select(step, true) }, 'Show the step and its output'));
}
