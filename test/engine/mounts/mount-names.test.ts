import { describe, expect, test } from 'vitest';
import type { CompiledGraphs } from '../../../src/engine/compiled.ts';
import { shownMount, StepMounts } from '../../../src/engine/mounts/mount-names.ts';
import { type Graph, image, type LlbVertex, loadGraphs, marshal, type State } from '../../../src/llb/index.ts';

const base = image('docker.io/library/base:1', { name: 'base' });
const cache = (id: string, dest = '/c', source?: State) => ({
  dest,
  cache: { id, sharing: 'shared' as const },
  ...(source === undefined ? {} : { source: source.output }),
});
const run = (from: State, name: string, ...mounts: readonly object[]): State =>
  from.run({ args: [name], name, mounts: mounts as never });

/** The mounts of a build of these states, and its steps by their names. */
function build(...states: readonly State[]): { readonly mounts: StepMounts; readonly step: (name: string) => LlbVertex } {
  const graphs: readonly Graph[] = loadGraphs(states.map((state) => marshal(state)));
  const vertices = graphs.flatMap((graph) => graph.vertices);
  return {
    mounts: new StepMounts({ platforms: graphs.map((graph) => ({ graph })) } as unknown as CompiledGraphs),
    step: (name) => vertices.find((vertex) => vertex.name === name) ?? expect.unreachable(),
  };
} // oxfmt-ignore
const ids = (found: ReturnType<StepMounts['from']>): readonly string[] => found.map(({ name }) => name.id).toSorted();

describe('cache mounts of a build', () => {
  test('are those of a step and of all that is made of it', () => {
    const one = run(base, 'one', cache('npm'), cache('apt', '/apt'));
    const two = run(one, 'two', cache('go'));
    const other = run(base, 'other', cache('pip'));
    const { mounts, step } = build(two, other);
    expect(ids(mounts.from(step('one').digest))).toEqual(['apt', 'go', 'npm']);
    expect(ids(mounts.from(step('two').digest))).toEqual(['go']);
    expect(ids(mounts.from(step('base').digest))).toEqual(['apt', 'go', 'npm', 'pip']);
  });

  test('each once, however many ways lead to its step', () => {
    const one = run(base, 'one');
    const sides = ['left', 'right'].map((name) => run(one, name));
    const joined = run(sides[0]!, 'joined', cache('npm'), { dest: '/r', source: sides[1]!.output, readonly: true });
    const { mounts, step } = build(joined, joined);
    expect(ids(mounts.from(step('one').digest))).toEqual(['npm']);
  });

  test('are none of the other mounts', () => {
    const step = run(base, 'one', { dest: '/t', tmpfs: {} }, { dest: '/in', source: base.output, readonly: true });
    const { mounts, step: of } = build(step);
    expect(mounts.from(of('base').digest)).toEqual([]);
    const root = { dest: '/', type: 'bind' } as never;
    expect(mounts.find(of('one').digest, root)).toBeUndefined();
  });

  test('are known by their id, and by what their first files are made of', () => {
    const files = run(base, 'files');
    const { mounts, step } = build(run(base, 'one', cache('npm'), cache('npm', '/d', files)), run(files, 'two', cache('npm', '/e', files)));
    const name = (of: string, dest: string) => mounts.find(step(of).digest, { dest } as never)?.name;
    expect(name('one', '/c')).toEqual({ id: 'npm' });
    expect(name('one', '/d')).toMatchObject({ id: 'npm', base: expect.stringMatching(/^[0-9a-f]{64}$|^sha256:/) as string });
    // The same, whoever mounts it, on every machine.
    expect(name('two', '/e')).toEqual(name('one', '/d'));
  }); // oxfmt-ignore

  test('are shown without a namespace that is empty', () => {
    expect(shownMount({ id: '/npm' })).toBe('npm');
    expect(shownMount({ id: 'team/npm' })).toBe('team/npm');
  });
});
