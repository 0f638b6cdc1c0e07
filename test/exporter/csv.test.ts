import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseCsvLine } from '../../src/exporter/index.ts';

/** Texts in which what means something is frequent. */
const field = fc
  .array(fc.oneof(fc.constantFrom('"', ',', '=', ' ', '\\', '\n', 'type=oci'), fc.string({ maxLength: 4 })), {
    maxLength: 6,
  })
  .map((parts) => parts.join(''));

/** RFC 4180, section 2: quotes around, and each quote within twice. */
const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`;
const needsQuotes = (text: string): boolean => text.includes(',') || text.startsWith('"');

describe('one line of CSV', () => {
  test('any fields come back, with quotes where they are needed or everywhere', () => {
    const fields = fc.array(fc.tuple(field, fc.boolean()), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(fields, (all) => {
        const line = all.map(([text, always]) => (always || needsQuotes(text) ? quoted(text) : text)).join(',');
        expect(parseCsvLine(line)).toEqual(all.map(([text]) => text));
      }),
      { numRuns: 500 },
    );
  });

  test('any other line is refused as the user’s mistake, at once', () => {
    fc.assert(
      fc.property(field, field, (before, after) => {
        const open = `${quoted(before)},"${after.replaceAll('"', '')}`;
        expect(() => parseCsvLine(open)).toThrow(
          expect.objectContaining({ code: 'TSB_USAGE', message: expect.stringMatching(/a quote is not closed$/) }),
        );
        const glued = `${quoted(before)}x${after}`;
        expect(() => parseCsvLine(glued)).toThrow(
          expect.objectContaining({ code: 'TSB_USAGE', message: expect.stringMatching(/text after a closing quote$/) }),
        );
      }),
    );
  });
});
