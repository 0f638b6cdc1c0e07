import { parseError, lineRanges } from '../failure.ts';
import type { SourceFile, TsbuildError } from '../../../util/index.ts';

/** Bytes that a line may have without its line feed (the buffer of Go's scanner, less one). */
const MAX_LINE_BYTES = 65_535;

/** Hands out the lines of a file one by one, each with its line ending. */
export class SourceLines {
  /** Number of the line handed out last, from 1. */
  number = 0;
  readonly #file: SourceFile;
  readonly #text: string;
  #start: number;
  #tooLong = false;

  constructor(file: SourceFile) {
    this.#file = file;
    this.#text = file.text;
    this.#start = file.text.startsWith('\uFEFF') ? 1 : 0;
  }

  /** The next line, or undefined at the end of the file and at a line that is too long. */
  next(): string | undefined {
    if (this.#start >= this.#text.length || this.#tooLong) return undefined;
    const found = this.#text.indexOf('\n', this.#start);
    const line = this.#text.slice(this.#start, found < 0 ? this.#text.length : found + 1);
    const limit = found < 0 ? MAX_LINE_BYTES : MAX_LINE_BYTES + 1;
    if (line.length * 3 > limit && Buffer.byteLength(line) > limit) {
      this.#tooLong = true;
      return undefined;
    }
    this.#start = found < 0 ? this.#text.length : found + 1;
    this.number++;
    return line;
  }

  /** What ended the file before its end, if anything. */
  error(): TsbuildError | undefined {
    if (!this.#tooLong) return undefined;
    const line = this.number + 1;
    return parseError(
      `dockerfile line greater than max allowed size of ${MAX_LINE_BYTES}`,
      line,
      lineRanges(this.#file.name, line, line),
    );
  }
}
