import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  editDistance,
  formatBytes,
  formatDuration,
  isTsbuildError,
  parseDuration,
  parseSize,
  redactUrls,
  sanitize,
  sanitizeLine,
  suggest,
} from '../../src/util/index.ts';
import { processorTime } from '../support/processor-time.ts';

const usage = (work: () => unknown): string => {
  try {
    return String(work());
  } catch (error) {
    if (isTsbuildError(error, 'TSB_USAGE')) return error.message;
    throw error;
  }
};

describe('sizes', () => {
  test.each([
    ['512', 512],
    ['1b', 1],
    ['128k', 128 * 1024],
    ['128K', 128 * 1024],
    ['1.5GB', 1.5 * 2 ** 30],
    ['10 MiB', 10 * 2 ** 20],
    ['2t', 2 * 2 ** 40],
    [' 1g ', 2 ** 30],
    ['0', 0],
    ['0.7', 0],
  ])('%j is %d bytes', (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });

  test.each(['', 'k', '-1', '1x', '1kk', '1.2.3m', '1e3', '0x10', '1 2', '1,5g', 'NaN', '١'])('%j is none', (text) => {
    expect(usage(() => parseSize(text))).toBe(
      `Cannot use size ${JSON.stringify(text)}: expected a number and a unit, for example 512m`,
    );
  });

  test('beyond what can be counted they are too large', () => {
    expect(usage(() => parseSize('99999999t'))).toMatch(/it is too large$/);
    expect(usage(() => parseSize('9'.repeat(400)))).toMatch(/it is too large$/);
  });

  test.each([
    [0, '0B'],
    [999, '999B'],
    [1000, '1.00kB'],
    [12_580_000, '12.58MB'],
    [1e12, '1.00TB'],
    [5e18, '5000.00PB'],
  ])('%d bytes are shown as %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });
});

describe('durations', () => {
  test.each([
    ['90s', 90_000],
    ['1h30m', 5_400_000],
    ['7d', 7 * 86_400_000],
    ['2w', 14 * 86_400_000],
    ['1.5s', 1500],
    ['250ms', 250],
    ['0s', 0],
    [' 24h ', 86_400_000],
  ])('%j is %d ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  test.each(['', '5', 'h', '1h x', '1h-2m', '-1h', '1y', '1 h', 's1', '1h30'])('%j is none', (text) => {
    expect(usage(() => parseDuration(text))).toMatch(/^Cannot use duration .*: expected for example 90s, 24h or 7d$/);
  });

  test('what is shown reads as what it was', () => {
    fc.assert(
      fc.property(fc.nat({ max: 10 ** 12 }), (ms) => {
        expect(parseDuration(formatDuration(ms))).toBe(ms);
      }),
    );
    expect(formatDuration(0)).toBe('0s');
    expect(formatDuration(5_400_000)).toBe('1h30m');
  });
});

describe('credentials in what is shown', () => {
  test.each([
    ['https://user:secret@host/path', 'https://xxxxx:xxxxx@host/path'],
    ['https://token@host/path', 'https://xxxxx@host/path'],
    ['https://user:p@ss@host/', 'https://xxxxx:xxxxx@host/'],
    ['https://:secret@host', 'https://xxxxx:xxxxx@host'],
    ['cannot load https://a:b@c: and http://d:e@f', 'cannot load https://xxxxx:xxxxx@c: and http://xxxxx:xxxxx@f'],
    ['HTTPS://USER:SECRET@HOST', 'HTTPS://xxxxx:xxxxx@HOST'],
    ['ssh://git:secret@host/x', 'ssh://xxxxx:xxxxx@host/x'],
    // Quotes may be part of a password (RFC 3986, 3.2.1), or stand around the address.
    ["https://user:it's@host/x", 'https://xxxxx:xxxxx@host/x'],
    ['https://user:a"b@host/x', 'https://xxxxx:xxxxx@host/x'],
    ["fatal: 'https://user:secret@host/'", "fatal: 'https://xxxxx:xxxxx@host/'"],
    ['{"url":"https://user:secret@host"}', '{"url":"https://xxxxx:xxxxx@host"}'],
  ])('%s', (text, shown) => {
    expect(redactUrls(text)).toBe(shown);
  });

  test.each([
    'ssh://git@host/repository',
    'https://host/path@v1',
    'https://host?mail=a@b',
    'https://host#a@b',
    'git@host:repository',
    'me@example.com',
    '"https://host", "me@example.com"',
    '["https://host","me@example.com"]',
    "x='https://host';y='me@example.com'",
    'https://host me@example.com',
  ])('%s has none', (text) => {
    expect(redactUrls(text)).toBe(text);
  });

  test('no password gets through, whatever characters an address may have there', () => {
    const character = fc.constantFrom(...Array.from('abcXYZ019-._~!$&\'()*+,;=:%@"<>[]{}|\\^`'));
    const password = fc.string({ unit: character, minLength: 1, maxLength: 12 }).map((text) => `s3cr3t${text}`);
    fc.assert(
      fc.property(password, fc.constantFrom('', 'before ', "'", '"'), (secret, before) => {
        // A quote that closes what it opened ends the address.
        fc.pre(!/["'][,;:)\]}]/.test(secret));
        expect(redactUrls(`${before}https://user:${secret}@host/x`)).not.toContain('s3cr3t');
      }),
    );
  });

  test('takes time in proportion to texts that are made to make it slow', async () => {
    const used = await processorTime(() => {
      for (const part of ['://', '://a', 'a:', '@', 'http:', "'"]) redactUrls(part.repeat(200_000));
      redactUrls(`https://${'a'.repeat(1_000_000)}`);
    });
    expect(used).toBeLessThan(10_000);
  });
});

describe('text from outside', () => {
  test.each([
    ['plain\ttext\n', 'plain\ttext\n'],
    ['\u001b[2J', '^[[2J'],
    ['\u0000\u0007\r', '^@^G^M'],
    ['\u007f', '^?'],
    ['\u009b31m', '\\u{9b}31m'],
    ['abc\u202edef', 'abc\\u{202e}def'],
    ['\u2028', '\\u{2028}'],
    ['\u001b[31mred\u001b[0m', '^[[31mred^[[0m'],
  ])('%j is shown as %j', (text, shown) => {
    expect(sanitize(text)).toBe(shown);
  });

  test('colors may stay, and nothing else may', () => {
    expect(sanitize('\u001b[1;31mred\u001b[m', { colors: true })).toBe('\u001b[1;31mred\u001b[m');
    for (const sequence of ['\u001b[2J', '\u001b]0;title\u0007', '\u001b[31', '\u001bc', '\u001b[?25l'])
      expect(sanitize(sequence, { colors: true })).not.toContain('\u001b');
  });

  test('never controls a terminal, and is safe to be made safe again', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const shown = sanitize(text);
        // oxlint-disable-next-line no-control-regex
        expect(shown).not.toMatch(/[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/);
        expect(sanitize(shown)).toBe(shown);
      }),
    );
  });

  test('is one line of a limited length', () => {
    expect(sanitizeLine('one\n  two\r\n\nthree')).toBe('one two^M three');
    expect(sanitizeLine('a'.repeat(600))).toBe(`${'a'.repeat(499)}…`);
    expect(sanitizeLine('abcdef', 4)).toBe('abc…');
    fc.assert(
      fc.property(fc.string(), fc.integer({ min: 1, max: 50 }), (text, limit) => {
        const line = sanitizeLine(text, limit);
        expect(line.length).toBeLessThanOrEqual(limit);
        expect(line).not.toContain('\n');
      }),
    );
  });
});

describe('what was meant', () => {
  const commands = ['build', 'images', 'import', 'inspect', 'run', 'push'];
  test.each([
    ['buidl', 'build'],
    ['biuld', 'build'],
    ['image', 'images'],
    ['BUILD', 'build'],
    ['inspct', 'inspect'],
    ['nur', 'run'],
  ])('by %s may be %s', (word, meant) => {
    expect(suggest(word, commands)).toBe(meant);
  });

  test.each(['xyz', 'q', 'deploy', ''])('by %j nobody knows', (word) => {
    expect(suggest(word, commands)).toBeUndefined();
  });

  test('is the nearest', () => {
    expect(suggest('targt', ['tags', 'target', 'targets'])).toBe('target');
    expect(suggest('x', [])).toBeUndefined();
  });

  test('distances are those of a metric', () => {
    const word = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 6 });
    fc.assert(
      fc.property(word, word, word, (a, b, c) => {
        expect(editDistance(a, a)).toBe(0);
        expect(editDistance(a, b)).toBe(editDistance(b, a));
        expect(editDistance(a, b) === 0).toBe(a === b);
        expect(editDistance(a, c)).toBeLessThanOrEqual(editDistance(a, b) + editDistance(b, c));
        expect(editDistance(a, b)).toBeLessThanOrEqual(Math.max(a.length, b.length));
        expect(editDistance(a, b)).toBeGreaterThanOrEqual(Math.abs(a.length - b.length));
      }),
    );
    expect(editDistance('kitten', 'sitting')).toBe(3);
  });
});
