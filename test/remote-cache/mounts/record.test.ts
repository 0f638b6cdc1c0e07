import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  decodeMountRecord,
  encodeMountRecord,
  type MountName,
  mountRecordName,
  type MountRecord,
  packBlob,
  treeBlob,
} from '../../../src/remote-cache/mounts/record.ts';
import { isTsbuildError, sha256 } from '../../../src/util/index.ts';

const digest = fc.nat().map((seed) => sha256(`d${seed}`));
const text = fc.string({ maxLength: 256 });
const blob = fc.record({ digest, size: fc.nat() });
const mount: fc.Arbitrary<MountName> = fc.record(
  { id: fc.oneof(fc.string({ unit: 'grapheme', maxLength: 60 }), fc.constant('/'.repeat(1000))), base: digest },
  { requiredKeys: ['id'] },
);
const record: fc.Arbitrary<MountRecord> = fc
  .record({
    scope: fc.stringMatching(/^[!-~]{1,20}$/),
    mount,
    writtenAt: fc.nat(2e9).map((seconds) => seconds * 1000),
    author: fc.record({ who: text, ref: text, commit: text }, { requiredKeys: [] }),
    tree: blob.map(treeBlob),
    packs: fc.array(blob.map(packBlob), { maxLength: 5 }),
    bytes: fc.maxSafeNat(),
    files: fc.nat(),
  })
  .map((one) => ({ ...one, name: mountRecordName(one.mount) }));
const [sound] = fc.sample(record, { numRuns: 1, seed: 5 }) as [MountRecord];

/** What reading a record with some fields replaced fails of. */
function failure(change: object, expected: Pick<MountRecord, 'scope' | 'name'> = sound): string {
  const bytes = Buffer.from(JSON.stringify({ ...JSON.parse(encodeMountRecord(sound).toString()), ...change }));
  try {
    decodeMountRecord(bytes, expected, 'a record');
    return 'it was read';
  } catch (error) {
    if (isTsbuildError(error, 'TSB_IMAGE')) return error.message;
    throw error;
  }
}

describe('the record of a cache mount', () => {
  test('is read as it was written (property)', () => {
    fc.assert(
      fc.property(record, (written) => {
        expect(decodeMountRecord(encodeMountRecord(written), written, 'test')).toEqual(written);
      }),
    );
  });

  test('has its blobs as the layers of a step are, so that whoever looks after a place finds them', () => {
    const document = JSON.parse(encodeMountRecord(sound).toString()) as Record<string, unknown>;
    expect(document['layers']).toEqual([sound.tree, ...sound.packs]);
    expect(document['version']).toBe(1);
  });

  test('is not written where no reader would take it', () => {
    const many = Array.from({ length: 2001 }, (_, at) => packBlob({ digest: sha256(String(at)), size: 1 }));
    expect(() => encodeMountRecord({ ...sound, packs: many })).toThrow(/larger than readers take/);
    // An id is a name of the Dockerfile's: it may be of any length.
    for (const length of [1000, 1001]) {
      const named = { id: 'x'.repeat(length) };
      const one = { ...sound, mount: named, name: mountRecordName(named) };
      const write = (): Buffer => encodeMountRecord(one);
      if (length === 1000) expect(decodeMountRecord(write(), one, 'test')).toEqual(one);
      else expect(write).toThrow(expect.objectContaining({ code: 'TSB_EXPORT', message: expect.stringMatching(/id.*1000/) as string })); // oxfmt-ignore
    }
  });

  test('is none in another scope or under the name of another mount', () => {
    expect(failure({}, { ...sound, scope: 'other' })).toMatch(/"scope"/);
    const other = mountRecordName({ id: 'other' });
    expect(failure({}, { ...sound, name: other })).toMatch(/"name"/);
    // Neither when it says that it is the other's: the name follows from what it is of.
    expect(failure({ name: other }, { ...sound, name: other })).toMatch(/"name"/);
    expect(failure({ mount: { id: 'other' } })).toMatch(/"name"/);
  });

  test.each<[string, object, RegExp]>([
    ['of a newer version', { version: 2 }, /newer tsbuild/],
    ['without a mount', { mount: undefined }, /mount/],
    ['with an id that is none', { mount: { id: 7 } }, /mount\.id/],
    ['with a base that is no digest', { mount: { id: 'x', base: 'sha256:1' } }, /mount\.base/],
    ['without blobs', { layers: [] }, /"layers" is empty/],
    ['whose tree is a pack', { layers: [packBlob({ digest: sha256('a'), size: 1 })] }, /layers\[0\]\.mediaType/],
    ['whose pack is a tree', { layers: [sound.tree, sound.tree] }, /layers\[1\]\.mediaType/],
    ['with a negative size', { layers: [{ ...sound.tree, size: -1 }] }, /layers\[0\]/],
    ['of half a millisecond', { writtenAt: 1.5 }, /writtenAt/],
    ['of the year 10000', { writtenAt: Date.UTC(10_000, 0) }, /writtenAt/],
    ['with less than no bytes', { bytes: -1 }, /"bytes"/],
    ['with files that are no number', { files: '3' }, /"files"/],
    ['of an author without end', { author: { who: 'x'.repeat(257) } }, /author\.who/],
  ])('%s is refused, with the place', (_, change, message) => expect(failure(change)).toMatch(message));

  test('with anything in it is read or refused (property)', () => {
    const keys = Object.keys(JSON.parse(encodeMountRecord(sound).toString()) as object);
    fc.assert(
      fc.property(fc.constantFrom(...keys), fc.jsonValue(), (key, value) => {
        expect(failure({ [key]: value })).toMatch(/^Cannot use a record: |^it was read$/);
      }),
    );
  });
});

describe('the name of a mount', () => {
  test('is 64 hexadecimal digits that follow from id and base, and from nothing else (property)', () => {
    fc.assert(
      fc.property(mount, mount, (one, other) => {
        expect(mountRecordName(one)).toMatch(/^[0-9a-f]{64}$/);
        const same = one.id === other.id && one.base === other.base;
        expect(mountRecordName(one) === mountRecordName(other)).toBe(same);
      }),
    );
    expect(mountRecordName({ id: 'a' })).not.toBe(mountRecordName({ id: 'a', base: sha256('') }));
  });
});
