import type { Readable } from 'node:stream';
import { constants } from 'node:os';
import type { StepUsage } from '../events/index.ts';
import { TsbuildError } from '../util/index.ts';
import type { StepServer } from './step-server.ts';
import type { StepServers } from './step-servers.ts';
import { concludeStep, readStatusLine, type StepReport } from './step-status.ts';
import type { ExitStatus } from './types.ts';

/** A step that was encoded for the helper. */
export interface RunStepOptions {
  readonly servers: StepServers;
  /** Output of `encodeStep`. */
  readonly encoded: Uint8Array;
  readonly signal?: AbortSignal;
  /** Takes output; reading stops until the promise, if any, is resolved. */
  readonly onOutput: (stream: 1 | 2, data: Buffer) => Promise<void> | undefined;
  /** See `StepReport`. */
  readonly onBoundProc?: () => void;
  /** Told what the step used, before it is over. @param filesInMemory see `StepReport` */
  readonly onUsage?: (usage: StepUsage, filesInMemory: number | undefined) => void;
}

/**
 * Runs one step from inside namespace A. Resolves with any end of the step.
 * @throws TsbuildError `TSB_SANDBOX` or `TSB_STEP` when it could not be set up, `TSB_CANCELED` when aborted
 */
export async function runStep(options: RunStepOptions): Promise<ExitStatus> {
  const { signal, servers } = options;
  if (signal?.aborted) throw canceled(signal);
  const report: StepReport = options.onBoundProc ? { onBoundProc: options.onBoundProc } : {};
  const server = servers.take();
  const abort = (): void => killStep(server, report);
  signal?.addEventListener('abort', abort);
  try {
    const { code, said } = await new Promise<{ readonly code: number | null; readonly said: string }>(
      (resolve, reject) => {
        server.start(options.encoded, {
          onOutput: options.onOutput,
          onStatus: (line) => readStatusLine(report, line),
          onEnd: (code, said) => resolve({ code, said }),
          onError: (cause) =>
            reject(new TsbuildError('TSB_SANDBOX', `Cannot start the sandbox helper: ${cause.message}`, { cause })),
        });
      },
    );
    // A helper that somebody killed cannot have ended a step that shed its parent-death signal.
    if (report.status === undefined && report.pid !== undefined && code === null) killPid(report.pid);
    if (report.usage) options.onUsage?.(report.usage, report.filesInMemory);
    if (signal?.aborted) throw canceled(signal);
    return concludeStep(report, code, said);
  } finally {
    signal?.removeEventListener('abort', abort);
    servers.giveBack(server);
  }
}

/** PID 1 of the step takes everything in its pid namespace with it; the helper then cleans up and reports. */
function killStep(server: StepServer, report: StepReport): void {
  if (report.status !== undefined) return;
  if (report.pid === undefined) server.kill();
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
