import { createIndexCache } from '../../src/cache/index.ts';
import { mediaTypes } from '../../src/image/index.ts';
import { type CachedLayer, ImportedCache, type RemoteConfig } from '../../src/remote-cache/index.ts';
import type { CacheSource } from '../../src/solver/index.ts';
import { MemoryCache } from '../fakes/memory-cache.ts';
import { leafKey, sha256 } from '../../src/util/index.ts';
import { TestCache } from '../solver/rig.ts';
import { openStore } from '../store/support.ts';
import { type CachedStep, cacheSourceSuite } from './cache-source.ts';

type Writable = Required<Pick<CacheSource<string>, 'link' | 'save'>>;

/** Tells a cache that can be written what it is to know. Nodes of steps that are no leaves have ids of the writer's making. */
function fill(cache: Writable, steps: readonly CachedStep[], between: () => void = () => undefined): void {
  const nodes: string[] = [];
  for (const { op, output, inputs, results } of steps) {
    const node = inputs.length === 0 ? leafKey(op, output) : `node ${nodes.length}`;
    nodes.push(node);
    cache.link(
      node,
      inputs.map(({ step, selector }, input) => ({
        op, output, input, from: nodes[step] ?? '', ...(selector === undefined ? {} : { selector }),
      })),
    ); // oxfmt-ignore
    for (const result of results) {
      between();
      cache.save(node, result);
    }
  }
}

const kept = { [Symbol.dispose]: (): void => undefined };

cacheSourceSuite('the cache in memory', (steps) => {
  let time = 0;
  const source = new MemoryCache<string>({ id: 'memory', now: () => ++time });
  fill(source, steps);
  return { source, ...kept };
});

cacheSourceSuite('the cache that tests break', (steps) => {
  const source = new TestCache();
  fill(source, steps);
  return { source, ...kept };
});

cacheSourceSuite('the index of the store', (steps) => {
  const opened = openStore();
  const source = createIndexCache<string>(opened.store, {
    lease: opened.store.leases.create(),
    // A result is a text here, which stands in for a layer's id.
    codec: { encode: (text) => ({ layers: [text] }), decode: ([text = '']) => text },
    available: () => true,
    onWarning: (message) => {
      throw new Error(message);
    },
  });
  fill(source, steps, () => opened.advance(1000));
  return { source, [Symbol.dispose]: () => opened[Symbol.dispose]() };
});

cacheSourceSuite('an imported cache', (steps) => {
  const layers: { layer: CachedLayer; parent: number }[] = [];
  const config: RemoteConfig = {
    layers,
    records: steps.map(({ op, output, inputs, results }) => ({
      digest: `sha256:${leafKey(op, output)}`,
      inputs: inputs.map(({ step, selector }) => [{ link: step, ...(selector === undefined ? {} : { selector }) }]),
      results: results.map((description, index) => {
        const descriptor = { mediaType: mediaTypes.ociLayer, digest: sha256(description), size: 1 };
        layers.push({
          layer: { descriptor, diffId: sha256(description), createdAt: 0, description, fromImage: false },
          parent: -1,
        });
        return { layers: layers.length - 1, createdAt: index };
      }),
    })),
  };
  const source = new ImportedCache<string>('imported', config, (found) => found.at(-1)?.description ?? '');
  return { source, ...kept };
});
