import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BadPatternError, GoExpression, PatternMatcher } from '../../src/patterns/index.ts';
import { processorTime } from '../support/processor-time.ts';

/** Whether an expression matches a whole text; `refused` when there is no such expression. */
function matches(source: string, text: string): boolean | 'refused' {
  try {
    return new GoExpression(`^(?:${source})$`).match(text) !== undefined;
  } catch (error) {
    if (error instanceof BadPatternError) return 'refused';
    throw error;
  }
}

describe('what stands for a character (Go, regexp/syntax)', () => {
  test.each<[string, string, boolean | 'refused']>([
    // Escapes of characters.
    ['\\a\\f\\t\\n\\r\\v', '\u0007\f\t\n\r\v', true],
    ['\\x7e', '~', true],
    ['\\x{1F600}', '\u{1f600}', true],
    ['\\x{0000041}', 'A', true],
    ['\\x{110000}', 'A', 'refused'],
    ['\\x{}', 'A', 'refused'],
    ['\\x{-1}', 'A', 'refused'],
    ['\\xg0', 'A', 'refused'],
    ['\\x4', 'A', 'refused'],
    ['\\101', 'A', true],
    ['\\0', '\0', true],
    ['\\08', '\u00008', true],
    ['\\1', '1', 'refused'],
    ['\\18', 'x', 'refused'],
    ['\\_', '_', true],
    ['\\-\\/\\ ', '-/ ', true],
    ['\\ä', 'ä', 'refused'],
    ['\\e', 'e', 'refused'],
    ['\\Z', '', 'refused'],
    ['\\pL', 'a', 'refused'],
    ['\\', '\\', 'refused'],
    // Classes with a letter: of ASCII, whatever the text.
    ['\\d', '7', true],
    ['\\d', '\u0667', false],
    ['\\w', 'ä', false],
    ['\\W', 'ä', true],
    ['\\s', '\u00a0', false],
    ['\\s', '\v', false],
    ['\\S', '\v', true],
    ['[\\d-a]', '-', true],
    ['[a-\\d]', 'a', 'refused'],
    // Sets.
    ['[a-c]', 'b', true],
    ['[^a-c]', 'b', false],
    ['[^a]', '\n', true],
    ['[]]', ']', true],
    ['[^]]', 'a', true],
    ['[]', ']', 'refused'],
    ['[a-]', '-', true],
    ['[-a]', '-', true],
    ['[b-a]', 'a', 'refused'],
    ['[a', 'a', 'refused'],
    ['[a-', 'a', 'refused'],
    ['[\\]\\-\\\\]', '\\', true],
    ['[a\\]', 'a', 'refused'],
    ['[\u{1f600}-\u{1f602}]', '\u{1f601}', true],
    ['[.$^*]', '^', true],
    ['[\\x41-\\x43]', 'B', true],
    ['[\\b]', 'b', 'refused'],
    // Names of POSIX within sets.
    ['[[:digit:]x]', '4', true],
    ['[[:^digit:]]', '4', false],
    ['[^[:space:]]', '\v', false],
    ['[[:word:]]', '_', true],
    ['[[:punct:]]', '~', true],
    ['[[:xdigit:]]', 'F', true],
    ['[[:none:]]', 'n', 'refused'],
    ['[[:alpha]', ':', true],
    ['[[:alpha]', '[', true],
    ['[:alpha:]', 'p', true],
    ['[:alpha:]', 'z', false],
    ['[[:al pha:]]', 'a', 'refused'],
    // Places and quotes.
    ['\\Aa\\z', 'a', true],
    ['a\\Bb', 'ab', true],
    ['a\\bb', 'ab', false],
    ['\\Q^.$\\E', '^.$', true],
    ['a\\E', 'a', 'refused'],
  ])('%j on %j: %s', (source, text, expected) => {
    expect(matches(source, text)).toBe(expected);
  }); // oxfmt-ignore
});

describe('how parts are put together', () => {
  test.each<[string, string, boolean | 'refused']>([
    ['', '', true],
    ['a||b', '', true],
    ['()', '', true],
    ['(a', 'a', 'refused'],
    ['a)', 'a', 'refused'],
    ['(?:a', 'a', 'refused'],
    ['(?', 'a', 'refused'],
    ['(?x:a)', 'a', 'refused'],
    ['(?i-s:A.)', 'ab', true],
    ['(?i-:A)', 'a', 'refused'],
    ['(?i--s:A)', 'a', 'refused'],
    ['(?-i:A)', 'a', false],
    ['((?i)a)b', 'AB', false],
    ['(?P<n>a)(?<m>b)', 'ab', true],
    ['(?P<n>a)(?P<n>b)', 'ab', 'refused'],
    ['(?P<>a)', 'a', 'refused'],
    ['(?P<a-b>a)', 'a', 'refused'],
    ['(?=a)a', 'a', 'refused'],
    ['(?!a)b', 'b', 'refused'],
    ['a**', 'aa', 'refused'],
    ['a+?+', 'aa', 'refused'],
    ['a{2}{3}', 'aa', 'refused'],
    ['*a', 'a', 'refused'],
    ['|*', '', 'refused'],
    ['(*)', '', 'refused'],
    ['^*', '', true],
    ['a{2,1}', 'a', 'refused'],
    ['a{1001}', 'a', 'refused'],
    ['a{1,1001}', 'a', 'refused'],
    ['a{0,1000}', 'a'.repeat(1000), true],
    ['a{3}', 'aaa', true],
    ['a{3}', 'aa', false],
    ['a{2,}', 'a', false],
    ['a{2,}', 'aaaaa', true],
    ['a{01}', 'a{01}', true],
    ['a{', 'a{', true],
    ['a{,3}', 'a{,3}', true],
    ['a{x}', 'a{x}', true],
    ['a{1', 'a{1', true],
  ])('%j on %j: %s', (source, text, expected) => {
    expect(matches(source, text)).toBe(expected);
  }); // oxfmt-ignore

  test('any text is an expression or none, and matching it throws nothing else', () => {
    const text = fc.string({
      unit: fc.constantFrom(...Array.from('ab[](){}|*+?^$\\.-:<>Pi,0123dDQEx\u{1f600}')),
      maxLength: 14,
    });
    fc.assert(
      fc.property(text, fc.string({ maxLength: 8 }), (source, subject) => {
        expect([true, false, 'refused']).toContain(matches(source, subject));
      }),
      { numRuns: 3000 },
    );
  });
});

test.each(['\\Ea', 'a\\E', '[\\E]', '\\Qa\\E\\E', '\\C', '\\pL', '\\e', 'a\\'])(
  'ignore pattern %j is refused, as BuildKit does it',
  (pattern) => {
    expect(() => new PatternMatcher([pattern]).matchesBelow('Ea')).toThrow(
      /^Cannot use pattern .*: syntax error in pattern$/,
    );
  },
);

describe('hostile expressions take time in proportion to their length', () => {
  test.each<[string, string]>([
    ['a set of beginnings of names', `[${'[:'.repeat(20_000)}x]`],
    ['a set of names', `[${'[:alpha:]'.repeat(5000)}]`],
    ['an open set', `[${'[:'.repeat(20_000)}`],
    ['many sets', '[a]'.repeat(20_000)],
    ['characters outside of the first plane', `[${'\u{1f600}[:'.repeat(10_000)}x]`],
  ])('%s', async (_name, source) => {
    expect(
      await processorTime(() => {
        try {
          new PatternMatcher([source]).matchesBelow('a');
        } catch (error) {
          expect(error).toMatchObject({ code: 'TSB_IGNORE' });
        }
      }),
    ).toBeLessThan(3000);
  });

  test.each<[string, string]>([
    ['groups of a thousand', `${'('.repeat(1001)}a${')'.repeat(1001)}`],
    ['repetitions of repetitions', '(?:(?:a{100}){100}){100}'],
    ['more than a hundred groups', '(a)'.repeat(101)],
  ])('%s are refused', (_name, source) => expect(matches(source, 'a')).toBe('refused'));

  test('what has many ways is followed all at once', async () => {
    const text = 'a'.repeat(4000);
    for (const source of ['(a*)*b', '(a|a)*b', '(a|aa)+b', `${'a?'.repeat(200)}b`, '(.*)(.*)(.*)(.*)(.*)b'])
      expect(await processorTime(() => expect(new GoExpression(source).match(text)).toBeUndefined())).toBeLessThan(
        5000,
      );
  });
});
