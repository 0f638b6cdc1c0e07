import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { BadPatternError, matchPath } from '../../src/patterns/index.ts';

/** What a pattern says, read by the grammar of Go's documentation; undefined when it is malformed. */
type Item =
  | { readonly kind: 'star' }
  | { readonly kind: 'any' }
  | { readonly kind: 'set'; readonly negated: boolean; readonly ranges: readonly (readonly [string, string])[] }
  | { readonly kind: 'char'; readonly char: string };

function parse(pattern: string): readonly Item[] | undefined {
  const chars = Array.from(pattern);
  const items: Item[] = [];
  let at = 0;
  const setChar = (): string | undefined => {
    const char = chars[at];
    if (char === undefined || char === '-' || char === ']') return undefined;
    if (char === '\\') at++;
    return chars[at++];
  };
  while (at < chars.length) {
    const char = chars[at] as string;
    at++;
    if (char === '*') items.push({ kind: 'star' });
    else if (char === '?') items.push({ kind: 'any' });
    else if (char === '[') {
      const negated = chars[at] === '^';
      if (negated) at++;
      const ranges: [string, string][] = [];
      while (ranges.length === 0 || chars[at] !== ']') {
        const low = setChar();
        if (low === undefined) return undefined;
        let high: string | undefined = low;
        if (chars[at] === '-') {
          at++;
          high = setChar();
        }
        if (high === undefined || at >= chars.length) return undefined;
        ranges.push([low, high]);
      }
      at++;
      items.push({ kind: 'set', negated, ranges });
    } else if (char === '\\') {
      const escaped = chars[at++];
      if (escaped === undefined) return undefined;
      items.push({ kind: 'char', char: escaped });
    } else items.push({ kind: 'char', char });
  }
  return items;
}

const point = (char: string): number => char.codePointAt(0) ?? 0;

/** Tries everything that a star may stand for. */
function matches(items: readonly Item[], name: readonly string[]): boolean {
  const [item, ...rest] = items;
  const [char, ...after] = name;
  if (!item) return char === undefined;
  if (item.kind === 'star') return matches(rest, name) || (char !== undefined && char !== '/' && matches(items, after));
  if (char === undefined) return false;
  if (item.kind === 'any') return char !== '/' && matches(rest, after);
  if (item.kind === 'char') return item.char === char && matches(rest, after);
  const within = item.ranges.some(([low, high]) => point(low) <= point(char) && point(char) <= point(high));
  return within !== item.negated && matches(rest, after);
}

const name = fc.string({ unit: fc.constantFrom('a', 'b', 'c', '-', '/', '*', '[', ']', '\\', '☺'), maxLength: 8 });
const literal = fc.constantFrom('a', 'b', 'c', '/', '-', ']', '\\*', '\\[', '\\\\', '☺', '*', '*', '?');
const within = fc.constantFrom('a', 'b', 'a-c', '\\]', '\\-', '\\a-b', '☺', '/', '*', '[', 'b-a');
const set = fc
  .tuple(fc.constantFrom('', '^'), fc.array(within, { minLength: 1, maxLength: 3 }))
  .map(([negated, parts]) => `[${negated}${parts.join('')}]`);
const sound = fc
  .array(fc.oneof({ weight: 4, arbitrary: literal }, set), { maxLength: 7 })
  .map((parts) => parts.join(''));
const anything = fc.string({ unit: fc.constantFrom('a', 'b', '-', '^', '[', ']', '\\', '*', '?'), maxLength: 7 });

/**
 * Go gives each run between stars its first place and never another, which only matters where a set stands for the slash that ends what
 * a star may stand for: `*[^a]*` does not match `c/`.
 */
function takesFirstPlace(items: readonly Item[], text: string): boolean {
  return text.includes('/') && items.some((item) => item.kind === 'set' && matches([item], ['/']));
}

test('sound patterns match what trying everything finds', () => {
  let matched = 0;
  fc.assert(
    fc.property(sound, name, (pattern, text) => {
      const items = parse(pattern);
      if (!items) throw new Error(`The model does not take ${pattern}`);
      fc.pre(!takesFirstPlace(items, text));
      const wanted = matches(items, Array.from(text));
      matched += Number(wanted);
      expect(matchPath(pattern, text)).toBe(wanted);
    }),
    { numRuns: 20_000 },
  );
  expect(matched).toBeGreaterThan(200);
});

test('what is no pattern is refused, or is not looked at because nothing before it matches', () => {
  fc.assert(
    fc.property(anything, name, (pattern, text) => {
      const items = parse(pattern);
      let found: boolean | undefined;
      try {
        found = matchPath(pattern, text);
      } catch (error) {
        expect(error).toBeInstanceOf(BadPatternError);
      }
      if (!items) expect(found).not.toBe(true);
      else if (!takesFirstPlace(items, text)) expect(found).toBe(matches(items, Array.from(text)));
      else expect(found === true && !matches(items, Array.from(text))).toBe(false);
    }),
    { numRuns: 20_000 },
  );
});

test('a name without wildcards in it matches itself, with all of it escaped', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      expect(matchPath(text.replaceAll(/[*?[\\]/g, String.raw`\$&`), text)).toBe(true);
    }),
  );
});
