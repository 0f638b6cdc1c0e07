import { Automaton } from './automaton.ts';

const STARS = Buffer.from('***');

/**
 * Hides byte strings: each place that is covered by them, also by several that overlap or touch, becomes `***`. It shows neither
 * how long they are nor how many.
 */
export class Mask {
  readonly #automaton: Automaton;

  /** @param hidden at least one, none of them empty */
  constructor(hidden: readonly Uint8Array[]) {
    this.#automaton = new Automaton(hidden);
  }

  /** For bytes that come in pieces. */
  stream(): MaskStream {
    return new MaskStream(this.#automaton);
  }

  /** A text, of which the UTF-8 form counts. */
  text(text: string): string {
    const bytes = Buffer.from(text);
    const stream = this.stream();
    const pieces = [stream.push(bytes), stream.end()];
    const masked = Buffer.concat(pieces);
    // What has nothing to hide stays as it is, also where it is not valid Unicode.
    return masked.equals(bytes) ? text : masked.toString();
  }
}

/**
 * One stream through a mask. Bytes are held back only while they may be the start of what is hidden; they are not copied for it, for
 * they are known from there. Memory is bounded by the longest hidden string, and time linear, however the stream is cut.
 */
export class MaskStream {
  readonly #automaton: Automaton;
  #node = 0;
  /** Bytes of the stream that were taken, and that were given or hidden. */
  #taken = 0;
  #given = 0;
  /** The last that was given are stars. */
  #hiding = false;
  /** Covered ranges that are not hidden yet, in order, apart from each other; those before `#first` are done with. */
  #ranges: { readonly start: number; readonly end: number }[] = [];
  #first = 0;

  constructor(automaton: Automaton) {
    this.#automaton = automaton;
  }

  /** What can be shown after the next bytes: maybe nothing, maybe the bytes themselves. */
  push(data: Uint8Array): Uint8Array {
    const before = this.#node;
    const start = this.#taken;
    this.#node = this.#automaton.run(before, data, (end, length) => this.#cover(start + end - length, start + end));
    this.#taken += data.length;
    return this.#give(this.#taken - this.#automaton.depth(this.#node), before, data);
  }

  /** What was held back, once it is known that nothing follows. */
  end(): Uint8Array {
    const before = this.#node;
    this.#node = 0;
    return this.#give(this.#taken, before, new Uint8Array());
  }

  #cover(start: number, end: number): void {
    let from = start;
    while (this.#ranges.length > this.#first) {
      const last = this.#ranges.at(-1);
      if (last === undefined || last.end < start) break;
      from = Math.min(from, last.start);
      this.#ranges.pop();
    }
    this.#ranges.push({ start: from, end });
  }

  /**
   * Gives everything before `limit`, which nothing that follows can change.
   * @param before the node before `data`, which knows the bytes that were held back
   */
  #give(limit: number, before: number, data: Uint8Array): Uint8Array {
    const pieces: Uint8Array[] = [];
    const start = this.#taken - data.length;
    const show = (end: number): void => {
      if (end <= this.#given) return;
      if (this.#given < start) {
        const held = this.#automaton.prefix(before);
        const first = start - held.length;
        // A copy: the bytes are the automaton's.
        pieces.push(Buffer.from(held.subarray(this.#given - first, Math.min(end, start) - first)));
      }
      if (end > start) pieces.push(data.subarray(Math.max(this.#given, start) - start, end - start));
      this.#given = end;
      this.#hiding = false;
    };
    for (let range = this.#ranges[this.#first]; range && range.start <= limit; range = this.#ranges[++this.#first]) {
      show(range.start);
      if (!this.#hiding) pieces.push(STARS);
      this.#hiding = true;
      this.#given = Math.max(this.#given, range.end);
    }
    show(limit);
    if (this.#first * 2 > this.#ranges.length) {
      this.#ranges = this.#ranges.slice(this.#first);
      this.#first = 0;
    }
    const [only] = pieces;
    return only !== undefined && pieces.length === 1 && only !== STARS ? only : Buffer.concat(pieces);
  }
}
