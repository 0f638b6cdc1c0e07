import { Connection, type ConnectionEnd, parseSignal } from '../../containers/index.ts';
import type { ContainerProcess, OnOutput, ProcessEnd } from '../../gateway/index.ts';
import type { ExitStatus } from '../../sandbox/index.ts';
import { roomAgain, TsbuildError } from '../../util/index.ts';

/** Of standard input in one piece: supervisors take no frames of 4 MiB. Bytes. */
const PIECE = 1024 * 1024;
/** Of a program whose own exit code is not known, as BuildKit has it. */
const UNKNOWN_EXIT = 255;

/** A program, and the connection that it has to itself. */
export class FrontendProgram implements ContainerProcess {
  readonly connection: Connection;
  readonly ended: Promise<ProcessEnd>;
  /** Resolves when it is seen to run. */
  readonly ran: Promise<void>;

  private constructor(
    connection: Connection,
    ran: Promise<void>,
    reason: () => TsbuildError | undefined,
    taken: () => Promise<void>,
  ) {
    this.connection = connection;
    this.ran = ran;
    this.ended = connection.ended.then(async (end) => {
      await taken();
      return endOf(end, reason());
    });
  }

  static async open(
    directory: string,
    onOutput: OnOutput,
    reason: () => TsbuildError | undefined,
  ): Promise<FrontendProgram | undefined> {
    const ran = Promise.withResolvers<void>();
    let pending = 0;
    let last: Promise<unknown> = Promise.resolve();
    const connection = await Connection.open(directory, {
      onRan: ran.resolve,
      onOutput: (stream, data) => {
        // Who prints does run, even where nobody has said so yet: that is told on the same connection, behind this.
        ran.resolve();
        const taken = onOutput(stream, data);
        if (taken === undefined) return;
        // The supervisor waits then, and with it who prints.
        pending++;
        connection?.socket.pause();
        last = Promise.all([last, taken]).finally(() => {
          if (--pending === 0) connection?.socket.resume();
        });
        last.catch(() => undefined);
      },
    });
    return (
      connection &&
      new FrontendProgram(connection, ran.promise, reason, () =>
        last.then(
          () => undefined,
          () => undefined,
        ),
      )
    );
  }

  async write(data: Uint8Array): Promise<void> {
    for (let at = 0; at < data.length; at += PIECE) {
      const { socket } = this.connection;
      if (socket.destroyed || this.connection.send('i', data.subarray(at, at + PIECE))) continue;
      await roomAgain(socket);
    }
  }

  closeInput(): void {
    this.connection.send('c');
  }

  resize(rows: number, columns: number): void {
    this.connection.send('w', `${Math.min(rows, 65_535)} ${Math.min(columns, 65_535)}`);
  }

  signal(name: string): void {
    this.connection.send('k', String(parseSignal(name)));
  }
}

/** How a program ended, in the gateway's words. */
function endOf(end: ConnectionEnd | undefined, reason: TsbuildError | undefined): ProcessEnd {
  if (reason !== undefined) return { exitCode: UNKNOWN_EXIT, error: reason };
  // Its container has ended, and everything in it.
  if (end === undefined) return { exitCode: UNKNOWN_EXIT, error: ofEnded() };
  const { exitCode, status, error } = end;
  if (error !== undefined) return { exitCode: UNKNOWN_EXIT, error };
  if (status?.kind !== 'not-executed') return { exitCode };
  return { exitCode: status.errno === 'ENOENT' ? 127 : 126, error: notExecuted(status) };
}

function notExecuted({ path, errno }: Extract<ExitStatus, { kind: 'not-executed' }>): TsbuildError {
  const why = errno === 'ENOENT' ? 'no such file or directory' : errno;
  return new TsbuildError('TSB_STEP', `exec: ${JSON.stringify(path)}: ${why}`);
}

/** Of what is to run in a container whose first program has ended. */
export function ofEnded(): TsbuildError {
  return new TsbuildError('TSB_STEP', 'Cannot run a program in the container: its first one has ended');
}
