import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { openSeal, sealImages, type WrittenImage } from '../../src/recall/written-image.ts';
import { sha256 } from '../../src/util/index.ts';

function written(bytes: Uint8Array, created?: string): WrittenImage {
  const root = { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: sha256(bytes), size: bytes.length };
  return {
    before: 3,
    to: { type: 'oci', names: ['docker.io/library/ä:1'], dest: '/tmp/ö.tar', tar: true },
    image: {
      root,
      documents: [{ descriptor: root, bytes }],
      platforms: [],
      ...(created === undefined ? {} : { created }),
    },
  };
}

describe('images that are remembered', () => {
  test('come back with the same bytes, whatever these are', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array()), (documents) => {
        const images = documents.map((bytes) => written(bytes, '2020-01-01T00:00:00Z'));
        const kept = sealImages(images);
        const again = openSeal(kept && (JSON.parse(JSON.stringify(kept)) as typeof kept));
        const plain = (all: readonly WrittenImage[]): unknown =>
          all.map(({ image, ...rest }) => ({
            ...rest,
            image: { ...image, documents: image.documents.map((one) => ({ ...one, bytes: [...one.bytes] })) },
          }));
        expect(plain(again)).toEqual(plain(images));
      }),
    );
  });

  test('are none where a byte is not as it was', () => {
    const kept = sealImages([written(Buffer.from('{"config":1}'))]);
    expect(() => openSeal(kept && { ...kept, text: kept.text.replace('config', 'Config') })).toThrow('damaged');
  });
});
