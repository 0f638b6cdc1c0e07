import { checkOutput } from '../../exporter/index.ts';
import type { RecalledBuild, WrittenImage } from '../../recall/index.ts';
import type { Task, VertexState } from '../../events/index.ts';
import { messageOf } from '../../util/index.ts';
import { type CliContext, interruptible, lateStdout } from '../context.ts';
import { type BuildOptions, reportFailure, reportResult, reportWarnings, startProgress } from './build-display.ts';

/**
 * Shows what a build showed when it last took everything from the cache, and writes its archives and layouts again, each while what
 * exported it is shown. What fails is said as by the build itself.
 * @returns the exit code
 * @throws TsbuildError `TSB_USAGE`, `TSB_NOT_FOUND` when an output cannot be written at all
 */
export async function showAgain(context: CliContext, options: BuildOptions, build: RecalledBuild): Promise<number> {
  const { events, images, metadata } = build;
  const stdout = lateStdout(context);
  // That there is one platform only for type=docker was seen when it was first built.
  for (const { file } of images) checkOutput(file, stdout, 1);
  using interrupt = interruptible();
  const progress = startProgress(context, options);
  const task: Task = { signal: interrupt.signal, events: (event) => progress.events(event) };
  let shown = 0;
  const show = (end: number): void => {
    const at = context.now();
    for (const event of events.slice(shown, end)) task.events({ ...event, at });
    shown = end;
  };
  let closed = false;
  const close = async (): Promise<void> => {
    if (!closed) await progress.close();
    closed = true;
  };
  try {
    for (const written of images) {
      show(written.before);
      await writeAgain(context, task, written, build);
    }
    show(events.length);
    await close();
    reportWarnings(context, progress, options);
    await reportResult(
      context,
      options,
      metadata,
      images.some(({ file }) => file.dest === '-'),
    );
    return 0;
  } catch (error) {
    await close();
    return reportFailure(context, interrupt, error, {});
  }
}

async function writeAgain(
  context: CliContext,
  task: Task,
  { before, file, image }: WrittenImage,
  { events, blobs }: RecalledBuild,
): Promise<void> {
  try {
    const { writeImage } = await import('../../exporter/index.ts');
    await writeImage(task, file, image, { blobs, stdout: lateStdout(context) });
  } catch (error) {
    const done = events[before];
    const state: VertexState = task.signal.aborted ? 'canceled' : 'failed';
    if (done?.type === 'vertex') task.events({ ...done, state, error: messageOf(error), at: context.now() });
    throw error;
  }
}
