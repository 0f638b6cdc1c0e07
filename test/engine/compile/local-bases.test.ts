import { describe, expect, test } from 'vitest';
import { copyLocalBases } from '../../../src/engine/compile/local-bases.ts';
import { diff, type Graph, image, loadGraph, local, marshal, merge, scratch, State } from '../../../src/llb/index.ts';

const graphOf = (state: State): Graph => loadGraph(marshal(state));
const context = (name = 'context'): State => local(name, { name });
const copied = (state: State, from = context()): State =>
  state.file([{ kind: 'copy', from: { output: from.output, dir: '/' }, src: '/a', dest: '/b', options: {} }], {
    name: 'copy',
  });
const names = ({ vertices }: Graph): readonly string[] => vertices.map(({ name }) => name);
const COPY = '[internal] copying local directory context';

describe('a directory of the machine that something is built upon', () => {
  test('is copied first, where a step runs on it', () => {
    const graph = copyLocalBases(graphOf(context().run({ args: ['x'], name: 'step' })));
    expect(names(graph)).toEqual(['context', COPY, 'step']);
    expect(graph.result?.vertex.inputs.map(({ vertex }) => vertex.name)).toEqual([COPY]);
  });

  test('is copied once, whatever stands on it', () => {
    const base = context();
    const both = merge([base.run({ args: ['x'], name: 'one' }), base.run({ args: ['y'], name: 'two' })], {
      name: 'both',
    });
    const graph = copyLocalBases(graphOf(both));
    expect(names(graph)).toEqual(['context', COPY, 'one', 'two', 'both']);
  });

  test('is copied where it is the result itself', () => {
    const graph = copyLocalBases(graphOf(context()));
    expect(names(graph)).toEqual(['context', COPY]);
    expect(graph.result).toMatchObject({ output: 0, vertex: { name: COPY } });
  });

  test('is copied where layers are merged and compared', () => {
    const merged = copyLocalBases(graphOf(merge([context(), image('docker.io/library/a:1', { name: 'image' })])));
    expect(names(merged)).toContain(COPY);
    const compared = copyLocalBases(graphOf(diff(context(), image('docker.io/library/a:1'))));
    expect(names(compared)).toContain(COPY);
  });

  test('is read as it is where files are only copied from it', () => {
    const graph = graphOf(copied(image('docker.io/library/a:1')));
    expect(copyLocalBases(graph)).toEqual(graph);
  });

  test('is read as it is where a step only mounts it', () => {
    const step = image('docker.io/library/a:1').run({
      args: ['x'],
      mounts: [{ dest: '/m', source: context().output, readonly: true }],
    });
    const graph = graphOf(step);
    expect(copyLocalBases(graph)).toEqual(graph);
  });

  test('may be both: what copies from it reads it, what stands on it stands on the copy', () => {
    const base = context();
    const graph = copyLocalBases(graphOf(copied(base.run({ args: ['x'], name: 'step' }), base)));
    const copy = graph.result?.vertex;
    expect(copy?.inputs.map(({ vertex }) => vertex.name).toSorted()).toEqual(['context', 'step']);
    expect(copy?.inputs.find(({ vertex }) => vertex.name === 'step')?.vertex.inputs[0]?.vertex.name).toBe(COPY);
  });

  test('changes no identity but that of the copy, which is the same in each build', () => {
    const before = graphOf(context().run({ args: ['x'], name: 'step' }));
    const [first, second] = [
      copyLocalBases(before),
      copyLocalBases(graphOf(context().run({ args: ['x'], name: 'step' }))),
    ];
    expect(first.vertices.map(({ digest }) => digest)).toEqual(second.vertices.map(({ digest }) => digest));
    expect(first.result?.vertex.digest).toBe(before.result?.vertex.digest);
  });
});

test('a graph of images and of nothing is left alone', () => {
  for (const state of [scratch(), image('docker.io/library/a:1').run({ args: ['x'] })]) {
    const graph = graphOf(state);
    expect(copyLocalBases(graph)).toBe(graph);
  }
});
