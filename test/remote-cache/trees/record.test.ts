import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MAX_TREE_SUMMARY } from '../../../src/tree/index.ts';
import { decodeTreeRecord, encodeTreeRecord, type TreeRecord, treeRecordName } from '../../../src/remote-cache/trees/record.ts'; // oxfmt-ignore
import { isTsbuildError, sha256 } from '../../../src/util/index.ts';

const chain = sha256('layers');
const sound: TreeRecord = {
  scope: 'main',
  name: treeRecordName(chain),
  chain,
  writtenAt: 1000,
  author: { who: 'alice' },
  summary: Buffer.from([0, 1, 254, 255]),
};

/** What reading a record with some fields replaced fails of. */
function failure(change: object, expected: Pick<TreeRecord, 'scope' | 'chain'> = sound): string {
  const bytes = Buffer.from(JSON.stringify({ ...JSON.parse(encodeTreeRecord(sound).toString()), ...change }));
  try {
    decodeTreeRecord(bytes, expected, 'a record');
    return 'it was read';
  } catch (error) {
    if (isTsbuildError(error, 'TSB_IMAGE')) return error.message;
    throw error;
  }
}

describe('the record of a tree', () => {
  test('is read as it was written (property)', () => {
    const summary = fc.uint8Array({ maxLength: 2000 }).map((bytes) => Buffer.from(bytes));
    fc.assert(
      fc.property(summary, fc.nat(2e9), (bytes, writtenAt) => {
        const written = { ...sound, summary: bytes, writtenAt };
        expect(decodeTreeRecord(encodeTreeRecord(written), written, 'test')).toEqual(written);
      }),
    );
  });

  test('holds the largest summary that there is, and no more than readers take is written', () => {
    const largest = { ...sound, summary: Buffer.alloc(MAX_TREE_SUMMARY, 0xfe) };
    expect(decodeTreeRecord(encodeTreeRecord(largest), largest, 'test')).toEqual(largest);
    const larger = { ...sound, summary: Buffer.alloc(MAX_TREE_SUMMARY + 3) };
    expect(() => encodeTreeRecord(larger)).toThrow(expect.objectContaining({ code: 'TSB_EXPORT' }));
  });

  test('has an empty list of layers: it keeps no blob', () => {
    expect(JSON.parse(encodeTreeRecord(sound).toString())).toMatchObject({ version: 1, layers: [] });
  });

  test.each<[string, object, RegExp]>([
    ['of a newer version', { version: 2 }, /newer tsbuild/],
    ['of another scope', { scope: 'pr-1' }, /"scope"/],
    ['of another image', { chain: sha256('other') }, /"chain"/],
    ['under the name of another image', { name: treeRecordName(sha256('other')) }, /"chain"/],
    ['without summary', { summary: undefined }, /summary/],
    ['with a summary that is no base64', { summary: 'AA*=' }, /not base64/],
    ['with base64 of URLs', { summary: 'AA_-' }, /not base64/],
    ['of no time', { writtenAt: 'now' }, /writtenAt/],
    ['of an author that is a list', { author: [] }, /author/],
  ])('%s is refused, with the place', (_, change, message) => expect(failure(change)).toMatch(message));

  test('is none for another image', () => {
    expect(failure({}, { ...sound, chain: sha256('other') })).toMatch(/"chain"/);
    expect(failure({}, { ...sound, scope: 'pr-1' })).toMatch(/"scope"/);
  });
});
