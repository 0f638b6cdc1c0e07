import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { createSolver, solve, SolveError, type SolverVertex } from '../../src/solver/index.ts';
import { graphOf, recipes } from './random-graph.ts';
import { out, prng, Rig, settle, TestCache, type TestOp } from './rig.ts';

/** Waits a random while before every answer, so that things become ready in any order. */
function shuffled(rig: Rig, seed: number): Rig {
  const random = prng(seed);
  rig.jitter = async () => {
    for (let turns = Math.floor(random() * 4); turns > 0; turns--)
      await (random() < 0.3 ? settle() : Promise.resolve());
  };
  return rig;
}

async function run(
  vertices: readonly SolverVertex<TestOp>[],
  cache: TestCache | undefined,
  seed: number,
  concurrency = 3,
): Promise<{ results: readonly string[]; rig: Rig }> {
  const rig = shuffled(new Rig(), seed);
  const targets = vertices.slice(-3).map((v) => out(v, v.op.seed.length % 2));
  const results = await solve(rig.task(), targets, rig.options({ caches: cache ? [cache] : [], concurrency }));
  expect(rig.mostRunning).toBeLessThanOrEqual(concurrency);
  expect(rig.running).toBe(0);
  return { results, rig };
}

/** Every vertex that was shown as started was shown as ended, once. */
function expectTidy(rig: Rig, calls = 1): void {
  const states = new Map<string, string[]>();
  for (const event of rig.events) {
    if (event.type === 'vertex') states.set(event.vertex, [...(states.get(event.vertex) ?? []), event.state]);
  }
  for (const list of states.values()) {
    // A second call may start again what the first one gave up.
    const shown = calls > 1 ? list.join().replace(/(?<=^pending),started,canceled(?=,)/, '') : list.join();
    expect([
      'pending',
      'pending,started,done',
      'pending,cached',
      'pending,started,canceled',
      'pending,started,failed',
    ]).toContain(shown);
  }
}

test('any graph gives the same results cold, warm, partly evicted and with failing loads', async () => {
  await fc.assert(
    fc.asyncProperty(recipes, fc.nat(), async (list, seed) => {
      const expected = (await run(graphOf(list), undefined, seed)).results;
      const cache = new TestCache();
      const cold = await run(graphOf(list), cache, seed + 1);
      expect(cold.results).toEqual(expected);
      expectTidy(cold.rig);

      const warm = await run(graphOf(list), cache, seed + 2);
      expect(warm.results).toEqual(expected);
      expectTidy(warm.rig);
      const lasting = list.every(({ kind }) => kind !== 'volatile');
      if (lasting) expect(warm.rig.executed).toEqual([]);

      const random = prng(seed);
      for (const id of cache.recordIds) if (random() < 0.4) cache.evict(id);
      const evicted = await run(graphOf(list), cache, seed + 3);
      expect(evicted.results).toEqual(expected);
      expectTidy(evicted.rig);

      cache.failLoads = () => random() < 0.5;
      const failing = await run(graphOf(list), cache, seed + 4);
      expect(failing.results).toEqual(expected);
      expectTidy(failing.rig);
      cache.failLoads = () => false;
      expect((await run(graphOf(list), cache, seed + 5)).results).toEqual(expected);
    }),
    { numRuns: 150 },
  );
});

test('nothing that comes to the same runs twice in a build', async () => {
  await fc.assert(
    fc.asyncProperty(recipes, fc.nat(), async (list, seed) => {
      // Each vertex gets a twin with another digest; both are wanted.
      const one = graphOf(list);
      const two = graphOf(list, (_, options) => ({ ...options, twin: "'" }));
      const alone = await run(one, new TestCache(), seed);
      const rig = shuffled(new Rig(), seed);
      const targets = [one, two].flatMap((vertices) => vertices.slice(-3).map((v) => out(v, v.op.seed.length % 2)));
      await solve(rig.task(), targets, rig.options({ caches: [new TestCache()] }));
      const names = rig.executed.map((name) => name.replace("'", ''));
      // Early cutoff may find more in the larger graph, never less.
      expect(names.length).toBeLessThanOrEqual(alone.rig.executed.length);
    }),
    { numRuns: 100 },
  );
});

test('after a change only what can tell the difference runs', async () => {
  await fc.assert(
    fc.asyncProperty(recipes, fc.nat(), fc.nat(13), async (list, seed, changed) => {
      const cache = new TestCache();
      const before = graphOf(list);
      await run(before, cache, seed);
      const edited = list.map((recipe, at) => (at === changed ? { ...recipe, seed: 9 } : recipe));
      const after = graphOf(edited);
      const { results, rig } = await run(after, cache, seed + 1);
      expect(results).toEqual((await run(graphOf(edited), undefined, seed + 2)).results);
      const dirty = new Set<string>();
      for (const [at, vertex] of after.entries()) {
        const below = vertex.inputs.some(({ vertex }) => dirty.has(vertex.digest));
        if (at === changed || below || vertex.op.volatile) dirty.add(vertex.digest);
      }
      const clean = new Set(after.filter(({ digest }) => !dirty.has(digest)).map(({ name }) => name));
      const names = new Set(after.filter(({ digest }) => dirty.has(digest)).map(({ name }) => name));
      for (const name of rig.executed) expect(clean.has(name) && !names.has(name)).toBe(false);
    }),
    { numRuns: 100 },
  );
});

test('random failures and cancellations end, tidily, and leave the cache usable', async () => {
  await fc.assert(
    fc.asyncProperty(recipes, fc.nat(), fc.boolean(), async (list, seed, keepGoing) => {
      const random = prng(seed);
      const expected = (await run(graphOf(list), undefined, seed)).results;
      const cache = new TestCache();
      for (let round = 0; round < 3; round++) {
        const rig = shuffled(new Rig(), seed + round);
        const controller = new AbortController();
        const vertices = graphOf(list, (_, options) =>
          random() < 0.2 ? { ...options, error: new Error('boom') } : options,
        );
        const targets = vertices.slice(-3).map((v) => out(v, v.op.seed.length % 2));
        const solver = createSolver(rig.options({ caches: [cache], keepGoing }));
        const calls = Promise.allSettled([
          solver.solve(rig.task(controller.signal), targets),
          solver.solve(rig.task(), targets.slice(0, 1)),
        ]);
        if (random() < 0.5) {
          for (let turns = random() * 10; turns > 0; turns--) await settle();
          controller.abort();
        }
        const outcomes = await calls;
        expect(rig.running).toBe(0);
        expectTidy(rig, 2);
        for (const outcome of outcomes) {
          if (outcome.status === 'fulfilled') expect(expected).toEqual(expect.arrayContaining([...outcome.value]));
          else expect(outcome.reason instanceof SolveError || controller.signal.aborted).toBe(true);
        }
      }
      expect((await run(graphOf(list), cache, seed)).results).toEqual(expected);
    }),
    { numRuns: 100 },
  );
});
