import type { FileAction } from '../llb/index.ts';
import { FsTree, type FsDir, LayersTree, type ReadableTree, decodeContext } from '../tree/index.ts';
import { TsbuildError } from '../util/index.ts';
import { applyAction } from './apply-action.ts';
import { copyAll } from './copy-all.ts';
import { isArchiveMatch, unpackArchive } from './unpack.ts';
import { OpenedTrees } from './opened-trees.ts';
import type { FileOpHost, FileOpOutput, FileOpParams, FileOpResult, OpenInput, WritableRoot } from './types.ts';

/** A tree that something is being done to, and the layers beneath it. */
interface Workspace {
  readonly lowers: readonly string[];
  readonly root: WritableRoot;
  readonly tree: FsTree;
  frozen: boolean;
}

/**
 * Runs the actions of a file op on mounted roots. A chain of actions shares one new layer; a result that is used more
 * than once is frozen, and what builds on it gets a layer of its own.
 * @throws TsbuildError; layers that were made are discarded then
 */
export async function runFileActions(
  params: FileOpParams,
  host: FileOpHost,
  task: { readonly signal: AbortSignal },
): Promise<FileOpResult> {
  using run = new Run(params, host, task.signal);
  return await run.run();
}

class Run {
  readonly #params: FileOpParams;
  readonly #host: FileOpHost;
  readonly #signal: AbortSignal;
  readonly #warnings: string[] = [];
  readonly #inputs = new Map<number, ReadableTree<unknown>>();
  readonly #results: Workspace[] = [];
  readonly #made = new Set<Workspace>();
  readonly #kept = new Set<Workspace>();
  readonly #opened = new OpenedTrees();

  constructor(params: FileOpParams, host: FileOpHost, signal: AbortSignal) {
    this.#params = params;
    this.#host = host;
    this.#signal = signal;
  }

  /** Applies the actions in their order. */
  async run(): Promise<FileOpResult> {
    const { actions } = this.#params;
    const outputs = checkActions(actions, this.#params.inputs.length);
    for (const [index, action] of actions.entries()) {
      const work = await this.#workspace(action.input);
      const source = action.kind === 'copy' ? this.#source(action.secondaryInput) : undefined;
      await this.#apply(action, work.tree, source);
      this.#results[index] = work;
    }
    const found = outputs.map((index): FileOpOutput => {
      const work = this.#results[index] as Workspace;
      this.#freeze(work);
      this.#kept.add(work);
      return { lowers: work.lowers, root: work.root };
    });
    // What an output builds upon is part of it.
    for (const work of this.#made) {
      if (found.some((output) => output.lowers.includes(work.root.layer))) this.#kept.add(work);
    }
    return { outputs: found, warnings: [...new Set(this.#warnings)] };
  }

  [Symbol.dispose](): void {
    this.#opened[Symbol.dispose]();
    for (const work of this.#made) {
      if (this.#kept.has(work)) continue;
      if (!work.frozen) work.tree[Symbol.dispose]();
      work.root.discard();
    }
  }

  async #apply(action: FileAction, tree: FsTree, source: ReadableTree<unknown> | undefined): Promise<void> {
    const warn = (message: string): unknown => this.#warnings.push(message);
    const signal = this.#signal;
    await applyAction<FsDir>({
      action,
      tree,
      source,
      treeOf: (input) => this.#inputTree(input),
      warn,
      signal,
      unpack: async (match, copy, owner) => {
        if (!source || !(await isArchiveMatch(source, match))) return false;
        await unpackArchive({ source, match, tree, action: copy, owner, warn, signal });
        return true;
      },
    });
  }

  /** The tree that an action changes. */
  async #workspace(index: number): Promise<Workspace> {
    const { inputs } = this.#params;
    if (index < 0) return this.#create([]);
    const input = inputs[index];
    if (input?.kind === 'layers') return this.#create(input.layers);
    if (input) {
      const work = this.#create([]);
      await this.#apply(copyAll, work.tree, this.#inputTree(index));
      return work;
    }
    const result = this.#results[index - inputs.length] as Workspace;
    if (this.#uses(index) === 1) return result;
    this.#freeze(result);
    return this.#create([...result.lowers, result.root.layer]);
  }

  /** The tree that a copy reads. */
  #source(index: number): ReadableTree<unknown> {
    const { inputs, idShift } = this.#params;
    if (index < 0) return new LayersTree([], { idShift });
    if (index < inputs.length) return this.#inputTree(index) as ReadableTree<unknown>;
    const { tree, frozen, lowers, root } = this.#results[index - inputs.length] as Workspace;
    return frozen ? this.#opened.add(new LayersTree([...lowers, root.layer], { idShift })) : tree;
  }

  #inputTree(index: number): ReadableTree<unknown> | undefined {
    const known = this.#inputs.get(index);
    const input = this.#params.inputs[index];
    if (known || !input) return known;
    const tree = this.#opened.add(openInput(input, this.#params.idShift));
    this.#inputs.set(index, tree);
    return tree;
  }

  /** Begins a tree: a new layer on these directories. */
  #create(lowers: readonly string[]): Workspace {
    const root = this.#host.createRoot(lowers);
    const { idShift, idCount } = this.#params;
    const tree = FsTree.open(root.path, { idShift, ...(idCount === undefined ? {} : { idLimit: idCount }) });
    const work = { lowers, root, tree, frozen: false };
    this.#made.add(work);
    return work;
  }

  /** Ends a tree: it is read from here on, and must not change. */
  #freeze(work: Workspace): void {
    if (work.frozen) return;
    work.frozen = true;
    work.tree[Symbol.dispose]();
    work.root.freeze();
  }

  /** How often a result is used, as an output too. */
  #uses(index: number): number {
    const { actions, inputs } = this.#params;
    const own = (actions[index - inputs.length]?.output ?? -1) >= 0 ? 1 : 0;
    return actions.reduce(
      (count, action) => count + Number(action.input === index) + Number(action.secondaryInput === index),
      own,
    );
  }
}

/** The readable tree of an input. */
export function openInput(input: OpenInput, idShift: number): ReadableTree<unknown> {
  switch (input.kind) {
    case 'context':
      return decodeContext(input.context);
    case 'tree':
      return input.tree;
    case 'layers':
      return new LayersTree(input.layers, { idShift });
  }
}

/**
 * Checks indexes and returns the action that makes each output.
 * @throws TsbuildError `TSB_LLB`
 */
export function checkActions(actions: readonly FileAction[], inputs: number): number[] {
  const outputs: number[] = [];
  const fail = (why: string): never => {
    throw new TsbuildError('TSB_LLB', `Cannot run a file operation: ${why}`);
  };
  for (const [index, { input, secondaryInput, output }] of actions.entries()) {
    for (const one of [input, secondaryInput]) {
      if (!Number.isInteger(one) || one < -1 || one >= inputs + index) fail(`invalid input index ${one}`);
    }
    if (output === -1) continue;
    if (!Number.isInteger(output) || output < 0 || output >= actions.length) fail(`invalid output index ${output}`);
    if (outputs[output] !== undefined) fail(`duplicate output ${output}`);
    outputs[output] = index;
  }
  if (outputs.length === 0) fail('no outputs specified');
  for (let output = 0; output < outputs.length; output++) {
    if (outputs[output] === undefined) fail(`missing output index ${output}`);
  }
  return outputs;
}
