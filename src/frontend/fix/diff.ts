import { sanitize, sanitizeLine } from '../../util/index.ts';
import { type Edit, inOrder } from './edits.ts';

/** Lines that are shown around a change. */
const CONTEXT = 3;

/** Lines `from` to before `to` (from 0) of the old text, which become `lines`. */
interface Change {
  readonly from: number;
  readonly to: number;
  readonly lines: readonly string[];
}

/**
 * The changes as a unified diff, as `diff -u` and git print it. The edits say where they are, so nothing has to be compared.
 * Control characters of the file are made visible.
 */
export function formatDiff(name: string, text: string, edits: readonly Edit[]): string {
  if (edits.length === 0) return '';
  const lines = splitLines(text);
  const out = [`--- ${sanitizeLine(name, 4096)}`, `+++ ${sanitizeLine(name, 4096)}`];
  let grown = 0;
  for (const hunk of hunksOf(changesOf(text, lines, edits))) {
    const from = Math.max(0, (hunk[0]?.from ?? 0) - CONTEXT);
    const to = Math.min(lines.length, (hunk.at(-1)?.to ?? 0) + CONTEXT);
    const body: string[] = [];
    let at = from;
    let added = 0;
    for (const change of hunk) {
      for (const line of lines.slice(at, change.from)) body.push(...shown(' ', line));
      for (const line of lines.slice(change.from, change.to)) body.push(...shown('-', line));
      for (const line of change.lines) body.push(...shown('+', line));
      added += change.lines.length - (change.to - change.from);
      at = change.to;
    }
    for (const line of lines.slice(at, to)) body.push(...shown(' ', line));
    out.push(`@@ -${place(from, to - from)} +${place(from + grown, to - from + added)} @@`, ...body);
    grown += added;
  }
  return `${out.join('\n')}\n`;
}

/** Lines with their line feeds; the last may lack one. */
function splitLines(text: string): readonly string[] {
  return text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
}

function changesOf(text: string, lines: readonly string[], edits: readonly Edit[]): readonly Change[] {
  const starts: number[] = [];
  let offset = 0;
  for (const line of lines) {
    starts.push(offset);
    offset += line.length;
  }
  const lineOf = (at: number): number => starts.findLastIndex((start) => start <= at);
  const groups: { from: number; to: number; edits: Edit[] }[] = [];
  for (const edit of inOrder(edits)) {
    const from = Math.max(0, lineOf(edit.start));
    // An edit that ends where a line starts has nothing of that line, unless the line's start is all that it has.
    const to = Math.max(lineOf(Math.max(edit.start, edit.end - 1)), from) + 1;
    const last = groups.at(-1);
    if (last && from < last.to) {
      last.to = Math.max(last.to, to);
      last.edits.push(edit);
    } else groups.push({ from, to, edits: [edit] });
  }
  return groups.map((group) => {
    const start = starts[group.from] ?? 0;
    const end = starts[group.to] ?? text.length;
    let now = '';
    let at = start;
    for (const edit of group.edits) {
      now += text.slice(at, edit.start) + edit.text;
      at = edit.end;
    }
    return { from: group.from, to: group.to, lines: splitLines(now + text.slice(at, end)) };
  });
}

/** Changes that are near enough for their surroundings to touch go into one hunk. */
function hunksOf(changes: readonly Change[]): readonly (readonly Change[])[] {
  const hunks: Change[][] = [];
  for (const change of changes) {
    const before = hunks.at(-1)?.at(-1);
    if (before && change.from - before.to <= 2 * CONTEXT) hunks.at(-1)?.push(change);
    else hunks.push([change]);
  }
  return hunks;
}

function place(from: number, count: number): string {
  const first = count === 0 ? from : from + 1;
  return count === 1 ? String(first) : `${first},${count}`;
}

/** A line of the diff; the carriage return of a line that has one is no news. */
function shown(mark: string, line: string): readonly string[] {
  const text = `${mark}${sanitize(line.replace(/\r?\n$/, ''))}`;
  return line.endsWith('\n') ? [text] : [text, '\\ No newline at end of file'];
}
