import type { FileTree, SolvedTree, TreeStat } from '../../gateway/index.ts';
import { loadGraph, type Definition, type LlbEdge } from '../../llb/index.ts';
import type { OpResult } from '../../ops/index.ts';
import { type ContextTree, resolvePath, toByteString, toText, type TreeNode } from '../../tree/index.ts';
import type { Task } from '../../events/index.ts';
import { checkSupported } from './foreign-graph.ts';
import { copyLocalBases } from './local-bases.ts';
import { readLocalFile } from './local-files.ts';
import type { Session } from '../session.ts';
import type { RequestSolver } from './solve.ts';
import { MAX_NAMES, nameOf, StackTree } from './stack-tree.ts';

/** What a definition of a frontend comes to: solved when it is first looked into, and then what it was. */
export class GraphTree implements SolvedTree {
  readonly #session: Session;
  readonly #task: Task;
  readonly #solver: RequestSolver;
  readonly #edge: LlbEdge | undefined;
  readonly #isLocal: boolean;

  /** @throws TsbuildError `TSB_LLB` for a definition that is malformed or wants what is not supported */
  constructor(session: Session, task: Task, solver: RequestSolver, definition: Definition) {
    this.#session = session;
    this.#task = task;
    this.#solver = solver;
    const graph = loadGraph(definition);
    for (const vertex of graph.vertices) checkSupported(vertex);
    const body = graph.result?.vertex.op.body;
    this.#isLocal = body?.kind === 'source' && body.identifier.startsWith('local://');
    // A directory of the machine is read in place; what builds on one is built as in the end.
    this.#edge = this.#isLocal ? graph.result : copyLocalBases(graph).result;
  }

  async evaluate(signal: AbortSignal): Promise<void> {
    await this.result(signal);
  }

  async stat(path: string, signal: AbortSignal): Promise<TreeStat | undefined> {
    const result = await this.result(signal);
    if (result.kind === 'local') return statLocal(result.tree, path);
    return (await this.#stack(result.layers, signal)).stat(path, signal);
  }

  async list(path: string, signal: AbortSignal): Promise<readonly TreeStat[] | undefined> {
    const result = await this.result(signal);
    if (result.kind === 'local') return listLocal(result.tree, path);
    return (await this.#stack(result.layers, signal)).list(path, signal);
  }

  async read(path: string, limit: number | undefined, signal: AbortSignal): Promise<Uint8Array | undefined> {
    const result = await this.result(signal);
    if (result.kind === 'local') return readLocalFile(result.tree, path, limit);
    return (await this.#stack(result.layers, signal)).read(path, limit, signal);
  }

  /** What it came to. The solver remembers what it has solved. */
  result(signal: AbortSignal): Promise<OpResult> {
    const edge = this.#edge;
    if (edge === undefined) return Promise.resolve({ kind: 'layers', layers: [] });
    return this.#solver.result(this.#taskOf(signal), edge);
  }

  async #stack(layers: readonly string[], signal: AbortSignal): Promise<FileTree> {
    return new StackTree(this.#session, await this.#session.layers.directories(this.#taskOf(signal), layers));
  }

  #taskOf(signal: AbortSignal): Task {
    return { ...this.#task, signal: AbortSignal.any([this.#task.signal, signal]) };
  }
}

function statLocal(tree: ContextTree, path: string): TreeStat | undefined {
  const located = resolvePath(tree, toByteString(path), { followLast: true });
  try {
    return located.node && toStat(nameOf(path), located.node);
  } finally {
    located.release();
  }
}

function listLocal(tree: ContextTree, path: string): readonly TreeStat[] | undefined {
  const located = resolvePath(tree, toByteString(path), { followLast: true });
  try {
    const { self } = located;
    if (self === undefined) return undefined;
    return tree
      .list(self)
      .slice(0, MAX_NAMES)
      .flatMap((name) => {
        const node = tree.lookup(self, name);
        return node === undefined ? [] : [toStat(toText(name), node)];
      });
  } finally {
    located.release();
  }
}

function toStat(name: string, node: TreeNode): TreeStat {
  const { mode, uid, gid, size, mtimeNs } = node;
  const type = node.type === 'file' || node.type === 'directory' || node.type === 'symlink' ? node.type : 'other';
  const link = node.type === 'symlink' ? { link: toText(node.linkname) } : {};
  return { name, type, mode, uid, gid, size, mtimeNs, ...link };
}
