import type { FileTree, SolvedTree, TreeStat } from '../../gateway/index.ts';
import { type Definition, type Graph, type LlbEdge, loadGraph } from '../../llb/index.ts';
import type { OpResult } from '../../ops/index.ts';
import { type ContextTree, resolvePath, toByteString, toText, type TreeNode } from '../../tree/index.ts';
import type { Task } from '../../events/index.ts';
import { checkSupported } from './foreign-graph.ts';
import { copyLocalBases } from './local-bases.ts';
import { readLocalFile } from './local-files.ts';
import { type GraphBuild, withNestedGraphs } from './nested-graphs.ts';
import { MAX_NAMES, nameOf, StackTree } from './stack-tree.ts';

/** What a definition of a frontend comes to: solved when it is first looked into, and then what it was. */
export class GraphTree implements SolvedTree {
  readonly #build: GraphBuild;
  readonly #graph: Graph;
  readonly #isLocal: boolean;

  /**
   * @param definition its sources as the policies want them
   * @throws TsbuildError `TSB_LLB` for a definition that is malformed or wants what is not supported
   */
  constructor(build: GraphBuild, definition: Definition) {
    this.#build = build;
    this.#graph = loadGraph(definition);
    for (const vertex of this.#graph.vertices) checkSupported(vertex);
    const body = this.#graph.result?.vertex.op.body;
    this.#isLocal = body?.kind === 'source' && body.identifier.startsWith('local://');
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
  async result(signal: AbortSignal): Promise<OpResult> {
    const task = this.#taskOf(signal);
    // A directory of the machine is read in place; what builds on one is built as in the end.
    const edge = this.#isLocal ? this.#graph.result : await this.#built(task);
    if (edge === undefined) return { kind: 'layers', layers: [] };
    return this.#build.solver.result(task, edge);
  }

  async #built(task: Task): Promise<LlbEdge | undefined> {
    const [graph = this.#graph] = await withNestedGraphs({ ...this.#build, task }, [this.#graph]);
    return copyLocalBases(graph).result;
  }

  async #stack(layers: readonly string[], signal: AbortSignal): Promise<FileTree> {
    const { session } = this.#build;
    return new StackTree(session, await session.layers.directories(this.#taskOf(signal), layers));
  }

  #taskOf(signal: AbortSignal): Task {
    const { task } = this.#build;
    return { ...task, signal: AbortSignal.any([task.signal, signal]) };
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
