import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatList } from '../../../src/cli/lists/format-list.ts';
import { labelFields } from '../../../src/cli/lists/label-fields.ts';

interface Row extends Readonly<Record<string, unknown>> {
  readonly ID: string;
  readonly Name: string;
  readonly CreatedAt: string;
}
const row = (ID: string, Name: string, labels: Record<string, string> = {}): Row => ({
  ID,
  Name,
  CreatedAt: 'now',
  ...labelFields(labels),
});
const shown = (format: string | undefined, rows: readonly Row[] = [row('1', 'one'), row('22', 'two')]): string =>
  formatList(format, {
    columns: [
      ['THING ID', 'ID'],
      ['NAME', 'Name'],
    ],
    headers: { CreatedAt: 'CREATED AT' },
    rows,
    json: rows.map(({ ID }) => ({ ID })),
  });
const TABLE = 'THING ID  NAME\n1         one\n22        two\n';

// The forms of docker's --format: cli/command/formatter.
describe('--format of lists', () => {
  test.each([undefined, '', 'table', 'table '])('%j is the table', (format) => {
    expect(shown(format)).toBe(TABLE);
  });

  test('json is the whole list', () => {
    expect(JSON.parse(shown('json'))).toEqual([{ ID: '1' }, { ID: '22' }]);
    expect(JSON.parse(shown('json', []))).toEqual([]);
  });

  test.each([
    ['{{.ID}}', '1\n22\n'],
    ['{{.ID}}\\t{{.Name}}', '1\tone\n22\ttwo\n'],
    ['{{.ID}}\\n-', '1\n-\n22\n-\n'],
    // Blanks around it are the shell's.
    ['  {{.ID}}  ', '1\n22\n'],
    ['id {{.ID}} table', 'id 1 table\nid 22 table\n'],
    ['tables', 'tables\ntables\n'],
    ['{{json .Name}}', '"one"\n"two"\n'],
    ['{{if eq .ID "1"}}first{{end}}', 'first\n\n'],
  ])('%j is a line for each', (format, text) => {
    expect(shown(format)).toBe(text);
  });

  test.each([
    ['table {{.ID}}\\t{{.Name}}', TABLE],
    ['table\t{{.ID}}\\t{{.Name}}', TABLE],
    ['table   {{.ID}}\t{{.Name}}  ', TABLE],
    ['table{{.ID}}\\t{{.Name}}', TABLE],
    ['table {{.Name}}', 'NAME\none\ntwo\n'],
    ['table {{.CreatedAt}}', 'CREATED AT\nnow\nnow\n'],
    // What has no header of its own is headed by its name.
    ['table {{.Labels}}', 'LABELS\n\n\n'],
    ['table {{upper .Name}}', 'NAME\nONE\nTWO\n'],
    ['table {{.ID}}: {{.Name}}', 'THING ID: NAME\n1: one\n22: two\n'],
  ])('%j is a table with headers', (format, text) => {
    expect(shown(format)).toBe(text);
  });

  test('a table of nothing has headers, whatever it asks for', () => {
    expect(shown('table {{.ID}}\\t{{.CreatedAt}}\\t{{.Label "a.b-c"}}', [])).toBe('THING ID  CREATED AT  b c\n');
    expect(shown(undefined, [])).toBe('THING ID  NAME\n');
    expect(shown('{{.ID}}', [])).toBe('');
  });

  test.each(['{{.Nam}}', 'table {{.Nam}}'])('%j is refused with what was perhaps meant', (format) => {
    expect(() => shown(format)).toThrow(/there is no field "\.Nam": did you mean "\.Name"\?/);
  });

  test('labels are found by any name, and one that is not there is empty', () => {
    const rows = [row('1', 'one', { 'com.example.build-number': '7', __proto__x: 'y' }), row('2', 'two')];
    expect(shown('{{.Label "com.example.build-number"}}|{{.Label "toString"}}|{{.Label "__proto__"}}', rows)).toBe(
      '7||\n||\n',
    );
    expect(shown('table {{.Label "com.example.build_number-x"}}', rows)).toBe('build number x\n\n\n');
    expect(() => shown('{{.Label}}', rows)).toThrow(/expected the name of one label/);
  });

  test('whatever is in a row, a table has a line for it', () => {
    const cell = fc.string({ unit: 'binary', maxLength: 20 });
    fc.assert(
      fc.property(fc.array(fc.tuple(cell, cell), { maxLength: 6 }), (cells) => {
        const rows = cells.map(([id, name]) => row(id, name));
        expect(
          shown(
            'table {{.ID}}\t{{.CreatedAt}}',
            rows.map(({ ID }) => row(ID.replaceAll('\t', ' '), '')),
          ),
        ).toMatch(new RegExp(`^(.*\\n){${rows.length + 1}}$`, 'u'));
        expect(shown(undefined, rows).split('\n')).toHaveLength(rows.length + 2);
      }),
    );
  });
});
