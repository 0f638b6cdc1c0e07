import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { drawGraph } from '../../src/report/page/columns.ts';
import { bytes, duration, percent, tickStep } from '../../src/report/page/format.ts';
import { laneGroups, rowsOf } from '../../src/report/page/lanes.ts';
import { largeBuild } from './support.ts';

const graphs = fc
  .array(
    fc.record({ inputs: fc.array(fc.nat({ max: 30 }), { maxLength: 4 }), stage: fc.constantFrom('a', 'b', 'c') }),
    {
      maxLength: 30,
    },
  )
  .map((steps) =>
    steps.map(({ inputs, stage }, index) => ({
      stage,
      number: '1/1',
      inputs: [...new Set(inputs.filter((input) => input < index))],
    })),
  );

describe('the drawing of the graph', () => {
  test('has every step once, beneath all that it stands on', () => {
    fc.assert(
      fc.property(graphs, fc.infiniteStream(fc.nat()), (steps, random) => {
        const shown = steps.map((_, index) => index).sort(() => ((random.next().value ?? 0) % 2) - 0.5);
        const { places, edges } = drawGraph(steps, shown);
        expect(places.map(({ step }) => step).toSorted((a, b) => a - b)).toEqual(steps.map((_, index) => index));
        expect(edges).toHaveLength(steps.reduce((sum, { inputs }) => sum + inputs.length, 0));
        for (const { from, to } of edges) expect(from.row).toBeLessThan(to.row);
      }),
    );
  });

  test('a line goes down alone in its column until the last step that stands on it', () => {
    fc.assert(
      fc.property(graphs, (steps) => {
        const { places, edges } = drawGraph(
          steps,
          steps.map((_, index) => index),
        );
        for (const { from, to } of edges) {
          const between = places.slice(from.row + 1, to.row).filter(({ column }) => column === from.column);
          expect(between).toEqual([]);
        }
      }),
    );
  });

  test('a stage is one straight line', () => {
    const { steps } = largeBuild(3, 6);
    const own = steps.flatMap(({ kind }, index) => (kind === 'step' || kind === 'source' ? [index] : []));
    const { places } = drawGraph(steps, own);
    for (const stage of ['stage0', 'stage1', 'stage2']) {
      const columns = places.filter(({ step }) => steps[step]?.stage === stage).map(({ column }) => column);
      expect(new Set(columns).size).toBe(1);
    }
  });

  test('survives a very deep graph', () => {
    const steps = Array.from({ length: 10_000 }, (_, at) => ({ inputs: at === 9999 ? [] : [at + 1] }));
    const { places, columns } = drawGraph(steps, [...steps.keys()]);
    expect(places[0]?.step).toBe(9999);
    expect(columns).toBe(1);
  });
});

describe('lanes', () => {
  test('no two bars of a row are at work at the same time, and there are no more rows than that takes', () => {
    const bar = fc
      .tuple(fc.nat({ max: 100 }), fc.integer({ min: 1, max: 30 }))
      .map(([start, took]) => ({ step: 0, span: [start, start + took] as const }));
    fc.assert(
      fc.property(fc.array(bar, { maxLength: 40 }), (bars) => {
        const rows = rowsOf(bars);
        expect(rows.flat()).toHaveLength(bars.length);
        for (const row of rows)
          for (const [index, { span }] of row.entries())
            expect(row[index - 1]?.span[1] ?? 0).toBeLessThanOrEqual(span[0]);
        const most = Math.max(
          0,
          ...bars.map(({ span: [at] }) => bars.filter(({ span: [start, end] }) => start <= at && at < end).length),
        );
        expect(rows).toHaveLength(most);
      }),
    );
  });

  test('stages stand between what comes before and after', () => {
    const names = laneGroups(largeBuild(2, 4)).map(({ name }) => name);
    expect(names).toEqual(['base', 'stage0', 'stage1', 'final', 'output']);
  });
});

describe('figures', () => {
  test.each([
    [0, '0 ms'],
    [999, '999 ms'],
    [1234, '1.23 s'],
    [12_345, '12.3 s'],
    [125_000, '2 m 05 s'],
    [3_725_000, '1 h 02 m'],
  ])('%i ms are %s', (ms, text) => expect(duration(ms)).toBe(text));

  test.each([
    [999, '999 B'],
    [1000, '1.00 kB'],
    [84_200_000, '84.2 MB'],
    [999_999, '1.00 MB'],
    [123_456_789_000, '123 GB'],
  ])('%i bytes are %s', (count, text) => expect(bytes(count)).toBe(text));

  test('parts of a whole', () => {
    expect([0, 0.0001, 0.051, 0.5, 1].map(percent)).toEqual(['0 %', '<0.1 %', '5.1 %', '50 %', '100 %']);
  });

  test('marks of an axis are round, and about as many as asked for', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1e8 }), fc.integer({ min: 1, max: 20 }), (ms, count) => {
        const step = tickStep(ms, count);
        expect(step).toBeGreaterThanOrEqual(1);
        expect(ms / step).toBeLessThanOrEqual(count + 1);
      }),
    );
  });
});
