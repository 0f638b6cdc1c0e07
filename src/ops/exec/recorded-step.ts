import type { Task } from '../../events/index.ts';
import type { StepRecording } from '../../recording/index.ts';
import type { StepSpec } from '../../sandbox/index.ts';
import type { Digest } from '../../util/index.ts';
import type { ExecPieces } from './exec-pieces.ts';
import type { RecordedSteps } from './recorded-steps.ts';

/** What of a recorded network a step's cache key has; undefined for steps without one. */
export function recordedKey(
  steps: RecordedSteps | undefined,
  vertex: Digest,
  name: string,
): readonly string[] | undefined {
  const mode = steps?.modeOf(vertex);
  return mode && steps?.recording.key(mode, name);
}

/** Opens the recorded network of a step, until it has ended; undefined for steps without one. */
export async function openRecorded(
  { recorded }: Pick<ExecPieces, 'recorded'>,
  task: Task,
  held: AsyncDisposableStack,
  vertex: Digest,
  name: string,
): Promise<StepRecording | undefined> {
  const mode = recorded?.modeOf(vertex);
  return mode && recorded && held.use(await recorded.recording.open(task, mode, name));
}

/** The step in its recorded network. */
export async function withRecorded(
  { snapshots }: Pick<ExecPieces, 'snapshots'>,
  task: Task,
  recording: StepRecording | undefined,
  spec: StepSpec,
): Promise<StepSpec> {
  if (recording === undefined) return spec;
  const worker = await snapshots.worker();
  return recording.within(spec, (path, maxBytes) =>
    worker.call('readFile', { layers: spec.lowers, path, maxBytes }, { signal: task.signal }),
  );
}

/**
 * Runs a step to its end.
 * @throws TsbuildError as `run`, with what the network has to do with it; and for what the step cannot have got over
 */
export async function runRecorded(
  { report }: Pick<ExecPieces, 'report'>,
  recording: StepRecording | undefined,
  name: string,
  run: () => Promise<void>,
): Promise<void> {
  if (recording === undefined) return run();
  try {
    await run();
  } catch (error) {
    throw recording.explain(error);
  }
  const warning = await recording.finish();
  if (warning !== undefined) report.warn(`${name}: ${warning}`);
}
