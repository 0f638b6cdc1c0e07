import { isDeepStrictEqual } from 'node:util';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type Canonical,
  canonicalDigest,
  Hasher,
  hexOf,
  isDigest,
  leafKey,
  parseDigest,
  parseStrictJson,
  randomHex,
  randomHostId,
  sha256,
} from '../../src/util/index.ts';
import { processorTime } from '../support/processor-time.ts';

describe('a digest of a value', () => {
  const { value } = fc.letrec<{ value: Canonical }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small' },
      fc.string({ maxLength: 4 }),
      fc.integer(),
      fc.boolean(),
      fc.constant(null),
      fc.uint8Array({ maxLength: 4 }),
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(fc.string({ minLength: 1, maxLength: 2 }), tie('value'), { maxKeys: 3 }),
    ),
  }));
  const digest = (one: Canonical) => canonicalDigest('test.v1', one);
  /** The value with what cannot be told apart made the same. */
  const plain = (one: Canonical): unknown => {
    if (one === undefined) return null;
    if (typeof one !== 'object' || one === null) return Object.is(one, -0) ? 0 : one;
    if (one instanceof Uint8Array) return `bytes ${Buffer.from(one).toString('hex')}`;
    if (Array.isArray(one)) return one.map((item: Canonical) => plain(item));
    return Object.fromEntries(Object.entries(one).map(([key, item]) => [key, plain(item)]));
  };

  test('is the same for equal values, and another one for others', () => {
    fc.assert(
      fc.property(value, value, (a, b) => {
        expect(digest(a)).toBe(digest(structuredClone(a)));
        expect(digest(a) === digest(b)).toBe(isDeepStrictEqual(plain(a), plain(b)) && typesOf(a) === typesOf(b));
      }),
      { numRuns: 500 },
    );
  });

  /** What kinds of values there are, in order: bytes are no text. */
  function typesOf(one: Canonical): string {
    if (one instanceof Uint8Array) return 'x';
    if (Array.isArray(one)) return `[${one.map((item: Canonical) => typesOf(item)).join()}]`;
    if (typeof one !== 'object' || one === null) return typeof one;
    const entries = Object.entries(one).toSorted(([a], [b]) => (a < b ? -1 : 1));
    return `{${entries.map(([key, item]) => `${key}:${typesOf(item)}`).join()}}`;
  }

  test.each<[string, Canonical, Canonical]>([
    ['how texts are cut', ['ab', 'c'], ['a', 'bc']],
    ['how texts are cut that look like what stands before texts', ['a', 'sb'], ['as', 'b']],
    ['how bytes are cut', [Buffer.from('ax'), Buffer.from('b')], [Buffer.from('a'), Buffer.from('xb')]],
    ['how lists are cut', [['a'], []], [[], ['a']]],
    ['a text and a number', '1', 1],
    ['a text and bytes', 'a', Buffer.from('a')],
    ['nothing and an empty text', null, ''],
    ['nothing and no item', [null], []],
    ['a list and an object', ['a'], { 0: 'a' }],
    ['a key and its value', { a: 'b' }, { b: 'a' }],
    ['false and zero', false, 0],
    ['a text that looks like an encoding', 's1:a', ['a']],
  ])('tells apart %s', (_what, a, b) => {
    expect(digest(a)).not.toBe(digest(b));
  });

  test('does not depend on the order of keys, nor on absent ones', () => {
    expect(digest({ a: 1, b: 2 })).toBe(digest({ b: 2, a: 1 }));
    expect(digest({ a: 1, b: undefined })).toBe(digest({ a: 1 }));
  });

  test('is another one for each format', () => {
    expect(canonicalDigest('a.v1', 'x')).not.toBe(canonicalDigest('a.v2', 'x'));
  });

  test('is not made of what has more than one form', () => {
    for (const number of [0.1, NaN, Infinity, 2 ** 53]) expect(() => digest(number)).toThrow(RangeError);
  });
});

describe('digests', () => {
  // NIST's example of FIPS 180-2, appendix B.1.
  const ABC = 'sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';

  test('are those of SHA-256, in one piece or in many', () => {
    expect(sha256('abc')).toBe(ABC);
    expect(sha256(Buffer.from('abc'))).toBe(ABC);
    expect(hexOf(sha256('abc'))).toBe(ABC.slice(7));
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.string({ unit: 'grapheme' }), fc.uint8Array())), (pieces) => {
        const hasher = new Hasher();
        for (const piece of pieces) hasher.update(piece);
        const all = Buffer.concat(pieces.map((piece) => Buffer.from(piece)));
        expect(hasher.size).toBe(all.length);
        expect(hasher.digest()).toBe(sha256(all));
      }),
    );
  });

  test.each([
    'sha256:', `sha256:${'a'.repeat(63)}`, `sha256:${'a'.repeat(65)}`, `sha256:${'A'.repeat(64)}`, `sha512:${'a'.repeat(64)}`,
    'a'.repeat(64), `sha256:${'a'.repeat(64)}\n`, ` sha256:${'a'.repeat(64)}`, `sha256:../${'a'.repeat(61)}`, `sha256:${'g'.repeat(64)}`,
  ])('%j is none, and is refused (CVE-2024-3727)', (text) => {
    expect(isDigest(text)).toBe(false);
    expect(() => parseDigest(text)).toThrow(expect.objectContaining({ code: 'TSB_DIGEST' }));
  }); // oxfmt-ignore

  test('what is none of a kind is none', () => {
    for (const thing of [undefined, null, 5, {}, [ABC]]) expect(isDigest(thing)).toBe(false);
    expect(parseDigest(ABC)).toBe(ABC);
  });

  test('keys of ops without inputs are told apart by op and output', () => {
    const keys = [leafKey(sha256('a'), 0), leafKey(sha256('a'), 1), leafKey(sha256('a'), -1), leafKey(sha256('b'), 0)];
    expect(new Set(keys).size).toBe(4);
    for (const key of keys) expect(key).toMatch(/^[0-9a-f]{64}$/);
  });

  test('names of hosts have a letter among the first twelve digits, where glibc takes digits for an address', () => {
    const drawn = ['298746110779abcd', '000000000000ffff', '240867294171', '24086729417f0000', 'never'];
    const asked: number[] = [];
    const id = randomHostId(8, (bytes) => {
      asked.push(bytes);
      return drawn.shift() ?? '';
    });
    expect(id).toBe('24086729417f0000');
    expect(asked).toEqual([8, 8, 8, 8]);
    for (let count = 0; count < 5000; count++) expect(randomHostId(6)).toMatch(/^(?=.*[a-f])[0-9a-f]{12}$/);
  });

  test('names that nobody can guess have as many digits as was asked for', () => {
    const names = Array.from({ length: 50 }, () => randomHex(8));
    expect(new Set(names).size).toBe(50);
    for (const name of names) expect(name).toMatch(/^[0-9a-f]{16}$/);
  });
});

describe('JSON from outside', () => {
  const read = (text: string | Uint8Array, limits = {}) =>
    parseStrictJson(Buffer.from(text), { what: 'the document', ...limits });

  test('is what JSON.parse reads, for whatever JSON.stringify writes', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(undefined, 2), (value, indent) => {
        fc.pre(!JSON.stringify(value).includes('"__proto__"'));
        expect(read(JSON.stringify(value, undefined, indent), { maxDepth: 1000 })).toEqual(
          JSON.parse(JSON.stringify(value)),
        );
      }),
    );
  });

  test('is refused with a reason or is right, whatever it is', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.json().map((text) => text.slice(1)),
          fc.uint8Array(),
        ),
        (text) => {
          try {
            expect(read(text)).toEqual(JSON.parse(Buffer.from(text).toString()));
          } catch (error) {
            expect(error).toMatchObject({
              code: 'TSB_IMAGE',
              message: expect.stringMatching(/^Cannot use the document: /) as string,
            });
          }
        },
      ),
    );
  });

  test.each<[string, string | Uint8Array, RegExp]>([
    ['a key twice', '{"a":1,"a":2}', /the key "a" twice/],
    ['a key twice, written in two ways', '{"a":1,"\\u0061":2}', /the key "a" twice/],
    ['a key twice, deep down', '[{"x":{"b":1, "b" : 2}}]', /the key "b" twice/],
    ['__proto__', '{"__proto__":{"admin":true}}', /__proto__/],
    ['__proto__ in disguise', '{"\\u005f_proto__":1}', /__proto__/],
    ['a byte order mark', '\u{feff}{}', /byte order mark/],
    ['bytes that are no UTF-8', Uint8Array.of(0x22, 0xff, 0x22), /not valid UTF-8/],
    ['a number beyond all bounds', '{"a":1e999}', /out of range/],
    ['depth', '['.repeat(65) + ']'.repeat(65), /nested deeper than 64 levels/],
    ['two documents', '{}{}', /not valid JSON/],
    ['a comment', '{}//', /not valid JSON/],
    ['nothing', '', /not valid JSON/],
    ['an open text', '{"a', /not valid JSON/],
  ])('%s is refused (CVE-2021-41190)', (_what, text, why) => {
    expect(() => read(text)).toThrow(why);
  });

  test('one that is too large is not looked at', () => {
    expect(() => read('[1,2,3]', { maxBytes: 6 })).toThrow(/it has 7 bytes, more than the limit of 6/);
    expect(read('[1,2]', { maxBytes: 6 })).toEqual([1, 2]);
  });

  test('the same key in two objects is no ambiguity, nor is a text that looks like one', () => {
    expect(read('[{"a":1},{"a":{"a":2}}]')).toEqual([{ a: 1 }, { a: { a: 2 } }]);
    expect(read('["a","a:","\\"a\\":1"]')).toEqual(['a', 'a:', '"a":1']);
  });

  test('deep documents take no more than their size', async () => {
    const used = await processorTime(() => {
      expect(() => read('['.repeat(1_000_000))).toThrow(/nested deeper/);
      expect(() => read(`{${'"a":{'.repeat(500_000)}`)).toThrow(/nested deeper/);
    });
    expect(used).toBeLessThan(10_000);
  });
});
