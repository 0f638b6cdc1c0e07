import { type Digest, TsbuildError } from '../util/index.ts';
import type { Caches } from './caches.ts';
import { failed } from './executor.ts';
import type { EdgeNode, VertexNode } from './graph.ts';
import type { Namer } from './namer.ts';
import type { Reporter } from './reporter.ts';
import type { Scope } from './scope.ts';
import type { CacheMap } from './types.ts';

/** Finds the cache keys of edges: the work of the flights `cacheMap`, `contents`, `keys` and `deepKeys`. */
export class Seeker<Op, R> {
  readonly #reporter: Reporter<Op, R>;
  readonly #caches: Caches<Op, R>;
  readonly #namer: Namer<Op, R>;

  constructor(reporter: Reporter<Op, R>, caches: Caches<Op, R>, namer: Namer<Op, R>) {
    this.#reporter = reporter;
    this.#caches = caches;
    this.#namer = namer;
  }

  /** Asks the runner how a vertex is keyed. */
  async cacheMap(node: VertexNode<Op, R>, scope: Scope): Promise<CacheMap<R>> {
    try {
      const map = await node.runner.cacheMap(this.#reporter.task(node, scope), node.vertex);
      if (map.deps.length !== node.inputs.length) {
        throw new TsbuildError(
          'TSB_INTERNAL',
          `Cannot key "${node.vertex.name}": its inputs and their keys differ in number`,
        );
      }
      node.map = map;
      node.digests.push(map.digest);
      this.#namer.update(node);
      return map;
    } catch (error) {
      throw failed(this.#reporter, node, scope, error);
    }
  }

  /** Definition keys. Executes nothing. */
  async keys(edge: EdgeNode<Op, R>, scope: Scope): Promise<void> {
    const inputs = edge.vertex.inputs.map((input) => input.keys.join(scope));
    await Promise.all([edge.vertex.cacheMap.join(scope), ...inputs]);
    // An edge may come up when its vertex is long known.
    this.#namer.update(edge.vertex);
    // By definition the inputs are known as far as they ever will be.
    await this.#caches.search(edge, { final: true });
  }

  /** Alternative identities and content keys; completes inputs where that may help. */
  async deepKeys(edge: EdgeNode<Op, R>, scope: Scope): Promise<void> {
    await edge.keys.join(scope);
    const unfinished = this.#over(edge) ? [] : await this.#lookForKeys(edge, scope);
    edge.hasLooked = true;
    edge.looked.resolve();
    // Nothing was found: what was begun to find something will be needed to execute, and goes on as long as somebody waits.
    if (!this.#over(edge) || edge.exhausted) await Promise.allSettled(unfinished);
  }

  /** Everything that may lead to a record, for an edge whose result is wanted. @see #lookForKeys */
  async lookDeep(edge: EdgeNode<Op, R>, scope: Scope): Promise<void> {
    const begun = edge.lookedDeep ? [] : await this.#lookForKeys(edge, scope);
    await this.#contentKeys(edge, scope, begun);
  }

  /**
   * Looks for more keys in two phases: first through the inputs that no cached result reads so far, then through the others. What
   * has a definition key that leads somewhere is not loaded just to be hashed while there is hope that this key suffices. Nor are
   * inputs completed for the content keys of an edge that is known by now though it has no record: one of its consumers may have.
   * @returns what was begun and has not ended when the answer was clear
   */
  async #lookForKeys(edge: EdgeNode<Op, R>, scope: Scope): Promise<Promise<void>[]> {
    edge.lookedDeep = true;
    await this.#alternatives(edge, scope);
    if (this.#blind(edge.vertex)) edge.exhausted = true;
    const all = edge.vertex.inputs.map((_, at) => at);
    const missing = all.filter((at) => !this.#caches.matches(edge, at));
    const rest = all.filter((at) => !missing.includes(at));
    const begun: Promise<void>[] = [];
    const wave = (inputs: readonly number[], look: (at: number) => Promise<void>): Promise<void> =>
      this.#wave(edge, begun, inputs, look);
    const moreKeys = async (at: number): Promise<void> => {
      const input = edge.vertex.inputs[at];
      if (input === undefined) return;
      const looking = input.deepKeys.join(scope);
      begun.push(looking);
      await Promise.race([looking, input.looked.promise]);
      await this.#caches.search(edge);
    };
    await wave(missing, async (at) => {
      await moreKeys(at);
      if (!this.#over(edge) && !this.#caches.matches(edge, at)) await this.#contentKey(edge, at, scope);
    });
    await wave(rest, moreKeys);
    if (!edge.nodes.some(({ size }) => size > 0)) await this.#contentKeys(edge, scope, begun);
    return begun;
  }

  async #contentKeys(edge: EdgeNode<Op, R>, scope: Scope, begun: Promise<void>[]): Promise<void> {
    const { map, inputs } = edge.vertex;
    const byContent = [...inputs.keys()].filter((at) => map?.deps[at]?.contentDigest !== undefined);
    await this.#wave(edge, begun, byContent, (at) => this.#contentKey(edge, at, scope));
  }

  /** Looks through several inputs at a time, until the answer is clear. */
  async #wave(
    edge: EdgeNode<Op, R>,
    begun: Promise<void>[],
    inputs: readonly number[],
    look: (at: number) => Promise<void>,
  ): Promise<void> {
    if (this.#over(edge)) return;
    const clear = Promise.withResolvers<void>();
    const looks = inputs.map(async (at) => {
      await look(at);
      if (this.#over(edge)) clear.resolve();
    });
    begun.push(...looks);
    await Promise.race([Promise.all(looks), clear.promise]);
  }

  /** Nothing more is to be looked for. */
  #over(edge: EdgeNode<Op, R>): boolean {
    return edge.exhausted || edge.loading || edge.complete || edge.candidates.length > 0;
  }

  /** There is nothing to look for. */
  #blind({ vertex, map }: VertexNode<Op, R>): boolean {
    return this.#caches.sources.length === 0 || vertex.ignoreCache || map?.volatile === true;
  }

  async #contentKey(edge: EdgeNode<Op, R>, at: number, scope: Scope): Promise<void> {
    if (edge.vertex.map?.deps[at]?.contentDigest !== undefined) {
      await edge.vertex.contents[at]?.join(scope);
      await this.#caches.search(edge);
    }
    if (edge.candidates.length === 0 && !this.#caches.matches(edge, at)) edge.exhausted = true;
  }

  /** Waits for the deep keys of an edge, or for the insight that there are none without completing all its inputs. */
  async look(edge: EdgeNode<Op, R>, scope: Scope): Promise<void> {
    await Promise.race([edge.deepKeys.join(scope), edge.looked.promise]);
  }

  /** Asks for further identities of the op until a record is found; a vertex that ignores the cache needs all, to save under. */
  async #alternatives(edge: EdgeNode<Op, R>, scope: Scope): Promise<void> {
    const { vertex } = edge;
    let tried = 1;
    while (edge.candidates.length === 0) {
      scope.throwIfAborted();
      if (tried >= vertex.digests.length && !(await this.#nextAlternative(vertex))) return;
      tried = vertex.digests.length;
      await this.#caches.search(edge);
    }
  }

  async #nextAlternative(node: VertexNode<Op, R>): Promise<boolean> {
    const make = node.map?.alternatives;
    if (make === undefined) return false;
    node.alternatives ??= make()[Symbol.asyncIterator]();
    const { alternatives } = node;
    node.nextAlternative ??= (async () => {
      try {
        const next = await alternatives.next();
        if (next.done === true) return false;
        node.digests.push(next.value);
        this.#namer.update(node);
        node.nextAlternative = undefined;
        return true;
      } catch {
        return false; // no further identity; executing the op tells what is wrong
      }
    })();
    return node.nextAlternative;
  }

  /** Content key of what a vertex reads from an input. */
  async content(
    node: VertexNode<Op, R>,
    input: EdgeNode<Op, R>,
    at: number,
    scope: Scope,
  ): Promise<Digest | undefined> {
    const { result } = await input.result.join(scope);
    const compute = node.map?.deps[at]?.contentDigest;
    if (compute === undefined) return undefined;
    try {
      const digest = await compute(this.#reporter.task(node, scope), result);
      node.contentDigests[at] = digest;
      this.#namer.update(node);
      return digest;
    } catch {
      scope.throwIfAborted();
      return undefined;
    }
  }
}
