import { lateProgress } from '../building/late-progress.ts';
import { openRunSession, platformOf, pulled, type RunOptions } from '../containers/run-session.ts';
import { type CliContext, print } from '../context.ts';
import type { LifeOptions, ProcessOptions } from '../options/container-options.ts';
import { makeContainer } from './run-kept.ts';

/** `tsbuild create`: makes a container and starts nothing. */
export async function createCommand(
  context: CliContext,
  image: string,
  command: readonly string[],
  options: ProcessOptions & LifeOptions & Pick<RunOptions, 'quiet'>,
): Promise<number> {
  const controller = new AbortController();
  await using session = openRunSession(context, controller.signal, options);
  const progress = lateProgress(context, `preparing ${image}`, options.quiet);
  try {
    const task = { signal: controller.signal, events: progress.events };
    if (options.pull === 'always') await pulled(session, task, image, platformOf(options));
    const { container } = await makeContainer(context, session, task, image, command, {
      ...options,
      attach: options.attach ?? ['stdout', 'stderr'],
      detach: true,
    });
    await print(context, `${container.id}\n`);
    return 0;
  } finally {
    await progress.close();
  }
}
