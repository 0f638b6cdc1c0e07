import { type ChildProcess, spawn } from 'node:child_process';
import type { Duplex, Readable } from 'node:stream';
import { constants } from 'node:os';
import { TsbuildError } from '../util/index.ts';
import { concludeStep, readStatusLine, type StepReport } from './step-status.ts';
import type { ExitStatus } from './types.ts';

/** A step that was encoded for the helper. */
export interface RunStepOptions {
  readonly helperPath: string;
  /** Output of `encodeStep`. */
  readonly encoded: Uint8Array;
  readonly signal?: AbortSignal;
  /** Takes output; reading stops until the promise, if any, is resolved. */
  readonly onOutput: (stream: 1 | 2, data: Buffer) => Promise<void> | undefined;
  /** See `StepReport`. */
  readonly onBoundProc?: () => void;
}

/**
 * Runs one step from inside namespace A. Resolves with any end of the step.
 * @throws TsbuildError `TSB_SANDBOX` or `TSB_STEP` when it could not be set up, `TSB_CANCELED` when aborted
 */
export async function runStep(options: RunStepOptions): Promise<ExitStatus> {
  const { signal } = options;
  if (signal?.aborted) throw canceled(signal);
  const child = spawn(options.helperPath, ['step', '--parent', String(process.pid)], {
    // The step's environment is in its description; the helper needs none.
    env: {},
    stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'],
  });
  const report: StepReport = options.onBoundProc ? { onBoundProc: options.onBoundProc } : {};
  const abort = (): void => killStep(child, report);
  signal?.addEventListener('abort', abort);
  try {
    const exit = new Promise<number | null>((resolve, reject) => {
      child.once('error', (cause) => {
        reject(new TsbuildError('TSB_SANDBOX', `Cannot start the sandbox helper: ${cause.message}`, { cause }));
      });
      child.once('close', (code) => resolve(code));
    });
    const spec = child.stdio[3] as Duplex;
    // A helper that fails early closes its end; what it says about it comes as status.
    spec.on('error', () => undefined);
    spec.end(options.encoded);
    readLines(child.stdio[4] as Duplex, (line) => readStatusLine(report, line));
    if (child.stdout) forward(child.stdout, (data) => options.onOutput(1, data));
    if (child.stderr) forward(child.stderr, (data) => options.onOutput(2, data));
    const code = await exit;
    // A helper that somebody killed cannot have ended a step that shed its parent-death signal.
    if (report.status === undefined && report.pid !== undefined && code === null) killPid(report.pid);
    if (signal?.aborted) throw canceled(signal);
    return concludeStep(report, code);
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}

/** PID 1 of the step takes everything in its pid namespace with it; the helper then cleans up and reports. */
function killStep(child: ChildProcess, report: StepReport): void {
  if (child.exitCode !== null || child.signalCode !== null) return;
  if (report.pid === undefined) child.kill('SIGKILL');
  else killPid(report.pid);
}

function killPid(pid: number): void {
  try {
    process.kill(pid, constants.signals.SIGKILL);
  } catch {
    // it is gone
  }
}

function canceled(signal: AbortSignal): TsbuildError {
  return new TsbuildError('TSB_CANCELED', 'The step was canceled', { cause: signal.reason });
}

function forward(stream: Readable, take: (data: Buffer) => Promise<void> | undefined): void {
  stream.on('data', (data: Buffer) => {
    const wait = take(data);
    if (wait === undefined) return;
    stream.pause();
    void wait.finally(() => stream.resume());
  });
  stream.on('error', () => undefined);
}

/** Calls `take` for every line of a stream. */
export function readLines(stream: Readable, take: (line: string) => void): void {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) take(line);
  });
  stream.on('error', () => undefined);
}
