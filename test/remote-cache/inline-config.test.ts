import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type CachedLayer,
  decodeInlineCache,
  encodeInlineCache,
  type RemoteConfig,
} from '../../src/remote-cache/index.ts';
import { type ImageConfig, INLINE_CACHE_KEY, type Manifest, mediaTypes } from '../../src/image/index.ts';
import { isTsbuildError, sha256 } from '../../src/util/index.ts';

const NAMES = ['base', 'run', 'copied'] as const;
const DIGESTS = NAMES.map((name) => sha256(name));
const layerOf = (name: string): CachedLayer => ({
  descriptor: { mediaType: mediaTypes.ociLayerGzip, digest: sha256(name), size: name.length },
  diffId: sha256(`content of ${name}`),
  createdAt: 1,
  description: `not ${name}`,
  fromImage: false,
});

/** RUN on a base image, and a COPY --link on top that is a result of its own. */
const CONFIG: RemoteConfig = {
  layers: [
    { layer: layerOf('base'), parent: -1 },
    { layer: layerOf('run'), parent: 0 },
    { layer: layerOf('copied'), parent: -1 },
    { layer: layerOf('copied'), parent: 1 },
    { layer: layerOf('of another stage'), parent: -1 },
  ],
  records: [
    { digest: sha256('base image'), inputs: [], results: [] },
    { digest: sha256('file'), inputs: [], results: [] },
    { digest: sha256('run step'), inputs: [[{ link: 0 }]], results: [{ layers: 1, createdAt: 7 }] },
    {
      digest: sha256('copy step'),
      inputs: [[{ link: 1, selector: sha256('path') }, { link: 1 }]],
      results: [
        { layers: 2, createdAt: 8 },
        { layers: 4, createdAt: 9 },
      ],
    },
    {
      digest: sha256('merge'),
      inputs: [[{ link: 2 }], [{ link: 3 }]],
      results: [{ layers: 3, createdAt: 10 }],
    },
  ],
};

/** An image of these layers, with metadata-only instructions between the others. */
function image(field: unknown): { readonly manifest: Pick<Manifest, 'layers'>; readonly config: ImageConfig } {
  return {
    manifest: {
      layers: NAMES.map((name) => layerOf(name).descriptor),
    },
    config: {
      architecture: 'amd64',
      os: 'linux',
      config: {},
      rootfs: { type: 'layers', diff_ids: NAMES.map((name) => layerOf(name).diffId) },
      history: [
        { created: '2020-01-01T00:00:00Z', created_by: 'ADD base' },
        { created: '2024-01-01T00:00:01Z', created_by: 'RUN run' },
        { created: '2024-01-01T00:00:01Z', created_by: 'ENV A=1', empty_layer: true },
        { created: '2024-01-01T00:00:02Z', created_by: 'COPY copied' },
      ],
      [INLINE_CACHE_KEY]: field,
    },
  };
}

const base64 = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64');
const parse = (text: string | undefined): unknown => JSON.parse(Buffer.from(text ?? '', 'base64').toString());

describe('a cache within an image', () => {
  test("has BuildKit's form: records alone, with places of the image's layers, and no time", () => {
    const records = parse(encodeInlineCache(CONFIG, DIGESTS)) as { digest: string }[];
    expect(records.map(({ digest }) => digest)).toEqual(records.map(({ digest }) => digest).toSorted());
    const of = (name: string) => records.find(({ digest }) => digest === sha256(name));
    const at = (name: string): number => records.findIndex(({ digest }) => digest === sha256(name));
    expect(of('base image')).toEqual({ digest: sha256('base image') });
    expect(of('run step')).toEqual({
      digest: sha256('run step'),
      layers: [{ layer: 1 }],
      inputs: [[{ link: at('base image') }]],
    });
    // What is not the image from its bottom up is a list of layers; what the image lacks is not there.
    expect(of('copy step')).toMatchObject({ chains: [{ layers: [2] }] });
    expect(of('copy step')).not.toHaveProperty('layers');
    expect(of('merge')).toMatchObject({ layers: [{ layer: 2 }] });
  });

  test('is the same whatever the order in which things came to be known, and when', () => {
    const [base, file, run, copy, merge] = CONFIG.records as [never, never, never, never, never];
    const moved = new Map([[0, 1], [1, 0], [2, 3], [3, 2], [4, 4]]); // oxfmt-ignore
    const records = [file, base, copy, run, merge].map(({ inputs, results, digest }: RemoteConfig['records'][number]) => ({
      digest,
      inputs: inputs.map((ways) => ways.map((way) => ({ ...way, link: moved.get(way.link)! })).toReversed()),
      results: results.map((result) => ({ ...result, createdAt: result.createdAt + 1000 })),
    })); // oxfmt-ignore
    expect(encodeInlineCache({ ...CONFIG, records }, DIGESTS)).toBe(encodeInlineCache(CONFIG, DIGESTS));
  });

  test('gets from the image what the records do not say', () => {
    const decoded = decodeInlineCache(image(encodeInlineCache(CONFIG, DIGESTS)), 'config')!;
    expect(decoded.layers).toEqual([
      // No result ends here, so it came with the base image.
      { layer: { ...layerOf('base'), createdAt: Date.UTC(2020), description: 'ADD base', fromImage: true }, parent: -1 },
      { layer: { ...layerOf('run'), createdAt: Date.UTC(2024) + 1000, description: 'RUN run' }, parent: 0 },
      { layer: { ...layerOf('copied'), createdAt: Date.UTC(2024) + 2000, description: 'COPY copied' }, parent: 1 },
    ]); // oxfmt-ignore
    const merge = decoded.records.find(({ digest }) => digest === sha256('merge'));
    expect(merge?.results).toEqual([{ layers: 2, createdAt: Date.UTC(2024) + 2000 }]);
  });

  test('of BuildKit is read, with its times', () => {
    const records = [
      { layers: [{ layer: 1, createdAt: '2026-11-29T12:27:22.69293863Z' }], digest: sha256('a'), inputs: [[{ link: 1 }]] },
      { chains: [{ layers: [2], createdAt: '0001-01-01T00:00:00Z' }], digest: sha256('b') },
    ]; // oxfmt-ignore
    const decoded = decodeInlineCache(image(base64(records)), 'config');
    expect(decoded?.records.map(({ results }) => results)).toEqual([
      [{ layers: 1, createdAt: Date.UTC(2026, 10, 29, 12, 27, 22, 692) }],
      [{ layers: [2], createdAt: Date.UTC(2024) + 2000 }],
    ]);
  });

  test('may have very many results', () => {
    const layers = Array.from({ length: 100_000 }, () => ({ layer: 1 }));
    const records = ['a', 'b', 'c'].map((name) => ({ digest: sha256(name), layers }));
    const decoded = decodeInlineCache(image(base64(records)), 'config');
    expect(decoded?.records.flatMap(({ results }) => results)).toHaveLength(300_000);
    expect(decoded?.layers.map(({ layer }) => layer?.fromImage)).toEqual([true, false, false]);
  });

  test('is absent from most images, and from one without a step', () => {
    for (const none of [undefined, null]) expect(decodeInlineCache(image(none), 'config')).toBeUndefined();
    expect(encodeInlineCache({ layers: [], records: [] }, DIGESTS)).toBeUndefined();
  });

  test.each<[string, unknown, RegExp]>([
    ['a number', 7, /not base64/],
    ['no base64', 'a b', /not base64/],
    ['base64 with a tail', `${base64([])}====`, /not base64/],
    ['no JSON', base64('{'), /cannot use cache in the config/i],
    ['an object', base64({ records: [] }), /"records" is not a list/],
    ['a layer beyond the image', base64([{ digest: sha256('a'), layers: [{ layer: 3 }] }]), /records\[0\]\.layers\[0\]/],
    ['a negative layer', base64([{ digest: sha256('a'), chains: [{ layers: [-1] }] }]), /records\[0\]\.chains\[0\]/],
    ['a link to nowhere', base64([{ digest: sha256('a'), inputs: [[{ link: 1 }]] }]), /records\[0\]\.inputs/],
    ['a record of itself', base64([{ digest: sha256('a'), inputs: [[{ link: 0 }]] }]), /made from itself/],
    ['no digest', base64([{ digest: 'x' }]), /not a sha256 digest/],
  ])('that is %s is refused (CAC-09, CAC-10)', (_, field, message) => {
    expect(() => decodeInlineCache(image(field), 'config')).toThrow(message);
  }); // oxfmt-ignore

  test('whatever it is, it is read or refused with a reason (CAC-10)', () => {
    const index = fc.oneof(fc.integer({ min: -1, max: 4 }), fc.constant(1.5), fc.string());
    const record = fc.record(
      {
        digest: fc.constantFrom(sha256('a'), sha256('b'), 'x'),
        layers: fc.array(fc.record({ layer: index }), { maxLength: 2 }),
        chains: fc.array(fc.record({ layers: fc.array(index, { maxLength: 3 }) }), { maxLength: 2 }),
        inputs: fc.array(fc.array(fc.record({ link: index }), { maxLength: 2 }), { maxLength: 2 }),
      },
      { requiredKeys: ['digest'] },
    );
    const field = fc.oneof(fc.array(record, { maxLength: 4 }).map(base64), fc.json().map(base64), fc.string(), fc.jsonValue());
    fc.assert(
      fc.property(field, (value) => {
        try {
          const decoded = decodeInlineCache(image(value), 'config');
          for (const { results } of decoded?.records ?? [])
            for (const { layers } of results) for (const at of [layers].flat()) expect(decoded!.layers[at]).toBeDefined();
        } catch (error) {
          if (!isTsbuildError(error, 'TSB_IMAGE')) throw error;
        }
      }),
    );
  }); // oxfmt-ignore
});
