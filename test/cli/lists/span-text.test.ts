import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { spanAgo, spanText } from '../../../src/cli/lists/span-text.ts';

const [MINUTE, HOUR, DAY] = [60, 3600, 86_400];

// docker/go-units, HumanDuration: what it says on both sides of each of its borders.
test.each([
  [-5, 'Less than a second'],
  [0, 'Less than a second'],
  [0.999, 'Less than a second'],
  [1, '1 second'],
  [1.999, '1 second'],
  [2, '2 seconds'],
  [59.9, '59 seconds'],
  [MINUTE, 'About a minute'],
  [2 * MINUTE - 1, 'About a minute'],
  [2 * MINUTE, '2 minutes'],
  [HOUR - 1, '59 minutes'],
  [HOUR, 'About an hour'],
  [1.5 * HOUR - 1, 'About an hour'],
  [1.5 * HOUR, '2 hours'],
  [47.5 * HOUR - 1, '47 hours'],
  [48 * HOUR, '2 days'],
  [14 * DAY - HOUR, '13 days'],
  [14 * DAY, '2 weeks'],
  [60 * DAY - HOUR, '8 weeks'],
  [60 * DAY, '2 months'],
  [2 * 365 * DAY - HOUR, '24 months'],
  [2 * 365 * DAY, '2 years'],
  [50 * 365 * DAY, '50 years'],
])('%d s are "%s"', (seconds, text) => {
  expect(spanText(seconds * 1000)).toBe(text);
  expect(spanAgo(seconds * 1000)).toBe(`${text} ago`);
});

test('what is longer is never called shorter', () => {
  const units = ['second', 'minute', 'hour', 'day', 'week', 'month', 'year'];
  const rank = (text: string): readonly [number, number] => [
    units.findIndex((unit) => text.includes(unit)),
    text.startsWith('Less') ? 0 : Number(/^\d+/.exec(text)?.[0] ?? 1),
  ];
  const span = fc.double({ min: 0, max: 100 * 365 * DAY * 1000, noNaN: true });
  fc.assert(
    fc.property(span, span, (a, b) => {
      const [[shortUnit, shortCount], [longUnit, longCount]] = [Math.min(a, b), Math.max(a, b)].map((ms) =>
        rank(spanText(ms)),
      ) as [readonly [number, number], readonly [number, number]];
      expect(longUnit).toBeGreaterThanOrEqual(shortUnit);
      if (longUnit === shortUnit) expect(longCount).toBeGreaterThanOrEqual(shortCount);
    }),
  );
});
