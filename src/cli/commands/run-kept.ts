import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { constants } from 'node:os';
import { resolve } from 'node:path';
import { Connection, Containers, type StartedSupervisor, stopContainer } from '../../containers/index.ts';
import { createContainer, type ReadyContainer, type Session, startContainer } from '../../engine/index.ts';
import type { Task } from '../../events/index.ts';
import { portName } from '../../network/index.ts';
import { endOf } from '../../runtime/index.ts';
import { fromErrno, TsbuildError } from '../../util/index.ts';
import { anonymousVolumes } from '../containers/anonymous-volumes.ts';
import { codeOf } from '../containers/container-end.ts';
import { converse, outputOf, sendWindow } from '../containers/converse.ts';
import { hintOfForeignMounts } from '../containers/foreign-mounts.ts';
import { platformOf, requirePlatform, type RunOptions, withDevices } from '../containers/run-session.ts';
import { type CliContext, print } from '../context.ts';
import { networkReports, parseExpose, publishedPorts, withDefaultNetwork } from '../options/container-network.ts';
import { parseAttach } from '../options/attach-option.ts';
import { parseLife, parseProcess } from '../options/container-request.ts';
import { parseDetachKeys } from '../options/detach-keys.ts';
import { findNetworks } from '../options/find-networks.ts';
import { findShares } from '../options/find-shares.ts';
import { imageVolumes, parseMounts } from '../options/mount-options.ts';
import { reportError } from '../report.ts';

/**
 * Runs a container that has a supervisor: it was made with `makeContainer`.
 * @param isKept whether others may ask for it; one that nobody knows of does not outlive the command
 */
export function runKept(
  context: CliContext,
  session: Session,
  ready: ReadyContainer,
  options: RunOptions,
  isKept: boolean,
): Promise<number> {
  if (options.detach) return runDetached(context, session, ready, options);
  return runAttached(context, session, ready, options, isKept);
}

/** Makes a container of an image, and starts nothing. @throws TsbuildError */
export async function makeContainer(
  context: CliContext,
  session: Session,
  task: Task,
  image: string,
  command: readonly string[],
  options: RunOptions,
): Promise<ReadyContainer> {
  const life = parseLife(context, options, options.detach ?? false);
  using idFile = takeIdFile(context, options.cidfile);
  const mounts = [...(await parseMounts(session, context.cwd, options))];
  await using volumes = anonymousVolumes(context, session, mounts);
  const process = await withDevices(session, await parseProcess(context, command, options, mounts), options);
  const { host, hostname, ...networks } = await findNetworks(session, withDefaultNetwork(options));
  const shares = findShares(session, options);
  const ready = await createContainer(session, task, image, {
    platform: platformOf(options),
    cwd: context.cwd,
    imageMounts: async (config) => {
      requirePlatform(image, options, config);
      const own = await imageVolumes(session, config, mounts);
      // These go, too, when the container does not come to be.
      mounts.push(...own);
      return own;
    },
    process: {
      ...process,
      ...shares.process,
      ...(host ? { network: 'host' } : {}),
      ...(hostname === undefined ? {} : { hostname }),
      ...(options.detach ? { detached: true } : {}),
    },
    life: (config) => {
      const ports = publishedPorts(options, config.config.ExposedPorts);
      const exposed = parseExpose(options.expose).map(portName);
      return {
        ...life(config),
        ...networks,
        ...shares.record,
        ...(ports.length === 0 ? {} : { ports }),
        ...(exposed.length === 0 ? {} : { exposed }),
      };
    },
    ...(options.name === undefined ? {} : { name: options.name }),
  });
  idFile.write(ready.container.id);
  volumes.keep();
  return ready;
}

/** `--cidfile`: taken before anything is made, so that two commands cannot both have it. */
function takeIdFile(context: CliContext, name: string | undefined): Disposable & { write(id: string): void } {
  if (name === undefined) return { write: () => undefined, [Symbol.dispose]: () => undefined };
  const path = resolve(context.cwd, name);
  let fd: number;
  try {
    fd = openSync(path, 'wx', 0o666);
  } catch (error) {
    throw fromErrno(error, `Cannot make --cidfile ${JSON.stringify(name)}`, 'TSB_USAGE', {
      hints: { EEXIST: 'remove it, or the container that it names' },
    });
  }
  let written = false;
  return {
    write: (id) => {
      writeSync(fd, id);
      written = true;
    },
    [Symbol.dispose]: () => {
      closeSync(fd);
      if (!written) rmSync(path, { force: true });
    },
  };
}

/**
 * Starts a container that was just made. One that gets no supervisor, since a port or an address is in use or a network cannot be had, is removed: the
 * same command can be typed again.
 */
async function startOrRemove(
  context: CliContext,
  session: Session,
  ready: ReadyContainer,
  { cidfile }: RunOptions,
  waitForClient = false,
): Promise<StartedSupervisor | undefined> {
  try {
    return await startContainer(session, ready, { waitForClient, ...networkReports(context) });
  } catch (error) {
    const { remove } = await import('./rm.ts');
    const work = { session, containers: new Containers(session.store), signal: new AbortController().signal };
    await remove(context, work, ready.container, { volumes: true });
    if (cidfile !== undefined) rmSync(resolve(context.cwd, cidfile), { force: true });
    throw error;
  }
}

async function runDetached(
  context: CliContext,
  session: Session,
  ready: ReadyContainer,
  options: RunOptions,
): Promise<number> {
  const { waitHealthy: healthy, waitTimeout } = options;
  const supervisor = await startOrRemove(context, session, ready, options);
  const failed = await supervisor?.started;
  if (failed !== undefined) {
    const { exitCode, error } = endOf(failed);
    await reportError(context, error);
    return exitCode;
  }
  if (healthy) await (await import('../containers/wait-healthy.ts')).waitHealthy(context, ready.container, waitTimeout);
  await print(context, `${ready.container.id}\n`);
  return 0;
}

/** In the foreground. */
async function runAttached(
  context: CliContext,
  session: Session,
  ready: ReadyContainer,
  options: RunOptions,
  isKept: boolean,
): Promise<number> {
  const detachKeys = parseDetachKeys(options.detachKeys);
  const { container } = ready;
  const { tty = false, stdin = false } = container.record.step;
  const supervisor = await startOrRemove(context, session, ready, options, true);
  const write = outputOf(context, parseAttach(options));
  const connection = await Connection.open(container.directory, {
    onOutput: (stream, data) => connection && write(stream, data, connection),
  });
  if (connection === undefined) {
    await supervisor?.started;
    throw new TsbuildError('TSB_SANDBOX', `Cannot attach to container ${container.name}: its supervisor has gone`);
  }
  using _connection = connection;
  if (tty) sendWindow(context, connection);
  const how = { attach: true, tty, input: stdin, signals: options.sigProxy !== false, detachKeys };
  const outcome = await converse(context, connection, how);
  // What is printed can be written no more, and nothing could end it afterwards.
  if (connection.isGivenUp && !isKept)
    await stopContainer(container, { seconds: 0, number: constants.signals.SIGKILL });
  if (outcome.detached) return 0;
  const code = await codeOf(context, outcome.end);
  hintOfForeignMounts(context, await session.plan(), container.record.step.mounts, code);
  return code;
}
