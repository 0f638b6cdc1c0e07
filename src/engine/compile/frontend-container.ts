import { Connection } from '../../containers/index.ts';
import type { Task } from '../../events/index.ts';
import type {
  ContainerProcess,
  ContainerRequest,
  FileTree,
  GatewayContainer,
  OnOutput,
  ProcessRequest,
} from '../../gateway/index.ts';
import type { PreparedContainer } from '../../ops/index.ts';
import { encodeProcess, findSeccompFilter, type NamespacePlan } from '../../sandbox/index.ts';
import { randomHex, TsbuildError } from '../../util/index.ts';
import type { BuildRequest } from '../request.ts';
import type { Session } from '../session.ts';
import { ContainerTrees } from './container-trees.ts';
import { FrontendProgram, ofEnded } from './frontend-program.ts';
import type { GraphBuild } from './nested-graphs.ts';
import { GraphTree } from './solved-tree.ts';
import { StackTree } from './stack-tree.ts';

/** What containers of frontends are made with. */
interface ContainerBuild extends GraphBuild {
  readonly request: Pick<BuildRequest, 'recordNetwork'>;
}

/** A program as the sandbox has it. */
type Program = Pick<ProcessRequest, 'stdin'> & Awaited<ReturnType<PreparedContainer['program']>>;

/** Whether containers of frontends can be had. */
export function canContain({ steps }: NamespacePlan): boolean {
  return steps !== false;
}

/**
 * Makes a container for a frontend: solves what it mounts, and prepares everything but its programs.
 * @throws TsbuildError what results fail of, and what a step would fail of before it runs
 */
export async function createFrontendContainer(
  build: ContainerBuild,
  { exec, inputs, platform }: ContainerRequest,
  signal: AbortSignal,
): Promise<GatewayContainer> {
  const { session, task, request, solver } = build;
  if (request.recordNetwork !== undefined && exec.network !== 'none')
    throw new TsbuildError(
      'TSB_STEP',
      'Cannot give a container of a frontend a network: those of this build are recorded',
      {
        hint: `let the frontend make it without one, or build without --network=${request.recordNetwork}`,
      },
    );
  const inner: Task = { ...task, signal: AbortSignal.any([task.signal, signal]) };
  const results = await Promise.all(inputs.map((definition) => new GraphTree(build, definition).result(signal)));
  await using held = new AsyncDisposableStack();
  const prepared = await solver.container(inner, held, { id: randomHex(16), exec, platform }, results);
  const directory = session.remote.temporary();
  held.defer(() => session.remote.discard(directory));
  const plan = await session.plan();
  const trees = plan.copies ? held.use(new ContainerTrees(session, plan, prepared.spec)) : undefined;
  return new FrontendContainer(session, prepared, { directory, trees }, held.move());
}

/**
 * A container in the build's own namespace, with a supervisor that starts its programs (native/src/contain.c). Everything of it ends with
 * the build, however that ends.
 */
class FrontendContainer implements GatewayContainer {
  readonly #session: Session;
  readonly #prepared: PreparedContainer;
  readonly #held: AsyncDisposableStack;
  readonly #directory: string;
  readonly #trees: ContainerTrees | undefined;
  /** Ends the supervisor, where asking it does not. */
  readonly #kill = new AbortController();
  readonly #processes = new Set<FrontendProgram>();
  #supervised: Supervised | undefined;
  #deadline: NodeJS.Timeout | undefined;
  #released: Promise<void> | undefined;
  /** Why its programs end. */
  #reason: TsbuildError | undefined;

  /**
   * @param place an empty directory for the supervisor, and one for copies where the container is made of such
   * @param held is disposed when nothing runs any more
   */
  constructor(
    session: Session,
    prepared: PreparedContainer,
    place: { readonly directory: string; readonly trees: ContainerTrees | undefined },
    held: AsyncDisposableStack,
  ) {
    this.#session = session;
    this.#prepared = prepared;
    this.#held = held;
    this.#directory = place.directory;
    this.#trees = place.trees;
  }

  async start({ exec, tty, stdin }: ProcessRequest, onOutput: OnOutput): Promise<ContainerProcess> {
    const program = await this.#prepared.program(exec, tty);
    if (this.#released !== undefined) throw released();
    if (this.#supervised !== undefined) return this.#join(this.#supervised, { ...program, stdin }, onOutput);
    const supervised = (this.#supervised = this.#supervise({ ...program, stdin }));
    const command = program.args.join(' ');
    const { deadline } = this.#prepared;
    if (deadline !== undefined) this.#deadline = setTimeout(() => void this.#end(deadline.error(command)), deadline.ms);
    await supervised.listening;
    const process = await this.#connect(onOutput);
    // Before the program starts: a terminal's size may be asked for at once.
    await process.connection.attach({ input: stdin, output: true });
    await Promise.race([supervised.ran, process.ran, process.ended]);
    return process;
  }

  files(mount: number): FileTree {
    const view = this.#prepared.views[mount];
    // Copies are made when the first program starts.
    const trees = this.#supervised?.hasRun() ? this.#trees : undefined;
    if (view !== undefined) return new StackTree(this.#session, trees?.directories(view) ?? view.layers);
    throw new TsbuildError('TSB_STEP', `Cannot read files of mount ${mount} of the container: it lies in memory`);
  }

  /** The supervisor, with the container's first program. */
  #supervise(program: Program): Supervised {
    const listening = Promise.withResolvers<void>();
    const ran = Promise.withResolvers<void>();
    const { spec, uppers } = this.#prepared;
    const ended = this.#session.worker().then((worker) =>
      worker.call(
        'supervise',
        {
          ...spec,
          ...program,
          uppers,
          directory: this.#directory,
          ...(this.#trees === undefined ? {} : { tree: this.#trees.tree }),
        },
        {
          signal: this.#kill.signal,
          onProgress: (what) => (what === 'ran' ? ran : listening).resolve(),
        },
      ),
    );
    const over = (error: unknown): void => {
      listening.reject(error);
      ran.reject(error);
    };
    ended.then(() => over(ofEnded()), over);
    for (const promise of [listening.promise, ran.promise]) promise.catch(() => undefined);
    return {
      listening: listening.promise,
      listens: resolved(listening.promise),
      ran: ran.promise,
      hasRun: resolved(ran.promise),
      ended,
    };
  }

  /** A further program. */
  async #join(
    supervised: Supervised,
    { security, ...program }: Program,
    onOutput: OnOutput,
  ): Promise<ContainerProcess> {
    await supervised.ran;
    const process = await this.#connect(onOutput);
    const encoded = encodeProcess({ ...program, security: { mode: security, seccompPath: findSeccompFilter() } });
    process.connection.send('X', Buffer.concat([Buffer.from('a'), encoded]));
    await Promise.race([process.ran, process.ended]);
    return process;
  }

  async #connect(onOutput: OnOutput): Promise<FrontendProgram> {
    const process = await FrontendProgram.open(this.#directory, onOutput, () => this.#reason);
    if (process === undefined) throw ofEnded();
    if (this.#released !== undefined) {
      process.connection[Symbol.dispose]();
      throw released();
    }
    this.#processes.add(process);
    void process.ended.then(() => this.#processes.delete(process));
    return process;
  }

  /** Ends its programs. */
  async #end(reason: TsbuildError): Promise<void> {
    this.#reason ??= reason;
    const supervised = this.#supervised;
    if (supervised === undefined) return;
    // Nobody reads any more what they print: a supervisor waits for who reads slowly.
    for (const { connection } of this.#processes) connection[Symbol.dispose]();
    using connection = supervised.listens() ? await Connection.open(this.#directory).catch(() => undefined) : undefined;
    connection?.send('S', '9 0');
    await connection?.ended;
    // No program of it has been started, or it is beyond asking.
    if (connection === undefined) this.#kill.abort(reason);
    await supervised.ended.catch(() => undefined);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return (this.#released ??= this.#release());
  }

  async #release(): Promise<void> {
    clearTimeout(this.#deadline);
    try {
      await this.#end(released());
    } finally {
      await this.#held[Symbol.asyncDispose]();
    }
  }
}

/** A supervisor that was asked for. */
interface Supervised {
  /** Resolves when clients can connect. @throws TsbuildError when there will be none */
  readonly listening: Promise<void>;
  /** Whether that is so. */
  readonly listens: () => boolean;
  /** Resolves when the first program runs. @throws TsbuildError when it has not */
  readonly ran: Promise<void>;
  readonly hasRun: () => boolean;
  /** Resolves when nothing is left of the container. */
  readonly ended: Promise<void>;
}

/** Whether a promise has resolved by then. */
function resolved(promise: Promise<void>): () => boolean {
  let is = false;
  void promise.then(
    () => (is = true),
    () => undefined,
  );
  return () => is;
}

function released(): TsbuildError {
  return new TsbuildError('TSB_CANCELED', 'The container was released');
}
