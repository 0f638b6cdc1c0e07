import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeRemoteConfig, encodeRemoteConfig, type RemoteConfig } from '../../src/remote-cache/index.ts';
import { type Descriptor, mediaTypes } from '../../src/image/index.ts';
import { type Digest, isTsbuildError, sha256 } from '../../src/util/index.ts';

const blobOf = (name: string): Descriptor => ({
  mediaType: mediaTypes.ociLayerGzip,
  digest: sha256(name),
  size: name.length,
});
const layerOf = (name: string) => ({
  descriptor: blobOf(name),
  diffId: sha256(`content of ${name}`),
  createdAt: 1_700_000_000_123,
  description: `RUN ${name}`,
  fromImage: name === 'base',
});
const NAMES = ['base', 'one', 'two'];
const BLOBS: ReadonlyMap<Digest, Descriptor> = new Map(NAMES.map((name) => [sha256(name), blobOf(name)]));

const CONFIG: RemoteConfig = {
  layers: [
    { layer: layerOf('base'), parent: -1 },
    { layer: layerOf('one'), parent: 0 },
    { layer: layerOf('two'), parent: 1 },
  ],
  records: [
    { digest: sha256('source'), inputs: [], results: [] },
    { digest: sha256('content'), inputs: [], results: [] },
    {
      digest: sha256('step'),
      inputs: [[{ link: 0 }, { link: 1, selector: sha256('path') }]],
      results: [
        { layers: 2, createdAt: 1_700_000_000_456 },
        { layers: [], createdAt: 0 },
      ],
    },
  ],
};

const decode = (document: unknown): RemoteConfig =>
  decodeRemoteConfig(Buffer.from(typeof document === 'string' ? document : JSON.stringify(document)), BLOBS, 'cache');

/** The document of `CONFIG` with something changed. */
function changed(change: (document: Document) => void): unknown {
  const document = JSON.parse(encodeRemoteConfig(CONFIG).toString()) as Document;
  change(document);
  return document;
}

interface Document {
  layers: { blob: unknown; parent: unknown; annotations?: Record<string, unknown> | undefined }[];
  records: {
    digest: unknown;
    inputs: { selector?: unknown; link: unknown }[][];
    layers: { layer: unknown; createdAt: unknown }[];
    chains: { layers: unknown; createdAt: unknown }[];
  }[];
}

describe('the config of a cache', () => {
  test('comes back as it was written', () => {
    expect(decode(encodeRemoteConfig(CONFIG).toString())).toEqual(CONFIG);
  });

  test("has BuildKit's form", () => {
    const document = JSON.parse(encodeRemoteConfig(CONFIG).toString()) as unknown;
    expect(document).toMatchObject({
      layers: [
        { blob: sha256('base'), parent: -1, annotations: { diffID: sha256('content of base'), size: 4 } },
        { parent: 0, annotations: { mediaType: mediaTypes.ociLayerGzip, createdAt: '2023-11-14T22:13:20.123Z' } },
        { parent: 1 },
      ],
      records: [
        { digest: sha256('source') },
        { digest: sha256('content') },
        {
          digest: sha256('step'),
          layers: [{ layer: 2, createdAt: '2023-11-14T22:13:20.456Z' }],
          chains: [{ layers: [] }],
          inputs: [[{ link: 0 }, { link: 1, selector: sha256('path') }]],
        },
      ],
    });
  });

  test("of BuildKit's own, in any order and without annotations, is read", () => {
    const { layers, records } = decode({
      layers: [
        { blob: sha256('one'), parent: 1 },
        { blob: sha256('base'), parent: -1 },
      ],
      records: [
        { digest: sha256('b'), inputs: [[{ link: 1 }]], layers: [{ layer: 0, createdAt: '0001-01-01T00:00:00Z' }] },
        { digest: sha256('a') },
      ],
    });
    expect(layers).toEqual([
      { layer: undefined, parent: 1 },
      { layer: undefined, parent: -1 },
    ]);
    expect(records[0]).toMatchObject({ results: [{ layers: 0, createdAt: 0 }] });
  });

  test.each<[string, unknown, RegExp]>([
    ['is not JSON', '{', /JSON/],
    ['is a list', [], /object/],
    ['has a key twice', '{"layers":[],"layers":[]}', /twice/],
    ['is nested without end', '['.repeat(100_000), /deep/],
    ['is huge', `{"layers":[],"x":"${'x'.repeat(9 << 20)}"}`, /limit/],
    [
      'has too many layers',
      { layers: Array.from({ length: 1001 }, () => ({ blob: sha256('one'), parent: -1 })) },
      /limit/,
    ],
    ['names a blob that the manifest has not', changed(({ layers }) => (layers[0]!.blob = sha256('x'))), /not among/],
    ['has a blob that is no digest', changed(({ layers }) => (layers[0]!.blob = '../../etc/passwd')), /digest/],
    ['has a layer on itself', changed(({ layers }) => (layers[0]!.parent = 0)), /stands on itself/],
    ['has layers on each other', changed(({ layers }) => (layers[0]!.parent = 2)), /stands on itself/],
    ['has a layer on nothing', changed(({ layers }) => (layers[0]!.parent = 3)), /parent/],
    ['has half a parent', changed(({ layers }) => (layers[0]!.parent = 0.5)), /parent/],
    ['has a parent that is a text', changed(({ layers }) => (layers[0]!.parent = '-1')), /parent/],
    ['lies about a size', changed(({ layers }) => (layers[0]!.annotations!['size'] = 5)), /agree/],
    ['has content that is no digest', changed(({ layers }) => (layers[0]!.annotations!['diffID'] = 'x')), /diffID/],
    ['has a time that is none', changed(({ layers }) => (layers[0]!.annotations!['createdAt'] = 'now')), /time/],
    ['has a record of itself', changed(({ records }) => (records[2]!.inputs[0]![0]!.link = 2)), /made from itself/],
    ['links to nothing', changed(({ records }) => (records[2]!.inputs[0]![0]!.link = 3)), /link/],
    ['links to 2^31', changed(({ records }) => (records[2]!.inputs[0]![0]!.link = 2 ** 31)), /link/],
    ['links to half a record', changed(({ records }) => (records[2]!.inputs[0]![0]!.link = 1.5)), /link/],
    ['links by a text', changed(({ records }) => (records[2]!.inputs[0]![0]!.link = '1')), /link/],
    ['links without a number', changed(({ records }) => (records[2]!.inputs[0]![0]!.link = undefined)), /link/],
    ['links to less than nothing', changed(({ records }) => (records[2]!.inputs[0]![0]!.link = -1)), /link/],
    ['selects by no digest', changed(({ records }) => (records[2]!.inputs[0]![1]!.selector = 'x')), /selector/],
    ['has a result of no layer', changed(({ records }) => (records[2]!.layers[0]!.layer = -1)), /layer/],
    ['has a chain of no layer', changed(({ records }) => (records[2]!.chains[0]!.layers = [9])), /layers/],
    ['has a record without digest', changed(({ records }) => (records[0]!.digest = undefined)), /digest/],
  ])('that %s is refused (CAC-09, CAC-10)', (_, document, message) => {
    expect(() => decode(document)).toThrow(message);
  });

  test('a long chain of records is no trouble', () => {
    const records = Array.from({ length: 50_000 }, (_, at) => ({
      digest: sha256('x'),
      ...(at === 0 ? {} : { inputs: [[{ link: at - 1 }]] }),
    }));
    expect(decode({ records }).records).toHaveLength(50_000);
    const cycle = records.with(0, { digest: sha256('x'), inputs: [[{ link: 49_999 }]] });
    expect(() => decode({ records: cycle })).toThrow(/made from itself/);
  });

  test('whatever it is, it is read or refused with a reason (CAC-10)', () => {
    const index = fc.oneof(fc.integer({ min: -2, max: 4 }), fc.constantFrom(null, '0', 1e300, 0.5));
    const digest = fc.oneof(fc.constantFrom(...NAMES.map((name) => sha256(name))), fc.string());
    const maybe = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<unknown> =>
      fc.oneof({ weight: 8, arbitrary: value }, { weight: 1, arbitrary: fc.jsonValue() });
    const document = fc.record(
      {
        layers: maybe(fc.array(maybe(fc.record({ blob: digest, parent: index, annotations: fc.jsonValue() })))),
        records: maybe(
          fc.array(
            maybe(
              fc.record(
                {
                  digest,
                  inputs: maybe(fc.array(maybe(fc.array(maybe(fc.record({ link: index, selector: digest })))))),
                  layers: maybe(fc.array(maybe(fc.record({ layer: index })))),
                  chains: maybe(fc.array(maybe(fc.record({ layers: maybe(fc.array(index)) })))),
                },
                { requiredKeys: ['digest'] },
              ),
            ),
          ),
        ),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(fc.oneof(document, fc.jsonValue(), fc.string()), (value) => {
        try {
          decode(value);
        } catch (error) {
          expect(isTsbuildError(error)).toBe(true);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
