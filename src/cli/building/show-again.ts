import { checkOutput } from '../../exporter/index.ts';
import type { RecalledBuild, WrittenImage } from '../../recall/index.ts';
import { allCachedText, type Task, type VertexState } from '../../events/index.ts';
import type { Store } from '../../store/index.ts';
import { messageOf } from '../../util/index.ts';
import { type CliContext, interruptible, lateStdout } from '../context.ts';
import { type BuildOptions, reportFailure, reportResult, reportWarnings, startProgress } from './build-display.ts';

/**
 * Shows what a build showed when it last took everything from the cache, writes its archives and layouts again and pushes what it
 * pushed, each while what exported it is shown. What fails is said as by the build itself.
 * @returns the exit code
 * @throws TsbuildError `TSB_USAGE`, `TSB_NOT_FOUND` when an output cannot be written at all
 */
export async function showAgain(
  context: CliContext,
  options: BuildOptions,
  store: Store,
  build: RecalledBuild,
): Promise<number> {
  const { events, images, metadata } = build;
  const stdout = lateStdout(context);
  // That there is one platform only for type=docker was seen when it was first built.
  for (const { to } of images) if (to.type !== 'registry') checkOutput(to, stdout, 1);
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
      await writeAgain(context, store, task, written, build);
    }
    show(events.length);
    await close();
    await reportResult(
      context,
      options,
      metadata,
      images.some(({ to }) => 'dest' in to && to.dest === '-'),
    );
    reportWarnings(context, progress, options);
    if (options.explain && progress.mode !== 'rawjson') {
      const cached = events.filter((event) => event.type === 'vertex' && event.state === 'cached');
      context.stderr.write(`\n${allCachedText(cached.length)}`);
    }
    return 0;
  } catch (error) {
    await close();
    return reportFailure(context, interrupt, error, {});
  }
}

async function writeAgain(
  context: CliContext,
  store: Store,
  task: Task,
  { before, to, image }: WrittenImage,
  { events, blobs }: RecalledBuild,
): Promise<void> {
  try {
    if (to.type === 'registry') {
      const { pushAgain } = await import('./push-again.ts');
      await pushAgain(context, store, task, to, image, blobs);
    } else {
      const { writeImage } = await import('../../exporter/index.ts');
      await writeImage(task, to, image, { blobs, stdout: lateStdout(context) });
    }
  } catch (error) {
    const done = events[before];
    const state: VertexState = task.signal.aborted ? 'canceled' : 'failed';
    if (done?.type === 'vertex') task.events({ ...done, state, error: messageOf(error), at: context.now() });
    throw error;
  }
}
