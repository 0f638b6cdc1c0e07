import { decodeMessage, encodeMessage, type ExecOp, validateContainer } from '../llb/index.ts';
import type { ContainerProcess } from './container.ts';
import { checkId, type Containers } from './containers.ts';
import type { StreamCall } from './grpc-stream.ts';
import type { GatewayHost } from './host.ts';
import type { GatewayLimits } from './limits.ts';
import { execMessageSchema } from './container-messages.ts';
import { CallError, statusCodes, statusOfError } from './status.ts';
import type { ExecInput, ExecMessage, InitMessage, PbStatus } from './types.ts';

/** BuildKit's code for a program of which no exit code is known. */
const UNKNOWN_EXIT = 255;
const [STDIN, STDOUT, STDERR] = [0, 1, 2];
/** Descriptors that one program may name: there are three. */
const MAX_DESCRIPTORS = 16;

/** A program that was asked for, by its id. */
type State =
  | { readonly kind: 'running'; readonly process: ContainerProcess; stdin: boolean }
  | { readonly kind: 'ended' };

/** As `ProcessEnd`, or what starting it failed of. */
interface Ended {
  readonly exitCode: number;
  readonly error?: unknown;
}

/** The programs that a frontend runs in its containers: `ExecProcess`, as BuildKit's gateway has it. */
export class Processes {
  readonly #containers: Containers;
  readonly #host: Pick<GatewayHost, 'conceal'>;
  readonly #limits: GatewayLimits;
  #running = 0;
  #started = 0;

  constructor(containers: Containers, host: Pick<GatewayHost, 'conceal'>, limits: GatewayLimits) {
    this.#containers = containers;
    this.#host = host;
    this.#limits = limits;
  }

  /**
   * Serves one call, which may be about any number of programs. They end with it.
   * @throws CallError for messages that nobody would send
   */
  async converse(call: StreamCall): Promise<void> {
    const states = new Map<string, State>();
    const all: Promise<void>[] = [];
    const end = (): void => {
      for (const state of states.values()) if (state.kind === 'running') state.process.signal('KILL');
    };
    call.signal.addEventListener('abort', end);
    try {
      for await (const bytes of call.messages) {
        const { processId, input } = decodeMessage(execMessageSchema, bytes) as unknown as ExecMessage;
        checkId(processId, 'ProcessID');
        const state = states.get(processId);
        if (input?.kind === 'init') {
          if (state !== undefined)
            throw new CallError(statusCodes.alreadyExists, `Process ${processId} already exists`);
          const { ended } = await this.#start(call, processId, input, states);
          all.push(ended);
          // What it fails of is told by whoever waits for all.
          ended.catch(() => undefined);
        } else if (input !== undefined) {
          if (state === undefined)
            throw new CallError(statusCodes.notFound, `IO for process ${JSON.stringify(processId)} not found`);
          if (state.kind === 'running') await take(state, input);
        }
      }
      await Promise.all(all);
    } finally {
      end();
      call.signal.removeEventListener('abort', end);
      // Nothing runs on that nobody hears of.
      await Promise.allSettled(all);
    }
  }

  /**
   * Starts a program. That it cannot be started is how it ended; its other messages may cross that.
   * @throws CallError for what is no such request
   */
  async #start(
    call: StreamCall,
    id: string,
    init: InitMessage,
    states: Map<string, State>,
  ): Promise<{ readonly ended: Promise<void> }> {
    const known = await this.#containers.get(init.containerId);
    const fds = new Set(init.fds);
    if (fds.size > MAX_DESCRIPTORS)
      throw new CallError(statusCodes.invalidArgument, `a program has three descriptors, and not ${fds.size}`);
    const { maxProcesses, maxStarts } = this.#limits;
    if (this.#running >= maxProcesses || this.#started >= maxStarts)
      throw new CallError(
        statusCodes.resourceExhausted,
        `a frontend may run ${maxProcesses} programs at a time, and ${maxStarts} in all`,
      );
    this.#started++;
    this.#running++;
    const work = call.work();
    const send = (input: ExecInput): Promise<void> =>
      call.send(encodeMessage(execMessageSchema, { processId: id, input }));
    const over = async (end: Ended): Promise<void> => {
      states.set(id, { kind: 'ended' });
      this.#running--;
      work[Symbol.dispose]();
      await send({ kind: 'exit', ...this.#exitOf(end) });
      for (const fd of fds) if (fd !== STDIN) await send({ kind: 'file', fd, eof: true, data: new Uint8Array() });
      await send({ kind: 'done' });
    };
    // What is printed before the program is known to have started comes after that.
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
    let process: ContainerProcess;
    try {
      const exec = this.#opOf(known.exec, known.inputs, init);
      process = await known.container.start({ exec, tty: init.tty, stdin: fds.has(STDIN) }, async (stream, data) => {
        await begun;
        const fd = stream === 1 ? STDOUT : STDERR;
        if (fds.has(fd)) await send({ kind: 'file', fd, eof: false, data });
      });
    } catch (error) {
      await send({ kind: 'started' });
      return { ended: over({ exitCode: UNKNOWN_EXIT, error }) };
    }
    states.set(id, { kind: 'running', process, stdin: fds.has(STDIN) });
    if (call.signal.aborted) process.signal('KILL');
    await send({ kind: 'started' });
    begin();
    return { ended: process.ended.then(over) };
  }

  /** @throws TsbuildError `TSB_LLB`, CallError */
  #opOf(exec: ExecOp, inputs: number, { meta, security, secretEnv }: InitMessage): ExecOp {
    const { args = [], env = [], cwd = '', user = '' } = meta ?? {};
    const bytes = [...args, ...env].reduce((sum, text) => sum + Buffer.byteLength(text) + 1, 0);
    const { maxCommandBytes } = this.#limits;
    if (bytes > maxCommandBytes)
      throw new CallError(
        statusCodes.resourceExhausted,
        `command and environment of a program have ${bytes} bytes: the most is ${maxCommandBytes}`,
      );
    const whole: ExecOp = {
      ...exec,
      meta: { ...exec.meta, args, env, cwd: cwd === '' ? '/' : cwd, user },
      security,
      secretEnv,
    };
    validateContainer(whole, inputs);
    return whole;
  }

  #exitOf({ exitCode, error }: Ended): { readonly code: number; readonly error?: PbStatus } {
    if (error === undefined && exitCode === 0) return { code: 0 };
    const { status, message } =
      error === undefined ? { status: statusCodes.unknown, message: `exit code: ${exitCode}` } : statusOfError(error);
    return {
      code: exitCode,
      error: {
        code: status,
        message: this.#host.conceal(message),
        // By which BuildKit's client makes an `ExitError` of it.
        details: [
          {
            typeUrl: 'github.com/moby/buildkit/gatewayapi.ExitMessage+json',
            value: Buffer.from(JSON.stringify({ Code: exitCode })),
          },
        ],
      },
    };
  }
}

/** Takes a message to a program that runs. @throws CallError */
async function take(
  state: Extract<State, { kind: 'running' }>,
  input: Exclude<ExecInput, { kind: 'init' }>,
): Promise<void> {
  const { process } = state;
  switch (input.kind) {
    case 'file':
      if (input.fd !== STDIN || !state.stdin)
        throw new CallError(statusCodes.outOfRange, `fd ${input.fd} unavailable to write`);
      if (input.data.length > 0) await process.write(input.data);
      if (!input.eof) return;
      state.stdin = false;
      process.closeInput();
      return;
    case 'resize':
      process.resize(input.rows, input.columns);
      return;
    case 'signal':
      process.signal(input.name);
      return;
    case 'started':
    case 'exit':
    case 'done':
      throw new CallError(statusCodes.invalidArgument, `a message "${input.kind}" is for the frontend, and not of it`);
    default:
      input satisfies never;
  }
}
