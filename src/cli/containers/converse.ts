import { constants } from 'node:os';
import type { Connection, ConnectionEnd } from '../../containers/index.ts';
import { findHelper, makeTerminalRaw } from '../../sandbox/index.ts';
import { fromErrno, onRoom } from '../../util/index.ts';
import { type CliContext, isReaderGone } from '../context.ts';
import { DetachWatch } from '../options/detach-keys.ts';

/** How a command takes part in what happens at the other end of a connection. */
export interface ConverseOptions {
  readonly tty: boolean;
  readonly input: boolean;
  /** Signals to this process are for the other end. */
  readonly signals: boolean;
  /** The container's output is asked for, which may be what starts it. */
  readonly attach?: boolean;
  /** What is typed to leave the container alone, where there is a terminal; undefined where it cannot be left. */
  readonly detachKeys: Uint8Array | undefined;
}

/** How a conversation ended. */
export type ConverseEnd =
  | { readonly detached: true }
  | { readonly detached: false; readonly end: ConnectionEnd | undefined };

/** Signals of this process that are meant for the container. */
const FORWARDED = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGALRM'] as const;

/** Docker's client gives up at the third: PID 1 ignores signals that it has no handler for. */
const LAST_INTERRUPT = 3;

/** As of a program that SIGPIPE has ended, which docker's client is. */
const READER_GONE_CODE = 128 + constants.signals.SIGPIPE;

/**
 * Writes what comes, and holds up who sends it while nobody reads. When the reader has gone away, such as head(1), or it cannot be written, the
 * connection is given up: to wait for room that never comes would be for ever. For `Connection.open`, and one connection.
 * @param attached the streams that somebody is at; others are in the log
 */
export function outputOf(
  context: CliContext,
  attached: readonly string[] = ['stdout', 'stderr'],
): (stream: 1 | 2, data: Buffer, connection: Connection) => void {
  // A piece of the socket has many writes: what is waited for once is not waited for by each of them.
  const full = new Set<CliContext['stdout']>();
  return (stream, data, connection) => {
    if (!attached.includes(stream === 1 ? 'stdout' : 'stderr')) return;
    const to = stream === 1 ? context.stdout : context.stderr;
    const written = to.write(data, (error) => {
      if (!error) return;
      if (isReaderGone(error)) connection.giveUp({ exitCode: READER_GONE_CODE });
      else connection.giveUp({ exitCode: 1, error: fromErrno(error, 'Cannot write what comes', 'TSB_EXPORT') });
    });
    if (written || full.has(to)) return;
    full.add(to);
    if (full.size === 1) connection.socket.pause();
    onRoom(to, () => {
      full.delete(to);
      if (full.size === 0) connection.socket.resume();
    });
  };
}

/** Passes input, window sizes and signals on until the other end is over. Gives the terminal back as it was. */
export async function converse(
  context: CliContext,
  connection: Connection,
  options: ConverseOptions,
): Promise<ConverseEnd> {
  const undo: (() => void)[] = [];
  const detached = Promise.withResolvers<'detached'>();
  try {
    // Before the container can start: a signal must not end this process and leave that alone.
    if (options.signals) undo.push(forwardSignals(context, connection));
    if (options.tty) undo.push(followWindow(context, connection));
    if (options.attach === true) await connection.attach({ input: options.input, output: true });
    if (options.input) undo.push(passInput(context, connection, options, () => detached.resolve('detached')));
    const first = await Promise.race([connection.ended, detached.promise]);
    return first === 'detached' ? { detached: true } : { detached: false, end: first };
  } finally {
    for (const step of undo.toReversed()) step();
  }
}

function forwardSignals({ stderr }: CliContext, connection: Connection): () => void {
  let interrupts = 0;
  const forward = (name: NodeJS.Signals): void => {
    if ((name === 'SIGINT' || name === 'SIGTERM') && ++interrupts >= LAST_INTERRUPT) {
      if (interrupts === LAST_INTERRUPT) stderr.write('tsbuild: asked three times, so the container is killed\n');
      connection.send('k', String(constants.signals.SIGKILL));
    } else {
      connection.send('k', String(constants.signals[name]));
    }
  };
  for (const name of FORWARDED) process.on(name, forward);
  return () => {
    for (const name of FORWARDED) process.off(name, forward);
  };
}

/** Where the terminal is: what is printed may go into a file. */
const terminalOf = ({ stdout, stderr }: CliContext): CliContext['stdout'] => (stdout.isTTY ? stdout : stderr);

/** Sends the size of the terminal. */
export function sendWindow(context: CliContext, connection: Connection): void {
  const { rows = 0, columns = 0 } = terminalOf(context) as { rows?: number; columns?: number };
  if (rows > 0 && columns > 0) connection.send('w', `${rows} ${columns}`);
}

function followWindow(context: CliContext, connection: Connection): () => void {
  const send = (): void => sendWindow(context, connection);
  const terminal = terminalOf(context);
  terminal.on('resize', send);
  return () => void terminal.off('resize', send);
}

function passInput(
  { stdin, env }: CliContext,
  connection: Connection,
  { tty, detachKeys }: ConverseOptions,
  detach: () => void,
): () => void {
  const restore = tty && stdin.isTTY ? makeTerminalRaw(findHelper(env['TSBUILD_HELPER'] || undefined)) : undefined;
  const watch = tty && detachKeys !== undefined ? new DetachWatch(detachKeys) : undefined;
  const { socket } = connection;
  const goOn = (): void => void stdin.resume();
  const take = (piece: Buffer): void => {
    const data = watch === undefined ? piece : watch.take(piece);
    if (data === undefined) {
      detach();
      return;
    }
    if (data.length === 0 || connection.send('i', data)) return;
    stdin.pause();
    socket.once('drain', goOn);
  };
  const end = (): void => void connection.send('c');
  stdin.on('data', take);
  stdin.once('end', end);
  return () => {
    stdin.off('data', take);
    stdin.off('end', end);
    socket.off('drain', goOn);
    stdin.pause();
    restore?.();
  };
}
