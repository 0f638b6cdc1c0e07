import { compileTemplate } from '../go-template/index.ts';
import { labelHeader } from './label-fields.ts';
import { formatTable } from './table.ts';

/** A list that can be shown in several ways. */
export interface ShownList<Row extends Readonly<Record<string, unknown>>> {
  /** The columns of the table by their header, with the field of a row that each has. */
  readonly columns: readonly (readonly [header: string, field: keyof Row & string])[];
  /** Headers of fields that are not in the table, for `table {{…}}`. */
  readonly headers?: Readonly<Record<string, string>>;
  /** What a format's `.` is, once per line. */
  readonly rows: readonly Row[];
  /** What `json` prints. */
  readonly json: unknown;
}

/**
 * The text of a list for `--format`: `table` (the default), `json`, a Go template for each line, or `table` and a template, as docker has
 * them. `\t` and `\n` in a template need no quoting by the shell.
 * @throws TsbuildError `TSB_USAGE`
 */
export function formatList<Row extends Readonly<Record<string, unknown>>>(
  format: string | undefined,
  { columns, headers = {}, rows, json }: ShownList<Row>,
): string {
  if (format === undefined || /^(?:table\s*)?$/.test(format))
    return formatTable(
      columns.map(([header]) => header),
      rows.map((row) => columns.map(([, field]) => String(row[field]))),
    );
  if (format === 'json') return `${JSON.stringify(json, undefined, 2)}\n`;
  const table = /^table(?=\s|\{\{)\s*([\s\S]+)$/.exec(format)?.[1];
  const text = (table ?? format)
    .replaceAll(/^ +| +$/g, '')
    .replaceAll(String.raw`\t`, '\t')
    .replaceAll(String.raw`\n`, '\n');
  const template = compileTemplate(text);
  const lines = rows.map((row) => template(row));
  if (table === undefined) return lines.map((line) => `${line}\n`).join('');
  const names = { ...Object.fromEntries(columns.map(([header, field]) => [field, header])), ...headers };
  // Of no rows nobody knows the fields: all that the template names are taken for some.
  const first: Readonly<Record<string, unknown>> = rows[0] ?? fieldsIn(text);
  // A field that has no header of its own is its own.
  const head = template(
    Object.fromEntries(
      Object.keys({ ...names, ...first }).map((field) => [
        field,
        names[field] ?? (typeof first[field] === 'function' ? labelHeader : upper(field)),
      ]),
    ),
  );
  const [header = [], ...others] = [head, ...lines].map((line) => line.split('\t'));
  return formatTable(header, others);
}

function fieldsIn(template: string): Readonly<Record<string, unknown>> {
  const fields = [...template.matchAll(/\.(\w+)/g)].map(([, field = '']) => field);
  return Object.fromEntries(fields.map((field) => [field, field === 'Label' ? labelHeader : field]));
}

/** `CreatedAt` is headed CREATED AT. */
function upper(field: string): string {
  return field.replaceAll(/(?<=[a-z])(?=[A-Z])/g, ' ').toUpperCase();
}
