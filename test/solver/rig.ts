import {
  type CacheMap,
  type CacheRecord,
  type CacheSource,
  type OpRunner,
  type SolveOptions,
  type SolverEdge,
  type SolverVertex,
  solve,
} from '../../src/solver/index.ts';
import { MemoryCache } from '../fakes/memory-cache.ts';
import type { BuildEvent, Task, VertexState } from '../../src/events/index.ts';
import { type Digest, sha256 } from '../../src/util/index.ts';

/** What a test op does. Results are strings. */
export interface TestOp {
  /** Identity without inputs. */
  readonly seed: string;
  /** Result of output 0, or of every output. Default: made from the seed and the inputs. */
  readonly value?: string | readonly string[];
  /** Inputs whose content may stand for them. */
  readonly byContent?: readonly number[];
  /** Per input: the part of the content that is read. */
  readonly selectors?: Readonly<Record<number, string>>;
  readonly volatile?: boolean;
  readonly alternatives?: readonly string[];
  readonly outputs?: number;
  readonly source?: boolean;
  readonly keyError?: Error;
  readonly contentError?: Error;
  readonly error?: Error;
  /** Waited for by exec, which is aborted by its signal. */
  readonly gate?: Promise<unknown>;
  readonly keyGate?: Promise<unknown>;
  readonly contentGate?: Promise<unknown>;
  readonly alternativesGate?: Promise<unknown>;
}

export interface VertexOptions extends Partial<TestOp> {
  readonly inputs?: readonly (SolverVertex<TestOp> | SolverEdge<TestOp>)[];
  readonly ignoreCache?: boolean;
  /** Name that tells vertices with the same seed and inputs apart. */
  readonly twin?: string;
}

/** A vertex whose digest follows from its seed and inputs, as in LLB. */
export function vtx(seed: string, options: VertexOptions = {}): SolverVertex<TestOp> {
  const { inputs: given = [], ignoreCache = false, twin = '', ...op } = options;
  const inputs = given.map((input) => ('vertex' in input ? input : { vertex: input, output: 0 }));
  const text = [seed, twin, ...inputs.map(({ vertex, output }) => `${vertex.digest} ${output}`)].join('\n');
  return { digest: sha256(text), name: seed + twin, op: { seed, ...op }, inputs, ignoreCache };
}

export function out(vertex: SolverVertex<TestOp>, output = 0): SolverEdge<TestOp> {
  return { vertex, output };
}

/** The content that an op reads of a result: all of it, or the words that start with the selector. */
function contentOf(result: string, selector: string | undefined): string {
  if (selector === undefined) return result;
  return result
    .split(' ')
    .filter((word) => word.startsWith(selector))
    .join(' ');
}

/** Runs test ops and notes what it was asked for. */
export class Rig implements OpRunner<TestOp, string> {
  readonly executed: string[] = [];
  readonly keyed: string[] = [];
  readonly hashed: string[] = [];
  readonly aborted: string[] = [];
  readonly events: BuildEvent[] = [];
  readonly signals: Map<string, AbortSignal> = new Map();
  running = 0;
  mostRunning = 0;
  time = 1_000_000;
  /** Called before every answer, e.g. to wait a random time. */
  jitter: () => Promise<void> = async () => Promise.resolve();
  readonly #log = (event: BuildEvent): void => void this.events.push(event);
  readonly #waiting = new Map<string, PromiseWithResolvers<void>>();

  readonly now: () => number = () => ++this.time;

  async cacheMap(task: Task, vertex: SolverVertex<TestOp>): Promise<CacheMap<string>> {
    const { op } = vertex;
    this.keyed.push(vertex.name);
    await this.jitter();
    await untilAborted(task.signal, op.keyGate);
    if (op.keyError) throw op.keyError;
    const deps = vertex.inputs.map((_, at) => {
      const selector = op.selectors?.[at];
      const contentDigest = async (task: Task, input: string): Promise<Digest> => {
        this.hashed.push(`${vertex.name}<${at}`);
        await this.jitter();
        await untilAborted(task.signal, op.contentGate);
        if (op.contentError) throw op.contentError;
        return sha256(contentOf(input, selector));
      };
      return {
        ...(selector === undefined ? {} : { selector: sha256(selector) }),
        ...(op.byContent?.includes(at) ? { contentDigest } : {}),
      };
    });
    const { alternatives } = op;
    const jitter = this.jitter;
    return {
      digest: sha256(`op ${op.seed}`),
      deps,
      ...(op.volatile ? { volatile: true } : {}),
      ...(alternatives === undefined
        ? {}
        : {
            async *alternatives() {
              for (const seed of alternatives) {
                await jitter();
                await op.alternativesGate;
                yield sha256(`op ${seed}`);
              }
            },
          }),
    };
  }

  async exec(task: Task, vertex: SolverVertex<TestOp>, inputs: readonly string[]): Promise<readonly string[]> {
    const { op, name } = vertex;
    this.executed.push(name);
    this.signals.set(name, task.signal);
    this.running++;
    this.mostRunning = Math.max(this.mostRunning, this.running);
    this.#started(name).resolve();
    try {
      await this.jitter();
      await untilAborted(task.signal, op.gate);
      if (op.error) throw op.error;
    } catch (error) {
      if (task.signal.aborted) this.aborted.push(name);
      throw error;
    } finally {
      this.running--;
    }
    if (typeof op.value === 'object') return op.value;
    const read = inputs.map((input, at) => contentOf(input, op.selectors?.[at]));
    const value = op.value ?? `${op.seed}(${read.join(' ')})`;
    return Array.from({ length: op.outputs ?? 1 }, (_, output) => (output === 0 ? value : `${value}#${output}`));
  }

  isSource(vertex: SolverVertex<TestOp>): boolean {
    return vertex.op.source ?? false;
  }

  /** Resolves when exec was called for the vertex of that name. */
  async started(name: string): Promise<void> {
    return this.#started(name).promise;
  }

  #started(name: string): PromiseWithResolvers<void> {
    let waiting = this.#waiting.get(name);
    if (!waiting) this.#waiting.set(name, (waiting = Promise.withResolvers()));
    return waiting;
  }

  task(signal: AbortSignal = new AbortController().signal): Task {
    return { signal, events: this.#log };
  }

  options(more: Partial<SolveOptions<TestOp, string>> = {}): SolveOptions<TestOp, string> {
    return { runner: this, caches: [], concurrency: 4, now: this.now, ...more };
  }

  /** The states that a vertex went through. */
  states(name: string): VertexState[] {
    return this.events.flatMap((event) => (event.type === 'vertex' && event.name === name ? [event.state] : []));
  }

  /** Names of the vertices that came to a state, in order. */
  inState(state: VertexState): string[] {
    return this.events.flatMap((event) => (event.type === 'vertex' && event.state === state ? [event.name] : []));
  }
}

async function untilAborted(signal: AbortSignal, gate: Promise<unknown> | undefined): Promise<void> {
  signal.throwIfAborted();
  if (gate === undefined) return;
  const aborted = Promise.withResolvers<never>();
  aborted.promise.catch(() => undefined);
  signal.addEventListener('abort', () => {
    aborted.reject(signal.reason as Error);
  });
  await Promise.race([gate, aborted.promise]);
}

/** A memory cache that counts, and fails where told to. */
export class TestCache implements Required<Omit<CacheSource<string>, 'leafLinks'>> {
  readonly #inner: MemoryCache<string>;
  loads = 0;
  failLoads: (record: CacheRecord) => boolean = () => false;
  broken = false;
  gate: Promise<unknown> | undefined;
  onLoad: ((task: Task) => void) | undefined;
  #time = 0;

  constructor(id = 'test') {
    this.#inner = new MemoryCache({ id, now: () => ++this.#time });
  }

  get id(): string {
    return this.#inner.id;
  }

  get recordIds(): string[] {
    return this.#inner.recordIds;
  }

  query(links: Parameters<MemoryCache<string>['query']>[0]): string[] {
    this.#check();
    return this.#inner.query(links);
  }

  records(node: string): CacheRecord[] {
    this.#check();
    return this.#inner.records(node);
  }

  async load(task: Task, record: CacheRecord): Promise<string> {
    this.loads++;
    this.onLoad?.(task);
    await untilAborted(task.signal, this.gate);
    if (this.failLoads(record)) throw new Error('The record is damaged');
    return this.#inner.load(task, record);
  }

  link(node: string, links: Parameters<MemoryCache<string>['link']>[1]): void {
    this.#check();
    this.#inner.link(node, links);
  }

  save(node: string, result: string): CacheRecord {
    this.#check();
    return this.#inner.save(node, result);
  }

  drop(record: CacheRecord): void {
    this.#inner.drop(record);
  }

  evict(id: string): void {
    this.#inner.drop({ id, createdAt: 0 });
  }

  #check(): void {
    if (this.broken) throw new Error('The index is damaged');
  }
}

/** One build with a fresh solver: its result, and the rig that tells what it did. */
export async function build(
  target: SolverVertex<TestOp>,
  cache: CacheSource<string> | readonly CacheSource<string>[] = [],
  more: Partial<SolveOptions<TestOp, string>> = {},
): Promise<{ readonly result: string; readonly rig: Rig }> {
  const rig = new Rig();
  const caches = Array.isArray(cache) ? (cache as readonly CacheSource<string>[]) : [cache as CacheSource<string>];
  const [result = ''] = await solve(rig.task(), [out(target)], rig.options({ caches, ...more }));
  return { result, rig };
}

/** A small seeded generator (mulberry32): numbers in [0, 1). */
export function prng(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Lets everything that is ready happen. */
export async function settle(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}
