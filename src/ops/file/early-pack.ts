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
import type { DirectOutput, OpContext } from '../context.ts';
import { fileKey } from './file-key.ts';
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

/** Names the context in errors, which come out when it is hashed. */
const LABEL = 'build context';

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

/**
 * Packs the layer of a copy in the pass that hashes what it reads, so that a large context is read once and not twice. Done only for
 * copies that this store has never seen, in builds without caches of other machines: nothing can be in the cache for them. Their key is known afterwards, as ever, and the
 * layer is taken (`OpContext.earlyPacks`) when nothing is found under it. Where it cannot be done or goes wrong nothing happens:
 * hashing and running the op tell why.
 * @returns the digest of what the copy reads, where it was found out
 */
export async function packEarly(context: OpContext, task: Task, copy: ContextCopy): Promise<Digest | undefined> {
  const { vertex, tree, selectors } = copy;
  if (context.direct?.vertices.has(vertex.digest) !== true || context.earlyPacks.has(vertex.digest)) return undefined;
  if (context.hasOtherCaches) return undefined;
  const key = canonicalDigest('tsbuild.early.v1', [
    fileKey(copy.file),
    selectorDigest(selectors),
    Buffer.from(tree.rootPath, 'latin1'),
  ]);
  if (!vertex.ignoreCache && context.facts.get(FACT, key) !== undefined) return undefined;
  try {
    if (!hasMuchToRead(copy)) return undefined;
    const parents = await baseOf(context, task, vertex, copy.file);
    // The layers of Windows images have a form of their own, which takes a diff.
    if (!parents || context.layers.isWindows(parents)) return undefined;
    context.facts.put(FACT, key, true);
    return parents.length === 0
      ? await packHere(context, task, copy, context.direct)
      : await packInWorker(context, task, copy, parents, context.direct);
  } catch {
    task.signal.throwIfAborted();
    return undefined;
  }
}

/** Has a layer at hand until it is known whose it is. */
function keep(context: OpContext, { vertex }: ContextCopy, parents: readonly string[], packed: PackedLayer): void {
  if (!context.direct) return;
  context.lease.hold({ blobs: [packed.digest] });
  context.earlyPacks.set(vertex.digest, { packed, parents, compression: context.direct.compression });
}

/** On scratch there is nothing that only the worker could look at: the context is read by this process, as the user. */
async function packHere(
  context: OpContext,
  task: Task,
  copy: ContextCopy,
  { compression, level }: DirectOutput,
): Promise<Digest | undefined> {
  const { vertex, file, input, tree, selectors } = copy;
  const params = {
    actions: file.actions,
    inputs: [...vertex.inputs.keys()].map((at): OpenInput =>
      at === input ? { kind: 'tree', tree } : { kind: 'layers', layers: [] },
    ),
    now: nowOf(context),
    idShift: 0,
  };
  if (vertex.inputs.length > 1 || !canMakeEntries(params)) return undefined;
  let digest: Digest | undefined;
  const packed = await writeFileOpLayer(params, context.store.blobs.ingest(), {
    compression: { kind: compression, ...(level === undefined ? {} : { level }) },
    signal: task.signal,
    learn: true,
    onRead: () => {
      digest = checksumTree(tree, selectors, LABEL);
    },
  });
  if (packed) keep(context, copy, [], packed);
  return digest;
}

async function packInWorker(
  context: OpContext,
  task: Task,
  copy: ContextCopy,
  parents: readonly string[],
  direct: DirectOutput,
): Promise<Digest | undefined> {
  const { vertex, file, input, tree, selectors } = copy;
  let selection: Selection<ContextDir> = { visits: [] };
  const touched = tree.record(() => {
    selection = selectPaths(tree, selectors, LABEL);
  });
  if (!isOwn(touched)) return undefined;
  const inputs: FileInput[] = [];
  for (const at of vertex.inputs.keys()) {
    if (at === input) inputs.push({ kind: 'context', context: packContext(tree, touched) });
    else if (at === file.actions[0]?.input)
      inputs.push({ kind: 'layers', layers: await context.layers.directories(task, parents) });
    else return undefined;
  }
  if (!canMakeEntries({ actions: file.actions, inputs })) return undefined;
  const packed = await callPack(context, task, { actions: file.actions, inputs, learn: true }, direct);
  const learned = packed?.learned[input];
  if (learned) takeDigests(tree, touched, learned);
  if (packed) keep(context, copy, parents, packed);
  return checksumSelection(tree, selection);
}

/** Lets the worker write the layer of a file op straight to a blob; undefined where that is not possible. */
export async function callPack(
  context: OpContext,
  task: Task,
  op: Pick<ParamsOf<'packFileOp'>, 'actions' | 'inputs' | 'learn'>,
  { compression, level }: DirectOutput,
): Promise<ResultOf<'packFileOp'>> {
  const worker = await context.worker();
  return worker.call(
    'packFileOp',
    { ...op, now: nowOf(context), compression, ...(level === undefined ? {} : { level }) },
    { signal: task.signal },
  );
}

/** The time of what a file op makes without one of its own, in nanoseconds since the epoch. */
export function nowOf(context: OpContext): bigint {
  return BigInt(Math.floor(context.now())) * 1_000_000n;
}

/** The layers that the op builds upon, where they can be told without running anything. */
async function baseOf(
  context: OpContext,
  task: Task,
  vertex: SolverVertex<Op>,
  file: FileOp,
): Promise<readonly string[] | undefined> {
  const first = file.actions[0]?.input ?? -1;
  if (first < 0) return [];
  const base = vertex.inputs[first]?.vertex.op;
  if (base?.body?.kind !== 'source' || !isImageSource(base.body)) return undefined;
  return (await imageOf(context, task, base, base.body)).layers;
}

/** Whether there is much to read. No more is looked at than it takes to tell. */
function hasMuchToRead({ tree, selectors }: ContextCopy): boolean {
  let [files, bytes] = [0, 0];
  return someSelected(tree, selectors, LABEL, ({ dir, name, node }) => {
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
