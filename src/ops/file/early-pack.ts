import { canMakeEntries, type FileInput, type OpenInput, writeFileOpLayer } from '../../fileop/index.ts';
import type { FileOp, Op } from '../../llb/index.ts';
import type { SolverVertex } from '../../solver/index.ts';
import {
  checksumSelection,
  checksumTree,
  type ContextDir,
  type ContextNode,
  type ContextTree,
  packContext,
  type Selection,
  type Selector,
  selectorDigest,
  selectPaths,
  someSelected,
  takeDigests,
} from '../../tree/index.ts';
import { canonicalDigest, type Digest } from '../../util/index.ts';
import type { Compression } from '../../image/index.ts';
import type { Task } from '../../events/index.ts';
import type { ParamsOf, ResultOf } from '../../worker/index.ts';
import { CONTEXT_LABEL } from '../content-key.ts';
import type { PackingPlan } from '../packing-plan.ts';
import type { OpPieces } from '../pieces.ts';
import { fileKey } from './file-key.ts';
import type { FilePieces } from './file-op.ts';
import { nowOf } from './file-time.ts';
import { imageOf, isImageSource } from '../source/image-source.ts';

/** A layer blob in the store. */
interface PackedLayer {
  readonly diffId: Digest;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  readonly warnings: readonly string[];
}

/** The layer of a file op that was written straight to a blob. */
export interface DirectPack {
  readonly packed: PackedLayer;
  readonly compression: Compression;
  /** The layers that it belongs on, bottom first. */
  readonly parents: readonly string[];
}

/** With less to read than either, hashing takes no longer than having it done elsewhere. */
const MIN_FILES = 500;
const MIN_BYTES = 8 * 1024 * 1024;

/** Facts of this kind name the copies that were packed on this store. */
const FACT = 'packed';

/** A vertex whose op copies from the local directory at one of its inputs. */
export interface ContextCopy {
  readonly vertex: SolverVertex<Op>;
  readonly file: FileOp;
  readonly input: number;
  readonly tree: ContextTree;
  /** What it reads of the tree. */
  readonly selectors: readonly Selector[];
}

/** What packing needs. */
export type PackPieces = Pick<OpPieces, 'snapshots' | 'origins' | 'report'>;

/**
 * Packs the layer of a copy in the pass that hashes what it reads, so that a large context is read once and not twice. Done only for
 * copies that this store has never seen, in builds without caches of other machines: nothing can be in the cache for them. Their key is
 * known afterwards, as ever, and the layer is taken when nothing is found under it.
 */
export class EarlyPacks {
  readonly #pieces: PackPieces;
  readonly #plan: PackingPlan;
  readonly #packs = new Map<Digest, DirectPack>();

  constructor(pieces: PackPieces, plan: PackingPlan) {
    this.#pieces = pieces;
    this.#plan = plan;
  }

  get(vertex: Digest): DirectPack | undefined {
    return this.#packs.get(vertex);
  }

  /**
   * Where it cannot be done or goes wrong nothing happens: hashing and running the op tell why.
   * @returns the digest of what the copy reads, where it was found out
   */
  async pack(task: Task, copy: ContextCopy): Promise<Digest | undefined> {
    const { vertex, tree, selectors } = copy;
    const { facts } = this.#pieces.snapshots.store;
    if (!this.#plan.isNews || !this.#plan.blobOnly.has(vertex.digest) || this.#packs.has(vertex.digest))
      return undefined;
    const key = canonicalDigest('tsbuild.early.v1', [
      fileKey(copy.file),
      selectorDigest(selectors),
      Buffer.from(tree.rootPath, 'latin1'),
    ]);
    if (!vertex.ignoreCache && facts.get(FACT, key) !== undefined) return undefined;
    try {
      if (!hasMuchToRead(copy)) return undefined;
      const parents = await baseOf(this.#pieces, task, vertex, copy.file);
      // The layers of Windows images have a form of their own, which takes a diff.
      if (!parents || this.#pieces.snapshots.layers.isWindows(parents)) return undefined;
      facts.put(FACT, key, true);
      return parents.length === 0 ? await this.#packHere(task, copy) : await this.#packInWorker(task, copy, parents);
    } catch {
      task.signal.throwIfAborted();
      return undefined;
    }
  }

  /** Has a layer at hand until it is known whose it is. */
  #keep({ vertex }: ContextCopy, parents: readonly string[], packed: PackedLayer): void {
    this.#pieces.snapshots.lease.hold({ blobs: [packed.digest] });
    this.#packs.set(vertex.digest, { packed, parents, compression: this.#plan.form.kind });
  }

  /** On scratch there is nothing that only the worker could look at: the context is read by this process, as the user. */
  async #packHere(task: Task, copy: ContextCopy): Promise<Digest | undefined> {
    const { vertex, file, input, tree, selectors } = copy;
    const { kind, level } = this.#plan.form;
    const params = {
      actions: file.actions,
      inputs: [...vertex.inputs.keys()].map((at): OpenInput =>
        at === input ? { kind: 'tree', tree } : { kind: 'layers', layers: [] },
      ),
      now: nowOf(this.#pieces),
      idShift: 0,
    };
    if (vertex.inputs.length > 1 || !canMakeEntries(params)) return undefined;
    let digest: Digest | undefined;
    const packed = await writeFileOpLayer(params, this.#pieces.snapshots.store.blobs.ingest(), {
      compression: { kind, ...(level === undefined ? {} : { level }) },
      signal: task.signal,
      learn: true,
      onRead: () => {
        digest = checksumTree(tree, selectors, CONTEXT_LABEL);
      },
    });
    if (packed) this.#keep(copy, [], packed);
    return digest;
  }

  async #packInWorker(task: Task, copy: ContextCopy, parents: readonly string[]): Promise<Digest | undefined> {
    const { vertex, file, input, tree, selectors } = copy;
    const { layers } = this.#pieces.snapshots;
    let selection: Selection<ContextDir> = { visits: [] };
    const touched = tree.record(() => {
      selection = selectPaths(tree, selectors, CONTEXT_LABEL);
    });
    if (!isOwn(touched)) return undefined;
    const inputs: FileInput[] = [];
    for (const at of vertex.inputs.keys()) {
      if (at === input) inputs.push({ kind: 'context', context: packContext(tree, touched) });
      else if (at === file.actions[0]?.input)
        inputs.push({ kind: 'layers', layers: await layers.directories(task, parents) });
      else return undefined;
    }
    if (!canMakeEntries({ actions: file.actions, inputs })) return undefined;
    const packed = await callPack(this.#pieces, task, { actions: file.actions, inputs, learn: true }, this.#plan);
    const learned = packed?.learned[input];
    if (learned) takeDigests(tree, touched, learned);
    if (packed) this.#keep(copy, parents, packed);
    return checksumSelection(tree, selection);
  }
}

/** Lets the worker write the layer of a file op straight to a blob; undefined where that is not possible. */
export async function callPack(
  { snapshots, report }: FilePieces,
  task: Task,
  op: Pick<ParamsOf<'packFileOp'>, 'actions' | 'inputs' | 'learn'>,
  { form: { kind, level } }: PackingPlan,
): Promise<ResultOf<'packFileOp'>> {
  const worker = await snapshots.worker();
  return worker.call(
    'packFileOp',
    { ...op, now: nowOf({ report }), compression: kind, ...(level === undefined ? {} : { level }) },
    { signal: task.signal },
  );
}

/** The layers that the op builds upon, where they can be told without running anything. */
async function baseOf(
  { origins }: Pick<OpPieces, 'origins'>,
  task: Task,
  vertex: SolverVertex<Op>,
  file: FileOp,
): Promise<readonly string[] | undefined> {
  const first = file.actions[0]?.input ?? -1;
  if (first < 0) return [];
  const base = vertex.inputs[first]?.vertex.op;
  if (base?.body?.kind !== 'source' || !isImageSource(base.body)) return undefined;
  return (await imageOf(origins, task, base, base.body)).layers;
}

/** Whether there is much to read. No more is looked at than it takes to tell. */
function hasMuchToRead({ tree, selectors }: ContextCopy): boolean {
  let [files, bytes] = [0, 0];
  return someSelected(tree, selectors, CONTEXT_LABEL, ({ dir, name, node }) => {
    if (node.type === 'file' && !tree.isHashed(dir, name, node as ContextNode)) {
      files++;
      bytes += node.size;
    }
    return files >= MIN_FILES || bytes >= MIN_BYTES;
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
