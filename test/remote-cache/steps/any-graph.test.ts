import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { ObjectPlace } from '../../../src/remote-cache/index.ts';
import { MemoryObjects } from '../../fakes/memory-objects.ts';
import { graphOf, recipes } from '../../solver/random-graph.ts';
import { Machine } from '../../support/shared-cache.ts';

/** The order in which requests are answered does not count. */
function shuffledObjects(seed: number): MemoryObjects {
  const store = new MemoryObjects();
  let state = seed + 1;
  store.before = async () => {
    state = (state * 48_271) % 2_147_483_647;
    for (let waits = state % 4; waits > 0; waits--) await new Promise((resolve) => setImmediate(resolve));
  };
  return store;
}

test('any graph gives the same on every machine, and runs nothing that another one has run (CAC-08)', async () => {
  await fc.assert(
    fc.asyncProperty(recipes, fc.nat(1000), fc.boolean(), async (list, seed, hasIndex) => {
      const target = graphOf(list).at(-1)!;
      const alone = await new Machine().build(target);
      const store = shuffledObjects(seed);
      const first = await new Machine().build(target, { to: new ObjectPlace(store, 'main') });
      expect(first).toMatchObject({ result: alone.result, warnings: [] });
      if (!hasIndex) for (const name of store.objects.keys()) if (name.startsWith('index/')) store.objects.delete(name);
      const second = await new Machine().build(target, { from: [new ObjectPlace(store, 'main')] });
      expect(second).toMatchObject({ result: alone.result, warnings: [] });
      const leaves = new Set(graphOf(list).filter(({ inputs }) => inputs.length === 0).map(({ name }) => name));
      // What has no inputs is a source, which everybody asks for himself; so does what is made of nothing that can be named.
      expect(second.executed.filter((name) => !leaves.has(name) && !unnamed(list).has(name))).toEqual([]);
    }),
    { numRuns: 200 },
  );
}); // oxfmt-ignore

/** Names of the vertices that have no key beyond a process: somewhere beneath them a source has none, and nobody looks at its content. */
function unnamed(list: Parameters<typeof graphOf>[0]): ReadonlySet<string> {
  const vertices = graphOf(list);
  const without = new Set<string>();
  for (const { name, digest, op, inputs } of vertices) {
    const isLost = inputs.some(({ vertex }, at) => without.has(vertex.digest) && op.byContent?.includes(at) !== true);
    if (op.volatile === true || isLost) without.add(digest).add(name);
  }
  return without;
}
