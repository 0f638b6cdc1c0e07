import { setTimeout as sleep } from 'node:timers/promises';
import { type Container, Containers, readState, request, stepToHold } from '../../containers/index.ts';
import type { Task } from '../../events/index.ts';
import { encodeStep, findHelper, findSeccompFilter, type NamespacePlan, runAlone } from '../../sandbox/index.ts';
import { TsbuildError } from '../../util/index.ts';
import type { StartWorkerOptions, WorkerClient } from '../../worker/index.ts';
import { readyContainer } from './containers.ts';
import { seccompDirectory, workerEntry } from '../paths.ts';
import type { Session } from '../session.ts';

/** The root of a container, and a worker that has it open. Dispose it: nothing of it stays. */
export interface OpenContainer extends AsyncDisposable {
  readonly worker: WorkerClient;
}

/** How often a container may end while it is opened: one that is started again and again is opened between two ends. */
const TRIES = 5;

/** ms; within these a supervisor has noticed the end of its container. */
const END_MS = 100;

/**
 * Opens the files of a container, with all that is mounted in it. Of one that runs, through its first process; of another one the root is
 * made as for a start, and nothing is executed in it.
 * @param streams what the worker has as standard input and output
 * @throws TsbuildError `TSB_SANDBOX`
 */
export async function openContainer(
  session: Session,
  task: Task,
  container: Container,
  streams: NonNullable<StartWorkerOptions['streams']>,
): Promise<OpenContainer> {
  const containers = new Containers(session.store);
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const { status, pid } = await containers.state(container);
    const opened =
      status === 'running' || status === 'paused'
        ? await openRunning(session, task, container, pid, streams)
        : await openStopped(session, task, container, containers, streams);
    if (opened !== undefined) return opened;
  }
  throw new TsbuildError('TSB_SANDBOX', `Cannot open the files of container ${container.name}: it ends all the time`, {
    hint: `stop it first: tsbuild stop ${container.name}`,
  });
}

/** @returns undefined when that process is gone by now */
async function openRunning(
  session: Session,
  { signal }: Task,
  container: Container,
  pid: number,
  streams: NonNullable<StartWorkerOptions['streams']>,
): Promise<OpenContainer | undefined> {
  const worker = await workerFor(session, pid, streams).catch(async (error: unknown) => {
    // One that ends can be opened no more, a moment before its supervisor writes that down.
    await sleep(END_MS);
    if (readState(container.directory).pid !== pid) return undefined;
    throw error;
  });
  if (worker === undefined) return undefined;
  // Asked afterwards: the number may have become another process's before it was opened.
  const answer = await request(container, 'N', String(pid), signal);
  if (answer !== undefined && answer.error === undefined)
    return { worker, [Symbol.asyncDispose]: () => worker[Symbol.asyncDispose]() };
  await worker[Symbol.asyncDispose]();
  return undefined;
}

/** @returns undefined when it has been started meanwhile */
async function openStopped(
  session: Session,
  task: Task,
  container: Container,
  containers: Containers,
  streams: NonNullable<StartWorkerOptions['streams']>,
): Promise<OpenContainer | undefined> {
  await using stack = new AsyncDisposableStack();
  stack.use(await containers.lock(container, task.signal));
  const { status, started } = readState(container.directory);
  if (status === 'running' || status === 'paused' || status === 'restarting') return undefined;
  const { layers } = await readyContainer(session, task, container);
  const plan = await session.plan();
  const { promise: held, resolve: onReady } = Promise.withResolvers<number>();
  const step = runAlone({
    helperPath: findHelper(session.options.helper),
    plan,
    encoded: encodeStep(stepToHold(container, layers, started === ''), {
      plan,
      seccompPath: findSeccompFilter(),
      formatsDir: `${container.directory}/formats`,
    }),
    stdio: ['ignore', 'ignore', 'pipe'],
    onBoundProc: () => session.boundProc(),
    onReady,
  });
  stack.defer(async () => {
    step.child.kill('SIGTERM');
    await step.ended.catch(() => undefined);
  });
  const pid = await Promise.race([held, step.ended.then(() => 0)]);
  if (pid === 0) throw new TsbuildError('TSB_SANDBOX', `Cannot open the files of container ${container.name}`);
  const worker = stack.use(await workerFor(session, pid, streams));
  const kept = stack.move();
  return { worker, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/**
 * A worker with the rights of a container and this machine's own view of everything else. Root has them anyhow, and keeps its ids; who has
 * a range of ids for containers sees that in files, as in a build.
 */
async function workerFor(
  session: Session,
  pid: number,
  streams: NonNullable<StartWorkerOptions['streams']>,
): Promise<WorkerClient> {
  const { startWorker } = await import('../../worker/index.ts');
  const plan: NamespacePlan = await session.plan();
  const own = ['--parent', String(process.pid)];
  const worker = await startWorker({
    plan,
    helperPath: findHelper(session.options.helper),
    workerEntry,
    seccompDir: seccompDirectory,
    storeRoot: session.store.root,
    signal: session.options.signal,
    streams,
    enter: (command) =>
      plan.how === 'newidmap'
        ? ['join', ...own, '--of', String(pid), '--', ...command]
        : ['here', ...own, '--', ...command],
  });
  try {
    await worker.call('openContainer', { pid }, { signal: session.options.signal });
    return worker;
  } catch (error) {
    await worker[Symbol.asyncDispose]();
    throw error;
  }
}
