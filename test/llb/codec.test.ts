import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  decodeDefinition,
  decodeOp,
  encodeDefinition,
  encodeOp,
  MAX_DEFINITION_BYTES,
  type Op,
  opFromJson,
} from '../../src/llb/index.ts';
import { compareUtf8 } from '../../src/llb/codec.ts';
import { refusal, varint } from './support.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const bytesOf = (text: string): Uint8Array => Buffer.from(text.replaceAll(' ', ''), 'hex');

/** A field of bytes: its tag and length before what is in it. */
function field(number: number, content: string): string {
  const bytes = bytesOf(content);
  return hex(Buffer.concat([varint(number * 8 + 2), varint(bytes.length), bytes]));
}

const text = (value: string): string => Buffer.from(value).toString('hex');

// Written by hand after "Encoding" of protobuf.dev and pb/ops.proto of BuildKit: what the digests of vertices rest on.
describe('the bytes of an op', () => {
  test.each<[string, object, string]>([
    ['nothing at all', {}, ''],
    ['a source', { source: { identifier: 'local://c' } }, field(3, field(1, text('local://c')))],
    [
      'attributes, by their keys',
      { source: { identifier: 'local://c', attrs: { b: '2', a: '1' } } },
      field(
        3,
        field(1, text('local://c')) +
          field(2, field(1, text('a')) + field(2, text('1'))) +
          field(2, field(1, text('b')) + field(2, text('2'))),
      ),
    ],
    // Go writes key and value of an entry even where they are empty.
    [
      'an attribute without a value',
      { source: { attrs: { a: '' } } },
      field(3, field(2, `${field(1, text('a'))}1200`)),
    ],
    ['an empty message that is there', { merge: {} }, '3200'],
    [
      'platform after the body, which is a oneof',
      { platform: { OS: 'linux' }, file: {} },
      `52071205${text('linux')}2200`,
    ],
    [
      'an owner whose id is 0: a oneof has no default',
      { file: { actions: [{ rm: { path: '/' }, input: -1 }, { mkdir: { path: '/', owner: { user: { byID: 0 } } } }] } },
      field(
        4,
        field(2, `08ffffffffffffffffff01${field(7, field(1, '2f'))}`) +
          field(2, field(6, `${field(1, '2f')}${field(4, field(1, '1000'))}`)),
      ),
    ],
    [
      'exit codes, which stand in one run',
      { exec: { meta: { validExitCodes: [0, 1, 255] } } },
      field(2, field(1, field(12, '0001ff01'))),
    ],
    [
      'a mount of a kind, with a high field number',
      { exec: { mounts: [{ mountType: 'CACHE', cacheOpt: { ID: 'c', sharing: 'LOCKED' }, readonly: true }] } },
      field(2, field(2, `28013003${field(20, `${field(1, text('c'))}1002`)}`)),
    ],
    [
      'a negative mode, which takes ten bytes',
      { file: { actions: [{ copy: { mode: -1 } }] } },
      field(4, field(2, field(4, '20ffffffffffffffffff01'))),
    ],
  ])('%s', (_what, json, wanted) => {
    const op = opFromJson(json);
    expect(hex(encodeOp(op))).toBe(wanted);
    expect(decodeOp(encodeOp(op))).toEqual(op);
  });

  test('a value that no enum has is a fault of the program, not of the input', () => {
    const op = opFromJson({ exec: {} });
    const wrong = { ...op, body: { ...op.body, network: 'other' } } as unknown as Op;
    expect(() => encodeOp(wrong)).toThrow('"other" is not a value of NetMode');
  });
});

describe('what other writers may do is read', () => {
  test.each<[string, string, object]>([
    ['defaults that are written', field(3, '0a00'), { source: {} }],
    ['a number with needless bytes', field(2, '188180808000'), { exec: { network: 'HOST' } }],
    ['numbers one by one that could stand in a run', field(2, field(1, '60026003')), { exec: { meta: { validExitCodes: [2, 3] } } }],
    ['some in a run, some not', field(2, field(1, '6202020360046000')), { exec: { meta: { validExitCodes: [2, 3, 4, 0] } } }],
    ['a run of none', field(2, field(1, '6200')), { exec: { meta: {} } }],
    ['any number but 0 as true', field(2, field(2, '2805')), { exec: { mounts: [{ readonly: true }] } }],
    ['a key without a value', field(3, field(2, field(1, '61'))), { source: { attrs: { a: '' } } }],
    ['a value without a key', field(3, field(2, field(2, '61'))), { source: { attrs: { '': 'a' } } }],
    [
      'a key twice, of which the later one counts',
      field(3, field(2, field(1, '61') + field(2, '62')) + field(2, field(1, '61') + field(2, '63'))),
      { source: { attrs: { a: 'c' } } },
    ],
    ['fields in any order', field(3, field(2, field(2, '31') + field(1, '61')) + field(1, '62')), { source: { identifier: 'b', attrs: { a: '1' } } }],
    [
      'the least and the greatest 32-bit number',
      field(2, field(1, '6214 80808080f8ffffffff01 ffffffff07 00 7f 01 01 00')),
      { exec: { meta: { validExitCodes: [-(2 ** 31), 2 ** 31 - 1, 0, 127, 1, 1, 0] } } },
    ],
  ])('%s', (_what, bytes, json) => {
    expect(decodeOp(bytesOf(bytes))).toEqual(opFromJson(json));
  }); // oxfmt-ignore

  test('a name may have a byte order mark, which is a character of it', () => {
    const marked = '\ufeffa';
    expect(decodeOp(bytesOf(field(3, field(1, text(marked)))))).toMatchObject({ body: { identifier: marked } });
  });
});

describe('bytes are refused', () => {
  test.each<[string, string, string]>([
    ['text as a number', field(3, '0801'), 'SourceOp.identifier has wire type 0'],
    ['a number as text', field(2, '1a0101'), 'ExecOp.network has wire type 2'],
    ['a message as a number', '1801', 'Op.source has wire type 0'],
    ['a map entry as a number', field(3, '1001'), 'SourceOp.attrs has wire type 0'],
    ['a third field of a map entry', field(3, field(2, '1801')), 'an entry of SourceOp.attrs has an unknown field 3'],
    ['a key of a map that is a number', field(3, field(2, '0801')), 'an entry of SourceOp.attrs has an unknown field 1'],
    ['a fixed number where a varint stands', field(2, '1d00000000'), 'ExecOp.network has wire type 5'],
    ['a body twice', `${field(3, '')}${field(3, '')}`, 'Op.source is given twice'],
    ['an exit code beyond 32 bits', field(2, field(1, '62058080808008')), 'Meta.validExitCodes is 2147483648'],
    ['an exit code below 32 bits', field(2, field(1, '620affffffff f7ffffffff01')), 'Meta.validExitCodes is -2147483649'],
    ['a user id beyond 32 bits', field(4, field(2, field(6, field(4, field(1, '108080808010'))))), 'UserOpt.id is 4294967296'],
    ['a negative enum value', field(2, '18ffffffffffffffffff01'), 'network has the unknown value -1'],
    ['an eleventh byte of a number', field(2, '18ffffffffffffffffffff01'), 'a number is longer than 64 bits'],
    ['a bit beyond the 64th', field(2, '18ffffffffffffffffff02'), 'a number is longer than 64 bits'],
    ['a tag beyond 29 bits', '8080808010', 'field number 536870912 is out of range'],
    ['a cut run of numbers', field(2, field(1, '620280 80')), 'the message is cut off'],
    ['half a character', field(3, field(1, 'e282')), 'a string is not valid UTF-8'],
    ['half of a surrogate pair', field(3, field(1, 'eda080')), 'a string is not valid UTF-8'],
  ])('%s', (_what, bytes, message) => {
    expect(refusal(() => decodeOp(bytesOf(bytes)))).toContain(message);
  }); // oxfmt-ignore

  test('a definition within a definition, and so on', () => {
    let nested = '';
    let bytes = '';
    for (let depth = 0; depth < 40 && nested === ''; depth++) {
      // source -> infos -> definition
      bytes = field(3, field(2, field(3, bytes)));
      const told = refusal(() => decodeDefinition(bytesOf(bytes)));
      if (told !== 'accepted') nested = `${depth}: ${told}`;
    }
    expect(nested).toBe('10: Cannot read LLB: messages are nested too deeply');
  });

  test('one more byte than a definition may have, without a look at them', () => {
    const bytes = new Uint8Array(MAX_DEFINITION_BYTES + 1);
    expect(refusal(() => decodeDefinition(bytes))).toContain(`has ${MAX_DEFINITION_BYTES + 1} bytes, more than`);
  });

  test('metadata and places of what is no digest', () => {
    const metadata = new Map([['sha256:1', { ignoreCache: true, description: new Map(), caps: new Map() }]]);
    const bytes = encodeDefinition({ def: [], metadata: metadata as never });
    expect(refusal(() => decodeDefinition(bytes))).toContain('"sha256:1" is not the digest of an op');
    const locations = new Map([['x'.repeat(500), { locations: [] }]]);
    const other = encodeDefinition({ def: [], metadata: new Map(), source: { locations, infos: [] } as never });
    expect(refusal(() => decodeDefinition(other))).toMatch(/"x{100}" is not the digest/);
  });
});

describe('what newer versions may add', () => {
  const digest = `sha256:${'a'.repeat(64)}`;
  const metadata = `0801${field(2, field(1, text('k')) + field(2, text('v')))}`;

  test.each<[string, string]>([
    ['a number', 'f80105'],
    ['bytes', 'fa0103616263'],
    ['a fixed number of 64 bits', 'f9010102030405060708'],
    ['one of 32 bits', 'fd0101020304'],
  ])('to metadata as %s is passed over: it cannot change what is built', (_what, extra) => {
    const entry = field(2, field(1, text(digest)) + field(2, `${extra}${metadata}${extra}`));
    expect(decodeDefinition(bytesOf(entry)).metadata.get(digest as never)).toEqual({
      ignoreCache: true,
      description: new Map([['k', 'v']]),
      caps: new Map(),
    });
  });

  test('to an op is refused: it may', () => {
    expect(refusal(() => decodeOp(bytesOf('f80105')))).toContain('Op has an unknown field 31');
    expect(refusal(() => decodeOp(bytesOf(field(2, field(1, 'f80105')))))).toContain('Meta has an unknown field 31');
  });

  test.each(['f901010203', 'fd01010203', 'fb01', 'fe01'])('is refused where it is cut or no field: %s', (extra) => {
    const entry = field(2, field(1, text('k')) + field(2, extra));
    expect(refusal(() => decodeDefinition(bytesOf(entry)))).toMatch(/cut off|wire type [36] is not supported/);
  });
});

test('names are sorted by their UTF-8 form, as Go does, and not by that of JavaScript', () => {
  // U+FF5E comes before U+1F600 in UTF-8, and after its surrogates in UTF-16.
  expect(['\u{1f600}', '\uff5e', 'z', 'é'].sort(compareUtf8)).toEqual(['z', 'é', '\uff5e', '\u{1f600}']);
  const op = opFromJson({ source: { attrs: { '\u{1f600}': '1', '\uff5e': '2' } } });
  expect(hex(encodeOp(op)).indexOf(text('\uff5e'))).toBeLessThan(hex(encodeOp(op)).indexOf(text('\u{1f600}')));
  const char = fc.integer({ min: 0, max: 0x10ffff }).filter((code) => code < 0xd800 || code > 0xdfff);
  const name = fc.array(char, { maxLength: 4 }).map((codes) => String.fromCodePoint(...codes));
  fc.assert(
    fc.property(name, name, (a, b) => {
      expect(Math.sign(compareUtf8(a, b))).toBe(Math.sign(Buffer.compare(Buffer.from(a), Buffer.from(b))));
    }),
  );
});
