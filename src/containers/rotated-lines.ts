import fs from 'node:fs';

/** Bytes that are read at once. */
const PIECE = 65_536;
/** How often the next file may have got another name before it could be opened. */
const MISSES = 10;
const NEWLINE = 10;

/** A file of a row, as it was when it was looked at. */
interface Seen {
  readonly path: string;
  readonly inode: number;
}

/**
 * Reads the lines of a file that gets another name when it is full, and of those that were full before. What came between two looks is read
 * as long as it is there, over however many changes of names: the next file is the one that was named after the one that is open.
 */
export class RotatedLines implements Disposable {
  readonly #paths: () => readonly string[];
  #fd: number | undefined;
  #inode = 0;
  #rest: Buffer = Buffer.alloc(0);

  /** @param paths of the files that may be there, the newest first */
  constructor(paths: () => readonly string[]) {
    this.#paths = paths;
  }

  /** The lines that were written since the last call, each with its line feed; the first call begins with the oldest file. */
  *read(): Generator<Buffer> {
    for (let misses = 0; misses < MISSES;) {
      yield* this.#readOn();
      const next = this.#next();
      if (next === undefined) return;
      // Nobody writes to the one that is open any more: what was added before that is there now.
      yield* this.#readOn();
      misses = this.#open(next) ? 0 : misses + 1;
    }
  }

  /** The file after the one that is open, the oldest one where none is or its name is gone; undefined when it is the newest. */
  #next(): Seen | undefined {
    // Looked at from the newest on: what gets its next name meanwhile is seen twice, and none is passed over.
    const files = this.#paths().flatMap((path): readonly Seen[] => {
      const inode = fs.statSync(path, { throwIfNoEntry: false })?.ino;
      return inode === undefined ? [] : [{ path, inode }];
    });
    const at = this.#fd === undefined ? -1 : files.findIndex(({ inode }) => inode === this.#inode);
    return at < 0 ? files.at(-1) : files[at - 1];
  }

  /** @returns false where another file has the name now, or none */
  #open(file: Seen): boolean {
    let fd: number;
    try {
      fd = fs.openSync(file.path, 'r');
    } catch {
      return false;
    }
    if (fs.fstatSync(fd).ino !== file.inode) {
      fs.closeSync(fd);
      return false;
    }
    this.#close();
    this.#fd = fd;
    this.#inode = file.inode;
    return true;
  }

  *#readOn(): Generator<Buffer> {
    const piece = Buffer.alloc(PIECE);
    while (this.#fd !== undefined) {
      const got = fs.readSync(this.#fd, piece, 0, piece.length, null);
      if (got === 0) return;
      let data = Buffer.concat([this.#rest, piece.subarray(0, got)]);
      for (let end = data.indexOf(NEWLINE); end >= 0; end = data.indexOf(NEWLINE)) {
        yield data.subarray(0, end + 1);
        data = data.subarray(end + 1);
      }
      this.#rest = data;
    }
  }

  #close(): void {
    if (this.#fd !== undefined) fs.closeSync(this.#fd);
    this.#fd = undefined;
    // Half a line at the end of a file is what a power cut has left of one.
    this.#rest = Buffer.alloc(0);
  }

  [Symbol.dispose](): void {
    this.#close();
  }
}
