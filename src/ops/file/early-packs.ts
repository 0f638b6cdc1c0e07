import type { Task } from '../../events/index.ts';
import type { FileInput } from '../../fileop/index.ts';
import type { FileOp } from '../../llb/index.ts';
import {
  checksumTree,
  type ContextDir,
  type ContextNode,
  type ContextTree,
  encodeContext,
  type Selector,
  someSelected,
  takeDigests,
} from '../../tree/index.ts';
import type { Digest } from '../../util/index.ts';
import { CONTEXT_LABEL } from '../content-key.ts';
import type { OpVertex } from '../kind-runner.ts';
import type { PackingPlan } from '../packing-plan.ts';
import type { OpPieces } from '../pieces.ts';
import { imageOf, isImageSource } from '../image-source.ts';
import { type OpResult, snapshot } from '../result.ts';
import type { KnownBases } from './known-bases.ts';
import { packWithoutFiles } from './pack-op.ts';
import { packHere } from './pack-here.ts';
import { packInWorker } from './pack-in-worker.ts';
import type { PackedOp } from './packed-op.ts';
import { isMuch, mayPackEarly, wayOf } from './plan.ts';

/** A vertex whose op copies from the local directory at one of its inputs. */
export interface ContextCopy {
  readonly vertex: OpVertex;
  readonly file: FileOp;
  readonly input: number;
  readonly tree: ContextTree;
  /** What it reads of the tree. */
  readonly selectors: readonly Selector[];
}

/** A blob, and the layers that it belongs on, bottom first. */
export interface EarlyPack {
  readonly packed: PackedOp;
  readonly parents: readonly string[];
}

/**
 * Packs layers of copies in the pass that hashes what they read: a quarter of the time of a large first build. Their keys are known
 * afterwards, as ever, and a layer is taken when nothing is found under its key.
 */
export class EarlyPacks {
  readonly #pieces: Pick<OpPieces, 'snapshots' | 'origins' | 'report'>;
  readonly #plan: PackingPlan;
  readonly #bases: KnownBases;
  readonly #packs = new Map<Digest, EarlyPack>();

  constructor(pieces: Pick<OpPieces, 'snapshots' | 'origins' | 'report'>, plan: PackingPlan, bases: KnownBases) {
    this.#pieces = pieces;
    this.#plan = plan;
    this.#bases = bases;
  }

  /** The layer of a vertex, if it was packed. */
  get(vertex: OpVertex): EarlyPack | undefined {
    return this.#packs.get(vertex.digest);
  }

  /**
   * Packs the layer, if that is worth while. Where it cannot be done or goes wrong nothing happens: hashing and running the op tell why.
   * @returns the digest of what the copy reads, where it was found out
   */
  async pack(task: Task, copy: ContextCopy): Promise<Digest | undefined> {
    const { vertex, file, tree, selectors } = copy;
    if (!mayPackEarly(vertex, this.#plan) || this.#packs.has(vertex.digest)) return undefined;
    try {
      if (!hasMuchToRead(tree, selectors)) return undefined;
      const parents = await this.#baseOf(task, copy);
      if (!parents) return undefined;
      const inputs = vertex.inputs.map((_, at) => (at === copy.input ? 'local' : 'layers'));
      const onWindows = this.#pieces.snapshots.layers.isWindows(parents);
      const way = wayOf({ file, inputs, onWindows }, vertex.digest, this.#plan);
      if (way === 'here') return await this.#here(task, copy);
      return way === 'worker-blob' ? await this.#inWorker(task, copy, parents) : undefined;
    } catch {
      task.signal.throwIfAborted();
      return undefined;
    }
  }

  async #here(task: Task, { vertex, file, tree, selectors }: ContextCopy): Promise<Digest | undefined> {
    let digest: Digest | undefined;
    const packed = await packHere(this.#pieces, task, file, [{ kind: 'tree', tree }], this.#plan.form, {
      learn: true,
      onRead: () => {
        digest = checksumTree(tree, selectors, CONTEXT_LABEL);
      },
    });
    if (packed) this.#packs.set(vertex.digest, { packed, parents: [] });
    return digest;
  }

  async #inWorker(task: Task, copy: ContextCopy, parents: readonly string[]): Promise<Digest | undefined> {
    const { vertex, file, input, tree, selectors } = copy;
    const inputs = vertex.inputs.map((_, at): OpResult => (at === input ? { kind: 'local', tree } : snapshot(parents)));
    const options = { learn: true };
    const without = await packWithoutFiles(
      this.#pieces,
      this.#bases,
      this.#plan,
      task,
      { vertex, file, inputs },
      options,
    );
    if (without) {
      this.#packs.set(vertex.digest, { packed: without.packed, parents });
      return checksumTree(tree, selectors, CONTEXT_LABEL);
    }
    const touched = tree.record(() => void someSelected(tree, selectors, CONTEXT_LABEL, () => false));
    if (!isOwn(touched)) return undefined;
    const layers = await this.#pieces.snapshots.layers.directories(task, parents);
    const context = encodeContext(tree, touched);
    const sources = vertex.inputs.map((_, at): FileInput =>
      at === input ? { kind: 'context', context } : { kind: 'layers', layers },
    );
    const packed = await packInWorker(this.#pieces, task, file, sources, this.#plan.form, { learn: true });
    const learned = packed?.learned[input];
    if (learned) takeDigests(tree, touched, learned);
    if (packed) this.#packs.set(vertex.digest, { packed, parents });
    return checksumTree(tree, selectors, CONTEXT_LABEL);
  }

  /** The layers that the op builds upon, where they can be told without running anything, and it reads no others. */
  async #baseOf(task: Task, { vertex, file, input }: ContextCopy): Promise<readonly string[] | undefined> {
    const first = file.actions[0]?.input ?? -1;
    if (vertex.inputs.some((_, at) => at !== input && at !== first)) return undefined;
    if (first < 0) return [];
    const base = vertex.inputs[first]?.vertex;
    const body = base?.op.body;
    if (base === undefined || body?.kind !== 'source' || !isImageSource(body)) return undefined;
    return (await imageOf(this.#pieces.origins, task, base, body)).layers;
  }
}

/** Whether there is much to hash. No more is looked at than it takes to tell. */
function hasMuchToRead(tree: ContextTree, selectors: readonly Selector[]): boolean {
  let [files, bytes] = [0, 0];
  return someSelected(tree, selectors, CONTEXT_LABEL, ({ dir, name, node }) => {
    if (node.type === 'file' && !tree.isHashed(dir, name, node as ContextNode)) {
      files++;
      bytes += node.size;
    }
    return isMuch(files, bytes);
  });
}

/**
 * Whether the user can read all files. The worker, root in its namespace, can read what its user has closed to himself, and it must not
 * come to that.
 */
function isOwn(touched: ReadonlySet<ContextDir>): boolean {
  const uid = process.geteuid?.() ?? 0;
  if (uid === 0) return true;
  for (const dir of touched) {
    for (const { type, mode, stat } of dir.nodes?.values() ?? [])
      if (type === 'file' && (stat.uid !== uid || (mode & 0o400) === 0)) return false;
  }
  return true;
}
