import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { didYouMean, suggestWord } from '../../../src/frontend/dockerfile/suggestion.ts';
import { editDistance } from '../../../src/util/index.ts';
import { processorTime } from '../../support/processor-time.ts';

describe('the nearest word', () => {
  test.each<[string, readonly string[], string | undefined]>([
    ['mont', ['mount', 'network'], 'mount'],
    ['bulid', ['build', 'bulk'], 'build'],
    ['PAHT', ['PATH', 'PATHS'], 'PATH'],
    // Two edits are near, three are not.
    ['netwrk', ['networks'], 'networks'],
    ['net', ['netwo'], 'netwo'],
    ['net', ['networ'], undefined],
    // A word that is there is no slip.
    ['build', ['bulid', 'build'], undefined],
    ['a', [], undefined],
    ['', ['ab'], 'ab'],
    ['ab', [''], undefined],
    // Of equally near ones that with the same letters, else the first in byte order, whatever order they come in.
    ['abcd', ['abxy', 'abdc'], 'abdc'],
    ['abc', ['abx', 'abd'], 'abd'],
    ['abc', ['abd', 'abx'], 'abd'],
    ['ab\u{1f600}', ['ab\uff5e', 'ab\u{1f601}'], 'ab\u{1f601}'],
  ])('to %j of %j', (word, options, expected) => {
    expect(suggestWord(word, options)).toBe(expected);
  });

  test('takes over the case of what was written where case does not count', () => {
    const names = ['FROM', 'RUN'];
    expect(['FRM', 'frm', 'Frm'].map((word) => suggestWord(word, names, { ignoreCase: true }))).toEqual([
      'FROM',
      'from',
      'from',
    ]);
    expect(suggestWord('from', names, { ignoreCase: true })).toBeUndefined();
    expect(suggestWord('from', names)).toBeUndefined();
  });

  test('goes behind a message', () => {
    expect(didYouMean('unknown flag: --mont', 'mont', ['mount'])).toBe('unknown flag: --mont (did you mean mount?)');
    expect(didYouMean('unknown flag: --x', 'x', ['mount'])).toBe('unknown flag: --x');
  });

  test('does not depend on the order of the words', () => {
    const word = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(word, fc.array(word, { maxLength: 6 }), (wanted, options) => {
        const found = suggestWord(wanted, options);
        expect(suggestWord(wanted, options.toReversed())).toBe(found);
        if (found !== undefined) expect(editDistance(wanted, found)).toBeLessThanOrEqual(2);
        else if (!options.includes(wanted))
          for (const option of options) expect(editDistance(wanted, option)).toBeGreaterThan(2);
      }),
    );
  });
});

describe('a distance with a limit', () => {
  test('is the distance up to the limit, and more than the limit above', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', 'c', 'd'), maxLength: 12 });
    fc.assert(
      fc.property(text, text, fc.integer({ min: 0, max: 8 }), (a, b, limit) => {
        const whole = editDistance(a, b);
        const limited = editDistance(a, b, limit);
        if (whole <= limit) expect(limited).toBe(whole);
        else expect(limited).toBeGreaterThan(limit);
      }),
      { numRuns: 2000 },
    );
  });

  test('of long words is found soon', async () => {
    const word = 'ab'.repeat(50_000);
    expect(
      await processorTime(() => {
        expect(editDistance(`x${word}`, `${word}y`, 2)).toBe(2);
        expect(editDistance(word, 'ba'.repeat(50_000), 1)).toBeGreaterThan(1);
      }),
    ).toBeLessThan(2000);
  });
});
