import type { Socket } from 'node:net';
import { concludeStep, type ExitStatus, readStatusLine, type StepReport } from '../sandbox/index.ts';
import { messageOf, TsbuildError } from '../util/index.ts';
import { connectIn } from './frame-socket.ts';
import { encodeFrame, FrameReader } from './frames.ts';

/** Who listens to a connection. */
export interface Listener {
  readonly onOutput?: (stream: 1 | 2, data: Buffer) => void;
  /** The program runs. */
  readonly onRan?: () => void;
}

/** How what was waited for ended. */
export interface ConnectionEnd {
  readonly exitCode: number;
  /** Why a program did not run, or a request was refused. */
  readonly status?: ExitStatus;
  readonly error?: TsbuildError;
}

/** A connection to the supervisor of one container. */
export class Connection implements Disposable {
  readonly socket: Socket;
  /** Resolves at the end, whatever that is; `undefined` when the supervisor was gone without a word. */
  readonly ended: Promise<ConnectionEnd | undefined>;
  readonly #listener: Listener;
  readonly #report: StepReport = {};
  #code: number | undefined;
  #attached: (() => void) | undefined;
  #givenUp: ConnectionEnd | undefined;

  private constructor(socket: Socket, listener: Listener) {
    this.socket = socket;
    this.#listener = listener;
    const reader = new FrameReader();
    socket.on('data', (piece: Buffer) => {
      for (const { kind, data } of reader.take(piece)) this.#take(kind, data);
    });
    socket.on('error', () => undefined);
    this.ended = new Promise((resolve) => {
      socket.once('close', () => {
        this.#attached?.();
        resolve(this.#conclude());
      });
    });
  }

  /** Connects. @returns undefined when nobody listens: the container has no supervisor */
  static async open(directory: string, listener: Listener = {}): Promise<Connection | undefined> {
    const socket = await connectIn(directory, 'socket').catch((error: unknown) => {
      throw new TsbuildError('TSB_SANDBOX', `Cannot reach the container's supervisor: ${messageOf(error)}`, {
        cause: error,
      });
    });
    return socket && new Connection(socket, listener);
  }

  send(kind: string, data: Uint8Array | string = ''): boolean {
    return this.socket.write(encodeFrame(kind, data));
  }

  /** Asks for the container's output, and to be its input, and waits until that is so. */
  async attach(wants: { readonly input: boolean; readonly output: boolean }): Promise<void> {
    const attached = new Promise<void>((resolve) => {
      this.#attached = resolve;
    });
    this.send('A', `${wants.input ? 'i' : ''}${wants.output ? 'o' : ''}`);
    await attached;
  }

  /** Ends the connection from here, for `ended` to give this. What the supervisor has to say after it is not heard. */
  giveUp(end: ConnectionEnd): void {
    this.#givenUp ??= end;
    this.socket.destroy();
  }

  /** Whether it was ended from here, while the container may run on. */
  get isGivenUp(): boolean {
    return this.#givenUp !== undefined;
  }

  #take(kind: string, data: Buffer): void {
    switch (kind) {
      case 'o':
      case 'e':
        this.#listener.onOutput?.(kind === 'o' ? 1 : 2, data);
        break;
      case 's':
        for (const line of data.toString('utf8').split('\n')) this.#takeLine(line);
        break;
      case 'x':
        this.#code = Number(data.toString('latin1'));
        this.socket.end();
        break;
      default:
    }
  }

  #takeLine(line: string): void {
    if (line === 'attached') this.#attached?.();
    else if (line === 'ran') this.#listener.onRan?.();
    else readStatusLine(this.#report, line);
  }

  #conclude(): ConnectionEnd | undefined {
    if (this.#givenUp !== undefined) return this.#givenUp;
    const { error } = this.#report;
    if (error === undefined) return this.#code === undefined ? undefined : { exitCode: this.#code };
    if (error.stage === 'control')
      return { exitCode: 1, error: new TsbuildError('TSB_STEP', `Cannot do that: ${error.text}`) };
    try {
      return { exitCode: this.#code ?? 125, status: concludeStep(this.#report, this.#code ?? null) };
    } catch (thrown) {
      return { exitCode: this.#code ?? 125, error: thrown as TsbuildError };
    }
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}
