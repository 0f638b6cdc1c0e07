import fs from 'node:fs';
import { join } from 'node:path';

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
  readonly #directory: string;
  #fd: number | undefined;
  #inode = 0;
  #position = 0;
  #rest: Buffer = Buffer.alloc(0);

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** What has been written since the last call; the first call begins with the oldest file. */
  *read(): Generator<LogEntry> {
    if (this.#fd === undefined) {
      for (const name of olderLogs(this.#directory)) yield* this.#readFile(join(this.#directory, name));
      this.#open();
    }
    yield* this.#readOn();
    // Another file has its name now: what was added to this one before that has been read.
    if (this.#wasRotated()) {
      yield* this.#readOn();
      this.#close();
      this.#open();
      yield* this.#readOn();
    }
  }

  *#readFile(path: string): Generator<LogEntry> {
    let content: Buffer;
    try {
      content = fs.readFileSync(path);
    } catch {
      return;
    }
    yield* this.#parse(content);
  }

  #open(): void {
    try {
      this.#fd = fs.openSync(join(this.#directory, 'log'), 'r');
      this.#inode = fs.fstatSync(this.#fd).ino;
      this.#position = 0;
    } catch {
      this.#fd = undefined;
    }
  }

  #close(): void {
    if (this.#fd !== undefined) fs.closeSync(this.#fd);
    this.#fd = undefined;
  }

  #wasRotated(): boolean {
    if (this.#fd === undefined) return false;
    const now = fs.statSync(join(this.#directory, 'log'), { throwIfNoEntry: false });
    return now !== undefined && now.ino !== this.#inode;
  }

  *#readOn(): Generator<LogEntry> {
    const piece = Buffer.alloc(65_536);
    while (this.#fd !== undefined) {
      const got = fs.readSync(this.#fd, piece, 0, piece.length, this.#position);
      if (got === 0) return;
      this.#position += got;
      yield* this.#parse(piece.subarray(0, got));
    }
  }

  *#parse(piece: Buffer): Generator<LogEntry> {
    let data = this.#rest.length === 0 ? Buffer.from(piece) : Buffer.concat([this.#rest, piece]);
    for (let end = data.indexOf(NEWLINE); end >= 0; end = data.indexOf(NEWLINE)) {
      const entry = parseEntry(data.subarray(0, end + 1));
      if (entry !== undefined) yield entry;
      data = data.subarray(end + 1);
    }
    this.#rest = data;
  }

  [Symbol.dispose](): void {
    this.#close();
  }
}

/** The log's earlier files, the oldest first. */
function olderLogs(directory: string): readonly string[] {
  const numbers = fs.readdirSync(directory).flatMap((name) => /^log\.(\d+)$/.exec(name)?.[1] ?? []);
  return numbers.toSorted((a, b) => Number(b) - Number(a)).map((number) => `log.${number}`);
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
