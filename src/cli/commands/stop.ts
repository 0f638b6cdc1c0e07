import { type Container, isLive, parseSignal, request, stopContainer, stopSignalOf } from '../../containers/index.ts';
import { TsbuildError } from '../../util/index.ts';
import { parseSeconds } from '../options/container-request.ts';
import type { CliContext } from '../context.ts';
import { eachContainer, nameEach, withContainers, type Work } from '../containers/each-container.ts';
import { start } from './start.ts';

/** Options of `stop` and `restart`. */
export interface StopOptions {
  readonly signal?: string;
  readonly time?: string;
}

/** `tsbuild stop`: with nothing to do for what does not run. */
export async function stopCommand(
  context: CliContext,
  names: readonly string[],
  options: StopOptions,
): Promise<number> {
  return nameEach(context, names, (work, container) => stop(work, container, options));
}

/** Ends a container by its signal, and by SIGKILL after its time. */
export async function stop(work: Work, container: Container, options: StopOptions = {}): Promise<void> {
  const { record } = container;
  await stopContainer(container, {
    number: options.signal === undefined ? stopSignalOf(record) : parseSignal(options.signal),
    seconds: options.time === undefined ? record.stopTimeout : parseSeconds('--time', options.time),
    signal: work.signal,
  });
  work.signal.throwIfAborted();
  // What became of it is written by now, or has to be put right.
  await work.containers.state(container);
}

/** `tsbuild restart` */
export async function restartCommand(
  context: CliContext,
  names: readonly string[],
  options: StopOptions,
): Promise<number> {
  return nameEach(context, names, async (work, container) => {
    await stop(work, container, options);
    await start(work, container);
  });
}

/** `tsbuild kill`: an error for what does not run, as with docker. */
export async function killCommand(
  context: CliContext,
  names: readonly string[],
  options: { readonly signal: string },
): Promise<number> {
  const number = parseSignal(options.signal);
  return nameEach(context, names, async (work, container) => {
    const state = await work.containers.state(container);
    const end = isLive(state) ? await request(container, 'k', String(number), work.signal) : undefined;
    if (end === undefined || end.error !== undefined)
      throw new TsbuildError('TSB_STEP', `Cannot kill container ${container.name}: it is not running`);
  });
}

/** `tsbuild pause` and `unpause` */
export async function pauseCommand(context: CliContext, names: readonly string[], pause: boolean): Promise<number> {
  return nameEach(context, names, async (work, container) => {
    await work.containers.state(container);
    const end = await request(container, pause ? 'P' : 'U', '', work.signal);
    const why = end === undefined ? 'it is not running' : end.error?.message.replace(/^[^:]*: the container/, 'it');
    if (why !== undefined)
      throw new TsbuildError('TSB_STEP', `Cannot ${pause ? 'pause' : 'unpause'} container ${container.name}: ${why}`);
  });
}

/** `tsbuild wait`: the exit codes, in the order in which the containers were named. */
export async function waitCommand(context: CliContext, names: readonly string[]): Promise<number> {
  return withContainers(context, (work) =>
    eachContainer(context, work, names, async (container) => {
      const end = await request(container, 'W', '', work.signal);
      work.signal.throwIfAborted();
      return String(end?.exitCode ?? (await work.containers.state(container)).exitCode);
    }),
  );
}
