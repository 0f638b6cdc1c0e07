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

/**
 * The entries that `--since`, `--until` and `--tail` leave. Times in RFC 3339; of lines, which may be of many entries, whole ones are left: those
 * that ended last.
 */
export function selectEntries(
  entries: Iterable<LogEntry>,
  { since, until, tail }: { readonly since?: string; readonly until?: string; readonly tail?: number },
): readonly LogEntry[] {
  const kept: LogEntry[] = [];
  const last = tail === undefined ? undefined : new LastLines(tail);
  for (const entry of entries) {
    if (since !== undefined && entry.time < since) continue;
    if (until !== undefined && entry.time > until) continue;
    if (last === undefined) kept.push(entry);
    else last.add(entry);
  }
  return last?.entries() ?? kept;
}

/** An entry, and which one it was. */
interface Counted {
  readonly at: number;
  readonly entry: LogEntry;
}

/** The last lines of a log, and nothing of those before them. Both streams may be in the midst of a line at a time. */
class LastLines {
  readonly #most: number;
  #ended: (readonly Counted[])[] = [];
  readonly #open = new Map<LogEntry['stream'], Counted[]>();
  #count = 0;

  constructor(most: number) {
    this.#most = most;
  }

  add(entry: LogEntry): void {
    const line = this.#open.get(entry.stream) ?? [];
    line.push({ at: this.#count++, entry });
    if (entry.data.at(-1) !== NEWLINE) {
      this.#open.set(entry.stream, line);
      return;
    }
    this.#open.delete(entry.stream);
    this.#ended.push(line);
    // Not each time: taking the first one off a long list takes as long as the list is.
    if (this.#ended.length > 2 * this.#most + 16) this.#ended = this.#lastOf(this.#ended);
  }

  entries(): readonly LogEntry[] {
    const unfinished = [...this.#open.values()].toSorted((a, b) => (a.at(-1)?.at ?? 0) - (b.at(-1)?.at ?? 0));
    return this.#lastOf([...this.#ended, ...unfinished])
      .flat()
      .toSorted((a, b) => a.at - b.at)
      .map(({ entry }) => entry);
  }

  #lastOf<T>(lines: readonly T[]): T[] {
    return this.#most === 0 ? [] : lines.slice(-this.#most);
  }
}
