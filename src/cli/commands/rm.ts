import { constants } from 'node:os';
import { existsSync } from 'node:fs';
import { type Container, isSupervised, stopContainer } from '../../containers/index.ts';
import { treeRemover } from '../../engine/index.ts';
import { isTsbuildError, TsbuildError } from '../../util/index.ts';
import { removeAnonymous } from '../containers/anonymous-volumes.ts';
import type { CliContext } from '../context.ts';
import { eachContainer, withContainers, type Work } from '../containers/each-container.ts';
import { sessionOptions } from '../session-options.ts';

/** Options of `rm`. */
export interface RmOptions {
  readonly force?: boolean;
  readonly volumes?: boolean;
}

/** `tsbuild rm` */
export async function rmCommand(context: CliContext, names: readonly string[], options: RmOptions): Promise<number> {
  return withContainers(context, (work) => {
    // With --force, what is not there is as it should be.
    const wanted = options.force ? names.filter((name) => isThere(work, name)) : names;
    return eachContainer(context, work, wanted, async (container, name) => {
      await remove(context, work, container, options);
      return name;
    });
  });
}

function isThere({ containers }: Work, name: string): boolean {
  try {
    return containers.lookUp(name) !== undefined;
  } catch (error) {
    if (isTsbuildError(error)) return true;
    throw error;
  }
}

/** Removes a container with all that it has written. With `force` it is killed first where it runs. */
export async function remove(
  context: CliContext,
  work: Work,
  container: Container,
  { force, volumes }: RmOptions,
): Promise<void> {
  const { session, containers, signal } = work;
  if (force) {
    await stopContainer(container, { number: constants.signals.SIGKILL, seconds: 0, signal });
    signal.throwIfAborted();
  }
  await using _lock = await containers.lock(container, signal);
  // One that was made with --rm is gone with its end.
  if (!existsSync(container.directory)) return;
  if (await isSupervised(container))
    throw new TsbuildError('TSB_STEP', `Cannot remove container ${container.name}: it is running`, {
      hint: `stop it first ("tsbuild stop ${container.name}"), or add --force`,
    });
  await containers.remove(container, treeRemover({ ...sessionOptions(context, signal), ...session.options }));
  if (volumes) await removeAnonymous(context, session, container.record.step.mounts ?? [], container);
}
