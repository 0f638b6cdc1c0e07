import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { goJson, goJsonIndented, goTime, sortedMap } from '../../src/exporter/go-json.ts';

describe('JSON as Go writes it', () => {
  // What `json.Marshal` gives for these maps; JavaScript lists keys that are numbers first, and by their value.
  test.each<[string, Readonly<Record<string, unknown>>, string]>([
    ['numbers by their text', { 9: 1, 10: 2, 1: 3 }, '{"1":3,"10":2,"9":1}'],
    ['numbers between other keys', { b: 1, 5: 2, '-a': 3, '': 4 }, '{"":4,"-a":3,"5":2,"b":1}'],
    ['leading zeros', { '01': 1, 1: 2, '001': 3 }, '{"001":3,"01":1,"1":2}'],
    ['characters beyond the 16-bit ones last', { '\u{1f600}': 1, '\uff5e': 2, 7: 3 }, '{"7":3,"\uff5e":2,"\u{1f600}":1}'],
    ['upper case before lower case', { a: 1, B: 2, _: 3 }, '{"B":2,"_":3,"a":1}'],
    ['a key that objects have of their own', JSON.parse('{"b":1,"__proto__":2,"1":3}') as Record<string, unknown>, '{"1":3,"__proto__":2,"b":1}'],
  ])('maps: %s', (_what, map, text) => {
    expect(goJson(sortedMap(map))).toBe(text);
    expect(goJson({ labels: sortedMap(map) })).toBe(`{"labels":${text}}`);
  }); // oxfmt-ignore

  test('structs keep the order of their fields', () => {
    expect(goJson({ b: 1, a: { d: [], c: {} } })).toBe('{"b":1,"a":{"d":[],"c":{}}}');
  });

  test.each<[unknown, string]>([
    ['<a & b>\u2028\u2029', '"\\u003ca \\u0026 b\\u003e\\u2028\\u2029"'],
    ['tab\tline\nquote"back\\bell\u0007', '"tab\\tline\\nquote\\"back\\\\bell\\u0007"'],
    [{ a: undefined, b: null }, '{"b":null}'],
    [[undefined, null, 0, false, ''], '[null,null,0,false,""]'],
    [undefined, 'null'],
    [{ '<': '>' }, '{"\\u003c":"\\u003e"}'],
  ])('%j', (value, text) => {
    expect(goJson(value)).toBe(text);
  });

  test('is indented as MarshalIndent does it', () => {
    expect(goJsonIndented({ a: [1, { b: 2 }], c: {}, d: [], e: 'x: {' })).toBe(
      '{\n  "a": [\n    1,\n    {\n      "b": 2\n    }\n  ],\n  "c": {},\n  "d": [],\n  "e": "x: {"\n}',
    );
  });

  test('reads back as what it was, with either layout, and as JSON.stringify has it where no key is a number', () => {
    fc.assert(
      fc.property(fc.jsonValue({ depthSize: 'small' }), (value) => {
        const again: unknown = JSON.parse(JSON.stringify(value));
        expect(JSON.parse(goJson(value))).toEqual(again);
        expect(JSON.parse(goJsonIndented(value))).toEqual(again);
        const isPlain = !/"\d+":/.test(JSON.stringify(value));
        const escaped = (text: string): string =>
          text.replace(/[<>&\u2028\u2029]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
        if (isPlain) expect(goJson(value)).toBe(escaped(JSON.stringify(value)));
        if (isPlain) expect(goJsonIndented(value)).toBe(escaped(JSON.stringify(value, undefined, 2)));
      }),
    );
  });

  test('of any map the keys stand in the order of their bytes', () => {
    const key = fc.oneof(fc.nat(99).map(String), fc.string({ unit: 'grapheme', maxLength: 3 }));
    fc.assert(
      fc.property(fc.uniqueArray(key, { maxLength: 8 }), (keys) => {
        const wanted = keys.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
        const map = sortedMap(Object.fromEntries(keys.map((one) => [one, 1])));
        expect(goJson({ map })).toBe(
          keys.length === 0 ? '{}' : `{"map":{${wanted.map((one) => `${goJson(one)}:1`).join(',')}}}`,
        );
      }),
    );
  });

  test('nothing is said of an empty map', () => {
    expect([sortedMap({}), sortedMap(undefined)]).toEqual([undefined, undefined]);
  });
});

test.each([
  [0, '1970-01-01T00:00:00Z'],
  [1, '1970-01-01T00:00:00.001Z'],
  [120, '1970-01-01T00:00:00.12Z'],
  [500, '1970-01-01T00:00:00.5Z'],
  [10_000, '1970-01-01T00:00:10Z'],
  [36_000_000, '1970-01-01T10:00:00Z'],
  [-1, '1969-12-31T23:59:59.999Z'],
  [253_402_300_799_000, '9999-12-31T23:59:59Z'],
])('%d ms are %s', (ms, text) => expect(goTime(ms)).toBe(text));
