import type { ServerHttp2Stream } from 'node:http2';
import { roomAgain } from '../util/index.ts';
import { type ByteBudget, encodeFrame, MessageReader } from './grpc-frame.ts';
import { encodeStatusMessage, statusOfError } from './status.ts';

/** A call with messages both ways, as its handler sees it. */
export interface StreamCall {
  /** What comes, one by one: nothing more is read while one is worked at. Ends when the caller will send no more. */
  readonly messages: AsyncIterable<Uint8Array>;
  /** Fires when the caller has given the call up. */
  readonly signal: AbortSignal;
  /** Resolves when there is room for another message, or nobody will take any. */
  send(message: Uint8Array): Promise<void>;
  /** Says that the caller has something to wait for, until its disposal. */
  work(): Disposable;
}

/** Answers a call with messages both ways, until it is through. @throws what the call fails of */
export type StreamHandler = (call: StreamCall) => Promise<void>;

/** One such call on its HTTP/2 stream: both sides have flow control, which reaches who writes here and who sends there. */
export class OpenStream implements StreamCall {
  readonly work: () => Disposable;
  readonly #stream: ServerHttp2Stream;
  readonly #gone = new AbortController();
  readonly #maxBytes: number;
  readonly #budget: ByteBudget;
  #room: Promise<void> | undefined;

  /**
   * @param maxBytes of a message
   * @param budget what all calls of a connection may hold together
   */
  constructor(stream: ServerHttp2Stream, maxBytes: number, budget: ByteBudget, work: () => Disposable) {
    this.#stream = stream;
    this.#maxBytes = maxBytes;
    this.#budget = budget;
    this.work = work;
    stream.once('close', () => this.#gone.abort());
    if (stream.destroyed) this.#gone.abort();
  }

  get signal(): AbortSignal {
    return this.#gone.signal;
  }

  get messages(): AsyncIterable<Uint8Array> {
    return this.#read();
  }

  async *#read(): AsyncGenerator<Uint8Array> {
    using reader = new MessageReader(this.#maxBytes, this.#budget);
    try {
      // What ends the reading does not end the writing: the status is still to come.
      for await (const chunk of this.#stream.iterator({ destroyOnReturn: false })) yield* reader.take(chunk as Buffer);
    } catch (error) {
      // It says the same as the signal.
      if (this.#gone.signal.aborted) return;
      throw error;
    }
    if (!this.#gone.signal.aborted) reader.finish();
  }

  async send(message: Uint8Array): Promise<void> {
    const stream = this.#stream;
    if (this.#gone.signal.aborted || stream.writableEnded || stream.write(encodeFrame(message))) return;
    // One for all that wait: streams warn of many listeners.
    await (this.#room ??= roomAgain(stream).then(() => void (this.#room = undefined)));
  }

  /** Runs the handler, and tells the caller how that went. Never rejects. */
  async serve(handler: StreamHandler): Promise<void> {
    const stream = this.#stream;
    if (stream.destroyed) return;
    let outcome: Record<string, string> = { 'grpc-status': '0' };
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.once('wantTrailers', () => {
      stream.sendTrailers(outcome);
      // What is still to come of the caller, whose part it is to end a call that has a status, is not wanted.
      stream.resume();
    });
    try {
      await handler(this);
    } catch (error) {
      const { status, message } = statusOfError(error);
      outcome = { 'grpc-status': String(status), 'grpc-message': encodeStatusMessage(message) };
    }
    if (!stream.destroyed) stream.end();
  }
}
