import { describe, expect, test } from 'vitest';
import { createSolver } from '../../src/solver/index.ts';
import { sha256 } from '../../src/util/index.ts';
import { out, Rig, TestCache, vtx } from './rig.ts';

/** Solves with caches and gives the solver, to be asked about vertices. */
async function solved(rig: Rig, target: ReturnType<typeof vtx>, caches: TestCache[]) {
  const solver = createSolver({ runner: rig, caches, concurrency: 4, now: rig.now });
  await solver.solve(rig.task(), [out(target)]);
  return solver;
}

describe('what became of a vertex', () => {
  test('what ran says so, with the content keys and the nodes that it was saved under', async () => {
    const main = new TestCache();
    const input = vtx('a', { value: 'files' });
    const top = vtx('b', { inputs: [input], byContent: [0] });
    const solver = await solved(new Rig(), top, [main]);
    const account = solver.account(top);
    expect(account).toMatchObject({ state: 'done', op: sha256('op b'), contents: [sha256('files')], from: undefined });
    expect(account?.nodes).toEqual(solver.keys(out(top)));
    expect(account?.nodes.length).toBeGreaterThan(0);
  });

  test('what was loaded names its cache, what is beneath it is cached as well', async () => {
    const main = new TestCache();
    const input = vtx('a');
    const top = vtx('b', { inputs: [input] });
    const before = await solved(new Rig(), top, [main]);
    const solver = await solved(new Rig(), top, [main]);
    expect(solver.account(top)).toMatchObject({ state: 'cached', from: main.id });
    expect(solver.account(input)).toMatchObject({ state: 'cached', from: undefined });
    expect(solver.account(input)?.nodes).toEqual(before.account(input)?.nodes);
  });

  test('nothing is known of a vertex that no call has brought', async () => {
    const solver = await solved(new Rig(), vtx('a'), [new TestCache()]);
    expect(solver.account(vtx('stranger'))).toBeUndefined();
  });
});
