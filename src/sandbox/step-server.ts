import { type ChildProcess, spawn } from 'node:child_process';
import type { Duplex } from 'node:stream';
import { FrameReader } from './step-frames.ts';

/** Who a step's frames are for. */
export interface StepListener {
  /** Takes output; nothing more is read until the promise, if any, is resolved. */
  readonly onOutput: (stream: 1 | 2, data: Buffer) => Promise<void> | undefined;
  /** Takes a line of the helper's status. */
  readonly onStatus: (line: string) => void;
  /** The step is over: with the exit code of its helper, null when that was killed, and what it said on standard error. */
  readonly onEnd: (code: number | null, said: string) => void;
  /** The helper could not be started. */
  readonly onError: (cause: Error) => void;
}

/** One helper that stays and runs one step at a time (native/src/steps.c). */
export class StepServer {
  readonly #child: ChildProcess;
  readonly #connection: Duplex;
  readonly #frames = new FrameReader((kind, data) => this.#take(kind, data));
  #listener: StepListener | undefined;
  #said = '';
  #gone = false;

  /** @param onGone told when it will run no further step */
  constructor(helperPath: string, onGone: (server: StepServer) => void) {
    this.#child = spawn(helperPath, ['steps', '--parent', String(process.pid)], {
      // A step's environment is in its description; the helper needs none.
      env: {},
      stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#said = (this.#said + text).slice(-4000);
    });
    this.#child.once('error', (cause) => {
      this.#gone = true;
      onGone(this);
      this.#end()?.onError(cause);
    });
    this.#child.once('close', (code) => {
      this.#gone = true;
      onGone(this);
      this.#end()?.onEnd(code, this.#said);
    });
    this.#connection = this.#child.stdio[3] as Duplex;
    // A helper that ends closes its side; what it says about it comes as status.
    this.#connection.on('error', () => undefined);
    this.#connection.on('data', (chunk: Buffer) => this.#frames.push(chunk));
  }

  /** Whether it has ended, and runs no step any more. */
  get gone(): boolean {
    return this.#gone;
  }

  /** Runs a step; none may be running. @param encoded output of `encodeStep` */
  start(encoded: Uint8Array, listener: StepListener): void {
    this.#listener = listener;
    this.#said = '';
    const length = Buffer.alloc(4);
    length.writeUInt32LE(encoded.length);
    // In one piece: the helper waits for all of it.
    this.#connection.write(Buffer.concat([length, encoded]));
  }

  /** Ends it, and with it whatever it runs. */
  kill(): void {
    this.#gone = true;
    this.#child.kill('SIGKILL');
  }

  #end(): StepListener | undefined {
    const listener = this.#listener;
    this.#listener = undefined;
    return listener;
  }

  #take(kind: string, data: Buffer): void {
    const listener = this.#listener;
    switch (kind) {
      case 'o':
      case 'e':
        this.#hold(listener?.onOutput(kind === 'o' ? 1 : 2, data));
        break;
      case 's':
        // Whole lines, one or more: each was written at once, to a pipe.
        for (const line of data.toString('utf8').trimEnd().split('\n')) listener?.onStatus(line);
        break;
      case 'x': {
        const text = data.toString('latin1');
        this.#end()?.onEnd(text === 'killed' ? null : Number(text), this.#said);
        break;
      }
      default:
        // Not what this program was built with.
        this.kill();
    }
  }

  #hold(wait: Promise<void> | undefined): void {
    if (wait === undefined) return;
    this.#connection.pause();
    void wait.finally(() => this.#connection.resume());
  }
}
