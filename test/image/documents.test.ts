import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseImageConfig, parseIndex, parseManifest, mediaTypes } from '../../src/image/index.ts';
import { parseStrictJson, sha256 } from '../../src/util/index.ts';
import { testImage } from '../support/image.ts';
import { processorTime } from '../support/processor-time.ts';

const encode = (value: unknown): Uint8Array => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
const layer = { mediaType: mediaTypes.ociLayerGzip, digest: sha256('l'), size: 1 };
const config = { mediaType: mediaTypes.ociConfig, digest: sha256('c'), size: 1 };
const manifest = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers: [layer] };

describe('manifests', () => {
  test('a valid one', () => {
    expect(parseManifest(encode(manifest), mediaTypes.ociManifest, 'm')).toEqual(manifest);
  });

  test.each<[string, object, string]>([
    ['size −1', { ...layer, size: -1 }, 'layers[0].size'],
    ['size 1e300', { ...layer, size: 1e300 }, 'layers[0].size'],
    ['size as text', { ...layer, size: '5' }, 'layers[0].size'],
    ['size missing', { ...layer, size: undefined }, 'layers[0].size'],
    ['size fractional', { ...layer, size: 1.5 }, 'layers[0].size'],
    ['digest with path', { ...layer, digest: 'sha256:../../../x' }, 'layers[0].digest'],
    ['digest upper case', { ...layer, digest: `sha256:${'AB'.repeat(32)}` }, 'layers[0].digest'],
    ['digest short', { ...layer, digest: `sha256:${'a'.repeat(63)}` }, 'layers[0].digest'],
    ['digest sha512', { ...layer, digest: `sha512:${'ab'.repeat(64)}` }, 'algorithm other than sha256'],
    ['digest md5', { ...layer, digest: 'md5:abc' }, 'layers[0].digest'],
    ['media type with line break', { ...layer, mediaType: 'a/b\nc' }, 'layers[0].mediaType'],
    ['annotation that is a number', { ...layer, annotations: { a: 1 } }, 'layers[0].annotations.a'],
    ['urls that are not text', { ...layer, urls: [1] }, 'layers[0].urls[0]'],
    ['null', null as never, 'layers[0]'],
  ])('layer with %s is refused, naming the place', (_, bad, place) => {
    expect(() =>
      parseManifest(encode({ ...manifest, layers: [bad] }), mediaTypes.ociManifest, 'manifest of "x"'),
    ).toThrow(expect.objectContaining({ code: 'TSB_IMAGE', message: expect.stringContaining(place) }));
  });

  test('an index is not a manifest and the other way round', () => {
    const index = encode({ schemaVersion: 2, manifests: [] });
    expect(() => parseManifest(index, mediaTypes.ociManifest, 'x')).toThrow('keys are those of the other kind');
    expect(() => parseIndex(encode(manifest), mediaTypes.ociManifest, 'x')).toThrow('not an image index');
  });

  test('an index with too many entries is refused', () => {
    const entry = { mediaType: mediaTypes.ociManifest, digest: sha256('m'), size: 1 };
    const many = encode({ schemaVersion: 2, manifests: Array.from({ length: 1001 }, () => entry) });
    expect(() => parseIndex(many, mediaTypes.ociIndex, 'x')).toThrow('limit of 1000');
  });
});

describe('image configs (REG-19)', () => {
  const valid = JSON.parse(testImage().config.bytes.toString()) as Record<string, unknown>;

  test('unknown keys survive, nulls are absent', () => {
    const parsed = parseImageConfig(
      encode({
        ...valid,
        'moby.buildkit.cache.v0': 'x',
        author: null,
        config: { Cmd: null, Foo: { a: 1 } },
        history: null,
      }),
      'c',
    );
    expect(parsed['moby.buildkit.cache.v0']).toBe('x');
    expect('author' in parsed).toBe(false);
    expect(parsed.config).toEqual({ Foo: { a: 1 } });
    expect(parsed.history).toEqual([]);
  });

  test.each<[string, unknown]>([
    ['no architecture', { ...valid, architecture: undefined }],
    ['Env of numbers', { ...valid, config: { Env: [1] } }],
    ['a variable with a NUL', { ...valid, config: { Env: ['PATH=/bin', 'A\0B=c'] } }],
    ['Labels of numbers', { ...valid, config: { Labels: { a: 1 } } }],
    ['Cmd as text', { ...valid, config: { Cmd: 'sh' } }],
    ['bad diff id', { ...valid, rootfs: { type: 'layers', diff_ids: ['sha256:../x'] } }],
    ['rootfs of another type', { ...valid, rootfs: { type: 'base' } }],
    ['history of text', { ...valid, history: ['x'] }],
    ['deep nesting', `{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`],
    ['polluting key', '{"architecture":"amd64","os":"linux","__proto__":{"polluted":true}}'],
    ['escaped polluting key', '{"architecture":"amd64","os":"linux","\\u005f_proto__":{"polluted":true}}'],
    ['huge number', '{"architecture":"amd64","os":"linux","x":1e400}'],
    ['NaN', '{"architecture":"amd64","os":"linux","x":NaN}'],
    ['byte order mark', `\ufeff${JSON.stringify(valid)}`],
    ['key twice', '{"architecture":"amd64","os":"linux","os":"windows"}'],
    ['key twice by escape', '{"architecture":"amd64","os":"linux","\\u006fs":"windows"}'],
    ['an array', '[]'],
    ['nothing', ''],
  ])('%s is refused', (_, document) => {
    expect(() => parseImageConfig(encode(document), 'config of "x"')).toThrow(
      expect.objectContaining({ code: 'TSB_IMAGE' }),
    );
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });

  test('invalid UTF-8 and huge documents are refused', () => {
    expect(() => parseImageConfig(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]), 'c')).toThrow('not valid UTF-8');
    expect(() => parseImageConfig(Buffer.alloc(9 * 1024 * 1024, 32), 'c')).toThrow('more than the limit');
  });

  test('label names of Object.prototype are ordinary', () => {
    const parsed = parseImageConfig(encode({ ...valid, config: { Labels: { constructor: 'a', toString: 'b' } } }), 'c');
    expect(parsed.config.Labels).toEqual({ constructor: 'a', toString: 'b' });
  });
});

describe('strict JSON', () => {
  test('agrees with JSON.parse on every document without duplicates', () => {
    fc.assert(
      fc.property(fc.jsonValue({ depthSize: 'small' }), (value) => {
        const text = JSON.stringify(value);
        if (text.includes('__proto__')) return;
        expect(parseStrictJson(Buffer.from(text.toWellFormed()), { what: 'x' })).toEqual(
          JSON.parse(text.toWellFormed()),
        );
      }),
    );
  });

  test('is linear on hostile text', async () => {
    for (const text of [
      `"${'\\"'.repeat(1_000_000)}`,
      '"'.repeat(1_000_001),
      '{"a":'.repeat(60),
      `{${'"a" '.repeat(500_000)}`,
    ]) {
      const refuse = (): void => expect(() => parseStrictJson(Buffer.from(text), { what: 'x' })).toThrow();
      expect(await processorTime(refuse)).toBeLessThan(2500);
    }
  });
});
