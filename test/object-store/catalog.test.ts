import { gzipSync } from 'node:zlib';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type Catalog,
  type CatalogObject,
  mergeCatalogs,
  packCatalog,
  unpackCatalog,
} from '../../src/object-store/catalog.ts';

const name = fc.stringMatching(/^[a-z0-9_-]{1,8}(\/[a-z0-9_-]{1,8}){0,2}$/);
const time = fc.integer({ min: 0, max: 2_000_000_000 });
const object: fc.Arbitrary<CatalogObject> = fc
  .tuple(
    fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      name.map((key) => ({ key })),
    ),
    time,
    time,
    fc.nat(),
  )
  .map(([at, writtenAt, usedAt, size]) => ({
    size: at instanceof Uint8Array ? at.length : size,
    writtenAt,
    usedAt,
    at,
  }));
const catalog: fc.Arbitrary<Catalog> = fc.record({
  objects: fc.array(fc.tuple(name, object), { maxLength: 20 }).map((all) => new Map(all)),
  holes: fc.uniqueArray(fc.nat(), { maxLength: 4 }).map((all) => all.toSorted((a, b) => a - b)),
});
const plain = ({ objects, holes }: Catalog): unknown => ({
  holes,
  objects: [...objects]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, { at, ...rest }]) => [key, rest, at instanceof Uint8Array ? Buffer.from(at).toString('hex') : at.key]),
});
const read = async (bytes: Uint8Array): Promise<Catalog> => unpackCatalog(bytes, 'the test');
const damaged = expect.objectContaining({ code: 'TSB_DIGEST', message: 'Cannot use the test: it is damaged' });

test('any catalog is read as it was written', async () => {
  await fc.assert(
    fc.asyncProperty(catalog, async (one) => {
      expect(plain(await read(await packCatalog(one)))).toEqual(plain(one));
    }),
    { numRuns: 50 },
  );
});

describe('what is no catalog', () => {
  test('any bit that is flipped is found, or changes nothing', async () => {
    const one: Catalog = {
      holes: [3],
      objects: new Map([['a/b', { size: 5, writtenAt: 1, usedAt: 2, at: Buffer.from('bytes') }]]),
    };
    const packed = await packCatalog(one);
    for (let bit = 0; bit < packed.length * 8; bit++) {
      const flipped = Buffer.from(packed);
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      const found = await read(flipped).then(plain, (error: unknown) => error);
      if (found instanceof Error) expect(found).toEqual(damaged);
      else expect(found).toEqual(plain(one));
    }
    for (let length = 0; length < packed.length; length++)
      await expect(read(packed.subarray(0, length))).rejects.toThrow(damaged);
  });

  const written = (json: string, data = '', length = Buffer.byteLength(json)): Buffer => {
    const size = Buffer.alloc(4);
    size.writeUInt32LE(length);
    return gzipSync(Buffer.concat([Buffer.from('tsbuild catalog 1\n'), size, Buffer.from(json), Buffer.from(data)]));
  };

  test.each([
    ["another program's", gzipSync('hello, world, this is no catalog at all')],
    ['empty', gzipSync('')],
    ['not compressed', Buffer.from('tsbuild catalog 1\n')],
    ['an index beyond the end', written('{}', '', 1000)],
    ['no JSON', written('{')],
    ['not an object', written('[]')],
    ['null', written('null')],
    ['no objects', written('{"holes":[]}')],
    ['a name that leads out', written('{"holes":[],"objects":[["../a",1,1,1,0]]}', 'x')],
    ['a key that leads out', written('{"holes":[],"objects":[["a",1,1,1,"../x"]]}', 'x')],
    ['bytes beyond the end', written('{"holes":[],"objects":[["a",2,1,1,0]]}', 'x')],
    ['a negative size', written('{"holes":[],"objects":[["a",-1,1,1,0]]}', 'x')],
    ['a size that is no number', written('{"holes":[],"objects":[["a","1",1,1,0]]}', 'x')],
    ['holes that are none', written('{"holes":["a"],"objects":[]}')],
    ['a bomb', gzipSync(Buffer.alloc(200 << 20))],
  ])('%s', async (_, bytes) => {
    await expect(read(bytes)).rejects.toThrow(damaged);
  });
});

test('of two catalogs nothing is lost, and of one name the later stays with when either saw it used', () => {
  fc.assert(
    fc.property(catalog, catalog, (one, other) => {
      const both = mergeCatalogs(one, other);
      expect([...both.objects.keys()].toSorted()).toEqual(
        [...new Set([...one.objects.keys(), ...other.objects.keys()])].toSorted(),
      );
      // When it was used last, whoever of the two knew that: else it would be taken for old, and go first.
      for (const [key, object] of both.objects)
        for (const time of ['writtenAt', 'usedAt'] as const)
          expect(object[time]).toBe(Math.max(one.objects.get(key)?.[time] ?? 0, other.objects.get(key)?.[time] ?? 0));
    }),
  );
});

test('of more than fits, what was used last is kept', async () => {
  const bytes = Buffer.alloc(256 << 10);
  const objects = new Map(
    Array.from(
      { length: 120 },
      (_, at) => [`o/${at}`, { size: bytes.length, writtenAt: 1, usedAt: (at * 7) % 120, at: bytes }] as const,
    ),
  );
  const { objects: kept } = await read(await packCatalog({ objects, holes: [1, 2, 3, 4, 5, 6] }));
  expect(kept.size).toBe(96);
  expect(Math.min(...[...kept.values()].map(({ usedAt }) => usedAt))).toBe(24);
});
