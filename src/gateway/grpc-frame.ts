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
    this.#length += chunk.length;
    this.#budget.used += chunk.length;
    if (this.#length > this.#maxBytes + PREFIX_BYTES)
      throw new CallError(statusCodes.resourceExhausted, `message is larger than ${this.#maxBytes} bytes`);
    if (this.#budget.used > this.#budget.max)
      throw new CallError(
        statusCodes.resourceExhausted,
        `messages under way are larger than ${this.#budget.max} bytes`,
      );
    this.#chunks.push(chunk);
  }

  /** The message, when all has come. @throws CallError when it is none, or more than one */
  finish(): Uint8Array {
    const bytes = Buffer.concat(this.#chunks, this.#length);
    if (bytes.length < PREFIX_BYTES) throw new CallError(statusCodes.invalidArgument, 'request has no message');
    if (bytes[0] !== 0) throw new CallError(statusCodes.unimplemented, 'compressed messages are not supported');
    const length = bytes.readUInt32BE(1);
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
