import { describe, expect, test } from 'vitest';
import {
  type CachedLayer,
  collectCache,
  decodeRemoteConfig,
  encodeRemoteConfig,
  ImportedCache,
  type RemoteConfig,
} from '../../src/remote-cache/index.ts';
import { createIndexCache, type IndexCache } from '../../src/cache/index.ts';
import { createSolver, type SolverVertex } from '../../src/solver/index.ts';
import { mediaTypes } from '../../src/image/index.ts';
import { sha256 } from '../../src/util/index.ts';
import { out, Rig, type TestOp, vtx } from '../solver/rig.ts';
import { openStore, type TestStore } from '../store/support.ts';

/** Results of test ops are texts; a text becomes one layer that has it as its description. */
const layerOf = (text: string): CachedLayer => ({
  descriptor: { mediaType: mediaTypes.ociLayer, digest: sha256(text), size: text.length },
  diffId: sha256(text),
  createdAt: 1,
  description: text,
  fromImage: false,
});

function localCache({ store }: TestStore): IndexCache<string> {
  return createIndexCache<string>(store, {
    lease: store.leases.create(),
    codec: {
      encode: (text) => ({ layers: [text] }),
      decode: ([text = '']) => text,
    },
    available: () => true,
    onWarning: (message) => {
      throw new Error(message);
    },
  });
}

interface Built {
  readonly rig: Rig;
  readonly results: readonly string[];
  /** The cache that the build exports. */
  readonly exported: RemoteConfig;
}

/** Builds with a local cache and an imported one, and collects what it knows. */
async function build(
  local: IndexCache<string>,
  top: SolverVertex<TestOp>,
  imported?: RemoteConfig,
  mode: 'min' | 'max' = 'max',
): Promise<Built> {
  const rig = new Rig();
  // What is imported has been through bytes.
  const blobs = new Map(
    imported?.layers.flatMap(({ layer }) => (layer ? [[layer.descriptor.digest, layer.descriptor]] : [])),
  );
  const remote =
    imported &&
    new ImportedCache(
      'remote',
      decodeRemoteConfig(encodeRemoteConfig(imported), blobs, 'cache'),
      (layers) => layers.at(-1)?.description ?? '',
    );
  const solver = createSolver(rig.options({ caches: remote ? [local, remote] : [local] }));
  const results = await solver.solve(rig.task(), [out(top)]);
  const known = await solver.known(rig.task(), [out(top)]);
  const exported = collectCache(
    known.map(({ nodes, result, source, target }) =>
      result === undefined || source || (mode === 'min' && !target)
        ? { nodes }
        : { nodes, result: { layers: [layerOf(result)], createdAt: 1 } },
    ),
    (node) => local.linksTo(node),
  );
  return { rig, results, exported };
}

/** The same cache with its layers, records and ways in another order. */
function shuffled({ layers, records }: RemoteConfig, seed: number): RemoteConfig {
  let state = seed;
  const order = (length: number): number[] => {
    const list = Array.from({ length }, (_, at) => at);
    for (let at = length - 1; at > 0; at--) {
      state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
      const other = state % (at + 1);
      [list[at], list[other]] = [list[other]!, list[at]!];
    }
    return list;
  };
  const [layerOrder, recordOrder] = [order(layers.length), order(records.length)];
  const [layerAt, recordAt] = [layerOrder, recordOrder].map((list) => (old: number) => list.indexOf(old)) as [
    (old: number) => number,
    (old: number) => number,
  ];
  return {
    layers: layerOrder.map((old) => ({
      ...layers[old]!,
      parent: layers[old]!.parent < 0 ? -1 : layerAt(layers[old]!.parent),
    })),
    records: recordOrder.map((old) => {
      const { digest, inputs, results } = records[old]!;
      return {
        digest,
        inputs: inputs.map((ways) =>
          order(ways.length).map((way) => ({ ...ways[way]!, link: recordAt(ways[way]!.link) })),
        ),
        results: results.map((result) => ({
          ...result,
          layers: typeof result.layers === 'number' ? layerAt(result.layers) : result.layers.map(layerAt),
        })),
      };
    }),
  };
}

describe('a cache of another machine', () => {
  const graph = (last = 'last'): SolverVertex<TestOp> =>
    vtx(last, {
      inputs: [
        vtx('run', { inputs: [vtx('base', { source: true })] }),
        vtx('copy', { inputs: [vtx('files', { volatile: true, source: true, value: 'a b' })], byContent: [0] }),
      ],
    });

  test('answers for everything, and what it answered stays', async () => {
    using here = openStore();
    using there = openStore();
    const first = await build(localCache(here), graph());
    expect(first.rig.executed.toSorted()).toEqual(['base', 'copy', 'files', 'last', 'run']);
    const local = localCache(there);
    const second = await build(local, graph(), first.exported);
    expect(second.rig.executed).toEqual(['files']);
    expect(second.results).toEqual(first.results);
    expect((await build(local, graph())).rig.executed).toEqual(['files']);
  });

  test('is exported again as it was, though only its last result was needed', async () => {
    using here = openStore();
    using there = openStore();
    const first = await build(localCache(here), graph());
    const second = await build(localCache(there), graph(), first.exported);
    expect(second.exported.records).toEqual(
      first.exported.records.map(
        (record) => expect.objectContaining({ digest: record.digest, inputs: record.inputs }) as unknown,
      ),
    );
    expect(second.exported.layers).toEqual(first.exported.layers);
  });

  test('helps with the steps that did not change', async () => {
    using here = openStore();
    using there = openStore();
    const { exported } = await build(localCache(here), graph());
    const { rig } = await build(localCache(there), graph('other'), exported);
    expect(rig.executed.toSorted()).toEqual(['files', 'other']);
  });

  test('of the last result alone does not have the steps before it', async () => {
    using here = openStore();
    using there = openStore();
    const { exported } = await build(localCache(here), graph(), undefined, 'min');
    expect(exported.layers).toHaveLength(1);
    expect((await build(localCache(there), graph(), exported)).rig.executed).toEqual(['files']);
    using third = openStore();
    const { rig } = await build(localCache(third), graph('other'), exported);
    expect(rig.executed.toSorted()).toEqual(['base', 'copy', 'files', 'other', 'run']);
  });

  test('knows results by content, whoever made it', async () => {
    using here = openStore();
    using there = openStore();
    const reader = (from: string, extra: Partial<TestOp> = {}): SolverVertex<TestOp> =>
      vtx('reader', { inputs: [vtx(from, { value: 'x1 y1' })], byContent: [0], selectors: { 0: 'x' }, ...extra });
    const { exported } = await build(localCache(here), reader('one'));
    const second = await build(localCache(there), reader('two', { value: 'not this' }), exported);
    expect(second.rig.executed).toEqual(['two']);
    expect(second.results).toEqual(['reader(x1)']);
  });

  test('keeps contents that a build did not have to look at', async () => {
    using here = openStore();
    using there = openStore();
    using third = openStore();
    const reader = (from: string): SolverVertex<TestOp> =>
      vtx('reader', { inputs: [vtx(from, { value: 'x' })], byContent: [0] });
    // The second time the content leads there as well.
    const local = localCache(here);
    await build(local, reader('one'));
    const { exported } = await build(local, reader('one'));
    const again = await build(localCache(there), reader('one'), exported);
    expect(again.rig.hashed).toEqual([]);
    expect((await build(localCache(third), reader('two'), again.exported)).rig.executed).toEqual(['two']);
  });

  test('has no step that is made from itself, though a step may have its own result as input', async () => {
    using here = openStore();
    using there = openStore();
    const copy = (from: SolverVertex<TestOp>): SolverVertex<TestOp> =>
      vtx('copy', { inputs: [from], byContent: [0], value: 'same' });
    const loop = copy(copy(copy(vtx('start', { value: 'same' }))));
    const local = localCache(here);
    const first = await build(local, loop);
    const second = await build(local, loop);
    for (const { exported } of [first, second])
      expect((await build(localCache(there), loop, exported)).rig.executed).toEqual([]);
  });

  test('in any order gives the same hits, also where several ways lead to one result (CAC-08)', async () => {
    using here = openStore();
    const files = vtx('files', { volatile: true, source: true, value: 'same' });
    const shared = vtx('shared', { inputs: [files], byContent: [0], value: 'same' });
    const top = (first: string): SolverVertex<TestOp> => {
      const left = vtx(first, { inputs: [shared], byContent: [0], value: 'same' });
      return vtx('top', { inputs: [left, vtx('right', { inputs: [left, shared], byContent: [1] })], byContent: [0] });
    };
    const local = localCache(here);
    for (const first of ['left', 'other', 'left']) await build(local, top(first));
    const { exported } = await build(local, top('left'));
    expect(exported.records.some(({ inputs }) => inputs.some((ways) => ways.length > 1))).toBe(true);
    const hits = async (config: RemoteConfig): Promise<readonly unknown[]> => {
      const rig = new Rig();
      const cache = new ImportedCache('remote', config, (layers) => layers.at(-1)?.description ?? '');
      const results = await createSolver(rig.options({ caches: [cache] })).solve(rig.task(), [out(top('left'))]);
      return [rig.executed.toSorted(), results];
    };
    const reference = await hits(exported);
    expect(reference).toEqual([['files'], expect.anything()]);
    for (let seed = 1; seed <= 200; seed++)
      expect([seed, await hits(shuffled(exported, seed))]).toEqual([seed, reference]);
  });

  test('leaves out what other builds on the store made', async () => {
    using here = openStore();
    const local = localCache(here);
    await build(
      local,
      vtx('top', { inputs: [vtx('other', { value: 'same', inputs: [vtx('secret')] })], byContent: [0] }),
    );
    const { exported } = await build(local, vtx('top', { inputs: [vtx('mine', { value: 'same' })], byContent: [0] }));
    // top by its own input and by the content; nothing of `other` and `secret`.
    expect(exported.records.filter(({ inputs }) => inputs.length > 0)).toHaveLength(1);
    expect(exported.records.filter(({ inputs }) => inputs.length === 0)).toHaveLength(2);
    expect(exported.layers.map(({ layer }) => layer?.description)).toEqual(['top(same)']);
  });

  test('that is given up has nothing', async () => {
    using here = openStore();
    const { exported } = await build(localCache(here), vtx('a', { inputs: [vtx('b')] }));
    const cache = new ImportedCache('remote', exported, () => '');
    const record = exported.records.findIndex(({ results }) => results.length > 0);
    expect(cache.records(`#${record}`)).toHaveLength(1);
    cache.giveUp();
    expect(cache.records(`#${record}`)).toEqual([]);
    await expect(cache.load(new Rig().task(), { id: `${record}.0`, createdAt: 0 })).rejects.toThrow(/unknown/);
  });
});
