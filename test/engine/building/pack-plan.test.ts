import { describe, expect, test } from 'vitest';
import type { CompiledGraphs } from '../../../src/engine/compiled.ts';
import { type OutputRequest, packedForm } from '../../../src/engine/building/outputs.ts';
import { planPacking } from '../../../src/engine/building/pack-plan.ts';
import type { OutputSpec } from '../../../src/exporter/index.ts';
import { image, loadGraphs, local, marshal, merge, scratch, type State } from '../../../src/llb/index.ts';

const form = { kind: 'gzip' } as const;
const archive = { type: 'oci', compression: form, rewriteTimestamp: false } as unknown as OutputSpec;
const pushed = { type: 'image', store: false, compression: form, rewriteTimestamp: false } as unknown as OutputSpec;
const outputs = (...specs: OutputSpec[]) => ({ specs }) as unknown as OutputRequest;

/** The plan for states, with the vertices of each set by their names. */
function planOf(states: readonly State[], output = outputs(archive), isNews = false) {
  const graphs = loadGraphs(states.map((state) => marshal(state)));
  const compiled = { platforms: graphs.map((graph) => ({ graph })) } as unknown as CompiledGraphs;
  const plan = planPacking(compiled, output, isNews);
  if (!plan) return undefined;
  const names = new Map(graphs.flatMap(({ vertices }) => vertices).map(({ digest, name }) => [digest, name]));
  const named = (digests: Iterable<string>) =>
    [...digests].map((digest) => names.get(digest as never) ?? '').toSorted();
  return { form: plan.form, isNews: plan.isNews, ahead: named(plan.ahead), blobOnly: named(plan.blobOnly) };
}

/** Names of what is planned to have no files where that is possible. */
function withoutFilesOf(states: readonly State[]): readonly string[] {
  const graphs = loadGraphs(states.map((state) => marshal(state)));
  const compiled = { platforms: graphs.map((graph) => ({ graph })) } as unknown as CompiledGraphs;
  const names = new Map(graphs.flatMap(({ vertices }) => vertices).map(({ digest, name }) => [digest, name]));
  const { withoutFiles = [] } = planPacking(compiled, outputs(archive), false) ?? {};
  return [...withoutFiles].map((digest) => names.get(digest) ?? '').toSorted();
}

const base = image('docker.io/library/base:1', { name: 'base' });
const context = { output: local('context', { name: 'context' }).output, dir: '/' };
const copy = (state: State, name: string, from = context) =>
  state.file([{ kind: 'copy', from, src: '/a', dest: '/b', options: {} }], { name });
const run = (state: State, name: string) => state.run({ args: [name], name });

describe('which layers will be wanted as blobs', () => {
  test('those of the result and of all that it stands on', () => {
    expect(planOf([copy(run(base, 'step'), 'last')])).toEqual({
      form,
      isNews: false,
      ahead: ['base', 'last', 'step'],
      blobOnly: ['last'],
    });
  });

  test('not those of a stage that files are only copied from', () => {
    const other = run(base, 'build');
    const plan = planOf([copy(scratch(), 'last', { output: other.output, dir: '/' })]);
    expect(plan).toMatchObject({ ahead: ['last'], blobOnly: ['last'] });
  });

  test('nor what a step only mounts', () => {
    const tools = run(base, 'tools');
    const step = base.run({
      args: ['x'],
      name: 'step',
      mounts: [{ dest: '/t', source: tools.output, readonly: true }],
    });
    expect(planOf([step])?.ahead).toEqual(['base', 'step']);
  });

  test('without files those that only copies build upon, through merges too', () => {
    const names = (state: State): readonly string[] => withoutFilesOf([state]);
    expect(names(copy(copy(base, 'first'), 'last'))).toEqual(['first', 'last']);
    expect(names(copy(merge([copy(base, 'first'), copy(scratch(), 'linked')], { name: 'merged' }), 'last'))).toEqual(['first', 'last', 'linked', 'merged']); // oxfmt-ignore
    expect(names(copy(run(copy(base, 'first'), 'step'), 'last'))).toEqual(['last']);
    expect(names(run(copy(base, 'first'), 'step'))).toEqual([]);
    const first = copy(base, 'first');
    expect(names(copy(copy(first, 'second'), 'last', { output: first.output, dir: '/' }))).toEqual(['last', 'second']);
    expect(names(copy(first, 'last', { output: first.output, dir: '/' }))).toEqual(['last']);
    expect(withoutFilesOf([copy(first, 'last'), run(first, 'step')])).toEqual(['last']);
    const owned = { owner: { user: 'app' } };
    expect(names(first.file([{ kind: 'copy', from: context, src: '/a', dest: '/b', options: owned }], { name: 'owned' }))).toEqual(['owned']); // oxfmt-ignore
  });

  test('all parts of a merge, as COPY --link makes it', () => {
    const merged = merge([run(base, 'step'), copy(scratch(), 'linked')], { name: 'merged' });
    expect(planOf([merged])?.ahead).toEqual(['base', 'linked', 'merged', 'step']);
  });

  test('a result that something else reads needs a directory, too', () => {
    const shared = run(base, 'shared');
    expect(planOf([shared, run(shared, 'more')])).toMatchObject({
      ahead: ['base', 'more', 'shared'],
      blobOnly: ['more'],
    });
  });

  test('a base image need not be here when the result goes to a registry only', () => {
    const state = run(base, 'step');
    expect(planOf([state], outputs(pushed))?.ahead).toEqual(['step']);
    expect(planOf([state], outputs(pushed, archive))?.ahead).toEqual(['base', 'step']);
  });

  test('nothing of scratch', () => {
    expect(planOf([scratch()])).toMatchObject({ ahead: [], blobOnly: [] });
  });

  test('it is said whether the build is news', () => {
    expect(planOf([run(base, 'step')], outputs(archive), true)?.isNews).toBe(true);
  });
});

describe('the form that all outputs want', () => {
  const zstd = { ...archive, compression: { kind: 'zstd', level: 3 } } as unknown as OutputSpec;
  const files = { type: 'local' } as unknown as OutputSpec;
  test.each<[string, readonly OutputSpec[], unknown]>([
    ['of one image', [archive], { kind: 'gzip' }],
    ['of several that agree', [archive, pushed], { kind: 'gzip' }],
    ['with its level', [zstd], { kind: 'zstd', level: 3 }],
    ['none of several that differ', [archive, zstd], undefined],
    ['none where levels differ', [zstd, { ...zstd, compression: { kind: 'zstd' } } as OutputSpec], undefined],
    ['none where files are wanted', [files], undefined],
    ['none where files are wanted too', [archive, files], undefined],
    ['none where times are rewritten', [{ ...archive, rewriteTimestamp: true } as OutputSpec], undefined],
    ['none where nothing is wanted', [], undefined],
  ])('%s', (_what, specs, expected) => {
    expect(packedForm(outputs(...specs))).toEqual(expected);
    expect(planOf([run(base, 'step')], outputs(...specs)) === undefined).toBe(expected === undefined);
  });
});
