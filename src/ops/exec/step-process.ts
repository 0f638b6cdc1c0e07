import type { Platform } from '../../image/index.ts';
import type { ExecOp } from '../../llb/index.ts';
import { type ExitStatus, foreignFailure, type StepSpec } from '../../sandbox/index.ts';
import { fullDiskHint } from '../../store/index.ts';
import { type Digest, TsbuildError } from '../../util/index.ts';
import { type Task, withinTime } from '../../events/index.ts';
import type { PrepareUpperParams, StepProgress } from '../../worker/index.ts';
import type { ExecPieces } from './exec-pieces.ts';
import { ranTooLong } from './step-deadline.ts';
import { HeldStep } from './step-limits.ts';
import { StepOutput } from '../step-output.ts';

/**
 * Runs the step; what it prints becomes events.
 * @throws TsbuildError `TSB_STEP` when it ends otherwise than the op allows
 */
export async function runStep(
  pieces: ExecPieces,
  task: Task,
  vertex: Digest,
  exec: ExecOp,
  platform: Platform,
  spec: StepSpec,
  uppers: readonly PrepareUpperParams[],
): Promise<void> {
  const worker = await pieces.snapshots.worker();
  const output = new StepOutput(pieces, task, vertex);
  const said: Uint8Array[] = [];
  const command = exec.meta.args.join(' ');
  await using held = new HeldStep(pieces.limits, vertex, spec);
  const status = await withinTime(
    task,
    pieces.timeLimit(vertex),
    (ms) => ranTooLong(command, ms),
    ({ signal }) =>
      worker.call(
        'runStep',
        { ...held.within(spec), uppers },
        {
          signal,
          onOutput: (stream, data) => {
            said.push(data);
            if (said.length > LAST_CHUNKS) said.shift();
            output.write(stream, data);
          },
          onProgress: (progress) => {
            const usage = held.used(progress as StepProgress);
            task.events({ type: 'usage', vertex, usage, at: pieces.report.now() });
          },
        },
      ),
  );
  output.end();
  if (
    status.kind === 'exited' &&
    (exec.meta.validExitCodes.length > 0 ? exec.meta.validExitCodes : [0]).includes(status.code)
  ) {
    const survived = held.survived(command);
    if (survived !== undefined) pieces.report.warn(survived);
    return;
  }
  const foreign = foreignFailure(pieces.emulation, platform, spec.emulator, status);
  if (foreign) throw foreign;
  const text = Buffer.concat(said).subarray(-65_536).toString('latin1');
  const memory = held.outOfMemory(status, text);
  const failure = `process ${JSON.stringify(command)} did not complete successfully: ${describeStatus(status)}`;
  if (memory) throw new TsbuildError('TSB_STEP', `${failure}: ${memory.text}`, { hint: memory.hint });
  throw new TsbuildError('TSB_STEP', failure, hitProcessLimit(text) ? processLimitHint(spec) : noSpaceHint(pieces));
}

/** Most programs only say that they could not write, and not what to do. */
function noSpaceHint({ snapshots }: ExecPieces): { readonly hint?: string; readonly cause?: TsbuildError } {
  const hint = fullDiskHint(snapshots.store.root);
  // The cause is for who can make room, and try again.
  return hint === undefined ? {} : { hint, cause: new TsbuildError('TSB_NO_SPACE', 'The disk of the store is full') };
}

/** Pieces of output that are kept for what they say of a failure. */
const LAST_CHUNKS = 4;

/** The kernel tells nobody but the process whose fork failed; all that can be seen of it is what that process says. */
function hitProcessLimit(text: string): boolean {
  return /(fork|thread|process|exec|spawn).{0,80}(resource temporarily unavailable|try again|EAGAIN)|can.?(no)?t fork/i.test(
    text,
  );
}

function processLimitHint({ processLimit, ulimits }: StepSpec): { readonly hint?: string } {
  if (!processLimit || ulimits?.some(({ name }) => name === 'nproc')) return {};
  return {
    hint: `the step may have ${processLimit} processes at a time: --pids-limit NUMBER sets another limit, --pids-limit -1 none`,
  };
}

/** How a step ended, in BuildKit's words for an exit code. */
function describeStatus(status: ExitStatus): string {
  switch (status.kind) {
    case 'exited':
      return `exit code: ${status.code}`;
    case 'signaled':
      return `it was ended by signal ${status.signal}`;
    case 'not-executed':
      return status.errno === 'ENOENT'
        ? `"${status.path}" was not found in the image`
        : `"${status.path}" cannot be executed (${status.errno})`;
  }
}
