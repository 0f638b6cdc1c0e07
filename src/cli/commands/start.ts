import { Connection, type Container, readState, isLive, isSupervised } from '../../containers/index.ts';
import { readyContainer, startContainer } from '../../engine/index.ts';
import { endOf } from '../../runtime/index.ts';
import { TsbuildError } from '../../util/index.ts';
import { codeOf } from '../containers/container-end.ts';
import type { CliContext } from '../context.ts';
import { converse, outputOf, sendWindow } from '../containers/converse.ts';
import { parseDetachKeys } from '../options/detach-keys.ts';
import { eachContainer, withContainers, type Work } from '../containers/each-container.ts';

/** Options of `start`. */
export interface StartOptions {
  readonly attach?: boolean;
  readonly interactive?: boolean;
  readonly detachKeys?: string;
}

/** `tsbuild start` */
export async function startCommand(
  context: CliContext,
  names: readonly string[],
  options: StartOptions,
): Promise<number> {
  return withContainers(context, async (work) => {
    if (!options.attach && !options.interactive)
      return eachContainer(context, work, names, async (container, name) => {
        await start(work, container);
        return name;
      });
    if (names.length > 1)
      throw new TsbuildError('TSB_USAGE', 'Cannot attach to several containers: start them without -a and -i');
    const container = work.containers.find(names[0] ?? '');
    return startAttached(context, work, container, options);
  });
}

/** Starts a container unless it runs. @throws TsbuildError when its program cannot be run */
export async function start({ session, containers, signal }: Work, container: Container): Promise<void> {
  const state = await containers.state(container);
  if (state.status === 'paused')
    throw new TsbuildError('TSB_STEP', `Cannot start ${container.name}: it is paused`, {
      hint: `go on with it: tsbuild unpause ${container.name}`,
    });
  if (isLive(state)) return;
  const ready = await readyContainer(session, { signal, events: () => undefined }, container);
  const supervisor = await startContainer(session, ready);
  const failed = await supervisor?.started;
  if (failed === undefined) return;
  const { error } = endOf(failed);
  throw new TsbuildError('TSB_STEP', `Cannot start ${container.name}: ${error?.message ?? 'its program ended'}`);
}

async function startAttached(
  context: CliContext,
  { session, signal }: Work,
  container: Container,
  { interactive = false, ...options }: StartOptions,
): Promise<number> {
  const detachKeys = parseDetachKeys(options.detachKeys);
  const { tty = false, stdin = false } = container.record.step;
  if (!isLive(readState(container.directory)) || !(await isSupervised(container)))
    await startContainer(session, await readyContainer(session, { signal, events: () => undefined }, container), {
      waitForClient: true,
    });
  const write = outputOf(context);
  const connection = await Connection.open(container.directory, {
    onOutput: (stream, data) => connection && write(stream, data, connection),
  });
  if (connection === undefined)
    throw new TsbuildError('TSB_SANDBOX', `Cannot attach to container ${container.name}: it has ended already`);
  using _connection = connection;
  if (tty) sendWindow(context, connection);
  const input = interactive && stdin;
  const outcome = await converse(context, connection, { attach: true, tty, input, signals: true, detachKeys });
  return outcome.detached ? 0 : await codeOf(context, outcome.end);
}
