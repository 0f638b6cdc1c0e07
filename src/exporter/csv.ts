import { TsbuildError } from '../util/index.ts';

/**
 * The fields of one line of comma-separated values (RFC 4180 quoting), as docker's flags take them.
 * @throws TsbuildError `TSB_USAGE`
 */
export function parseCsvLine(line: string): string[] {
  const fields: string[] = [];
  let at = 0;
  for (;;) {
    let field = '';
    if (line[at] === '"') {
      for (at++; ; at++) {
        if (at >= line.length)
          throw new TsbuildError('TSB_USAGE', `Cannot use ${JSON.stringify(line)}: a quote is not closed`);
        if (line[at] !== '"') field += line[at];
        else if (line[at + 1] === '"') {
          field += '"';
          at++;
        } else break;
      }
      at++;
      if (at < line.length && line[at] !== ',') {
        throw new TsbuildError('TSB_USAGE', `Cannot use ${JSON.stringify(line)}: text after a closing quote`);
      }
    } else {
      const comma = line.indexOf(',', at);
      field = line.slice(at, comma === -1 ? line.length : comma);
      at += field.length;
    }
    fields.push(field);
    if (at >= line.length) return fields;
    at++;
    if (at === line.length) return [...fields, ''];
  }
}

/** A field as it has to be written for `parseCsvLine` to read it again. */
export function csvField(text: string): string {
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
