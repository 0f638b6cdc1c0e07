import { sanitize } from '../util/index.ts';

/** Text from outside as one line. */
export function oneLine(text: string): string {
  return sanitize(text)
    .replaceAll(/(?<!\s)\s*\n\s*/g, ' ')
    .replaceAll('\t', ' ');
}

const ESCAPES =
  // eslint-disable-next-line no-control-regex
  /\u001b\[[0-?]*[ -/]*[@-~]|\u001b[\]PX^_][^\u0007\u001b]*(?:\u0007|\u001b\\)?|\u001b[ -/]*[0-~]/g;
const SGR = /^\u001b\[[0-9;:]*m$/; // eslint-disable-line no-control-regex

/**
 * A line of a step's output: escape sequences go, except colours where `colors` is on, and what is left of control characters
 * becomes visible. Of a line that was overwritten with carriage returns the last state counts, as on a terminal.
 */
export function cleanLine(line: string, colors: boolean): string {
  // eslint-disable-next-line no-control-regex
  if (!/[^\u0020-\u007e]/.test(line)) return line;
  let colored = false;
  const last = line.replace(/(?<!\r)\r+$/, '');
  const text = last.slice(last.lastIndexOf('\r') + 1).replace(ESCAPES, (sequence) => {
    if (!colors || !SGR.test(sequence)) return '';
    colored = true;
    return sequence;
  });
  return sanitize(text, { colors }).trimEnd() + (colored ? '\u001b[0m' : '');
}

const WIDE =
  /[\u1100-\u115f\u2329\u232a\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe10-\ufe19\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{16fe0}-\u{18d08}\u{1aff0}-\u{1b2fb}\u{1d300}-\u{1d356}\u{1f200}-\u{1f265}\u{1f300}-\u{1f64f}\u{1f680}-\u{1f6ff}\u{1f900}-\u{1faff}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/u;
const WIDTHLESS = /\p{Mn}|\p{Me}|[\u200b-\u200f]/u;

/** Columns that text takes on a terminal; it holds no control characters. */
export function widthOf(text: string): number {
  // eslint-disable-next-line no-control-regex
  if (!/[^\u0000-\u007f]/.test(text)) return text.length;
  let width = 0;
  for (const char of text) width += columnsOf(char);
  return width;
}

/** As much of the start of `text` as fits into `columns`. */
export function cut(text: string, columns: number): string {
  if (text.length <= columns && widthOf(text) <= columns) return text;
  let width = 0;
  let end = 0;
  for (const char of text) {
    width += columnsOf(char);
    if (width > columns) break;
    end += char.length;
  }
  return text.slice(0, end);
}

/** The end of a part of `text` that starts at `start` and has at most `length` UTF-16 units, not within a character. */
export function endOfPart(text: string, start: number, length: number): number {
  const end = start + length;
  const splits = end < text.length && /^[\ud800-\udbff][\udc00-\udfff]/.test(text.slice(end - 1, end + 1));
  return splits && length > 1 ? end - 1 : end;
}

/** Tabs as the spaces that stand for them where the text is a whole line, so that columns of it stay columns wherever it is shown. */
export function expandTabs(text: string): string {
  if (!text.includes('\t')) return text;
  let out = '';
  let at = 0;
  for (const part of text.split(/(\t)/)) {
    const shown = part === '\t' ? ' '.repeat(8 - (at % 8)) : part;
    out += shown;
    at += widthOf(shown);
  }
  return out;
}

function columnsOf(char: string): number {
  if (char <= '\u007f') return 1;
  if (WIDTHLESS.test(char)) return 0;
  return WIDE.test(char) ? 2 : 1;
}

/** Milliseconds as `1.2s`. */
export function seconds(ms: number): string {
  return `${(Math.max(0, ms) / 1000).toFixed(1)}s`;
}

/** Time since the start of a step, with as many decimals as keep the lines aligned. */
export function stamp(ms: number): string {
  const value = Math.max(0, ms) / 1000;
  return value.toFixed(value < 10 ? 3 : value < 100 ? 2 : 1);
}
