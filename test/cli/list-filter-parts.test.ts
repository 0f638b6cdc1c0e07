import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compileTemplate } from '../../src/cli/go-template/index.ts';
import { formatList } from '../../src/cli/lists/format-list.ts';
import { labelFields, labelHeader } from '../../src/cli/lists/label-fields.ts';
import { shorten } from '../../src/cli/lists/table.ts';
import { booleanFilter, labelFilter, parseListFilters } from '../../src/cli/options/list-filters.ts';
import { isTsbuildError, TsbuildError } from '../../src/util/index.ts';

type Args = readonly [number];
const kinds = {
  least: (value: string) => (one: number) => one >= Number(value),
  label: (value: string) => (one: number) => String(one).includes(value),
  even: (value: string, bad: (why: string) => TsbuildError) => {
    const wanted = booleanFilter(value, bad);
    return (one: number) => (one % 2 === 0) === wanted;
  },
};
const taken = (...filters: readonly string[]): readonly number[] => {
  const takes = parseListFilters<Args>(filters, kinds, 'the hint');
  return Array.from({ length: 24 }, (_, at) => at).filter((one) => takes(one));
};

describe('filters of a list', () => {
  test('of one name are alternatives, of several names all must hold, and every label must', () => {
    expect(taken()).toHaveLength(24);
    expect(taken('least=20')).toEqual([20, 21, 22, 23]);
    expect(taken('least=22', 'least=20')).toEqual([20, 21, 22, 23]);
    expect(taken('least=20', 'even=true')).toEqual([20, 22]);
    expect(taken('label=1', 'label=2')).toEqual([12, 21]);
  });

  test('with != take what the others leave out, and all of these must hold', () => {
    expect(taken('least!=3')).toEqual([0, 1, 2]);
    expect(taken('label!=1', 'label!=2', 'least=4')).toEqual([4, 5, 6, 7, 8, 9]);
    expect(taken('even!=true', 'least=20')).toEqual([21, 23]);
    expect(taken('least!=4', 'least!=2')).toEqual([0, 1]);
  });

  test('take everything or leave it out, whatever they say', () => {
    const filter = fc.constantFrom('least=5', 'least=12', 'label=1', 'label=3', 'even=1', 'even=0');
    fc.assert(
      fc.property(filter, fc.array(filter, { maxLength: 3 }), (one, others) => {
        const all = taken(...others);
        const [key = '', value = ''] = one.split('=');
        const [kept, left] = [taken(one), taken(`${key}!=${value}`)];
        expect([...kept, ...left].toSorted((a, b) => a - b)).toEqual(taken());
        // One more filter with != never shows more.
        expect(taken(...others, `${key}!=${value}`).every((each) => all.includes(each))).toBe(true);
      }),
    );
  });

  test.each([
    ['least', 'expected NAME=VALUE', 'the hint'],
    ['', 'expected NAME=VALUE', 'the hint'],
    ['=5', 'expected NAME=VALUE', 'the hint'],
    ['Least=5', 'there is no filter "Least"', 'did you mean "least"?'],
    ['some thing=5', 'there is no filter "some thing"', 'the hint'],
    ['!=5', 'expected NAME=VALUE', 'the hint'],
    ['leas=5', 'there is no filter "leas"', 'did you mean "least"?'],
    ['constructor=5', 'there is no filter "constructor"', 'the hint'],
    ['even=perhaps', 'expected true or false', 'the hint'],
    ['even=', 'expected true or false', 'the hint'],
  ])('%j is none: %s', (text, why, hint) => {
    expect(() => taken('least=1', text)).toThrow(
      expect.objectContaining({
        code: 'TSB_USAGE',
        message: `Cannot use --filter ${JSON.stringify(text)}: ${why}`,
        hint,
      }),
    );
  });

  test('of labels know a label without a value, an empty one, and none', () => {
    const labels = { a: '1', empty: '', 'x=y': 'z' };
    const label = labelFilter<readonly []>(() => labels);
    const takes = (value: string): boolean => label(value, (why) => new TsbuildError('TSB_USAGE', why))();
    expect(['a', 'a=1', 'empty', 'empty='].map(takes)).toEqual([true, true, true, true]);
    expect(['a=', 'a=2', 'b', 'empty=x', 'toString', ''].map(takes)).toEqual([
      false,
      false,
      false,
      false,
      false,
      false,
    ]);
  });
});

describe('labels in formats', () => {
  test('are all of them, or the one that is named', () => {
    const { Labels, Label } = labelFields({ b: '2', a: '1=x', none: '' });
    expect(Labels).toBe('b=2,a=1=x,none=');
    expect(['a', 'none', 'c', 'hasOwnProperty'].map((name) => Label(name))).toEqual(['1=x', '', '', '']);
    for (const args of [[], [1], ['a', 'b']]) expect(() => Label(...args)).toThrow('the name of one label');
  });

  test.each([
    ['com.docker.swarm.cpu-count', 'cpu count'],
    ['a_b', 'a b'],
    ['plain', 'plain'],
    ['ends.', ''],
  ])('%s is headed %j', (name, header) => {
    expect(labelHeader(name)).toBe(header);
  });

  test('are no part of what a whole row prints', () => {
    const rows = [{ Name: 'x', ...labelFields({ a: '1' }) }];
    const list = { columns: [['NAME', 'Name']] as const, rows, json: rows };
    expect(formatList('{{.}}', list)).toBe('{x a=1}\n');
    expect(formatList('{{json .}}', list)).toBe('{"Name":"x","Labels":"a=1"}\n');
    expect(formatList('json', list)).not.toContain('Label"');
  });
});

test('a text is cut between characters, and never longer than it may be', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.integer({ min: 1, max: 20 }), (text, room) => {
      const short = shorten(text, room);
      expect(short.length).toBeLessThanOrEqual(room);
      expect(short.isWellFormed()).toBe(text.isWellFormed());
      if (text.length <= room) expect(short).toBe(text);
      else expect(text.startsWith(short.slice(0, -1))).toBe(true);
    }),
  );
});

test('whatever printf is given is printed, or refused with its place', () => {
  const piece = fc.constantFrom(
    '%',
    's',
    'd',
    'x',
    '5',
    '.',
    '*',
    '-',
    '+',
    '#',
    '0',
    ' ',
    '[1]',
    '[9]',
    'q',
    'v',
    'g',
    '!',
    'U',
    'c',
    '99',
  );
  const value = fc.oneof(
    fc.string(),
    fc.integer(),
    fc.double(),
    fc.boolean(),
    fc.constant(null),
    fc.array(fc.integer(), { maxLength: 2 }),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), fc.array(value, { maxLength: 3 }), (pieces, values) => {
      const args = values.map((_, at) => `(index .values ${at})`).join(' ');
      try {
        const text = compileTemplate(`{{printf .format ${args}}}`)({ format: pieces.join(''), values });
        expect(text.length).toBeLessThan(100_000);
      } catch (error) {
        expect(isTsbuildError(error, 'TSB_USAGE'), String(error)).toBe(true);
      }
    }),
    { numRuns: 2000 },
  );
});
