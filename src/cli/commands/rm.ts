import { constants } from 'node:os';
import { existsSync } from 'node:fs';
import { type Container, isLive, isSupervised, stopContainer } from '../../containers/index.ts';
import { treeRemover } from '../../engine/index.ts';
import { isTsbuildError, TsbuildError } from '../../util/index.ts';
import { removeAnonymous } from '../containers/anonymous-volumes.ts';
import { parseContainerFilters } from '../containers/container-filters.ts';
import { parseTime } from '../options/time-option.ts';
import { type CliContext, print } from '../context.ts';
import { ask, isInteractive } from '../prompt.ts';
import { eachContainer, withContainers, type Work } from '../containers/each-container.ts';
import { sessionOptions } from '../session-options.ts';

/** Options of `rm`. */
export interface RmOptions {
  readonly force?: boolean;
  readonly volumes?: boolean;
}

/** `tsbuild rm` */
export async function rmCommand(context: CliContext, names: readonly string[], options: RmOptions): Promise<number> {
  return withContainers(context, async (work) => {
    const damaged = options.force ? await removeDamaged(context, work, names) : [];
    const others = names.filter((name) => !damaged.includes(name));
    // With --force, what is not there is as it should be.
    const wanted = options.force ? others.filter((name) => isThere(work, name)) : others;
    return eachContainer(context, work, wanted, async (container, name) => {
      await remove(context, work, container, options);
      return name;
    });
  });
}

/** Options of `container prune`. */
export interface PruneContainersOptions {
  readonly force?: boolean;
  readonly filter?: readonly string[];
}

/** `tsbuild container prune`: removes the containers that do not run, and prints their ids. */
export async function pruneContainersCommand(
  context: CliContext,
  { force = false, filter = [] }: PruneContainersOptions,
): Promise<number> {
  const until = filter
    .filter((text) => text.startsWith('until='))
    .map((text) => parseTime('--filter until', text.slice('until='.length), context.now()));
  const others = filter.filter((text) => !text.startsWith('until='));
  return withContainers(context, async (work) => {
    const { containers } = work;
    const test = parseContainerFilters(others, (name) => containers.find(name));
    const wanted: string[] = [];
    for (const container of containers.list()) {
      const state = await containers.state(container);
      const isOld = until.every((time) => container.record.created < time);
      if (!isLive(state) && isOld && test(container, state)) wanted.push(container.id);
    }
    if (!force && !(await isWanted(context, wanted.length))) return 0;
    return eachContainer(context, work, wanted, async (container, id) => {
      await remove(context, work, container, {});
      return id;
    });
  });
}

/** What containers have written is gone with them. @throws TsbuildError `TSB_USAGE` where nobody can be asked */
async function isWanted(context: CliContext, count: number): Promise<boolean> {
  if (!isInteractive(context))
    throw new TsbuildError('TSB_USAGE', 'This removes all containers that do not run, and there is nobody to ask', {
      hint: 'add --force to do it; "tsbuild ps -a" says which there are',
    });
  const answer = await ask(context, `Remove ${count} containers that do not run? [y/N] `, { secret: false });
  return /^y(?:es)?$/i.test(answer.trim());
}

function isThere({ containers }: Work, name: string): boolean {
  try {
    return containers.lookUp(name) !== undefined;
  } catch (error) {
    if (isTsbuildError(error)) return true;
    throw error;
  }
}

/** Removes what nobody can tell any more what it is. @returns the names of those */
async function removeDamaged(context: CliContext, work: Work, names: readonly string[]): Promise<readonly string[]> {
  const { session, containers, signal } = work;
  const removed: string[] = [];
  for (const name of names) {
    const id = containers.lookUpDamaged(name);
    if (id === undefined) continue;
    await containers.removeDamaged(id, treeRemover({ ...sessionOptions(context, signal), ...session.options }));
    await print(context, `${name}\n`);
    removed.push(name);
  }
  return removed;
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
