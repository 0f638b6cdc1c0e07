import { endOfPart } from './text.ts';

const LONGEST = 8192;

/** Cuts the output of one stream of a step into lines. A line without end is cut as well, so that memory stays bounded. */
export class LineSplitter {
  readonly #decoder = new TextDecoder();
  #rest = '';

  /** What came of the line that has not ended. */
  get rest(): string {
    return this.#rest;
  }

  push(data: Uint8Array): string[] {
    const lines = (this.#rest + this.#decoder.decode(data, { stream: true })).split('\n');
    this.#rest = lines.pop() ?? '';
    // Progress bars overwrite one line for ever: only the last state is of interest.
    if (this.#rest.length > LONGEST)
      this.#rest = this.#rest.slice(this.#rest.lastIndexOf('\r', this.#rest.length - 2) + 1);
    while (this.#rest.length > LONGEST) {
      const end = endOfPart(this.#rest, 0, LONGEST);
      lines.push(this.#rest.slice(0, end));
      this.#rest = this.#rest.slice(end);
    }
    return lines.flatMap((line) => (line.length > LONGEST ? chunks(line) : [line]));
  }

  /** Takes the unfinished line as one. */
  flush(): string[] {
    const line = this.#rest + this.#decoder.decode();
    this.#rest = '';
    return line === '' ? [] : [line];
  }
}

function chunks(line: string): string[] {
  const parts: string[] = [];
  for (let at = 0; at < line.length;) {
    const end = endOfPart(line, at, LONGEST);
    parts.push(line.slice(at, end));
    at = end;
  }
  return parts;
}
