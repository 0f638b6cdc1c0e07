import type { HandlerContext } from './handler-context.ts';
import { type Method, methods } from './handlers.ts';
import { recordOwners, sysAvailable } from '../sys/index.ts';
import { TsbuildError } from '../util/index.ts';
import type { FromWorker, MethodName, ToWorker, WorkerConfig } from './protocol.ts';
import type { LayerUnpacks } from './layer-unpacks.ts';
import { Outbox } from './outbox.ts';
import { ThreadPool } from './thread-pool.ts';
import { toWire } from './wire-error.ts';

/** Jobs at a time; more would only compete for the disk and for the CPUs that steps want. */
const THREADS = 2;

/** Jobs that the main thread takes at a time, of those that may run there. */
const OWN_JOBS = 2;

/** Bytes of output under way to the main process, above which a step has to wait. */
const OUTPUT_WINDOW = 1 << 20;

interface Call {
  /** Aborted by `cancel`. */
  readonly controller: AbortController;
  /** Bytes of output that the main process has not taken yet. */
  unacknowledged: number;
  /** Streams that wait for room: standard output and error may both do. */
  readonly waiting: Set<() => void>;
}

type AnyMethod = Method<MethodName>;

/** Serves calls over the IPC channel until the main process goes away, then ends this process. */
export function serve(config: WorkerConfig): void {
  recordOwners(config.plan.owners !== undefined);
  const calls = new Map<number, Call>();
  const threads = new ThreadPool(THREADS, config);
  let unpacks: Promise<LayerUnpacks> | undefined;
  const layerUnpacks = (): Promise<LayerUnpacks> =>
    (unpacks ??= import('./layer-unpacks.ts').then(({ LayerUnpacks: Unpacks }) => new Unpacks(config)));
  let ownJobs = 0;

  const start = async (id: number, name: string, params: unknown, call: Call): Promise<unknown> => {
    const method = (methods as Readonly<Record<string, AnyMethod>>)[name];
    if (!method) throw new TsbuildError('TSB_INTERNAL', `The worker has no method "${name}"`);
    const progress = (data: unknown): void => outbox.keep({ type: 'progress', id, data });
    const either = method.place === 'either';
    if (method.place === 'thread' || (either && ownJobs >= OWN_JOBS))
      return threads.run(name, params, call.controller.signal, progress);
    const context: HandlerContext = {
      config,
      signal: call.controller.signal,
      progress,
      boundProc: () => outbox.post({ type: 'bound-proc' }),
      sharedNetwork: (why) => outbox.post({ type: 'shared-network', why }),
      unpacks: layerUnpacks,
      output: (stream, data) => {
        outbox.keep({ type: 'output', id, stream, data });
        call.unacknowledged += data.length;
        // A canceled step is not held up: nobody may be left to take its output.
        if (call.unacknowledged <= OUTPUT_WINDOW || call.controller.signal.aborted) return undefined;
        return new Promise((resolve) => call.waiting.add(resolve));
      },
    };
    if (either) ownJobs++;
    try {
      const handler = (await method.load()) as (params: unknown, context: HandlerContext) => unknown;
      return await handler(params, context);
    } finally {
      if (either) ownJobs--;
    }
  };

  const take = (message: ToWorker): void => {
    if (message.type === 'call') {
      const call: Call = { controller: new AbortController(), unacknowledged: 0, waiting: new Set() };
      calls.set(message.id, call);
      void start(message.id, message.method, message.params, call)
        .then(
          (value) => outbox.post({ type: 'result', id: message.id, value }),
          (error: unknown) => outbox.post({ type: 'error', id: message.id, error: toWire(error) }),
        )
        .finally(() => calls.delete(message.id));
      return;
    }
    const call = calls.get(message.id);
    // It has ended meanwhile, and the two messages have crossed.
    if (!call) return;
    if (message.type === 'cancel') {
      call.controller.abort();
      resume(call);
    } else {
      call.unacknowledged -= message.bytes;
      if (call.unacknowledged <= OUTPUT_WINDOW / 2) resume(call);
    }
  };
  process.on('message', (mail: readonly ToWorker[]) => mail.forEach(take));
  process.on('disconnect', () => process.exit(0));
  outbox.post({ type: 'ready' });
  // Nearly every build copies files: what that takes is loaded while the main process still thinks.
  setImmediate(() => {
    void methods.packFileOp.load();
    sysAvailable();
  });
}

/** Lets the streams go on that wait for room. */
function resume({ waiting }: Call): void {
  for (const go of waiting) go();
  waiting.clear();
}

/** The channel closes when the main process ends; so will this one. */
const outbox = new Outbox<FromWorker>((mail) => process.send?.(mail, undefined, undefined, () => undefined));
