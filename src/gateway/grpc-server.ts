import {
  constants,
  type IncomingHttpHeaders,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { Socket } from 'node:net';
import { type ByteBudget, encodeFrame, FrameReader } from './grpc-frame.ts';
import { OpenStream, type StreamHandler } from './grpc-stream.ts';
import { CallError, encodeStatusMessage, statusCodes, statusOfError } from './status.ts';

/** Answers one unary call. `signal` fires when the caller does not want the answer any more. */
export type UnaryHandler = (request: Uint8Array, signal: AbortSignal) => Promise<Uint8Array>;

/** What a server answers, and how much it takes. */
export interface GrpcServerOptions {
  /** By path, `/package.Service/Method`. */
  readonly handlers: ReadonlyMap<string, UnaryHandler>;
  /** Calls with messages both ways, by path. */
  readonly streams?: ReadonlyMap<string, StreamHandler>;
  /** Larger messages are refused. Bytes. */
  readonly maxMessageBytes: number;
  /** The same for all messages that are under way at a time. */
  readonly maxBufferedBytes: number;
  /** Calls at a time. */
  readonly maxCalls: number;
}

/** Headers of a request together, bytes: there is little to say in them. */
const MAX_HEADER_BYTES = 64 * 1024;
/** MiB of memory that a connection may take in Node's own buffers. */
const MAX_SESSION_MEGABYTES = 64;

/**
 * The server's side of gRPC (unary calls and such with messages both ways, uncompressed) on one connection that exists already, such as the pipes of a process. HTTP/2 is
 * Node's; what gRPC adds to it is a frame around each message and a status behind it (grpc.io, "gRPC over HTTP/2").
 */
export class GrpcServer implements Disposable {
  /** Resolves when the connection has ended, with why if that was no ordinary end. */
  readonly ended: Promise<Error | undefined>;
  readonly #session: ServerHttp2Session;
  readonly #options: GrpcServerOptions;
  readonly #budget: ByteBudget;
  #underWay = 0;
  #lastEnd: number;

  constructor(connection: Socket, options: GrpcServerOptions) {
    this.#options = options;
    this.#budget = { used: 0, max: options.maxBufferedBytes };
    this.#lastEnd = performance.now();
    this.#session = performServerHandshake(connection, {
      maxSessionMemory: MAX_SESSION_MEGABYTES,
      settings: {
        maxConcurrentStreams: options.maxCalls,
        maxHeaderListSize: MAX_HEADER_BYTES,
        initialWindowSize: 1024 * 1024,
        enablePush: false,
      },
    });
    this.ended = new Promise((resolve) => {
      let failure: Error | undefined;
      this.#session.on('error', (error: Error) => {
        failure ??= error;
      });
      connection.on('error', (error: Error) => {
        failure ??= error;
      });
      this.#session.once('close', () => resolve(failure));
    });
    this.#session.on('stream', (stream, headers) => this.#take(stream, headers));
  }

  /** Milliseconds since the last call was answered; undefined while one is worked at. What never comes to an end of its request is no work. */
  get idleMs(): number | undefined {
    return this.#underWay > 0 ? undefined : performance.now() - this.#lastEnd;
  }

  #take(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    stream.on('error', () => undefined);
    const { ':method': method, ':path': path = '', 'content-type': type = '' } = headers;
    if (method !== 'POST' || !type.startsWith('application/grpc')) {
      if (!stream.destroyed) stream.respond({ ':status': 415 }, { endStream: true });
      return;
    }
    const converse = this.#options.streams?.get(path);
    if (converse !== undefined) {
      const { maxMessageBytes } = this.#options;
      void new OpenStream(stream, maxMessageBytes, this.#budget, () => this.#work()).serve(converse);
      return;
    }
    const handler = this.#options.handlers.get(path);
    if (handler === undefined) {
      stream.resume();
      fail(stream, new CallError(statusCodes.unimplemented, `unknown method ${path.slice(0, 200)}`));
      return;
    }
    const call = new AbortController();
    const reader = new FrameReader(this.#options.maxMessageBytes, this.#budget);
    stream.once('close', () => {
      call.abort();
      reader.release();
    });
    stream.on('data', (chunk: Uint8Array) => {
      try {
        reader.push(chunk);
      } catch (error) {
        stream.removeAllListeners('data').resume();
        reader.release();
        fail(stream, error);
      }
    });
    stream.once('end', () => {
      if (stream.headersSent) return;
      this.#answer(stream, reader, handler, call.signal).catch((error: unknown) => fail(stream, error));
    });
  }

  async #answer(
    stream: ServerHttp2Stream,
    reader: FrameReader,
    handler: UnaryHandler,
    signal: AbortSignal,
  ): Promise<void> {
    const request = reader.finish();
    let response: Uint8Array;
    {
      using _work = this.#work();
      response = await handler(request, signal);
    }
    if (stream.destroyed || stream.closed) return;
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.end(encodeFrame(response));
  }

  /** Counts something that the caller waits for, until its end. */
  #work(): Disposable {
    this.#underWay++;
    return {
      [Symbol.dispose]: () => {
        this.#underWay--;
        this.#lastEnd = performance.now();
      },
    };
  }

  /** Ends the connection at once. */
  [Symbol.dispose](): void {
    this.#session.destroy();
  }
}

/** Answers with a status alone. */
function fail(stream: ServerHttp2Stream, error: unknown): void {
  if (stream.destroyed || stream.closed || stream.headersSent) return;
  const { status, message } = statusOfError(error);
  stream.respond(
    {
      ':status': 200,
      'content-type': 'application/grpc',
      'grpc-status': String(status),
      'grpc-message': encodeStatusMessage(message),
    },
    { endStream: true },
  );
  // What is still to come of the request is not wanted.
  if (!stream.readableEnded) stream.close(constants.NGHTTP2_NO_ERROR);
}
