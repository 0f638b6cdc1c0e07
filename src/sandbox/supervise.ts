import { spawn } from 'node:child_process';
import type { Duplex } from 'node:stream';
import { TsbuildError } from '../util/index.ts';
import { encodeFields } from './encode-step.ts';
import { readLines } from './run-step.ts';
import { concludeStep, readStatusLine, type StepReport } from './step-status.ts';

/** A container that others start programs in, from inside namespace A. */
export interface SuperviseOptions {
  readonly helperPath: string;
  /** An empty one, which gets a socket: frames go through it as for any supervisor (docs/dev/containers.md). */
  readonly directory: string;
  /** Output of `encodeStep`: its first program, which starts when somebody is attached. */
  readonly encoded: Uint8Array;
  /** Ends everything at once. */
  readonly signal: AbortSignal;
  readonly onBoundProc?: () => void;
  /** Told when clients can connect, and when the first program runs. */
  readonly onTold: (what: 'listening' | 'ran') => void;
}

/**
 * Has a supervisor of its own stay with a container until that has ended (native/src/contain.c). It keeps no log, and ends with this process.
 * Returns when nothing of it is left; how the program ended is told to who is attached.
 * @throws TsbuildError `TSB_SANDBOX` when there was no supervisor, `TSB_CANCELED` when aborted
 */
export async function supervise(options: SuperviseOptions): Promise<void> {
  const { helperPath, directory, encoded, signal, onBoundProc, onTold } = options;
  if (signal.aborted) throw canceled(signal);
  const child = spawn(helperPath, ['contain'], { env: {}, stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'] });
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-4000);
  });
  const description = child.stdio[3] as Duplex;
  description.on('error', () => undefined);
  description.end(
    Buffer.concat([
      encodeFields([
        ['directory', directory],
        ['wait-for-client', true],
        ['log-files', 0],
      ]),
      encoded,
    ]),
  );
  const report: StepReport = onBoundProc ? { onBoundProc } : {};
  let listened = false;
  readLines(child.stdio[4] as Duplex, (line) => {
    if (line === 'listening') listened = true;
    if (line === 'listening' || line === 'ran') onTold(line);
    else readStatusLine(report, line);
  });
  const kill = (): void => void child.kill('SIGKILL');
  signal.addEventListener('abort', kill);
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('error', (cause) =>
        reject(new TsbuildError('TSB_SANDBOX', `Cannot start the sandbox helper: ${cause.message}`, { cause })),
      );
      child.once('close', resolve);
    });
    if (signal.aborted) throw canceled(signal);
    // Before that, nobody could be told of it in another way.
    if (!listened) concludeStep(report, code, said);
  } finally {
    signal.removeEventListener('abort', kill);
  }
}

function canceled(signal: AbortSignal): TsbuildError {
  return new TsbuildError('TSB_CANCELED', 'The container was ended', { cause: signal.reason });
}
