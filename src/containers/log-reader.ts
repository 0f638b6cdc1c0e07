import fs from 'node:fs';
import { join } from 'node:path';
import { RotatedLines } from './rotated-lines.ts';

/** One line that a container printed. */
export interface LogEntry {
  /** RFC 3339 with nanoseconds. */
  readonly time: string;
  readonly stream: 1 | 2;
  /** With its line feed, if it had one. */
  readonly data: Buffer;
}

const NEWLINE = 10;

/**
 * Reads a container's log, and what is added to it. Its form is that of kubelet and podman: `TIME STREAM F TEXT`, or `P` where a line goes on
 * in the next entry (native/src/contain-log.c).
 */
export class LogReader implements Disposable {
  readonly #lines: RotatedLines;

  constructor(directory: string) {
    this.#lines = new RotatedLines(() => logPaths(directory));
  }

  /** What has been written since the last call; the first call begins with the oldest file. */
  *read(): Generator<LogEntry> {
    for (const line of this.#lines.read()) {
      const entry = parseEntry(line);
      if (entry !== undefined) yield entry;
    }
  }

  [Symbol.dispose](): void {
    this.#lines[Symbol.dispose]();
  }
}

/** The files of a log, the newest first, with the name that the oldest one may be getting right now. */
function logPaths(directory: string): readonly string[] {
  let numbers: readonly number[];
  try {
    numbers = fs
      .readdirSync(directory)
      .flatMap((name) => /^log\.(\d{1,6})$/.exec(name)?.[1] ?? [])
      .map(Number);
  } catch {
    // The container is gone.
    return [];
  }
  const last = numbers.toSorted((a, b) => a - b);
  return ['log', ...last.map((number) => `log.${number}`), `log.${(last.at(-1) ?? 0) + 1}`].map((name) =>
    join(directory, name),
  );
}

/** @returns undefined for a line that is none of the log's */
function parseEntry(line: Buffer): LogEntry | undefined {
  const head = line.subarray(0, 64).toString('latin1');
  const match = /^(\S+) (stdout|stderr) ([FP]) /.exec(head);
  if (match === null) return undefined;
  const data = line.subarray(match[0].length, match[3] === 'F' ? line.length : line.length - 1);
  return { time: match[1] ?? '', stream: match[2] === 'stdout' ? 1 : 2, data: Buffer.from(data) };
}

/** The entries that `--since`, `--until` and `--tail` leave. Times in RFC 3339. */
export function selectEntries(
  entries: Iterable<LogEntry>,
  { since, until, tail }: { readonly since?: string; readonly until?: string; readonly tail?: number },
): readonly LogEntry[] {
  const kept: LogEntry[] = [];
  for (const entry of entries) {
    if (since !== undefined && entry.time < since) continue;
    if (until !== undefined && entry.time > until) continue;
    kept.push(entry);
    // Only the last ones are wanted: what is before them need not be remembered. A line may be of several entries.
    if (tail !== undefined && kept.length > 4 * tail + 1024) kept.splice(0, kept.length - 2 * tail - 512);
  }
  return tail === undefined ? kept : lastLines(kept, tail);
}

function lastLines(entries: readonly LogEntry[], count: number): readonly LogEntry[] {
  let lines = 0;
  for (let at = entries.length - 1; at >= 0; at--) {
    const entry = entries[at];
    // A part of a line belongs to the whole one behind it.
    const ends = entry?.data.at(-1) === NEWLINE || at === entries.length - 1;
    if (ends && ++lines > count) return entries.slice(at + 1);
  }
  return entries;
}
