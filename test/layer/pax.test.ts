import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatPax, parsePax } from '../../src/layer/pax.ts';
import { archive, file, pax } from './support/tar-vectors.ts';

/** Records as pairs, or what is wrong. */
function read(text: string | Buffer): string | (readonly [string, string])[] {
  const records = parsePax(Buffer.isBuffer(text) ? text : Buffer.from(text, 'latin1'));
  return typeof records === 'string' ? records : records.map(({ key, value }) => [key, value.toString('latin1')]);
}

const write = (...records: readonly (readonly [string, string])[]): string =>
  formatPax(new Map(records)).toString('latin1');

describe('records of a PAX extended header', () => {
  // From the tables of Go's archive/tar, TestParsePAXRecord.
  test.each<[string, [string, string][]]>([
    ['', []],
    ['6 k=v\n', [['k', 'v']]],
    ['5 k=\n', [['k', '']]],
    ['19 path=/etc/hosts\n', [['path', '/etc/hosts']]],
    ['19 path=/etc/hosts\n6 k=2\n', [['path', '/etc/hosts'], ['k', '2']]], // prettier-ignore
    ['18 foo=ba=\nr=meow\n', [['foo', 'ba=\nr=meow']]],
    ['9 foo=b=\n', [['foo', 'b=']]],
    ['7 k= v\n', [['k', ' v']]],
    ['8 k k=v\n', [['k k', 'v']]],
  ])('%j', (text, records) => expect(read(text)).toEqual(records));

  test.each([
    '16 k1=longkey1\n',
    '3 somelongkey=\n',
    '50 tooshort=\n',
    '-1 k=v\n',
    '+6 k=v\n',
    ' 6 k=v\n',
    '6\tk=v\n',
    '6k=v\n',
    '4 k\n',
    '6 k=v\n\0',
    '6 k=v\n6 k=v',
  ])('%j is malformed', (text) => expect(read(text)).toMatch(/^a PAX record /));

  test('no key and no path has a NUL, other values may', () => {
    for (const key of ['path', 'linkpath', 'uname', 'gname', 'GNU.sparse.name'])
      expect(read(write([key, 'a\0b']))).toBe(`the PAX record "${key}" contains a NUL byte`);
    expect(read(write(['a\0b', 'x']))).toBe('a PAX record has no valid key');
    expect(read(write(['SCHILY.xattr.user.a', 'a\0b']))).toEqual([['SCHILY.xattr.user.a', 'a\0b']]);
  });

  test('nothing but records or a fault comes of any bytes (property)', () => {
    const digits = fc.string({ unit: fc.constantFrom('0', '1', '6', '9', ' ', '=', '\n', 'k'), maxLength: 40 });
    fc.assert(
      fc.property(digits, (text) => {
        const records = read(text);
        if (typeof records === 'string') return;
        // What was taken for records is all of it: nothing is left over or read twice.
        expect(records.reduce((sum, [key, value]) => sum + key.length + value.length + 2, 0)).toBeLessThanOrEqual(
          text.length,
        );
      }),
      { numRuns: 1000 },
    );
  });
});

describe('what is written', () => {
  // From the table of Go's archive/tar, TestFormatPAXRecord, and where the length gets a digit more.
  test.each<[string, string, string]>([
    ['k', 'v', '6 k=v\n'],
    ['path', '/etc/hosts', '19 path=/etc/hosts\n'],
    ['path', 'x'.repeat(90), `99 path=${'x'.repeat(90)}\n`],
    ['path', 'x'.repeat(91), `101 path=${'x'.repeat(91)}\n`],
    ['path', 'x'.repeat(989), `999 path=${'x'.repeat(989)}\n`],
    ['path', 'x'.repeat(990), `1001 path=${'x'.repeat(990)}\n`],
    ['mtime', '1432668921.098285006', '30 mtime=1432668921.098285006\n'],
    ['foo', 'b=', '9 foo=b=\n'],
  ])('%s', (key, value, expected) => expect(write([key, value])).toBe(expected));

  test('is in the order of keys, whatever order they come in', () => {
    expect(write(['uid', '1'], ['path', 'a'], ['gid', '2'])).toBe('8 gid=2\n9 path=a\n8 uid=1\n');
  });

  test('is read as it was, any bytes of it (property)', () => {
    const bytes = fc.uint8Array({ maxLength: 300 }).map((value) => Buffer.from(value).toString('latin1'));
    const key = fc.string({ unit: fc.constantFrom('a', 'b', '.', ' ', '1', '\n', 'é'), minLength: 1, maxLength: 120 });
    fc.assert(
      fc.property(fc.uniqueArray(fc.tuple(key, bytes), { selector: ([one]) => one, maxLength: 5 }), (records) => {
        const sorted = records.toSorted(([a], [b]) => (a < b ? -1 : 1));
        expect(read(write(...records))).toEqual(sorted);
      }),
    );
  });

  test('a name of any length is read by GNU tar, too', () => {
    const work = mkdtempSync(join(tmpdir(), 'tsbuild-pax-'));
    try {
      const names = [80, 89, 90, 91, 92, 200].map((length) => `n${String(length).padEnd(length - 1, 'x')}`);
      writeFileSync(join(work, 'a.tar'), archive(...names.flatMap((path) => [pax(formatPax(new Map([['path', path]]))), file('short')]))); // prettier-ignore
      const listed = execFileSync('tar', ['-tf', join(work, 'a.tar')], { encoding: 'utf8' });
      expect(listed.trimEnd().split('\n')).toEqual(names);
    } finally {
      rmSync(work, { recursive: true });
    }
  });
});
