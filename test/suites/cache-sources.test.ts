import { createIndexCache } from '../../src/cache/index.ts';
import { INLINE_CACHE_KEY, mediaTypes } from '../../src/image/index.ts';
import {
  type CachedLayer,
  decodeInlineCache,
  encodeInlineCache,
  ImportedCache,
  type RemoteConfig,
} from '../../src/remote-cache/index.ts';
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

/** A cache of other machines: a result is a text, which is the description of a layer that stands alone. */
function configOf(steps: readonly CachedStep[]): RemoteConfig {
  const layers: { layer: CachedLayer; parent: number }[] = [];
  const records = steps.map(({ op, output, inputs, results }) => ({
    digest: `sha256:${leafKey(op, output)}` as const,
    inputs: inputs.map(({ step, selector }) => [{ link: step, ...(selector === undefined ? {} : { selector }) }]),
    results: results.map((description, index) => {
      const descriptor = { mediaType: mediaTypes.ociLayer, digest: sha256(description), size: 1 };
      layers.push({
        layer: { descriptor, diffId: sha256(description), createdAt: index * 1000, description, fromImage: false },
        parent: -1,
      });
      return { layers: layers.length - 1, createdAt: index };
    }),
  }));
  return { layers, records };
}

const textOf = (found: readonly CachedLayer[]): string => found.at(-1)?.description ?? '';

cacheSourceSuite('an imported cache', (steps) => {
  return { source: new ImportedCache<string>('imported', configOf(steps), textOf), ...kept };
});

cacheSourceSuite('a cache within an image', (steps) => {
  const config = configOf(steps);
  const layers = config.layers.flatMap(({ layer }) => layer ?? []);
  const field = encodeInlineCache(config, layers.map(({ descriptor }) => descriptor.digest)); // oxfmt-ignore
  // What the records do not say is in the rest of the image.
  const image = {
    manifest: {
      layers: layers.map(({ descriptor }) => descriptor),
    },
    config: {
      architecture: 'amd64',
      os: 'linux',
      config: {},
      rootfs: { type: 'layers' as const, diff_ids: layers.map(({ diffId }) => diffId) },
      history: layers.map(({ createdAt, description }) => ({
        created: new Date(createdAt).toISOString(),
        created_by: description,
      })),
      [INLINE_CACHE_KEY]: field,
    },
  };
  const decoded = decodeInlineCache(image, 'config') ?? { layers: [], records: [] };
  return { source: new ImportedCache<string>('inline', decoded, textOf), ...kept };
});
