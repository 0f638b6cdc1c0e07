import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { writeFileOpLayer } from '../../src/fileop/index.ts';
import { summarizeLayer } from '../../src/layer/index.ts';
import { applyLayer } from './support/apply-layer.ts';
import { decodeSummary, encodeSummary, LayersTree, type ReadableTree, type SummaryTree } from '../../src/tree/index.ts';
import { sha256 } from '../../src/util/index.ts';
import { archive, dir as tarDir, file as tarFile, hardlink, header } from './support/tar-vectors.ts';
import { chain, context, copy, layers, MemorySink, NOW, Scratch, type Spec } from '../fileop/support.ts';

const signal = new AbortController().signal;

/** Everything that two trees of the same files tell alike. */
function told<D>(tree: ReadableTree<D>): readonly unknown[] {
  const seen: unknown[] = [];
  const files = new Map<string, string>();
  const visit = (at: D, path: string): void => {
    seen.push([path, tree.stat(at)]);
    for (const name of tree.list(at)) {
      const { hardlink, ...node } = tree.lookup(at, name) ?? { hardlink: undefined };
      const whole = `${path}/${name}`;
      if (hardlink !== undefined && !files.has(hardlink)) files.set(hardlink, whole);
      seen.push([whole, node, hardlink && files.get(hardlink)]);
      if (!('type' in node) || node.type !== 'directory') continue;
      const child = tree.enter(at, name);
      visit(child, whole);
      tree.leave(child);
    }
  };
  visit(tree.root, '');
  return seen;
}

/** A blob on a base, as its summary and as its directory has it. */
async function both(
  scratch: Scratch,
  base: string,
  blob: Buffer,
): Promise<{ readonly summary: SummaryTree | undefined; readonly tree: LayersTree }> {
  const path = join(scratch.root, 'blob');
  writeFileSync(path, blob);
  const target = scratch.dir('applied');
  await applyLayer({ blob: path, compression: 'none', target, lowers: [base], idShift: 0 });
  const below = decodeSummary(encodeSummary(new LayersTree([base], { idShift: 0 })) ?? Buffer.alloc(0));
  const summary = await summarizeLayer(below, { path, compression: 'none', diffId: sha256(blob) }, signal);
  return { summary, tree: new LayersTree([base, target], { idShift: 0 }) };
}

const names = fc.constantFrom('a', 'b', 'c', 'a-b');
const { specs } = fc.letrec<{ specs: Spec; entry: Spec[string] }>((tie) => ({
  specs: fc.dictionary(names, tie('entry'), { maxKeys: 4 }),
  entry: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom<Spec[string]>('x', 'text', '->a', null, { file: 'y', mode: 0o4755 }),
    tie('specs'),
  ),
}));

test('a layer that a copy made shows on a summary as it does on files', async () => {
  let compared = 0;
  await fc.assert(
    fc.asyncProperty(
      specs,
      specs,
      fc.constantFrom('/', '/a', '/b/', '/c/d', '/a/b/c'),
      fc.boolean(),
      async (below, source, dest, replaces) => {
        using scratch = new Scratch();
        const base = scratch.tree(below);
        const sink = new MemorySink();
        const options = { alwaysReplaceExistingDestPaths: replaces };
        const params = {
          actions: chain([copy('/', dest, options)]),
          inputs: [layers(base), context(scratch.tree(source))],
          idShift: 0,
          now: NOW,
        };
        const compression = { kind: 'none' } as const;
        if (!(await writeFileOpLayer(params, sink, { compression, signal }).catch(() => undefined))) return;
        const { summary, tree } = await both(scratch, base, sink.bytes);
        if (summary === undefined) throw new Error('Nothing was unusual');
        expect(told(summary)).toEqual(told(tree));
        compared++;
      },
    ),
    { numRuns: 150 },
  );
  expect(compared).toBeGreaterThan(75);
});

const dir = (name: string): Buffer => tarDir(name, { mode: '0000711\0', mtime: '00000000007\0' });
const file = (name: string, text = 'new'): Buffer => tarFile(name, text, { mode: '0000640\0', mtime: '00000000010\0' });
const BASE: Spec = { d: { old: 'x', sub: { deep: 'y' } }, f: 'z', l: '->d' };

describe('a layer', () => {
  test.each<[string, readonly Buffer[]]>([
    ['that names no parent of what is below', [file('d/sub/new')]],
    ['with whiteouts', [file('d/.wh.old', ''), file('.wh.f', ''), file('.wh.none', '')]],
    ['with a directory that hides what is below', [dir('d'), file('d/.wh..wh..opq', ''), file('d/new')]],
    ['with a file in the place of a directory', [file('d')]],
    ['with a directory in the place of a file', [dir('f'), file('f/new')]],
    ['with hard links within', [file('d/one'), hardlink('d/two', 'd/one'), hardlink('three', './d/two')]],
    ['with devices and a fifo', [header({ name: 'c', type: '3' }), header({ name: 'd/p', type: '6' })]],
    ['with the root, and odd names for paths', [dir('./'), dir('./d/'), file('/d/x')]],
    ['with nothing', []],
  ])('%s shows on a summary as it does on files', async (_, entries) => {
    using scratch = new Scratch();
    const { summary, tree } = await both(scratch, scratch.tree(BASE), archive(...entries));
    if (summary === undefined) throw new Error('Nothing is unusual about it');
    expect(told(summary)).toEqual(told(tree));
  });

  test.each<[string, readonly Buffer[]]>([
    ['that goes through a link', [file('l/new')]],
    ['with a directory that nobody has', [file('none/new')]],
    ['that names a path twice', [file('f'), file('f', 'again')]],
    ['with another name for what is below', [hardlink('g', 'f')]],
    ['that hides what it has itself', [file('d/new'), file('d/.wh.new', '')]],
    ['that hides what is below late', [file('d/-'), file('d/.wh..wh..opq', '')]],
  ])('%s needs files', async (_, entries) => {
    using scratch = new Scratch();
    expect((await both(scratch, scratch.tree(BASE), archive(...entries))).summary).toBeUndefined();
  });

  test('has contents that are known by their digests, and capabilities that are not', async () => {
    using scratch = new Scratch();
    const { summary } = await both(scratch, scratch.tree(BASE), archive(file('f', 'text')));
    expect(summary?.knownContent(summary.root, 'f')).toBe(sha256('text'));
    expect(summary?.knownContent(summary.enter(summary.root, 'd'), 'old')).toBeUndefined();
  });
});
