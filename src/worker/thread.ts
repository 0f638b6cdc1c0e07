import { parentPort, workerData } from 'node:worker_threads';
import { recordOwners } from '../sys/index.ts';
import type { HandlerContext } from './handler-context.ts';
import { methods, threadJobs } from './handlers.ts';
import type { MethodName, WorkerConfig } from './protocol.ts';
import { sharedSignal } from './shared-signal.ts';
import type { FromThread, Job } from './thread-pool.ts';
import { toWire } from './wire-error.ts';

/** Takes jobs from the worker's main thread, one after the other. */
export function runThread(): void {
  const config = workerData as WorkerConfig;
  recordOwners(config.plan.owners !== undefined);
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  const post = (message: FromThread): void => parentPort?.postMessage(message);
  parentPort?.on('message', (job: Job) => {
    const context: HandlerContext = {
      config,
      signal: sharedSignal(job.flag),
      output: () => undefined,
      progress: (data) => post({ type: 'progress', data }),
    };
    void runJob(job, context).then(
      (value) => post({ type: 'result', value }),
      (error: unknown) => post({ type: 'error', error: toWire(error) }),
    );
  });
}

async function runJob(job: Job, context: HandlerContext): Promise<unknown> {
  const load = Object.hasOwn(threadJobs, job.method)
    ? threadJobs[job.method as keyof typeof threadJobs]
    : methods[job.method as MethodName].load;
  const handler = (await load()) as (params: unknown, context: HandlerContext) => unknown;
  return handler(job.params, context);
}
