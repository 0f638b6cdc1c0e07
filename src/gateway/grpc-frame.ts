import { CallError, statusCodes } from './status.ts';

/** A message of gRPC begins with whether it is compressed (one byte) and its length (four, big endian). */
const PREFIX_BYTES = 5;

/** One message with its prefix. */
export function encodeFrame(message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(PREFIX_BYTES + message.length);
  frame.writeUInt8(0, 0);
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, PREFIX_BYTES);
  return frame;
}

/** Counts bytes that several readers hold at a time. */
export interface ByteBudget {
  used: number;
  readonly max: number;
}

/** Reads the messages of a stream one by one, never more of them than it may hold. */
export class MessageReader implements Disposable {
  readonly #maxBytes: number;
  readonly #budget: ByteBudget;
  #chunks: Uint8Array[] = [];
  #length = 0;
  /** Bytes without which nothing can be said: a prefix, or a prefix and its message. */
  #wanted: number = PREFIX_BYTES;

  /** See `FrameReader`. */
  constructor(maxBytes: number, budget: ByteBudget) {
    this.#maxBytes = maxBytes;
    this.#budget = budget;
  }

  /** The messages that are whole with what has come now. @throws CallError for one that is too large or compressed */
  *take(chunk: Uint8Array): Generator<Uint8Array> {
    hold(this.#budget, chunk.length);
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    while (this.#length >= this.#wanted) {
      const [only] = this.#chunks;
      const bytes = only?.length === this.#length ? only : Buffer.concat(this.#chunks, this.#length);
      const end = PREFIX_BYTES + lengthOf(bytes);
      if (end > this.#maxBytes + PREFIX_BYTES) throw tooLarge(this.#maxBytes);
      this.#wanted = end;
      this.#chunks = [bytes];
      if (this.#length < end) return;
      this.#chunks = [bytes.subarray(end)];
      this.#length -= end;
      this.#wanted = PREFIX_BYTES;
      this.#budget.used -= end;
      yield bytes.subarray(PREFIX_BYTES, end);
    }
  }

  /** @throws CallError when the stream has ended within a message */
  finish(): void {
    if (this.#length > 0) throw new CallError(statusCodes.invalidArgument, 'the last message is cut off');
  }

  /** Gives the budget back what was read of a message that is not whole. */
  [Symbol.dispose](): void {
    this.#budget.used -= this.#length;
    this.#length = 0;
    this.#chunks = [];
  }
}

/** @throws CallError when that is too much */
function hold(budget: ByteBudget, bytes: number): void {
  if (budget.used + bytes > budget.max)
    throw new CallError(statusCodes.resourceExhausted, `messages under way are larger than ${budget.max} bytes`);
  budget.used += bytes;
}

function tooLarge(maxBytes: number): CallError {
  return new CallError(statusCodes.resourceExhausted, `message is larger than ${maxBytes} bytes`);
}

/** What a prefix says. @throws CallError for a compressed message */
function lengthOf(bytes: Uint8Array): number {
  if (bytes[0] !== 0) throw new CallError(statusCodes.unimplemented, 'compressed messages are not supported');
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(1);
}

/** Reads the one message of a unary call from the chunks of its stream, never more than it may hold. */
export class FrameReader {
  readonly #maxBytes: number;
  readonly #budget: ByteBudget;
  readonly #chunks: Uint8Array[] = [];
  #length = 0;

  /**
   * @param maxBytes of the message
   * @param budget what all calls of a connection may hold together
   */
  constructor(maxBytes: number, budget: ByteBudget) {
    this.#maxBytes = maxBytes;
    this.#budget = budget;
  }

  /** @throws CallError when the message is larger than it may be */
  push(chunk: Uint8Array): void {
    if (this.#length + chunk.length > this.#maxBytes + PREFIX_BYTES) throw tooLarge(this.#maxBytes);
    hold(this.#budget, chunk.length);
    this.#length += chunk.length;
    this.#chunks.push(chunk);
  }

  /** The message, when all has come. @throws CallError when it is none, or more than one */
  finish(): Uint8Array {
    const bytes = Buffer.concat(this.#chunks, this.#length);
    if (bytes.length < PREFIX_BYTES) throw new CallError(statusCodes.invalidArgument, 'request has no message');
    const length = lengthOf(bytes);
    if (length !== bytes.length - PREFIX_BYTES)
      throw new CallError(
        statusCodes.invalidArgument,
        `request says that its message has ${length} bytes, and ${bytes.length - PREFIX_BYTES} came`,
      );
    return bytes.subarray(PREFIX_BYTES);
  }

  /** Gives the budget back what was read. */
  release(): void {
    this.#budget.used -= this.#length;
    this.#length = 0;
    this.#chunks.length = 0;
  }
}
