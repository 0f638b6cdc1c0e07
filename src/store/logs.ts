import fs from 'node:fs';
import { basename, join } from 'node:path';
import { type Digest, errnoOf, hexOf, sanitizeLine } from '../util/index.ts';
import { LogBuffer } from './log-buffer.ts';
import { randomId, type StoreLayout } from './layout.ts';

/** Bytes that are kept of the output of one step: the end of it. */
const LOG_LIMIT = 10_000_000;

/** So many logs are kept, the newest ones. */
const KEEP = 20;

/** Bytes of a log's first line that are read for a list. */
const FIRST_LINE = 4096;

/** The output of a step that failed. */
export interface StepLog {
  /** Name of its file: `<time>-<vertex>.log`, with a number behind it where there was one. */
  readonly id: string;
  readonly path: string;
  /** Of the step, as the progress shows it. */
  readonly step: string;
  /** Bytes on disk. */
  readonly bytes: number;
  /** Milliseconds since the epoch. */
  readonly failedAt: number;
}

/**
 * Complete output of failed steps, so far as it is within bounds. Each is a file for its owner alone: the name of the step, then what it
 * printed, byte by byte, both with secrets hidden.
 */
export class LogTable {
  readonly #layout: StoreLayout;
  readonly #now: () => number;
  readonly #session: () => string;

  /** @param session names this process, whose directory for temporary files takes logs of steps that still run */
  constructor(layout: StoreLayout, now: () => number, session: () => string) {
    this.#layout = layout;
    this.#now = now;
    this.#session = session;
  }

  /** For the output of a step that begins. Dispose it. */
  begin(): LogBuffer {
    return new LogBuffer(join(this.#layout.ingest, this.#session(), `log-${randomId()}`), LOG_LIMIT);
  }

  /**
   * Keeps the output of a step that failed, and lets go of the oldest.
   * @returns the path of the file; undefined when there is nothing to keep, or no room for it
   */
  keep(vertex: Digest, step: string, output: LogBuffer): string | undefined {
    if (output.isEmpty) return undefined;
    const { logs } = this.#layout;
    // `2026-11-29T11:20:09.123Z` as `20261129T112009.123`, which sorts by time.
    const time = new Date(this.#now()).toISOString().replaceAll(/[-:]|Z$/g, '');
    const name = `${time}-${hexOf(vertex).slice(0, 12)}`;
    let path: string | undefined;
    try {
      fs.mkdirSync(logs, { recursive: true, mode: 0o700 });
      const made = openNew(logs, name);
      const { fd } = made;
      ({ path } = made);
      try {
        const cut = output.lost === 0 ? '' : `[the first ${output.lost} bytes are left out]\n`;
        fs.writeFileSync(fd, `${sanitizeLine(step, 2000)}\n${cut}`);
        if (!output.copyTo(fd)) throw new Error('it was not kept');
      } finally {
        fs.closeSync(fd);
      }
    } catch {
      // The failure is told with its last lines in any case.
      if (path !== undefined) fs.rmSync(path, { force: true });
      return undefined;
    }
    for (const old of this.#names().slice(KEEP)) this.remove(old);
    return path;
  }

  /** The newest first. */
  list(): readonly StepLog[] {
    return this.#names().flatMap((id) => {
      const path = join(this.#layout.logs, id);
      const stat = fs.lstatSync(path, { throwIfNoEntry: false });
      if (stat?.isFile() !== true) return [];
      return [{ id, path, step: firstLine(path), bytes: stat.blocks * 512, failedAt: stat.mtimeMs }];
    });
  }

  /** @param id as `list` gives it */
  remove(id: string): void {
    fs.rmSync(join(this.#layout.logs, basename(id)), { force: true, recursive: true });
  }

  #names(): readonly string[] {
    try {
      return fs
        .readdirSync(this.#layout.logs)
        .filter((name) => name.endsWith('.log'))
        .sort()
        .reverse();
    } catch {
      return [];
    }
  }
}

/** A file of that name, or with a number behind it: the same step may fail in two builds at once. */
function openNew(dir: string, name: string): { readonly path: string; readonly fd: number } {
  for (let number = 1; ; number++) {
    const path = join(dir, `${name}${number === 1 ? '' : `-${number}`}.log`);
    try {
      return { path, fd: fs.openSync(path, 'wx', 0o600) };
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST' || number > KEEP) throw error;
    }
  }
}

function firstLine(path: string): string {
  let fd: number | undefined;
  try {
    fd = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW);
    const buffer = Buffer.alloc(FIRST_LINE);
    const text = buffer.toString('utf8', 0, fs.readSync(fd, buffer));
    return text.split('\n', 1)[0] ?? '';
  } catch {
    return '';
  } finally {
    if (fd !== undefined) fs.closeSync(fd);
  }
}
