import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { IgnoreMatcher, parseIgnoreFile } from '../../../src/frontend/ignore/index.ts';
import { matchPath } from '../../../src/patterns/index.ts';

/** Recorded answers of moby/patternmatcher and Go's filepath.Match; the tests run where they are at hand. */
const data = '../shared/conformance/oracle';

interface Row {
  readonly in: { readonly src?: string; readonly patterns?: readonly string[]; readonly paths: readonly string[] };
  readonly out: { readonly match?: readonly (boolean | string)[]; readonly error?: string };
}

function rows(name: string): Row[] {
  const text = readFileSync(join(data, `${name}.jsonl`), 'utf8').trim();
  return text.split('\n').map((line) => JSON.parse(line) as Row);
}

function orMessage<T>(action: () => T): T | string {
  try {
    return action();
  } catch (error) {
    return (error as Error).message;
  }
}

describe.skipIf(!existsSync(data))('recorded answers', () => {
  test('ignore files', () => {
    for (const { in: input, out } of rows('ignore')) {
      const got = orMessage(() => {
        const matcher = new IgnoreMatcher(parseIgnoreFile({ name: '.dockerignore', text: input.src ?? '' }));
        return input.paths.map((path) => matcher.ignored(path, false).ignored);
      });
      expect(got, input.src).toEqual(out.error ?? out.match);
    }
  });

  test('filepath.Match', () => {
    for (const { in: input, out } of rows('fpmatch')) {
      const pattern = input.patterns?.[0] ?? '';
      const got = input.paths.map((path) => orMessage(() => matchPath(pattern, path)));
      expect(got, pattern).toEqual(out.match);
    }
  });
});
