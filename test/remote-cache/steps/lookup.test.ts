import { describe, expect, test } from 'vitest';
import { ObjectPlace } from '../../../src/remote-cache/index.ts';
import type { SolverVertex } from '../../../src/solver/index.ts';
import { MemoryObjects } from '../../fakes/memory-objects.ts';
import { type TestOp, vtx } from '../../solver/rig.ts';
import { Machine } from '../../support/shared-cache.ts';

/** So many turns of the event loop without a question mean that nobody has one before he gets an answer. No clock has a part in it. */
const TURNS = 50;

/**
 * Objects that answer in rounds, as if they were far away: what is asked while a round is under way is answered together at its
 * end, after everything else that could be done was done.
 */
class FarObjects extends MemoryObjects {
  rounds = 0;
  #quiet = 0;
  #round: Promise<void> | undefined;

  override before = (): Promise<void> => {
    this.#quiet = 0;
    return (this.#round ??= this.#oneRound());
  };

  async #oneRound(): Promise<void> {
    for (; this.#quiet < TURNS; this.#quiet++) await new Promise((resolve) => setImmediate(resolve));
    this.rounds++;
    this.#round = undefined;
  }
}

const base = vtx('base', { value: 'base' });

/** As Dockerfiles are: a RUN on a RUN, now and then a COPY from a context, which has nothing but its content. */
function chain(steps: number): SolverVertex<TestOp> {
  const context = vtx('context', { volatile: true, value: 'files' });
  let vertex = base;
  for (let at = 1; at <= steps; at++)
    vertex =
      at % 5 === 3
        ? vtx(`copy ${at}`, { inputs: [vertex, context], byContent: [1], value: `copy ${at}` })
        : vtx(`run ${at}`, { inputs: [vertex], value: `run ${at}` });
  return vertex;
}

/** Stages of which each copies a file of the one before, by its content. */
function stages(count: number, first: string): SolverVertex<TestOp> {
  let stage = vtx(first, { inputs: [base], value: 'out file' });
  for (let at = 1; at <= count; at++) {
    const copy = vtx(`copy ${at}`, { inputs: [base, stage], byContent: [1], selectors: { 1: 'out' }, value: `out ${at}` });
    stage = vtx(`run ${at}`, { inputs: [copy], value: `out file ${at}` });
  }
  return stage;
} // oxfmt-ignore

async function fill(target: SolverVertex<TestOp>): Promise<FarObjects> {
  const store = new FarObjects();
  await new Machine().build(target, { to: new ObjectPlace(store, 'main') });
  store.rounds = 0;
  store.requests.length = 0;
  return store;
}

describe('what a fully cached build asks a far cache for', () => {
  test('is one thing when there is an index', async () => {
    const store = await fill(chain(20));
    const built = await new Machine().build(chain(20), { from: [new ObjectPlace(store, 'main')] });
    expect(built.executed).toEqual(['context']);
    expect(store.rounds).toBe(1);
    expect(store.requests).toHaveLength(1);
  });

  test('is everything together when there is none', async () => {
    const store = await fill(chain(20));
    for (const name of store.objects.keys()) if (name.startsWith('index/')) store.objects.delete(name);
    const built = await new Machine().build(chain(20), { from: [new ObjectPlace(store, 'main')] });
    expect(built.executed).toEqual(['context']);
    // The index; what has names by definition; what has them by the content of the context.
    expect(store.rounds).toBeLessThanOrEqual(3);
    expect(store.requests.length).toBeLessThanOrEqual(22);
  });

  test('takes at most three rounds for each level where only contents lead on', async () => {
    const store = await fill(stages(6, 'stage'));
    for (const name of store.objects.keys()) if (name.startsWith('index/')) store.objects.delete(name);
    const built = await new Machine().build(stages(6, 'stage, with a comment'), {
      from: [new ObjectPlace(store, 'main')],
    });
    expect(built.executed.toSorted()).toEqual(['base', 'stage, with a comment']);
    expect(store.rounds).toBeLessThanOrEqual(3 * 6);
  });

  test('is nothing when its own store has it', async () => {
    const store = await fill(chain(20));
    const machine = new Machine();
    await machine.build(chain(20));
    expect((await machine.build(chain(20), { from: [new ObjectPlace(store, 'main')] })).executed).toEqual(['context']);
    expect(store.requests).toEqual([]);
  });
});
