import { randomBytes } from 'node:crypto';
import { gunzipSync, gzipSync } from 'node:zlib';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeIndex, encodeIndex, type IndexEntry, MAX_INDEX_BYTES } from '../../../src/remote-cache/steps/scope-index.ts'; // prettier-ignore
import { isTsbuildError } from '../../../src/util/index.ts';

const entry = (name: string, touchedAt: number, envelope = `{"record":"${name}"}`): IndexEntry => ({
  name,
  touchedAt,
  envelope: Buffer.from(envelope),
});
const read = (bytes: Uint8Array, scope = 'main'): readonly IndexEntry[] => [...decodeIndex(bytes, scope, 'the index').values()]; // prettier-ignore
const packed = (document: unknown): Buffer => gzipSync(typeof document === 'string' ? document : JSON.stringify(document)); // prettier-ignore

describe('an index of the records of a scope', () => {
  test('is read as it was written, newest first (property)', () => {
    const one = fc.record({ name: fc.string({ unit: 'grapheme' }), touchedAt: fc.nat(2 ** 40), text: fc.string({ unit: 'grapheme' }) }); // prettier-ignore
    const entries = fc.uniqueArray(one, { selector: ({ name }) => name, maxLength: 20 });
    fc.assert(
      fc.property(entries, fc.string({ unit: 'grapheme' }), (all, scope) => {
        const written = all.filter(({ text, name }) => text.isWellFormed() && name.isWellFormed());
        const found = read(encodeIndex(scope, written.map(({ name, touchedAt, text }) => entry(name, touchedAt, text))), scope); // prettier-ignore
        expect(found.map(({ name }) => name).toSorted()).toEqual(written.map(({ name }) => name).toSorted());
        expect(found.map(({ touchedAt }) => touchedAt)).toEqual(written.map(({ touchedAt }) => touchedAt).toSorted((a, b) => b - a)); // prettier-ignore
        for (const { name, envelope } of found)
          expect(Buffer.from(envelope).toString()).toBe(written.find((other) => other.name === name)?.text);
      }),
    );
  });

  test('has the newest of more than readers take', () => {
    const many = Array.from({ length: 5003 }, (_, at) => entry(`n${at}`, at));
    const found = read(encodeIndex('main', many));
    expect(found).toHaveLength(5000);
    expect(found[0]?.name).toBe('n5002');
    expect(found.at(-1)?.name).toBe('n3');
  });

  test('has the newer half of what is too large together, and nothing of what is too large by itself', () => {
    // Random digits do not compress to less than half.
    const big = Array.from({ length: 8 }, (_, at) => entry(`n${at}`, at, randomBytes(400_000).toString('hex')));
    const bytes = encodeIndex('main', big);
    expect(bytes.length).toBeLessThanOrEqual(MAX_INDEX_BYTES);
    expect(JSON.parse(gunzipSync(bytes).toString())).toMatchObject({ records: [7, 6, 5, 4].map((at) => ({ name: `n${at}` })) }); // prettier-ignore
    expect(read(encodeIndex('main', [entry('x', 1, randomBytes(3_000_000).toString('hex'))]))).toEqual([]);
    expect(read(encodeIndex('main', []))).toEqual([]);
  });

  const right = { name: 'a', touchedAt: 1, envelope: '{}' };
  const index = (over: object = {}): object => ({ version: 1, scope: 'main', records: [right], ...over });

  test('of somebody else may have any number of fields more', () => {
    expect(read(packed(index({ more: [1], records: [{ ...right, more: {} }] })))).toEqual([entry('a', 1, '{}')]);
  });

  test.each<[string, Uint8Array]>([
    ['of a newer version', packed(index({ version: 2 }))],
    ['of another scope', packed(index({ scope: 'other' }))],
    ['of no scope', packed(index({ scope: undefined }))],
    ['without records', packed(index({ records: undefined }))],
    ['of records that are no list', packed(index({ records: { 0: right } }))],
    ['of a record that is none', packed(index({ records: [null] }))],
    ['of a name that is none', packed(index({ records: [{ ...right, name: 1 }] }))],
    ['of an envelope that is none', packed(index({ records: [{ ...right, envelope: {} }] }))],
    ['of an envelope that is too large', packed(index({ records: [{ ...right, envelope: 'x'.repeat(20 << 20) }] }))],
    ['of a time before 1970', packed(index({ records: [{ ...right, touchedAt: -1 }] }))],
    ['of a time after 9999', packed(index({ records: [{ ...right, touchedAt: 1e300 }] }))],
    ['of a time that is none', packed(index({ records: [{ ...right, touchedAt: '1' }] }))],
    ['of too many records', packed(index({ records: Array.from({ length: 5001 }, () => right) }))],
    ['that is a list', packed([index()])],
    ['that names a thing twice', packed('{"version":1,"version":1,"scope":"main","records":[]}')],
    ['that is no JSON', packed('{')],
  ])('%s is refused', (_what, bytes) => {
    expect(() => read(bytes)).toThrow(expect.objectContaining({ code: 'TSB_IMAGE' }));
  });

  test.each<[string, Uint8Array]>([
    ['that is not compressed', Buffer.from(JSON.stringify(index()))],
    ['that is cut off', packed(index()).subarray(0, -9)],
    ['that is nothing', Buffer.alloc(0)],
    ['that becomes very much', gzipSync(Buffer.alloc(64 << 20))],
  ])('%s is none', (_what, bytes) => expect(() => read(bytes)).toThrow());

  test('with any byte changed is refused, or one all the same (property)', () => {
    const bytes = encodeIndex('main', [entry('a', 1), entry('b', 2)]);
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const bad = Buffer.from(bytes);
        bad[at] = (bad[at] ?? 0) ^ change;
        try {
          // The header of gzip says nothing of what is in it.
          expect(read(bad).map(({ name }) => name)).toEqual(['b', 'a']);
        } catch (error) {
          expect(isTsbuildError(error, 'TSB_IMAGE') || String((error as NodeJS.ErrnoException).code).startsWith('Z_')).toBe(true); // prettier-ignore
        }
      }),
    );
  });
});
