import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { PatternMatcher } from '../../src/patterns/index.ts';
import { isTsbuildError } from '../../src/util/index.ts';

/** A directory that makes paths longer than the built-in engine is asked for. */
const DEEP = 'd'.repeat(300);

const piece = fc.constantFrom(
  'a', 'b', '.', '-', '☺', '*', '**', '?', '/', '[ab]', '[^a]', '[a-c]', '[!a]', '\\a', '\\*', '\\d', '\\w', '\\b', '\\B',
  '\\x41', '\\Qa*\\E', '[[:alpha:]]', '[^[:digit:]]', '[\\d-]', '\\n', '^', '$', '(', ')', '|', '{', '+',
); // oxfmt-ignore
const pattern = fc
  .array(piece, { minLength: 1, maxLength: 6 })
  .map((parts) => parts.join(''))
  // What is cleaned away or crosses to the directory in front would not be the same pattern behind one.
  .filter((text) => !/^[/!]|\/$|\/\/|(^|\/)\.{1,2}(\/|$)|\*\*|^\s|\s$/.test(text));
const path = fc
  .array(
    fc.constantFrom('a', 'b', 'A', '7', '.', '-', '☺', '*', '/', '_', '\n', '!', '^', '$', '(', '|', '{', '+', ' '),
    {
      minLength: 1,
      maxLength: 8,
    },
  )
  .map((parts) => parts.join(''))
  .filter((text) => !/^\/|\/$|\/\//.test(text));

/** What a pattern says of a path, and what it says of the entries beneath it; undefined when it is malformed. */
function verdict(text: string, name: string): readonly boolean[] | undefined {
  try {
    const matcher = new PatternMatcher([text]);
    return [matcher.match(name).matched, matcher.matchesBelow(name), matcher.matchesBelow(`${name}/below`)];
  } catch (error) {
    if (isTsbuildError(error, 'TSB_IGNORE')) return undefined;
    throw error;
  }
}

test('the built-in engine and the one for long paths and many stars say the same', () => {
  const counts = { matched: 0, malformed: 0 };
  fc.assert(
    fc.property(pattern, path, (text, name) => {
      // An anchor in the middle of a pattern matches nothing in either place, but `\b` sees the slash in front of it.
      fc.pre(!/\\[bB]|\^|\$/.test(text));
      const short = verdict(text, name);
      const long = verdict(`${DEEP}/${text}`, `${DEEP}/${name}`);
      // As in Go, what is malformed behind a text that does not match is not looked at.
      if (short === undefined || long === undefined) counts.malformed++;
      else {
        if (short[0]) counts.matched++;
        expect(long).toEqual(short);
      }
    }),
    { numRuns: 3000 },
  );
  // Some 60 of them are usual: that few are next to impossible by chance.
  expect(counts.matched).toBeGreaterThan(10);
  expect(counts.malformed).toBeGreaterThan(50);
});

test('a pattern is malformed or not, whatever it is asked about', () => {
  fc.assert(
    fc.property(pattern, path, path, (text, one, other) => {
      expect(verdict(text, one) === undefined).toBe(verdict(text, other) === undefined);
    }),
    { numRuns: 2000 },
  );
});
