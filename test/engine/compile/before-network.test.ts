import { expect, test } from 'vitest';
import { beforeNetwork } from '../../../src/engine/compile/before-network.ts';
import type { CompiledGraphs } from '../../../src/engine/compiled.ts';
import { image, loadGraphs, marshal, scratch, type State } from '../../../src/llb/index.ts';

/** Names of the vertices that networked steps stand on. */
function before(...states: readonly State[]): readonly string[] {
  const graphs = loadGraphs(states.map((state) => marshal(state)));
  const found = beforeNetwork({ platforms: graphs.map((graph) => ({ graph })) } as unknown as CompiledGraphs);
  const names = new Map(graphs.flatMap(({ vertices }) => vertices).map(({ digest, name }) => [digest, name]));
  return [...found].map((digest) => names.get(digest) ?? '').toSorted();
}

const base = image('docker.io/library/base:1', { name: 'base' });
const made = (state: State, name: string): State =>
  state.file([{ kind: 'mkdir', path: `/${name}`, mode: 0o755, makeParents: false, options: {} }], { name });
const run = (state: State, name: string, network: 'sandbox' | 'none' | 'host' = 'sandbox'): State =>
  state.with({ network }).run({ args: [name], name });

test('all that a step with a network stands on, and nothing that comes after the last', () => {
  const last = made(run(made(run(base, 'first'), 'between'), 'second'), 'last');
  expect(before(last)).toEqual(['base', 'between', 'first']);
});

test('steps that have no network of their own do not count', () => {
  expect(before(run(made(base, 'file'), 'alone', 'none'), run(made(scratch(), 'other'), 'open', 'host'))).toEqual([]);
});

test('of several platforms, those of each', () => {
  expect(before(run(made(base, 'file'), 'step'), run(made(scratch(), 'other'), 'step'))).toEqual([
    'base',
    'file',
    'other',
  ]);
});
