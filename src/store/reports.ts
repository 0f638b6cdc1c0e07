import fs from 'node:fs';
import { basename, join } from 'node:path';
import { randomHex } from '../util/index.ts';
import type { StoreLayout } from './layout.ts';

/** So many records are kept, the newest ones. */
const KEEP = 10;

/** Bytes of a record; what is larger is not kept. */
const MAX_BYTES = 4 << 20;

/** What is remembered of a build, for reports of it. */
export interface StoredReport {
  /** Name of its file: `<time>-<random>.json`. */
  readonly id: string;
  /** Bytes on disk. */
  readonly bytes: number;
  /** Milliseconds since the epoch. */
  readonly madeAt: number;
}

/**
 * Records of builds. Each is a file for its owner alone, replaced and removed as a whole. What it says is for whoever wrote it; nothing
 * depends on it, so that one that cannot be written or read is not there, and none is flushed to the disk.
 */
export class ReportTable {
  readonly #layout: StoreLayout;
  readonly #now: () => number;

  constructor(layout: StoreLayout, now: () => number) {
    this.#layout = layout;
    this.#now = now;
  }

  /** Keeps a record, and lets go of the oldest. @returns its id; undefined where it is too large or there is no room for it */
  keep(text: string): string | undefined {
    if (Buffer.byteLength(text) > MAX_BYTES) return undefined;
    const { reports } = this.#layout;
    const time = new Date(this.#now()).toISOString().replaceAll(/[-:]|Z$/g, '');
    const id = `${time}-${randomHex(3)}.json`;
    const temporary = join(reports, `.${id}`);
    try {
      fs.mkdirSync(reports, { recursive: true, mode: 0o700 });
      fs.writeFileSync(temporary, text, { flag: 'wx', mode: 0o600 });
      fs.renameSync(temporary, join(reports, id));
      for (const old of this.#names().slice(KEEP)) this.remove(old);
    } catch {
      remove(temporary);
      return undefined;
    }
    return id;
  }

  /** The newest first. */
  list(): readonly StoredReport[] {
    return this.#names().flatMap((id) => {
      const stat = fs.lstatSync(join(this.#layout.reports, id), { throwIfNoEntry: false });
      return stat?.isFile() === true ? [{ id, bytes: stat.blocks * 512, madeAt: stat.mtimeMs }] : [];
    });
  }

  /** What was kept. @param id as `list` gives it @returns undefined where there is none, or it cannot be read */
  read(id: string): string | undefined {
    let fd: number | undefined;
    try {
      fd = fs.openSync(join(this.#layout.reports, basename(id)), fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW);
      return fs.fstatSync(fd).size > MAX_BYTES ? undefined : fs.readFileSync(fd, 'utf8');
    } catch {
      return undefined;
    } finally {
      if (fd !== undefined) fs.closeSync(fd);
    }
  }

  /** @param id as `list` gives it */
  remove(id: string): void {
    remove(join(this.#layout.reports, basename(id)));
  }

  #names(): readonly string[] {
    try {
      return fs
        .readdirSync(this.#layout.reports)
        .filter((name) => /^\d.*\.json$/.test(name))
        .sort()
        .reverse();
    } catch {
      return [];
    }
  }
}

/** What cannot be removed stays: a build does not fail for it. */
function remove(path: string): void {
  try {
    fs.rmSync(path, { force: true, recursive: true });
  } catch {
    // Something else stands in the place of the directory, or it may not be written to.
  }
}
