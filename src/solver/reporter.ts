import type { BuildEvent, Task, VertexState } from '../events/index.ts';
import { messageOf } from '../util/index.ts';
import type { EdgeNode, VertexNode } from './graph.ts';
import type { Scope } from './scope.ts';

/** One call of `solve`. */
export interface Listener {
  readonly events: (event: BuildEvent) => void;
  /** Keys of the vertices it covers. */
  readonly vertices: ReadonlySet<string>;
}

/** Says what happens to vertices, to every listener that covers them. */
export class Reporter<Op, R> {
  readonly #now: () => number;
  readonly #listeners = new Set<Listener>();

  constructor(now: () => number) {
    this.#now = now;
  }

  listen(listener: Listener): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  /** It is part of the build. Told once, whatever happens to it later. */
  pending(node: VertexNode<Op, R>): void {
    if (node.state === 'new') this.#say(node, 'pending');
  }

  /** It runs, or something is loaded for it that takes long enough to be shown. */
  started(node: VertexNode<Op, R>): void {
    if (node.state === 'loading') node.state = 'started';
    else this.#say(node, 'started');
  }

  /** It ran to its end. */
  done(node: VertexNode<Op, R>): void {
    this.#say(node, 'done');
  }

  /** For a vertex that was shown as running. */
  canceled(node: VertexNode<Op, R>): void {
    if (node.state === 'started' || node.state === 'loading') this.#say(node, 'canceled');
  }

  /** It failed. Told once: several edges may wait for one vertex. */
  failed(node: VertexNode<Op, R>, error: unknown): void {
    if (node.state !== 'failed') this.#say(node, 'failed', messageOf(error));
  }

  /**
   * An edge has its result, from a cache if the vertex did not run. Inputs that nobody needs any more now are cached as well,
   * and are told of first.
   */
  finished(edge: EdgeNode<Op, R>): void {
    const cached: VertexNode<Op, R>[] = [];
    const edges = [edge];
    for (let next = edges.pop(); next !== undefined; next = edges.pop()) {
      if (next.finished) continue;
      next.finished = true;
      const { vertex } = next;
      vertex.open--;
      if (vertex.open > 0) continue;
      if (vertex.state === 'pending' || vertex.state === 'loading') cached.push(vertex);
      for (const input of vertex.inputs) {
        input.consumers--;
        if (input.consumers === 0 && !input.finished) edges.push(input);
      }
    }
    cached.sort((a, b) => a.index - b.index);
    for (const vertex of cached) this.#say(vertex, 'cached');
  }

  /** What a runner or cache gets to work for a vertex. */
  task(node: VertexNode<Op, R>, scope: Scope): Task {
    return {
      get signal() {
        return scope.signal;
      },
      vertex: node.vertex.digest,
      events: (event) => {
        // Loading and hashing is silent unless it takes long enough to have progress.
        const ofNode = event.type !== 'diagnostic' && event.vertex === node.vertex.digest;
        if (ofNode && event.type !== 'vertex' && node.state === 'pending') {
          this.started(node);
          node.state = 'loading';
        }
        this.#send(node, event);
      },
    };
  }

  /** A fault that does no harm to the build. */
  warn(message: string): void {
    const event: BuildEvent = {
      type: 'diagnostic',
      diagnostic: { code: 'CacheFault', severity: 'warning', message, ranges: [] },
      at: this.#now(),
    };
    for (const events of new Set([...this.#listeners].map((listener) => listener.events))) events(event);
  }

  /** Changes the state of a vertex and tells all who listen. */
  #say(node: VertexNode<Op, R>, state: VertexState, error?: string): void {
    node.state = state;
    this.#send(node, {
      type: 'vertex',
      vertex: node.vertex.digest,
      name: node.vertex.name,
      inputs: node.vertex.inputs.map(({ vertex }) => vertex.digest),
      state,
      at: this.#now(),
      ...(error === undefined ? {} : { error }),
    });
  }

  /** One consumer may stand behind several calls; it is told once. */
  #send(node: VertexNode<Op, R>, event: BuildEvent): void {
    const told = new Set<(event: BuildEvent) => void>();
    for (const { events, vertices } of this.#listeners) {
      if (told.has(events) || !vertices.has(node.key)) continue;
      told.add(events);
      events(event);
    }
  }
}
