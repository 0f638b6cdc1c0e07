import { describe, expect, test } from 'vitest';
import { locateTokens } from '../../../src/frontend/dockerfile/index.ts';
import { formatSourceExcerpt } from '../../../src/util/index.ts';
import { file, parse } from './support.ts';

function at(startLine: number, endLine = startLine): { file: string; startLine: number; endLine: number } {
  return { file: 'Dockerfile', startLine, endLine };
}

describe('formatSourceExcerpt', () => {
  const seven = file('one\ntwo\nthree\nfour\nfive\nsix\nseven');

  test('two lines around one', () => {
    expect(formatSourceExcerpt(seven, [at(4)])).toBe(
      [
        'Dockerfile:4',
        '--------------------',
        '   2 |     two',
        '   3 |     three',
        '   4 | >>> four',
        '   5 |     five',
        '   6 |     six',
        '--------------------',
        '',
      ].join('\n'),
    );
  });

  test('one line around several, every one marked', () => {
    expect(formatSourceExcerpt(seven, [at(3), at(4)])).toContain(
      '   2 |     two\n   3 | >>> three\n   4 | >>> four\n   5 |     five\n---',
    );
  });

  test('the end of the file, where an empty last line counts', () => {
    expect(formatSourceExcerpt(file('from scratch\nenv a=b\nrun what\n'), [at(3)])).toBe(
      'Dockerfile:3\n--------------------\n   1 |     from scratch\n   2 |     env a=b\n   3 | >>> run what\n   4 |     \n--------------------\n',
    );
    expect(formatSourceExcerpt(seven, [at(1)])).toContain('   1 | >>> one\n   2 |     two\n   3 |     three\n---');
  });

  test('carets below known columns, aligned behind tabs', () => {
    const text = formatSourceExcerpt(file('\tRUN\tfoo'), [{ ...at(1), startColumn: 6, endColumn: 8 }]);
    expect(text).toContain('   1 | >>> \tRUN\tfoo\n     |     \t   \t^^^\n');
  });

  test('nothing without a place in the file, and nothing that a terminal would obey', () => {
    expect(formatSourceExcerpt(seven, [])).toBe('');
    expect(formatSourceExcerpt(seven, [at(8)])).toBe('');
    expect(formatSourceExcerpt(file('RUN \u001b[2J\u202e'), [at(1)])).toContain('RUN ^[[2J\\u{202e}');
  });
});

describe('locateTokens', () => {
  const text = 'FROM a\nRUN --mount=x \\\n  --network=host echo $FOO ${FOO}\nCOPY --from=b "x y" /z\n';

  test.each([
    ['network', 2, 3, [[3, 5, 11]]],
    [
      'FOO',
      2,
      3,
      [
        [3, 24, 26],
        [3, 30, 32],
      ],
    ],
    ['COPY', 4, 4, [[4, 1, 4]]],
    ['/z', 4, 4, [[4, 21, 22]]],
    ['--from', 4, 4, [[4, 6, 11]]],
  ])('finds %s', async (token, first, last, places) => {
    const ranges = await locateTokens(file(text), [at(first), at(last)], token);
    expect(ranges.map(({ startLine, startColumn, endColumn }) => [startLine, startColumn, endColumn])).toEqual(places);
  });

  test('keeps whole lines for what is not there', async () => {
    expect(await locateTokens(file(text), [at(4)], 'nope')).toEqual([at(4)]);
    expect(await locateTokens(file(text), [], 'COPY')).toEqual([]);
    expect(await locateTokens(file('# escape=`\nFROM a `\n AS b'), [at(2), at(3)], 'b', '`')).toEqual([
      { file: 'Dockerfile', startLine: 3, endLine: 3, startColumn: 5, endColumn: 5 },
    ]);
  });

  test('every place is where the text says', async () => {
    const dockerfile = parse('FROM debian:12 AS base\nARG VERSION=1\nENV A=$VERSION B="x $VERSION"\n');
    const [, env] = dockerfile.stages[0]?.commands ?? [];
    const ranges = await locateTokens(dockerfile.file, env?.ranges ?? [], 'VERSION');
    const lines = dockerfile.file.text.split('\n');
    expect(ranges.length).toBeGreaterThan(0);
    for (const { startLine, startColumn = 0, endColumn = 0 } of ranges) {
      expect(lines[startLine - 1]?.slice(startColumn - 1, endColumn)).toBe('VERSION');
    }
  });
});
