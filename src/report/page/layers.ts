import type { ReportFacts, SizedPath } from '../facts.ts';
import { byId, type Child, el, track } from './dom.ts';
import { bytes, percent, plural } from './format.ts';
import { labelOf, select } from './state.ts';

/** Directories that are shown of the whole image. */
const MOST = 16;

/** Sizes: by the instruction that made the layer, and by directory. */
export function showLayers({ layers, directories, steps, summary }: ReportFacts): void {
  const list = byId('layers');
  if (layers.length === 0) {
    byId('layers-section').hidden = true;
    return;
  }
  const sizeOf = (layer: ReportFacts['layers'][number]): number => layer.size ?? layer.contentSize ?? 0;
  const all = layers.reduce((sum, layer) => sum + sizeOf(layer), 0);
  const most = Math.max(1, ...layers.map(sizeOf));
  for (const [index, layer] of layers.entries()) {
    const { step, text, contentSize, files, platform, largestDirectories = [], largestFiles = [] } = layer;
    const found = step === undefined ? undefined : steps[step];
    const row: readonly Child[] = [
      el('span', { class: 'index' }, String(index + 1)),
      el(
        'span',
        { class: 'text' },
        platform === undefined ? undefined : el('small', {}, `${platform} `),
        text.replaceAll(/\s+/g, ' '),
      ),
      track(sizeOf(layer) / most),
      el('span', { class: 'size' }, bytes(sizeOf(layer))),
      el('span', { class: 'part' }, percent(sizeOf(layer) / Math.max(1, all))),
    ];
    const inner: Child[] = [
      el(
        'p',
        { class: 'muted' },
        [
          contentSize === undefined ? 'Not looked into.' : `${bytes(contentSize)} unpacked`,
          files === undefined ? '' : plural(files, 'file'),
          layer.digest ?? '',
        ]
          .filter(Boolean)
          .join(' · '),
      ),
      found === undefined || step === undefined
        ? undefined
        : el(
            'button',
            { type: 'button', class: 'quiet', onclick: () => select(step, true) },
            `Show step ${labelOf(found)}`,
          ),
      largestDirectories.length > 0 ? pathList('Directories', largestDirectories.slice(0, 5)) : undefined,
      largestFiles.length > 0 ? pathList('Files', largestFiles.slice(0, 5)) : undefined,
    ];
    list.append(el('li', {}, el('details', {}, el('summary', {}, ...row), el('div', { class: 'inside' }, ...inner))));
  }
  const sum =
    directories.length === 0
      ? ''
      : ' Directories count what is unpacked; one that is nearly all of its parent stands for it.';
  byId('layers-note').textContent =
    `${summary.imageBytes === undefined ? bytes(all) : bytes(summary.imageBytes)} in ${plural(layers.length, 'layer')}.${sum}`;
  byId('directories-box').hidden = directories.length === 0;
  const top = Math.max(1, ...directories.map(({ size }) => size));
  for (const { path, size } of directories.slice(0, MOST))
    byId('directories').append(
      el('li', {}, el('code', {}, path), track(size / top), el('span', { class: 'size' }, bytes(size))),
    );
}

function pathList(title: string, paths: readonly SizedPath[]): HTMLElement {
  return el(
    'div',
    {},
    el('h4', {}, title),
    el(
      'ul',
      { class: 'paths' },
      ...paths.map(({ path, size }) => el('li', {}, el('span', { class: 'size' }, bytes(size)), el('code', {}, path))),
    ),
  );
}
