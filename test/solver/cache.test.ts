import { describe, expect, test } from 'vitest';
import { createSolver, solve } from '../../src/solver/index.ts';
import { build, out, Rig, TestCache, vtx } from './rig.ts';

describe('definition keys', () => {
  test('a vertex runs once, and is then loaded', async () => {
    const cache = new TestCache();
    const v = vtx('a');
    expect((await build(v, cache)).rig.executed).toEqual(['a']);
    const again = await build(v, cache);
    expect(again.result).toBe('a()');
    expect(again.rig.executed).toEqual([]);
    expect(again.rig.states('a')).toEqual(['pending', 'cached']);
  });

  test('inputs of a cached vertex are neither loaded nor executed, and shown as cached, inputs first', async () => {
    const cache = new TestCache();
    const top = vtx('c', { inputs: [vtx('b', { inputs: [vtx('a')] })] });
    await build(top, cache);
    const { rig } = await build(top, cache);
    expect(cache.loads).toBe(1);
    expect(rig.executed).toEqual([]);
    expect(rig.inState('cached')).toEqual(['a', 'b', 'c']);
    expect(rig.keyed.toSorted()).toEqual(['a', 'b', 'c']);
  });

  test('a changed input makes its consumers run', async () => {
    const cache = new TestCache();
    await build(vtx('c', { inputs: [vtx('a'), vtx('b')] }), cache);
    const { result, rig } = await build(vtx('c', { inputs: [vtx('a'), vtx('b2')] }), cache);
    expect(result).toBe('c(a() b2())');
    expect(rig.executed).toEqual(['b2', 'c']);
    expect(rig.states('a')).toEqual(['pending', 'cached']);
  });

  test('the newest record wins', async () => {
    const cache = new TestCache();
    await build(vtx('a', { value: 'old' }), cache);
    await build(vtx('a', { value: 'new', ignoreCache: true }), cache);
    expect((await build(vtx('a'), cache)).result).toBe('new');
  });

  test('the position of an input counts', async () => {
    const cache = new TestCache();
    const [a, b] = [vtx('a'), vtx('b')];
    await build(vtx('c', { inputs: [a, b] }), cache);
    expect((await build(vtx('c', { inputs: [b, a] }), cache)).result).toBe('c(b() a())');
  });

  test('no cache at all', async () => {
    const { result } = await build(vtx('b', { inputs: [vtx('a')], byContent: [0] }));
    expect(result).toBe('b(a())');
  });
});

describe('content keys', () => {
  test('the same content from another vertex is a hit', async () => {
    const cache = new TestCache();
    await build(vtx('c', { inputs: [vtx('a', { value: 'same' })], byContent: [0] }), cache);
    const { result, rig } = await build(
      vtx('c', { inputs: [vtx('b', { value: 'same' })], byContent: [0], value: 'no' }),
      cache,
    );
    expect(result).toBe('c(same)');
    expect(rig.executed).toEqual(['b']);
    expect(rig.states('c')).toEqual(['pending', 'cached']);
  });

  test('after a hit by content the definition leads there', async () => {
    const cache = new TestCache();
    await build(vtx('c', { inputs: [vtx('a', { value: 'same' })], byContent: [0] }), cache);
    const second = vtx('c', { inputs: [vtx('b', { value: 'same' })], byContent: [0] });
    await build(second, cache);
    const { rig } = await build(second, cache);
    expect(rig.executed).toEqual([]);
    expect(rig.hashed).toEqual([]);
  });

  test('early cutoff: what reads unchanged content does not run, nor does what follows', async () => {
    const cache = new TestCache();
    const graph = (base: string) =>
      vtx('run', { inputs: [vtx('copy', { inputs: [vtx(base, { value: 'file1 file2' })], byContent: [0] })] });
    await build(graph('one'), cache);
    const { rig } = await build(graph('two'), cache);
    expect(rig.executed).toEqual(['two']);
    expect(rig.inState('cached')).toEqual(['copy', 'run']);
    expect(cache.loads).toBe(1);
  });

  test('only the selected part of an input counts', async () => {
    const cache = new TestCache();
    const copy = (files: string) =>
      vtx('copy', { inputs: [vtx(files, { value: files })], byContent: [0], selectors: { 0: 'a' } });
    await build(copy('a1 b1'), cache);
    expect((await build(copy('a1 b2'), cache)).rig.executed).toEqual(['a1 b2']);
    expect((await build(copy('a2 b2'), cache)).rig.executed).toEqual(['a2 b2', 'copy']);
  });

  test('the selector is part of the link: another selector is another result', async () => {
    const cache = new TestCache();
    const source = vtx('s', { value: 'a1 b1' });
    await build(vtx('copy', { inputs: [source], selectors: { 0: 'a' } }), cache);
    const { result } = await build(vtx('copy', { inputs: [source], selectors: { 0: 'b' }, twin: "'" }), cache);
    expect(result).toBe('copy(b1)');
  });

  test('inputs with a definition match wait: they are not loaded to be hashed', async () => {
    const cache = new TestCache();
    const graph = (first: string, second: string) =>
      vtx('top', {
        inputs: [vtx(first, { value: 'r1' }), vtx(second, { value: 'r2' })],
        byContent: [0, 1],
      });
    await build(graph('v1', 'v2'), cache);
    const one = await build(graph('v1', 'v2-changed'), cache);
    expect(one.rig.executed).toEqual(['v2-changed']);
    expect(cache.loads).toBe(1); // top; v1 is not touched
    const both = await build(graph('v1-changed', 'v2-changed'), cache);
    expect(both.rig.executed).toEqual(['v1-changed']);
    expect(both.result).toBe('top(r1 r2)');
  });

  test('a match by definition on one input and by content on another meet', async () => {
    const cache = new TestCache();
    const graph = (v2: string) => vtx('top', { inputs: [vtx('v1'), vtx(v2, { value: 'same' })], byContent: [1] });
    await build(graph('v2'), cache);
    const { rig } = await build(graph('v2-changed'), cache);
    expect(rig.executed).toEqual(['v2-changed']);
    expect(rig.states('v1')).toEqual(['pending', 'cached']);
  });

  test('an input is not hashed while another one, without content keys, runs', async () => {
    const cache = new TestCache();
    const graph = (seed3: string) => {
      const v3 = vtx(seed3, { value: 'r3' });
      const v1 = vtx('v1', { inputs: [v3], byContent: [0] });
      const v2 = vtx('v2');
      return vtx('main', { inputs: [vtx('v0', { inputs: [v1, v2], byContent: [1] })] });
    };
    await build(graph('v3'), cache);
    const { rig } = await build(graph('v3-new'), cache);
    expect(rig.executed).toEqual(['v3-new']);
    expect(cache.loads).toBe(1);
    expect(rig.hashed).toEqual(['v1<0']);
  });

  test('both inputs changed, then each was seen with the other: combinations are found', async () => {
    const cache = new TestCache();
    const graph = (one: string, two: string) =>
      vtx('top', { inputs: [vtx(one, { value: 'r1' }), vtx(two, { value: 'r2' })], byContent: [0, 1] });
    await build(graph('a', 'x'), cache);
    await build(graph('b', 'y'), cache);
    const { rig } = await build(graph('a', 'y'), cache);
    expect(rig.executed).toEqual([]);
    expect(rig.states('top')).toEqual(['pending', 'cached']);
  });

  test('content that cannot be told does not fail the build; running the op does, if it must', async () => {
    const cache = new TestCache();
    const bad = { byContent: [0], contentError: new Error('gone') };
    expect((await build(vtx('c', { ...bad, inputs: [vtx('a')] }), cache)).result).toBe('c(a())');
    const failing = build(vtx('d', { ...bad, inputs: [vtx('a')], error: new Error('"/nope" not found') }), cache);
    await expect(failing).rejects.toThrow('"/nope" not found');
  });

  test('a find calls off the inputs that were being completed for a hash', async () => {
    const cache = new TestCache();
    const top = (a: string, b: string, gate?: Promise<unknown>) =>
      vtx('top', {
        inputs: [
          vtx(a, { value: 'A' }),
          vtx('mid', { inputs: [vtx(b, { value: 'B', ...(gate ? { gate } : {}) })], byContent: [0], value: 'M' }),
        ],
        byContent: [0, 1],
      });
    await build(top('a', 'b'), cache);
    // "slow" never ends; its content is wanted for mid, whose key is wanted for top.
    await build(vtx('mid', { inputs: [vtx('slow', { value: 'B' })], byContent: [0], value: 'M' }), cache);
    const never = new Promise(() => undefined);
    const { rig, result } = await build(top('a2', 'slow', never), cache);
    expect(result).toBe('top(A M)');
    expect(rig.executed).toEqual(['a2']);
  });
});

describe('volatile keys', () => {
  const graph = (content: string) => {
    const local = vtx('local', { volatile: true, value: content });
    const copy = vtx('copy', { inputs: [vtx('base'), local], byContent: [1] });
    return vtx('run', { inputs: [copy] });
  };

  test('a local source is read in every build, and only its content counts', async () => {
    const cache = new TestCache();
    await build(graph('files'), cache);
    const same = await build(graph('files'), cache);
    expect(same.rig.executed).toEqual(['local']);
    expect(same.rig.inState('cached')).toEqual(['base', 'copy', 'run']);
    const other = await build(graph('other'), cache);
    expect(other.rig.executed).toEqual(['local', 'copy', 'run']);
    expect(cache.loads).toBe(2); // run; base for the other content
  });

  test('what reads a local source whole has no key that lasts', async () => {
    const cache = new TestCache();
    const top = vtx('b', { inputs: [vtx('a', { inputs: [vtx('local', { volatile: true })] })] });
    await build(top, cache);
    expect(cache.recordIds).toEqual([]);
    expect((await build(top, cache)).rig.executed).toEqual(['local', 'a', 'b']);
  });
});

describe('alternative identities', () => {
  test('are asked for only while nothing is found, and saved under', async () => {
    const cache = new TestCache();
    await build(vtx('v', { alternatives: ['chain1', 'chain2'], value: 'image' }), cache);
    expect((await build(vtx('chain2'), cache)).result).toBe('image');
    const retagged = await build(vtx('v-new', { alternatives: ['chain1', 'never'] }), cache);
    expect(retagged.result).toBe('image');
    expect((await build(vtx('v-new'), cache)).rig.executed).toEqual([]);
    expect((await build(vtx('never'), cache)).rig.executed).toEqual(['never']);
  });

  test('let the consumer of a retagged image hit without loading the image', async () => {
    const cache = new TestCache();
    const run = (tag: string) => vtx('run', { inputs: [vtx(tag, { alternatives: ['chain'] })] });
    await build(run('one'), cache);
    const { rig } = await build(run('two'), cache);
    expect(rig.executed).toEqual([]);
    expect(cache.loads).toBe(1);
  });

  test('one that cannot be told ends the list', async () => {
    const cache = new TestCache();
    const rig = new Rig();
    const v = vtx('v');
    const runner: Rig = Object.assign(Object.create(rig) as Rig, {
      cacheMap: async () => ({
        digest: v.digest,
        deps: [],
        // eslint-disable-next-line require-yield
        async *alternatives() {
          throw new Error('offline');
        },
      }),
      exec: async () => ['fine'],
    });
    expect(await solve(rig.task(), [out(v)], rig.options({ runner, caches: [cache] }))).toEqual(['fine']);
  });
});

describe('ignoring the cache', () => {
  test('runs again, as does what depends on it; the new results serve later builds', async () => {
    const cache = new TestCache();
    const graph = (value: string, ignoreCache: boolean) => vtx('b', { inputs: [vtx('a', { value, ignoreCache })] });
    await build(graph('1', false), cache);
    const again = await build(graph('2', true), cache);
    expect(again.rig.executed).toEqual(['a', 'b']);
    const later = await build(graph('3', false), cache);
    expect(later.rig.executed).toEqual([]);
    expect(later.result).toBe('b(2)');
  });

  test('a consumer resumes from the cache when the content is the same', async () => {
    const cache = new TestCache();
    const graph = (ignoreCache: boolean) =>
      vtx('b', { inputs: [vtx('a', { value: 'same', ignoreCache })], byContent: [0] });
    await build(graph(false), cache);
    expect((await build(graph(true), cache)).rig.executed).toEqual(['a']);
  });

  test('saves under alternative identities too', async () => {
    const cache = new TestCache();
    await build(vtx('a', { ignoreCache: true, alternatives: ['alt'] }), cache);
    expect((await build(vtx('alt'), cache)).rig.executed).toEqual([]);
  });

  test('in one build, the same op with and without cache are two', async () => {
    const cache = new TestCache();
    await build(vtx('a', { value: 'old' }), cache);
    const rig = new Rig();
    const edges = [vtx('a'), vtx('a', { ignoreCache: true, value: 'new' })].map((v) => out(v));
    expect(await solve(rig.task(), edges, rig.options({ caches: [cache] }))).toEqual(['old', 'new']);
  });
});

describe('records that cannot be used', () => {
  const sum = () => {
    const c2 = vtx('const2');
    const s2 = vtx('sum2', { inputs: [c2] });
    return vtx('sum3', { inputs: [vtx('sum0', { inputs: [s2, vtx('const0')] }), s2] });
  };

  test('are dropped, and everything is made anew', async () => {
    const cache = new TestCache();
    const cold = await build(sum(), cache);
    cache.failLoads = () => true;
    const { result, rig } = await build(sum(), cache);
    expect(result).toBe(cold.result);
    expect(rig.executed.toSorted()).toEqual(['const0', 'const2', 'sum0', 'sum2', 'sum3']);
    expect(cache.loads).toBe(5); // each record was tried once
    cache.failLoads = () => false;
    expect((await build(sum(), cache)).rig.executed).toEqual([]);
  });

  test('an older record serves when the newest does not load', async () => {
    const cache = new TestCache();
    await build(vtx('a', { value: 'old' }), cache);
    await build(vtx('a', { value: 'new', ignoreCache: true }), cache);
    const newest = cache.recordIds.at(-1);
    cache.failLoads = ({ id }) => id === newest;
    expect((await build(vtx('a'), cache)).result).toBe('old');
    expect(cache.recordIds).not.toContain(newest);
  });

  test('a record that is gone in the middle of a chain is not needed', async () => {
    const cache = new TestCache();
    const top = vtx('c', { inputs: [vtx('b', { inputs: [vtx('a')] })] });
    await build(top, cache);
    const [a = '', b = ''] = cache.recordIds;
    cache.evict(a);
    cache.evict(b);
    expect((await build(top, cache)).rig.executed).toEqual([]);
  });

  test('content keys are tried after a failing load', async () => {
    const cache = new TestCache();
    const c = (from: string) => vtx('c', { inputs: [vtx(from, { value: 'same' })], byContent: [0] });
    await build(c('a'), cache);
    const broken = cache.recordIds.at(-1);
    cache.failLoads = ({ id }) => id === broken;
    const { result, rig } = await build(c('a'), cache);
    expect(result).toBe('c(same)');
    expect(rig.executed).toEqual(['c']);
  });

  test('a cache that throws is a miss with one warning', async () => {
    const cache = new TestCache();
    cache.broken = true;
    const { result, rig } = await build(sum(), cache);
    expect(result).not.toBe('');
    const warnings = rig.events.filter((event) => event.type === 'diagnostic');
    expect(warnings.map(({ diagnostic }) => diagnostic.message)).toEqual([
      'Cannot use cache "test" in full: The index is damaged',
    ]);
  });
});

describe('several caches', () => {
  test('a hit elsewhere is copied to the main one, with the keys that lead to it', async () => {
    const remote = new TestCache('remote');
    const main = new TestCache('main');
    const top = vtx('c', { inputs: [vtx('b', { inputs: [vtx('a')] })] });
    await build(top, remote);
    const { rig } = await build(top, [main, remote]);
    expect(rig.executed).toEqual([]);
    expect([remote.loads, main.loads]).toEqual([1, 0]);
    const alone = await build(vtx('d', { inputs: [top] }), main);
    expect(alone.rig.executed).toEqual(['d']);
    expect(alone.result).toBe('d(c(b(a())))');
  });

  test('the main one is asked first', async () => {
    const remote = new TestCache('remote');
    const main = new TestCache('main');
    await build(vtx('a', { value: 'main' }), main);
    await build(vtx('a', { value: 'remote' }), remote);
    await build(vtx('a', { value: 'remote', ignoreCache: true }), remote);
    expect((await build(vtx('a'), [main, remote])).result).toBe('main');
  });

  test('links of two caches do not mix', async () => {
    const [one, two] = [new TestCache('one'), new TestCache('two')];
    const top = vtx('top', { inputs: [vtx('a'), vtx('b')] });
    await build(top, one);
    await build(top, two);
    expect((await build(top, [one, two])).rig.executed).toEqual([]);
    expect(one.loads + two.loads).toBe(1);
  });
});

test('keys of a solved edge name where its result stands', async () => {
  const cache = new TestCache();
  const rig = new Rig();
  const solver = createSolver(rig.options({ caches: [cache] }));
  const edge = out(vtx('b', { inputs: [vtx('a')] }));
  await solver.solve(rig.task(), [edge]);
  const [node = ''] = solver.keys(edge);
  expect(cache.records(node)).toHaveLength(1);
});
