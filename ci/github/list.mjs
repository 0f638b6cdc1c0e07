// Lists in inputs of actions, as docker/actions-toolkit reads them: CSV over several lines, with comments.

/**
 * @param {string} text
 * @param {{ readonly lines?: boolean, readonly quotes?: boolean }} [form] lines: commas do not separate; quotes: false: they mean nothing
 * @returns {string[]} without empty ones and spaces around them
 */
export function parseList(text, { lines = false, quotes = true } = {}) {
  return records(text, quotes)
    .flatMap((fields) => {
      if (lines) return [fields.join(',')];
      // A quoted field is split as well, as there.
      return fields.length === 1 ? (fields[0] ?? '').split(',') : fields;
    })
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

/**
 * Records of fields. A quote at the beginning of a field holds commas and line ends together; two are one. Elsewhere it is a character.
 * @param {string} text
 * @param {boolean} quotes
 * @returns {string[][]}
 */
function records(text, quotes) {
  /** @type {string[][]} */
  const all = [];
  /** @type {string[]} */
  let record = [];
  let field = '';
  let isQuoted = false;
  let wasQuoted = false;
  const endField = () => {
    record.push(field);
    field = '';
    wasQuoted = false;
  };
  const endRecord = () => {
    endField();
    if (record.some((one) => one !== '')) all.push(record);
    record = [];
  };
  for (let at = 0; at < text.length; at++) {
    const char = text[at] ?? '';
    if (isQuoted) {
      if (char !== '"') field += char;
      else if (text[at + 1] === '"') field += text[++at];
      else isQuoted = false;
    } else if (char === '"' && quotes && field.trim() === '' && !wasQuoted) {
      field = '';
      isQuoted = wasQuoted = true;
    } else if (char === ',') endField();
    else if (char === '\n') endRecord();
    else if (char === '#' && record.length === 0 && field.trim() === '' && !wasQuoted) {
      while (at + 1 < text.length && text[at + 1] !== '\n') at++;
    } else if (char !== '\r') field += char;
  }
  endRecord();
  return all;
}
