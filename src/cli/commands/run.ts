import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { resolve } from 'node:path';
import { Connection, Containers, type StartedSupervisor } from '../../containers/index.ts';
import {
  createContainer,
  type OpenImage,
  openImage,
  openSession,
  type ReadyContainer,
  type Session,
  startContainer,
} from '../../engine/index.ts';
import type { Task } from '../../events/index.ts';
import {
  formatPlatform,
  hostPlatform,
  type ImageConfig,
  parsePlatform,
  type Platform,
  runsOn,
} from '../../image/index.ts';
import { containerStreams, endOf, runContainer } from '../../runtime/index.ts';
import { findHelper, type HelperAhead, startAhead } from '../../sandbox/index.ts';
import { fromErrno, randomHostId, TsbuildError } from '../../util/index.ts';
import {
  networkReports,
  parseNetwork,
  publishedPorts,
  sharesNetworks,
  warnOfPorts,
  withDefaultNetwork,
} from '../options/container-network.ts';
import type { LifeOptions, ProcessOptions } from '../options/container-options.ts';
import { parseLife, parseProcess } from '../options/container-request.ts';
import { parseResources } from '../options/resource-options.ts';
import { codeOf } from '../containers/container-end.ts';
import { print, type CliContext } from '../context.ts';
import { parseDetachKeys } from '../options/detach-keys.ts';
import { converse, outputOf, sendWindow } from '../containers/converse.ts';
import { isolationOptions } from '../options/isolation-option.ts';
import { anonymousVolumes } from '../containers/anonymous-volumes.ts';
import { imageVolumes, parseMounts } from '../options/mount-options.ts';
import { findNetworks } from '../options/network-request.ts';
import { lateProgress } from '../building/late-progress.ts';
import type { pullFirst } from '../containers/pull-first.ts';
import { reportError } from '../report.ts';
import { sessionOptions } from '../session-options.ts';
import { warnWithoutMounts } from '../containers/without-mounts.ts';

/** Options of `run` as commander gives them. */
export interface RunOptions extends ProcessOptions, LifeOptions {
  readonly detach?: boolean;
  readonly waitHealthy?: boolean;
  readonly waitTimeout?: string;
  readonly detachKeys?: string;
  readonly sigProxy?: boolean;
  readonly quiet?: boolean;
}

/** `tsbuild run`: gives the container's exit code; 125 when it could not be started. */
export async function runCommand(
  context: CliContext,
  image: string,
  command: readonly string[],
  options: RunOptions,
): Promise<number> {
  if (options.waitHealthy && !options.detach)
    throw new TsbuildError('TSB_USAGE', 'Cannot use --wait-healthy without -d: nobody would wait', {
      hint: 'add -d',
    });
  // Before an image is looked for.
  parseDetachKeys(options.detachKeys);
  parseNetwork(options);
  parseLife(context, options, options.detach ?? false);
  parseResources(options);
  warnOfPorts(context, options);
  const controller = new AbortController();
  await using session = openRunSession(context, controller.signal, options);
  const progress = lateProgress(context, `preparing ${image}`, options.quiet);
  const task = { signal: controller.signal, events: progress.events };
  try {
    const platform = platformOf(options);
    if (options.pull === 'always') await pulled(session, task, image, platform);
    if (!isKept(options) && !sharesNetworks(options)) {
      using ahead = await startHelper(session, options);
      await using opened = await openImage(session, task, image, platform, context.cwd);
      requirePlatform(image, options, opened.runtime.config);
      await progress.close();
      return await runOnce(context, session, opened, command, options, ahead);
    }
    const ready = await make(context, session, task, image, command, asShared(options));
    await progress.close();
    return options.detach
      ? await runDetached(context, session, ready, options)
      : await runAttached(context, session, ready, options);
  } finally {
    await progress.close();
  }
}

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
    const { container } = await make(context, session, task, image, command, { ...options, detach: true });
    await print(context, `${container.id}\n`);
    return 0;
  } finally {
    await progress.close();
  }
}

function openRunSession(context: CliContext, signal: AbortSignal, options: LifeOptions & ProcessOptions): Session {
  return openSession({
    ...sessionOptions(context, signal),
    ...isolationOptions(options),
    ...(options.pull === 'never' ? { neverPull: true } : {}),
    leavesIndex: true,
  });
}

/** `--pull=always`, which few say: what it takes is loaded for them alone. */
async function pulled(...wanted: Parameters<typeof pullFirst>): Promise<void> {
  const { pullFirst: pull } = await import('../containers/pull-first.ts');
  await pull(...wanted);
}

function platformOf({ platform }: ProcessOptions): Platform {
  return platform === undefined ? hostPlatform() : parsePlatform(platform);
}

/** Images of one platform are found for all of them. @throws TsbuildError `TSB_USAGE` where another one was asked for */
function requirePlatform(image: string, { platform }: ProcessOptions, config: ImageConfig): void {
  if (platform === undefined || runsOn(config, parsePlatform(platform))) return;
  throw new TsbuildError(
    'TSB_USAGE',
    `Cannot run ${JSON.stringify(image)} for ${platform}: the image is for ${formatPlatform(config)}`,
    { hint: 'leave --platform out, or bring one for it: tsbuild pull --platform, tsbuild build --platform' },
  );
}

/**
 * Whether others may ask for the container: it runs in the background, or has a name of its own. One that nobody can ask for is gone when
 * it ends, and needs no supervisor: it cannot outlive the command.
 */
function isKept(options: RunOptions): boolean {
  return (
    options.detach === true ||
    [options.name, options.cidfile, options.restart, options.scope, options.detachKeys].some(
      (option) => option !== undefined,
    )
  );
}

/** In a network it is found by others, which takes a supervisor. Without a name it goes with its end all the same. */
function asShared(options: RunOptions): RunOptions {
  return !isKept(options) && sharesNetworks(options) ? { ...options, rm: true } : options;
}

/** Starts the helper of a container: it makes namespaces, for some 3 ms, while the image is looked for. */
async function startHelper(session: Session, options: RunOptions): Promise<HelperAhead | undefined> {
  if (parseNetwork(options).mode === 'isolated') return undefined;
  const plan = await session.plan();
  if (plan.steps === false) return undefined;
  const { interactive = false } = options;
  try {
    return startAhead({
      helperPath: findHelper(session.options.helper),
      plan,
      stdio: containerStreams({ interactive }),
    });
  } catch {
    // It is said of the container, for which it is tried again.
    return undefined;
  }
}

/** A container in the foreground that nobody else knows of. @param ahead its helper, if it has been started */
async function runOnce(
  context: CliContext,
  session: Session,
  opened: OpenImage,
  command: readonly string[],
  options: RunOptions,
  ahead: HelperAhead | undefined,
): Promise<number> {
  const mounts = [...(await parseMounts(session, context.cwd, options))];
  await using _volumes = anonymousVolumes(context, session, mounts);
  mounts.push(...(await imageVolumes(session, opened.runtime.config, mounts)));
  warnWithoutMounts(context, await session.plan(), options, opened.runtime.config);
  const process = await parseProcess(context, command, options, mounts);
  const { mac } = parseNetwork(options);
  const end = await runContainer({
    ...opened.runtime,
    ...process,
    ...(options.sigProxy === false ? { attendsSignals: false } : {}),
    limiter: session.limiter,
    ports: publishedPorts(options, opened.runtime.config.config.ExposedPorts),
    ...(mac === undefined ? {} : { mac }),
    ...networkReports(context),
    hostname: process.hostname || randomHostId(6),
    cwd: context.cwd,
    ...(ahead === undefined ? {} : { ahead }),
  });
  if (end.error) await reportError(context, end.error);
  return end.exitCode;
}

async function make(
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
  const process = await parseProcess(context, command, options, mounts);
  const { host, ...networks } = await findNetworks(session, withDefaultNetwork(options));
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
    process: { ...process, ...(host ? { network: 'host' } : {}), ...(options.detach ? { detached: true } : {}) },
    life: (config) => {
      const ports = publishedPorts(options, config.config.ExposedPorts);
      return { ...life(config), ...networks, ...(ports.length === 0 ? {} : { ports }) };
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

/** A container that others may ask for, in the foreground. */
async function runAttached(
  context: CliContext,
  session: Session,
  ready: ReadyContainer,
  options: RunOptions,
): Promise<number> {
  const detachKeys = parseDetachKeys(options.detachKeys);
  const { container } = ready;
  const { tty = false, stdin = false } = container.record.step;
  const supervisor = await startOrRemove(context, session, ready, options, true);
  const write = outputOf(context);
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
  if (outcome.detached) return 0;
  return await codeOf(context, outcome.end);
}
