import * as fc from 'fast-check';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { IgnoreMatcher } from '../../src/frontend/ignore/index.ts';
import { isTsbuildError } from '../../src/util/index.ts';
import { projectRoot } from '../support/program.ts';
import { compile } from './convert/support.ts';
import { processorTime } from '../support/processor-time.ts';

/** Rounds for each run of this test; `FUZZ_RUNS` makes it a long one. */
const RUNS = Number(process.env['FUZZ_RUNS'] ?? 400);

/** Every Dockerfile among the test data, and its ignore file. */
const corpus = globSync('testdata/{real,frontend}/*/{Dockerfile,.dockerignore}', { cwd: projectRoot })
  .toSorted()
  .map((path) => readFileSync(join(projectRoot, path), 'utf8'));

const SPICE = [
  '\\\n',
  '<<E',
  '${',
  '}',
  '"',
  "'",
  '[',
  ']',
  '--mount=',
  '--from=',
  '\0',
  '\u001b',
  '\u202e',
  '#',
  '$',
  '=',
  '*',
  '!',
  '\ufeff',
  '\ud800',
];

/** A change of a text: something cut, doubled, moved, put in, or taken from another file. */
const mutation = fc.record({
  kind: fc.constantFrom('cut', 'double', 'spice', 'splice', 'swap', 'flip'),
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  length: fc.integer({ min: 1, max: 200 }),
  from: fc.nat(),
  times: fc.integer({ min: 1, max: 300 }),
});

function mutate(
  text: string,
  { kind, at, length, from, times }: typeof mutation extends fc.Arbitrary<infer T> ? T : never,
): string {
  const start = Math.floor(at * text.length);
  const [before, part, after] = [text.slice(0, start), text.slice(start, start + length), text.slice(start + length)];
  switch (kind) {
    case 'cut':
      return before + after;
    case 'double':
      return before + part.repeat(times) + after;
    case 'spice':
      return before + (SPICE[from % SPICE.length] ?? '').repeat(times) + part + after;
    case 'splice':
      return before + (corpus[from % corpus.length] ?? '').slice(-length) + after;
    case 'swap':
      return after + part + before;
    default:
      return before + String.fromCharCode(part.charCodeAt(0) ^ (1 << (from % 16))) + part.slice(1) + after;
  }
}

async function compiledOrRefused(text: string): Promise<void> {
  try {
    await compile(text, { allStages: true }, { files: { 'context/.dockerignore': text.slice(0, 2000) } });
  } catch (error) {
    if (!isTsbuildError(error) || error.code === 'TSB_INTERNAL') throw error;
    expect(error.message.length).toBeLessThan(10_000);
  }
  try {
    IgnoreMatcher.fromFile({ name: '.dockerignore', text }).ignored('a/b/c.txt', false);
  } catch (error) {
    if (!isTsbuildError(error, 'TSB_IGNORE')) throw error;
  }
}

test('a changed Dockerfile is compiled or refused with a reason, soon (PAR-11)', { timeout: 600_000 }, async () => {
  expect(corpus.length).toBeGreaterThan(60);
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...corpus),
      fc.array(mutation, { minLength: 1, maxLength: 4 }),
      async (base, changes) => {
        const text = changes.reduce(mutate, base);
        expect(await processorTime(() => compiledOrRefused(text))).toBeLessThan(10_000);
      },
    ),
    { numRuns: RUNS },
  );
  expect(process.memoryUsage().rss).toBeLessThan(1 << 30);
});
