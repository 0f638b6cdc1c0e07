import { describe, expect, test } from 'vitest';
import { formatSourceExcerpt, type SourceRange } from '../../src/util/index.ts';

const range = (startLine: number, endLine = startLine): SourceRange => ({ file: 'Dockerfile', startLine, endLine });
const file = (text: string): { name: string; text: string } => ({ name: 'Dockerfile', text });
const numbered = file(Array.from({ length: 12 }, (_, at) => `line ${at + 1}`).join('\n'));

describe('excerpts of a source file', () => {
  test('two lines around one line; a trailing newline counts as a line', () => {
    expect(formatSourceExcerpt(file('from scratch\nenv foo=bar\nrun what\n'), [range(3)])).toMatchInlineSnapshot(`
      "Dockerfile:3
      --------------------
         1 |     from scratch
         2 |     env foo=bar
         3 | >>> run what
         4 |     
      --------------------
      "
    `);
  });

  test('one line around several, all of them marked', () => {
    expect(formatSourceExcerpt(numbered, [range(9, 10)])).toMatchInlineSnapshot(`
      "Dockerfile:9
      --------------------
         8 |     line 8
         9 | >>> line 9
        10 | >>> line 10
        11 |     line 11
      --------------------
      "
    `);
  });

  test('ranges apart: what lies between is shown unmarked', () => {
    const lines = formatSourceExcerpt(numbered, [range(5), range(2)]).split('\n');
    expect(lines[0]).toBe('Dockerfile:2');
    expect(lines.filter((line) => line.includes('>>>'))).toEqual(['   2 | >>> line 2', '   5 | >>> line 5']);
  });

  test.each([[[]], [[range(0)]], [[range(13)]]])('nothing for ranges outside of the file: %j', (ranges) => {
    expect(formatSourceExcerpt(numbered, ranges)).toBe('');
  });

  test('a range that runs over the end is cut', () => {
    expect(formatSourceExcerpt(numbered, [range(12, 99)]).split('\n')).toContain('  12 | >>> line 12');
  });

  test('what is not printable is made visible', () => {
    expect(formatSourceExcerpt({ name: 'D\u001b[2J', text: 'RUN \u001b]0;x\u0007\r\n' }, [range(1)])).toContain(
      '   1 | >>> RUN ^[]0;x^G\n',
    );
  });
});
