import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { criticalPath, type TimedStep } from '../../src/report/critical-path.ts';
import type { CriticalPiece, Span } from '../../src/report/facts.ts';
import { processorTime } from '../support/processor-time.ts';

const lengthOf = (path: readonly CriticalPiece[]): number =>
  path.reduce((sum, { span: [start, end] }) => sum + end - start, 0);

/** Steps in the graph, each standing on earlier ones, with one or two times at work or none. */
const graphs = fc
  .array(
    fc.record({
      start: fc.integer({ min: 0, max: 100 }),
      took: fc.integer({ min: 0, max: 40 }),
      again: fc.option(fc.tuple(fc.integer({ min: 0, max: 20 }), fc.integer({ min: 1, max: 20 })), { nil: undefined }),
      inputs: fc.array(fc.nat({ max: 9 }), { maxLength: 3 }),
      apart: fc.boolean(),
    }),
    { minLength: 1, maxLength: 9 },
  )
  .map((steps) =>
    steps.map(({ start, took, again, inputs, apart }, index): TimedStep => {
      const first: Span = [start, start + took];
      const second: Span[] = again === undefined ? [] : [[first[1] + again[0], first[1] + again[0] + again[1]]];
      return {
        spans: took === 0 ? [] : [first, ...second],
        inputs: apart ? [] : inputs.filter((input) => input < index && !steps[input]?.apart),
        apart,
      };
    }),
  );

/** The longest chain, by trying all. */
function longestByTrying(steps: readonly TimedStep[]): number {
  const nodes = steps.flatMap(({ spans }, step) => spans.map(([start, end]) => ({ step, start, end })));
  const worked = (step: number): boolean => (steps[step]?.spans.length ?? 0) > 0;
  const below = (step: number): readonly number[] =>
    (steps[step]?.inputs ?? []).flatMap((input) => (worked(input) ? [input] : below(input)));
  type Node = (typeof nodes)[number];
  const follows = (a: Node, b: Node): boolean => {
    if (a === b || a.end > b.end || (a.end === b.end && a.step >= b.step)) return false;
    if (a.step === b.step || below(b.step).includes(a.step)) return true;
    return (steps[a.step]?.apart || steps[b.step]?.apart) === true && a.end <= began(b);
  };
  const began = ({ step, start, end }: Node): number =>
    Math.max(
      start,
      ...nodes
        .filter(
          (one) =>
            (one.step === step || below(step).includes(one.step)) &&
            (one.end < end || (one.end === end && one.step < step)),
        )
        .map((one) => one.end),
    );
  const longest = (last: Node): number =>
    last.end - began(last) + Math.max(0, ...nodes.filter((one) => follows(one, last)).map(longest));
  return Math.max(0, ...nodes.map(longest));
}

describe('the critical path', () => {
  test('is as long as the longest chain', () => {
    fc.assert(
      fc.property(graphs, (steps) => {
        expect(lengthOf(criticalPath(steps))).toBe(longestByTrying(steps));
      }),
      {
        numRuns: 500,
      },
    );
  });

  test('has pieces that follow each other, each within a time at work, and is never longer than the build', () => {
    fc.assert(
      fc.property(graphs, (steps) => {
        const path = criticalPath(steps);
        const spans = steps.flatMap((step) => step.spans);
        const took = Math.max(0, ...spans.map(([, end]) => end)) - Math.min(Infinity, ...spans.map(([start]) => start));
        expect(lengthOf(path)).toBeLessThanOrEqual(Math.max(0, took));
        for (const [index, { step, span }] of path.entries()) {
          expect(span[0]).toBeGreaterThanOrEqual(path[index - 1]?.span[1] ?? 0);
          expect(steps[step]?.spans.some(([start, end]) => start <= span[0] && span[1] === end)).toBe(true);
        }
      }),
    );
  });

  test('goes by the graph, not by what happened to run before', () => {
    const steps: TimedStep[] = [
      { spans: [[0, 100]], inputs: [], apart: false },
      { spans: [[0, 60]], inputs: [], apart: false },
      { spans: [[100, 150]], inputs: [1], apart: false },
    ];
    // The long one ended when the last began, but that waited for the other.
    expect(criticalPath(steps).map(({ step }) => step)).toEqual([1, 2]);
  });

  test('goes through steps that were cached', () => {
    const steps: TimedStep[] = [
      { spans: [[0, 10]], inputs: [], apart: false },
      { spans: [], inputs: [0], apart: false },
      { spans: [[20, 30]], inputs: [1], apart: false },
      { spans: [[30, 40]], inputs: [], apart: true },
    ];
    expect(criticalPath(steps).map(({ step }) => step)).toEqual([0, 2, 3]);
  });

  test('counts the wait for layers of a base image once', () => {
    const steps: TimedStep[] = [
      { spans: [[0, 5], [10, 50]], inputs: [], apart: false }, // oxfmt-ignore
      { spans: [[8, 60]], inputs: [0], apart: false },
    ];
    expect(criticalPath(steps)).toEqual([
      { step: 0, span: [0, 5] },
      { step: 0, span: [10, 50] },
      { step: 1, span: [50, 60] },
    ]);
  });

  test('is quick for a long chain and for many at a time', async () => {
    const chain = Array.from({ length: 20_000 }, (_, at): TimedStep => ({
      spans: [[at, at + 1]],
      inputs: at === 0 ? [] : [at - 1],
      apart: at % 2 === 0,
    }));
    expect(await processorTime(() => expect(lengthOf(criticalPath(chain))).toBe(20_000))).toBeLessThan(2000);
  });

  test('of nothing is nothing', () => {
    expect(criticalPath([])).toEqual([]);
    expect(criticalPath([{ spans: [[3, 3]], inputs: [], apart: false }])).toEqual([]);
  });
});
