import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Mask } from '../../src/secrets/mask.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');
const maskOf = (...hidden: readonly string[]): Mask => new Mask(hidden.map(bytes));

/** What a stream shows after each piece, and at last what it shows at its end. */
function shown(mask: Mask, pieces: readonly Uint8Array[]): readonly string[] {
  const stream = mask.stream();
  const out = pieces.map((piece) => Buffer.from(stream.push(piece)).toString('latin1'));
  return [...out, Buffer.from(stream.end()).toString('latin1')];
}

/**
 * The definition, by trying every place: what any value covers is one `***` for each run of covered bytes.
 * @param end only what this makes of so many bytes
 */
function expected(hidden: readonly Uint8Array[], data: Uint8Array, end = data.length): string {
  const all = Buffer.from(data);
  const covered = new Set<number>();
  for (const value of hidden) {
    for (let at = all.indexOf(value); at >= 0; at = all.indexOf(value, at + 1))
      for (let i = 0; i < value.length; i++) covered.add(at + i);
  }
  let out = '';
  for (const [at, byte] of all.subarray(0, end).entries()) {
    if (!covered.has(at)) out += String.fromCharCode(byte);
    else if (!covered.has(at - 1)) out += '***';
  }
  return out;
}

/** Few different bytes, so that values overlap, repeat and begin like each other. */
const few = (most: number, least = 0): fc.Arbitrary<Uint8Array> =>
  fc
    .array(fc.constantFrom(0x61, 0x62, 0x0a, 0xff), { minLength: least, maxLength: most })
    .map((all) => Buffer.from(all));

const values = fc.array(few(7, 1), { minLength: 1, maxLength: 4 });

/** Values, and a stream with many of them in it. */
const scene = values.chain((hidden) =>
  fc
    .array(fc.oneof(fc.constantFrom(...hidden), few(4)), { maxLength: 20 })
    .map((parts) => ({ hidden, data: Buffer.concat(parts) })),
);

function cutAt(data: Uint8Array, places: readonly number[]): readonly Uint8Array[] {
  const ends = [...new Set(places.map((place) => place % (data.length + 1)))].sort((a, b) => a - b);
  return [0, ...ends].map((start, index) => data.subarray(start, ends[index] ?? data.length));
}

describe('a mask', () => {
  test('hides all that the values cover and nothing else, however the stream is cut', () => {
    fc.assert(
      fc.property(scene, fc.array(fc.nat(), { maxLength: 12 }), ({ hidden, data }, places) => {
        const mask = new Mask(hidden);
        const want = expected(hidden, data);
        expect(shown(mask, [data]).join('')).toBe(want);
        expect(shown(mask, cutAt(data, places)).join('')).toBe(want);
        expect(
          shown(
            mask,
            [...data].map((byte) => Uint8Array.of(byte)),
          ).join(''),
        ).toBe(want);
        for (const value of hidden) expect(want).not.toContain(Buffer.from(value).toString('latin1'));
      }),
      { numRuns: 2000 },
    );
  });

  test('holds back the longest end that may be the start of a value, and no more', () => {
    fc.assert(
      fc.property(scene, ({ hidden, data }) => {
        const stream = new Mask(hidden).stream();
        let out = '';
        for (let end = 1; end <= data.length; end++) {
          out += Buffer.from(stream.push(data.subarray(end - 1, end))).toString('latin1');
          const begun = Buffer.from(data.subarray(0, end));
          const held = Math.max(
            0,
            ...hidden.flatMap((value) =>
              [...value.keys()].filter((length) => begun.subarray(end - length).equals(value.subarray(0, length))),
            ),
          );
          // What is before it is out, at least.
          expect(out.startsWith(expected(hidden, begun, end - held))).toBe(true);
        }
      }),
    );
  });

  test('leaves a stream without values byte for byte, without copying it', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (data) => {
        const stream = maskOf('a value that is not there').stream();
        const out = [stream.push(data), stream.end()];
        expect(Buffer.concat(out).equals(data)).toBe(true);
      }),
    );
    const data = Buffer.from('some output\n');
    const out = maskOf('hunter2').stream().push(data);
    expect([out.buffer, out.byteOffset, out.length]).toEqual([data.buffer, data.byteOffset, data.length]);
  });

  test('a prompt is shown at once; the start of a value when it turns out to be none, or at the end', () => {
    const mask = maskOf('hunter2');
    expect(shown(mask, [bytes('Password: '), bytes('hun'), bytes('ger\n'), bytes('hunter')])).toEqual([
      'Password: ',
      '',
      'hunger\n',
      '',
      'hunter',
    ]);
  });

  test('a hidden part is shown as soon as it is known, also while a longer value may go on', () => {
    expect(shown(maskOf('first', 'first\nsecond'), [bytes('first'), bytes('\n'), bytes('seco'), bytes('nd.')])).toEqual(
      ['***', '', '', '.', ''],
    );
    expect(shown(maskOf('first', 'first\nsecond'), [bytes('first\n'), bytes('third')])).toEqual(['***', '\nthird', '']);
  });

  test('values that overlap or touch are one, so that nobody can count', () => {
    expect(shown(maskOf('abcd', 'cdef'), [bytes('<abcdef>')]).join('')).toBe('<***>');
    expect(shown(maskOf('abcd'), [bytes('<abcd'), bytes('abcd'), bytes('>')]).join('')).toBe('<***>');
    expect(shown(maskOf('aaaa'), [bytes('aaaaaaaaab')]).join('')).toBe('***b');
  });

  test('bytes that are no text stay what they are', () => {
    const value = Uint8Array.of(0xff, 0x00, 0xfe, 0x0a);
    const out = shown(new Mask([value]), [Uint8Array.of(0xc3, 0xff), Uint8Array.of(0x00, 0xfe, 0x0a, 0xa4)]);
    expect(out.join('')).toBe('\u00c3***\u00a4');
  });

  test('takes time in proportion to a stream that is made to make it slow, byte by byte', () => {
    // Every byte goes on with a value of half a megabyte, and every other value ends in it; naive searches are quadratic here.
    const long = Buffer.concat([Buffer.alloc(400_000, 'ab'), Buffer.from('!')]);
    const mask = new Mask([long, bytes('baba'), bytes('x'.repeat(1000))]);
    const stream = mask.stream();
    let out = 0;
    for (let i = 0; i < 1_600_000; i++) out += stream.push(Uint8Array.of(i % 2 === 0 ? 0x61 : 0x62)).length;
    out += stream.end().length;
    // 'baba' covers all but the first byte and the last.
    expect(out).toBe('a***b'.length);
  });

  test('texts', () => {
    const mask = new Mask([Buffer.from('pässword')]);
    expect(mask.text('RUN login pässword && true')).toBe('RUN login *** && true');
    expect(mask.text('half a character: \ud800')).toBe('half a character: \ud800');
  });
});
