import * as fc from 'fast-check';
import { createRequire } from 'node:module';
import { describe, expect, test } from 'vitest';
import { IgnoreMatcher } from '../../../src/frontend/ignore/index.ts';
import { isTsbuildError } from '../../../src/util/index.ts';
import { matchPath, type MatchInfo, PatternMatcher } from '../../../src/patterns/index.ts';

interface BalenaIgnore {
  add(patterns: readonly string[]): BalenaIgnore;
  ignores(path: string): boolean;
}

const balena = createRequire(import.meta.url)('@balena/dockerignore') as (options?: object) => BalenaIgnore;

const name = fc.constantFrom('a', 'b', 'ab', 'foo', 'x.md', 'README.md', '.git', 'node_modules');
const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));
const element = fc.constantFrom('a', 'b', '*', '**', 'a*', '*.md', 'x.??', 'foo', '?', '[ab]', 'node_modules', '.git');
const pattern = fc
  .tuple(fc.constantFrom('', '', '!'), fc.array(element, { minLength: 1, maxLength: 3 }))
  .map(([mark, elements]) => mark + elements.join('/'));
const patterns = fc.array(pattern, { maxLength: 5 });
const soup = fc
  .array(fc.constantFrom('a', 'b', '/', '*', '**', '?', '[', ']', '^', '-', '\\', '!', '.', '👽', 'd', 'Q'), {
    maxLength: 10,
  })
  .map((parts) => parts.join(''));

/** Every directory on the way to the path, then the path. */
function walk(matcher: IgnoreMatcher, target: string): boolean {
  const parts = target.split('/');
  let info: MatchInfo | undefined;
  let ignored = false;
  for (let length = 1; length <= parts.length; length++) {
    const result = matcher.ignored(parts.slice(0, length).join('/'), length < parts.length, info);
    ({ ignored } = result);
    info = result.info;
  }
  return ignored;
}

describe('any patterns', () => {
  test('are used or refused', () => {
    fc.assert(
      fc.property(fc.array(soup, { maxLength: 4 }), fc.oneof(path, soup), (list, target) => {
        try {
          new PatternMatcher(list).matchesBelow(target);
        } catch (error) {
          if (!isTsbuildError(error, 'TSB_IGNORE')) throw error;
        }
      }),
      { numRuns: 3000 },
    );
  });

  test('decide as @balena/dockerignore does', () => {
    fc.assert(
      fc.property(patterns, path, (list, target) => {
        // It takes `a/**` to match `a` below a directory, where BuildKit does not.
        fc.pre(!list.some((item) => item.endsWith('**')));
        expect(new IgnoreMatcher(list).ignored(target, false).ignored).toBe(balena().add(list).ignores(target));
      }),
      { numRuns: 3000 },
    );
  });

  test('decide the same step by step and at once, when nothing is taken back', () => {
    fc.assert(
      fc.property(patterns, path, (list, target) => {
        const matcher = new IgnoreMatcher(list.map((item) => item.replace('!', '')));
        expect(walk(matcher, target)).toBe(matcher.ignored(target, false).ignored);
      }),
    );
  });

  test('leave nothing out that a skipped directory would have had', () => {
    fc.assert(
      fc.property(patterns, path, path, (list, directory, rest) => {
        const matcher = new IgnoreMatcher(list);
        fc.pre(walk(matcher, directory) && matcher.canSkipDir(directory));
        expect(walk(matcher, `${directory}/${rest}`)).toBe(true);
      }),
      { numRuns: 3000 },
    );
  });

  test('mean the same to both ways of matching', () => {
    // Beyond a length paths are matched without the built-in regular expressions.
    const long = 'y'.repeat(1100);
    fc.assert(
      fc.property(pattern, path, (item, target) => {
        const matcher = new PatternMatcher([`${long}/${item.replace('!', '')}`, `**/${item.replace('!', '')}?`]);
        const short = new PatternMatcher([`yyy/${item.replace('!', '')}`, `**/${item.replace('!', '')}?`]);
        expect(matcher.matchesBelow(`${long}/${target}`)).toBe(short.matchesBelow(`yyy/${target}`));
      }),
      { numRuns: 2000 },
    );
  });
});

test('matchPath decides as a regular expression does', () => {
  // Without sets that hold a slash: a star never gives back what it left to one.
  const glob = fc.array(fc.constantFrom('a', 'b', '/', '*', '?', '[ab]', '[^a/]'), { maxLength: 8 });
  const target = fc.array(fc.constantFrom('a', 'b', 'c', '/'), { maxLength: 10 }).map((parts) => parts.join(''));
  fc.assert(
    fc.property(glob, target, (parts, subject) => {
      const source = parts.map((part) => part.replace(/^\*$/, '[^/]*').replace(/^\?$/, '[^/]')).join('');
      expect(matchPath(parts.join(''), subject)).toBe(new RegExp(`^${source}$`).test(subject));
    }),
    { numRuns: 3000 },
  );
});
