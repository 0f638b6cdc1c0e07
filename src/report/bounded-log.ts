/** How much output is kept of a build. */
export interface LogLimits {
  /** Bytes of the beginning and of the end of what a step prints. */
  readonly head: number;
  readonly tail: number;
  /** Bytes of all steps together. */
  readonly total: number;
}

/** What is left of the bytes that all logs of a build may take. */
export interface LogBudget {
  left: number;
}

/** Output that came at a time. */
export interface LogPiece {
  readonly stream: 1 | 2;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly data: Uint8Array;
}

/** Bytes that one piece is made for at least: steps that print letter by letter take no object for each. */
const PIECE = 512;

/** ms within which output counts as having come at once. */
const TOGETHER = 20;

interface Growing extends Omit<LogPiece, 'data'> {
  buffer: Buffer;
  length: number;
}

/** The beginning and the end of what a step prints, within bounds of memory. */
export class BoundedLog {
  readonly #limits: LogLimits;
  readonly #budget: LogBudget;
  readonly #head: Growing[] = [];
  readonly #tail: Growing[] = [];
  #headSize = 0;
  #tailSize = 0;
  /** The head ended: what comes now belongs to the tail. */
  #full = false;
  bytes = 0;
  lost = 0;

  constructor(limits: LogLimits, budget: LogBudget) {
    this.#limits = limits;
    this.#budget = budget;
  }

  /** @param data is copied, as whoever made it may use it again */
  write(data: Uint8Array, stream: 1 | 2, at: number): void {
    this.bytes += data.length;
    let rest = data;
    if (!this.#full) {
      const room = Math.min(this.#limits.head - this.#headSize, this.#budget.left);
      const part = rest.subarray(0, Math.max(0, room));
      append(this.#head, part, stream, at);
      this.#headSize += part.length;
      this.#budget.left -= part.length;
      rest = rest.subarray(part.length);
      this.#full = rest.length > 0;
    }
    if (rest.length > 0) this.#writeTail(rest, stream, at);
  }

  /** What is kept, in order: the beginning, and the end. */
  get pieces(): { readonly head: readonly LogPiece[]; readonly tail: readonly LogPiece[] } {
    return { head: this.#head.map(pieceOf), tail: this.#tail.map(pieceOf) };
  }

  #writeTail(data: Uint8Array, stream: 1 | 2, at: number): void {
    // Of more than fits, the end; where all is used up, a step can only give up what is its own.
    const most = Math.min(this.#limits.tail, this.#budget.left + this.#tailSize);
    const part = data.subarray(Math.max(0, data.length - most));
    this.lost += data.length - part.length;
    while (this.#tailSize > 0 && this.#tailSize + part.length > most) {
      const [first] = this.#tail;
      if (first === undefined) break;
      const cut = Math.min(first.length, this.#tailSize + part.length - most);
      first.buffer = first.buffer.subarray(cut);
      first.length -= cut;
      if (first.length === 0) this.#tail.shift();
      this.#tailSize -= cut;
      this.#budget.left += cut;
      this.lost += cut;
    }
    append(this.#tail, part, stream, at);
    this.#tailSize += part.length;
    this.#budget.left -= part.length;
  }
}

function append(pieces: Growing[], data: Uint8Array, stream: 1 | 2, at: number): void {
  if (data.length === 0) return;
  const last = pieces.at(-1);
  if (last?.stream === stream && at - last.at < TOGETHER && last.length + data.length <= last.buffer.length) {
    last.buffer.set(data, last.length);
    last.length += data.length;
    return;
  }
  const buffer = Buffer.alloc(Math.max(PIECE, data.length));
  buffer.set(data);
  pieces.push({ stream, at, buffer, length: data.length });
}

function pieceOf({ stream, at, buffer, length }: Growing): LogPiece {
  return { stream, at, data: buffer.subarray(0, length) };
}
