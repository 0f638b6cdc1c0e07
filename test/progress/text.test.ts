import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatStepOutput } from '../../src/progress/failure.ts';
import { createPalette, paint } from '../../src/progress/colors.ts';
import { LineSplitter } from '../../src/progress/lines.ts';
import { cleanLine, cut, endOfPart, expandTabs, oneLine, seconds, stamp, widthOf } from '../../src/progress/text.ts';

describe('columns of a terminal', () => {
  // Ranges of EastAsianWidth.txt that are wide or full-width: their first and last characters.
  test.each([
    ['Hangul', 0x1100, 0x115f],
    ['angle brackets', 0x2329, 0x232a],
    ['radicals', 0x2e80, 0x2fd5],
    ['ideographic space', 0x3000, 0x3000],
    ['Hiragana', 0x3041, 0x3096],
    ['CJK', 0x4e00, 0x9fff],
    ['Yi', 0xa000, 0xa4c6],
    ['Hangul, extended', 0xa960, 0xa97c],
    ['Hangul syllables', 0xac00, 0xd7a3],
    ['compatibility', 0xf900, 0xfaff],
    ['vertical forms', 0xfe10, 0xfe19],
    ['compatibility forms', 0xfe30, 0xfe52],
    ['full-width', 0xff01, 0xff60],
    ['full-width signs', 0xffe0, 0xffe6],
    ['Tangut', 0x17000, 0x187f7],
    ['Kana', 0x1b000, 0x1b122],
    ['enclosed ideographs', 0x1f200, 0x1f202],
    ['emoji', 0x1f600, 0x1f64f],
    ['later emoji', 0x1f900, 0x1f9ff],
    ['CJK, extension B', 0x20000, 0x2a6df],
    ['CJK, extension G', 0x30000, 0x3134a],
  ])('of %s are two', (_name, first, last) => {
    for (const code of [first, last]) expect(widthOf(String.fromCodePoint(code)), code.toString(16)).toBe(2);
  });

  test.each([
    ['abc', 3],
    ['é', 1],
    ['e\u0301', 1],
    ['漢字', 4],
    ['a漢', 3],
    ['ｱ', 1],
    ['⏰', 2],
    ['→', 1],
    ['\u200b', 0],
    ['👍\ufe0f', 2],
    ['', 0],
  ])('of %j are %d', (text, width) => expect(widthOf(text)).toBe(width));

  const character = fc.constantFrom('a', ' ', '漢', 'e\u0301', '😀', '\u200b', 'ｱ');
  const text = fc.array(character, { maxLength: 30 }).map((all) => all.join(''));

  test('what is cut has as many as there is room for, and is the beginning (property)', () => {
    fc.assert(
      fc.property(text, fc.nat(40), (whole, columns) => {
        const part = cut(whole, columns);
        expect(whole.startsWith(part)).toBe(true);
        expect(widthOf(part)).toBeLessThanOrEqual(columns);
        expect(part.isWellFormed()).toBe(true);
        // One character more is too much.
        const more = part + (Array.from(whole.slice(part.length))[0] ?? '');
        if (part !== whole) expect(widthOf(more)).toBeGreaterThan(columns);
      }),
    );
  });

  test('tabs go to the next multiple of eight (property)', () => {
    fc.assert(
      fc.property(fc.array(text, { maxLength: 5 }), (parts) => {
        const line = expandTabs(parts.join('\t'));
        expect(line).not.toContain('\t');
        expect(line.replaceAll(' ', '')).toBe(parts.join('').replaceAll(' ', ''));
        let at = 0;
        for (const [index, part] of parts.entries()) {
          if (index > 0) at += 8 - (at % 8);
          at += widthOf(part);
        }
        expect(widthOf(line)).toBe(at);
      }),
    );
    expect(expandTabs('a\tb\t\tc')).toBe(`a${' '.repeat(7)}b${' '.repeat(15)}c`);
  });

  test('no part of a long text ends within a character', () => {
    expect(endOfPart('a😀b', 0, 2)).toBe(1);
    expect(endOfPart('a😀b', 0, 3)).toBe(3);
    expect(endOfPart('😀', 0, 2)).toBe(2);
    // There is no other way to get on.
    expect(endOfPart('😀', 0, 1)).toBe(1);
  });
});

describe('a line of output', () => {
  test.each([
    ['as it is', 'hello', 'hello'],
    ['a progress bar', ' 10%\r 50%\r100%\r', '100%'],
    ['a bar that ended with several returns', 'x\r\r\r', 'x'],
    ['cursor movements', '\u001b[2K\u001b[1Gdone\u001b[?25h', 'done'],
    ['a title of the window', '\u001b]0;owned\u0007text', 'text'],
    ['a title without end', '\u001b]0;owned', ''],
    ['a link', '\u001b]8;;https://a.test\u001b\\here\u001b]8;;\u001b\\', 'here'],
    ['a device control string', '\u001bPq...\u001b\\x', 'x'],
    ['another character set', '\u001b(0lqk\u001b(B', 'lqk'],
    ['an 8-bit introducer', '\u009b31mred', '\\u{9b}31mred'],
    ['a bell', 'a\u0007b', 'a^Gb'],
    ['text that is turned round', 'a\u202eb\u2066c', 'a\\u{202e}b\\u{2066}c'],
    ['the mark of Arabic letters', 'a\u061cb', 'a\\u{61c}b'],
    ['trailing blanks', 'a  \t ', 'a'],
  ])('%s', (_what, line, shown) => {
    expect(cleanLine(line, false)).toBe(shown);
  });

  test('keeps its colours where there are some, and ends them', () => {
    expect(cleanLine('\u001b[1;31mred\u001b[K text', true)).toBe('\u001b[1;31mred text\u001b[0m');
    expect(cleanLine('\u001b[38:2:1:2:3mx', true)).toBe('\u001b[38:2:1:2:3mx\u001b[0m');
    expect(cleanLine('\u001b[31mred', false)).toBe('red');
    expect(cleanLine('plain é', true)).toBe('plain é');
  });

  test('never controls a terminal (property)', () => {
    const piece = fc.constantFrom(
      'a',
      '\u001b',
      '[',
      ']',
      '0',
      ';',
      'm',
      '\u0007',
      '\u009b',
      'P',
      '\\',
      '\r',
      '\u202e',
      '漢',
      '?',
      'J',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 20 }), fc.boolean(), (pieces, colors) => {
        const shown = cleanLine(pieces.join(''), colors);
        // eslint-disable-next-line no-control-regex
        const rest = colors ? shown.replaceAll(/\u001b\[[0-9;:]*m/g, '') : shown;
        // eslint-disable-next-line no-control-regex
        expect(rest).not.toMatch(/[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u202e]/);
        if (shown.includes('\u001b')) expect(shown.endsWith('\u001b[0m')).toBe(true);
      }),
      { numRuns: 500 },
    ); // oxfmt-ignore
  });

  test('of several is one where there is room for one only', () => {
    expect(oneLine('a \n\n  b\tc\r\nd')).toBe('a b c^M d');
  });
});

describe('output that is cut into lines', () => {
  const bytes = (text: string): Uint8Array => Buffer.from(text);

  test('is what it was, however it comes (property)', () => {
    const text = fc
      .array(fc.constantFrom('a', '漢', '😀', '\n', '\n\n', 'word '), { maxLength: 40 })
      .map((all) => all.join(''));
    fc.assert(
      fc.property(text, fc.array(fc.nat(60), { maxLength: 6 }), (whole, cuts) => {
        const data = bytes(whole);
        const at = [...cuts.filter((one) => one < data.length).toSorted((a, b) => a - b), data.length];
        const splitter = new LineSplitter();
        const lines = at.flatMap((end, index) => splitter.push(data.subarray(index === 0 ? 0 : at[index - 1], end)));
        const rest = splitter.flush();
        expect([...lines, ...rest].join('\n')).toBe(whole.replace(/\n$/, ''));
        expect(rest.length).toBeLessThanOrEqual(1);
        expect(splitter.rest).toBe('');
        expect(splitter.flush()).toEqual([]);
      }),
    ); // oxfmt-ignore
  });

  test('that never ends a line does not grow for ever, and nothing of it is lost', () => {
    const splitter = new LineSplitter();
    const lines: string[] = [];
    for (let count = 0; count < 500; count++) {
      lines.push(...splitter.push(bytes('😀'.repeat(100))));
      expect(splitter.rest.length).toBeLessThanOrEqual(8192);
    }
    lines.push(...splitter.flush());
    expect(lines.join('')).toBe('😀'.repeat(50_000));
    for (const line of lines) expect(line.isWellFormed() && line.length <= 8192).toBe(true);
  });

  test('of a bar that overwrites itself for ever is its last state', () => {
    const splitter = new LineSplitter();
    let lines: readonly string[] = [];
    for (let count = 0; count < 5000; count++) lines = [...lines, ...splitter.push(bytes(`\r${count} of 5000`))];
    expect(lines).toEqual([]);
    expect(splitter.flush().map((line) => cleanLine(line, false))).toEqual(['4999 of 5000']);
  });
});

describe('times', () => {
  test.each([
    [0, '0.0s', '0.000'],
    [62, '0.1s', '0.062'],
    [9999, '10.0s', '9.999'],
    [10_000, '10.0s', '10.00'],
    [99_990, '100.0s', '99.99'],
    [100_000, '100.0s', '100.0'],
    // A clock was set back.
    [-5, '0.0s', '0.000'],
  ])('of %d ms', (ms, took, since) => {
    expect([seconds(ms), stamp(ms)]).toEqual([took, since]);
  });
});

describe('colours (BUILDKIT_COLORS)', () => {
  test.each([
    ['run=green', { run: '32' }],
    ['run=light-blue:error=white', { run: '94', error: '37' }],
    ['cancel=1,2,255', { cancel: '38;2;1;2;255' }],
    ['WARNING=Cyan', { warning: '36' }],
    ['run=default', { run: '39' }],
    ['"run=black"', { run: '30' }],
    ['run=256,0,0:error=1,2:warning=1,2,3,4:cancel=-1,0,0', {}],
    ['run=mauve:what=red:run:=:run=green=blue', {}],
    ['constructor=red:__proto__=red', {}],
    ['run=1;31m,2,3', {}],
    ['', {}],
  ])('%j', (custom, changed) => {
    expect(createPalette({ custom })).toEqual({ run: '34', cancel: '33', warning: '33', error: '31', ...changed });
  });

  test('are none where nobody wants any (NO_COLOR)', () => {
    const palette = createPalette({ noColor: true, custom: 'run=red' });
    expect(Object.values(palette)).toEqual([undefined, undefined, undefined, undefined]);
    expect(paint('text', palette.run)).toBe('text');
  });
});

test('what a failed step printed names the file that has all of it', () => {
  const step = { state: 'failed', name: 'RUN x', tail: ['0.1 a', '0.2 b'], log: '/tmp/\u001b[2Jlog' } as never;
  expect(formatStepOutput(step)).toBe('------\n > RUN x:\n0.1 a\n0.2 b\n------\ncomplete log: /tmp/^[[2Jlog\n');
  expect(formatStepOutput({ state: 'done', name: 'x', tail: ['y'] } as never)).toBe('');
});
