import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import type { NoUserNetwork } from '../network/index.ts';
import { currentUser, enterArguments, type NamespacePlan, readPlanInputs, requirePlan } from '../sandbox/index.ts';
import { fullDiskHint } from '../store/index.ts';
import { checkBindings } from '../sys/index.ts';
import { TsbuildError } from '../util/index.ts';
import type { FromWorker, MethodName, ParamsOf, ResultOf, ToWorker, WireError, WorkerConfig } from './protocol.ts';
import { Outbox } from './outbox.ts';
import { fromWire } from './wire-error.ts';

/** What the worker needs to know of its surroundings. */
export interface StartWorkerOptions {
  readonly helperPath: string;
  /** The worker's program: src/worker/main.ts or its bundle. */
  readonly workerEntry: string;
  /** Directory with the compiled seccomp filters. */
  readonly seccompDir: string;
  readonly storeRoot: string;
  /** The store session that temporary files belong to. */
  readonly session?: string;
  /** How namespace A is made; found out for the present user when absent. */
  readonly plan?: NamespacePlan;
  /** Where copies of layers may be made, for plans that have them. */
  readonly treesDir?: string;
  /** Told of each step that gets the /proc around it, because the kernel refuses it a new one. */
  readonly onBoundProc?: () => void;
  /** Told of each step that asked for an isolated network and got the machine's. */
  readonly onSharedNetwork?: (why: NoUserNetwork) => void;
  /** Ends the worker, whatever it is doing. */
  readonly signal?: AbortSignal;
  /** Milliseconds that the worker may take to end by itself at disposal. Default 2000. */
  readonly graceMs?: number;
  /** Arguments of the helper that start the worker, instead of those for namespace A. */
  readonly enter?: (command: readonly string[]) => readonly string[];
  /** What the worker has as standard input and output. Default: nothing. */
  readonly streams?: readonly ['inherit' | 'ignore' | number, 'inherit' | 'ignore' | number];
}

/** What belongs to one call. */
export interface CallOptions {
  /** Cancels the call; the promise is rejected once everything that it started is gone. */
  readonly signal?: AbortSignal;
  /** Takes output of a step. The step is held up while returned promises are pending, and ended when this fails. */
  readonly onOutput?: (stream: 1 | 2, data: Uint8Array) => void | Promise<void>;
  readonly onProgress?: (data: unknown) => void;
}

/** The worker, seen from the main process. Dispose it to end it with everything that it started. */
export interface WorkerClient extends AsyncDisposable {
  readonly plan: NamespacePlan;
  /**
   * Calls a method.
   * @throws TsbuildError what the method throws; `TSB_SANDBOX` when the worker is gone
   */
  call<M extends MethodName>(method: M, params: ParamsOf<M>, options?: CallOptions): Promise<ResultOf<M>>;
}

/**
 * Starts the worker in namespace A and waits until it is ready.
 * @throws TsbuildError `TSB_SANDBOX` when the machine does not allow it; the hint says what to do
 */
export async function startWorker(options: StartWorkerOptions): Promise<WorkerClient> {
  const plan = options.plan ?? requirePlan(readPlanInputs(currentUser()));
  // In its namespace the worker cannot tell root's files from those of other users.
  checkBindings();
  const privateDir = `${options.storeRoot}/private`;
  mkdirSync(privateDir, { recursive: true, mode: 0o700 });
  const config: WorkerConfig = {
    helperPath: options.helperPath,
    storeRoot: options.storeRoot,
    seccompDir: options.seccompDir,
    entry: options.workerEntry,
    privateDir,
    plan,
    ...(options.session === undefined ? {} : { session: options.session }),
    ...(options.treesDir === undefined ? {} : { treesDir: options.treesDir }),
  };
  const command = [
    process.execPath,
    '--disable-warning=ExperimentalWarning',
    // As in bin/tsbuild. Packing many files makes many short-lived objects: with the usual 1 MiB to begin with a tenth of the time goes
    // into collecting them.
    '--min-semi-space-size=8',
    '--max-semi-space-size=8',
    // As in bin/tsbuild: V8's helper threads get in the way of what they help.
    ...(availableParallelism() <= 2 ? ['--v8-pool-size=1'] : []),
    options.workerEntry,
    JSON.stringify(config),
  ];
  const child = spawn(
    options.helperPath,
    options.enter?.(command) ?? enterArguments({ plan, privateTmpfs: privateDir, parentPid: process.pid }, command),
    {
      // Nothing of the caller's environment gets near steps. A session of its own: Ctrl-C is for the main process to handle.
      env: {},
      detached: true,
      stdio: [...(options.streams ?? ['ignore', 'ignore']), 'pipe', 'ipc'],
      serialization: 'advanced',
    },
  );
  const client = new Client(child, plan, options);
  const { signal } = options;
  const end = (): void => client.kill();
  signal?.addEventListener('abort', end, { once: true });
  child.once('exit', () => signal?.removeEventListener('abort', end));
  if (signal?.aborted) end();
  await client.ready;
  return client;
}

/** A call without an answer. */
interface Pending {
  readonly options: CallOptions;
  /** Why this process canceled the call by itself. */
  failure?: { readonly error: unknown };
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  /** Bytes of output that the worker was not told of. */
  taken: number;
}

/** Bytes of output that are told of in one message: far below what makes a step wait (`OUTPUT_WINDOW` of server.ts). */
const ACK_FROM = 1 << 16;

class Client implements WorkerClient {
  readonly plan: NamespacePlan;
  readonly ready: Promise<void>;
  readonly #child: ChildProcess;
  readonly #options: StartWorkerOptions;
  readonly #pending = new Map<number, Pending>();
  readonly #closed: Promise<void>;
  /** What cannot be sent any more is not missed: the end of the worker rejects all calls. */
  readonly #outbox = new Outbox<ToWorker>((mail) => {
    if (this.#child.connected) this.#child.send(mail, () => undefined);
  });
  #stderr = '';
  #next = 1;
  #gone: TsbuildError | undefined;

  constructor(child: ChildProcess, plan: NamespacePlan, options: StartWorkerOptions) {
    this.plan = plan;
    this.#child = child;
    this.#options = options;
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-4000);
    });
    let begin: () => void;
    let refuse: (error: TsbuildError) => void;
    this.ready = new Promise((resolve, reject) => {
      begin = resolve;
      refuse = reject;
    });
    // Calls report it too; a client that nobody waits for must not end the process.
    this.ready.catch(() => undefined);
    this.#closed = new Promise((resolve) => {
      const close = (error: TsbuildError): void => {
        this.#gone ??= error;
        refuse(this.#gone);
        for (const { reject } of this.#pending.values()) reject(this.#gone);
        this.#pending.clear();
        resolve();
      };
      child.once('error', (cause) =>
        close(new TsbuildError('TSB_SANDBOX', `Cannot start the worker: ${cause.message}`, { cause })),
      );
      // Not `close`: Node does not emit it after a disconnect from this side.
      child.once('exit', (code, killedBy) => {
        const end = (): void => close(this.#describeEnd(code, killedBy));
        if (child.stderr === null || child.stderr.closed) end();
        else child.stderr.once('close', end);
      });
    });
    child.on('message', (mail: readonly FromWorker[]) => {
      for (const message of mail) {
        if (message.type === 'ready') begin();
        else if (message.type === 'bound-proc') options.onBoundProc?.();
        else if (message.type === 'shared-network') options.onSharedNetwork?.(message.why);
        else this.#take(message);
      }
    });
  }

  call<M extends MethodName>(method: M, params: ParamsOf<M>, options: CallOptions = {}): Promise<ResultOf<M>> {
    if (this.#gone) return Promise.reject(this.#gone);
    const { signal } = options;
    if (signal?.aborted) return Promise.reject(new TsbuildError('TSB_CANCELED', 'Canceled', { cause: signal.reason }));
    const id = this.#next++;
    const cancel = (): void => this.#outbox.post({ type: 'cancel', id });
    signal?.addEventListener('abort', cancel);
    const done = new Promise<unknown>((resolve, reject) => {
      this.#pending.set(id, { options, resolve, reject, taken: 0 });
      this.#outbox.post({ type: 'call', id, method, params });
    });
    return done.finally(() => signal?.removeEventListener('abort', cancel)) as Promise<ResultOf<M>>;
  }

  /** An answer, or something on the way to one. Calls that were given up are not known any more. */
  #take(message: Extract<FromWorker, { id: number }>): void {
    const pending = this.#pending.get(message.id);
    if (!pending) return;
    switch (message.type) {
      case 'result':
        this.#pending.delete(message.id);
        if (pending.failure) pending.reject(pending.failure.error);
        else pending.resolve(message.value);
        break;
      case 'error':
        this.#pending.delete(message.id);
        pending.reject(pending.failure ? pending.failure.error : this.#error(message.error));
        break;
      case 'output':
        void this.#takeOutput(message.id, message.stream, message.data, pending);
        break;
      case 'progress':
        this.#takeProgress(message.id, message.data, pending);
        break;
      default:
        message satisfies never;
    }
  }

  /** What failed there has not been cleared away yet: a full disk is still full. */
  #error(wire: WireError): TsbuildError {
    const hint = wire.code === 'TSB_NO_SPACE' ? fullDiskHint(this.#options.storeRoot) : undefined;
    return fromWire(hint === undefined ? wire : { ...wire, hint });
  }

  /**
   * Hands output on, and tells the worker only afterwards that there is room for more: a slow reader holds up the
   * step and not this process's memory.
   */
  async #takeOutput(id: number, stream: 1 | 2, data: Uint8Array, pending: Pending): Promise<void> {
    try {
      await pending.options.onOutput?.(stream, data);
    } catch (error) {
      this.#fail(id, error, pending);
    } finally {
      pending.taken += data.length;
      // Nothing waits for room in what is over, nor in what has printed little.
      if (pending.taken >= ACK_FROM && this.#pending.has(id)) {
        this.#outbox.keep({ type: 'ack', id, bytes: pending.taken });
        pending.taken = 0;
      }
    }
  }

  #takeProgress(id: number, data: unknown, pending: Pending): void {
    try {
      pending.options.onProgress?.(data);
    } catch (error) {
      this.#fail(id, error, pending);
    }
  }

  /** Whoever listens is a caller's: its fault is the call's, and not one that nobody handles. */
  #fail(id: number, error: unknown, pending: Pending): void {
    pending.failure ??= { error };
    this.#outbox.post({ type: 'cancel', id });
  }

  /** The worker says why it ends on standard error, which nothing else is written to. */
  #describeEnd(code: number | null, killedBy: string | null): TsbuildError {
    const said = this.#stderr.trim().split('\n').at(-1) ?? '';
    const how = said === '' ? (killedBy === null ? `exit code ${code}` : `signal ${killedBy}`) : said;
    return new TsbuildError('TSB_SANDBOX', `The worker process ended: ${how}`, {
      hint: 'tsbuild doctor says what this machine allows',
      ...(this.#stderr === '' ? {} : { cause: new Error(this.#stderr) }),
    });
  }

  /** Ends the worker at once. */
  kill(): void {
    this.#child.kill('SIGKILL');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#gone ??= new TsbuildError('TSB_SANDBOX', 'The worker was ended');
    if (this.#child.connected) this.#child.disconnect();
    const timer = setTimeout(() => this.kill(), this.#options.graceMs ?? 2000);
    await this.#closed;
    clearTimeout(timer);
  }
}
