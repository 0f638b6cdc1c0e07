import type { Task } from '../../events/index.ts';
import type { AppliedOp, FileInput, KnownBase, OpenInput } from '../../fileop/index.ts';
import { summarizeLayer } from '../../layer/index.ts';
import type { FileOp } from '../../llb/index.ts';
import { decodeSummary, encodeSummary, type SummaryTree } from '../../tree/index.ts';
import { type Digest, SharedWork } from '../../util/index.ts';
import type { OpPieces } from '../pieces.ts';
import type { OpResult } from '../result.ts';
import { openInputs } from './fill-directory.ts';
import { fileInputUse } from './file-key.ts';

/** A file op that was done in memory, as it was given. */
interface Done {
  readonly file: FileOp;
  readonly inputs: readonly OpResult[];
  /** Which of the inputs it stands on. */
  readonly base: number;
  readonly now: bigint;
}

/** A stack that is known without its files: a summary, and what was done to it since. */
export interface KnownStack {
  readonly summary: Uint8Array;
  readonly done: readonly Done[];
}

type Pieces = Pick<OpPieces, 'snapshots' | 'summaries'>;

/**
 * Stacks that file ops build upon whose files are not here, and need not be: what a copy asks of what it is copied onto is told by a summary.
 * On the summary of the base image come the layers that are only blobs so far, and ops of this build that were done without files.
 */
export class KnownBases {
  readonly #pieces: Pieces;
  /** By the ids of a stack's layers. */
  readonly #stacks = new Map<string, KnownStack>();
  readonly #finding = new SharedWork<string, Uint8Array | undefined>({ keep: true });

  constructor(pieces: Pieces) {
    this.#pieces = pieces;
  }

  /**
   * What is known of the stack that a file op builds upon.
   * @returns undefined where its files are here, the op reads files of it, or nothing is known
   */
  async of(task: Task, file: FileOp, layers: readonly string[]): Promise<KnownStack | undefined> {
    const base = file.actions[0]?.input ?? -1;
    const { layers: service, store } = this.#pieces.snapshots;
    if (base < 0 || layers.length === 0 || service.isWindows(layers)) return undefined;
    const { copies, databases } = fileInputUse(file, base);
    if (copies.length > 0 || databases) return undefined;
    if (layers.every((id) => store.layers.get(id)?.fs === true)) return undefined;
    const key = layers.join(' ');
    const known = this.#stacks.get(key);
    if (known) return known;
    const summary = await this.#finding.run(key, task.signal, () => this.#find(task, layers));
    return summary && { summary, done: [] };
  }

  /** An op was done on a known stack. @param layers that came of it, bottom first */
  add(layers: readonly string[], below: KnownStack, op: Done): void {
    this.#stacks.set(layers.join(' '), { ...below, done: [...below.done, op] });
  }

  /** Tells on which base image an op was done. */
  noteBase(layers: readonly string[]): void {
    const found = this.#split(layers);
    if (found) this.#pieces.summaries?.wanted(found.chain, found.base);
  }

  async #find(task: Task, layers: readonly string[]): Promise<Uint8Array | undefined> {
    const found = this.#split(layers);
    const bytes = found && (await this.#pieces.summaries?.find(task, found.chain));
    if (!found || !bytes || found.above.length === 0) return bytes;
    let tree: SummaryTree | undefined = decodeSummary(bytes);
    for (const id of found.above) tree &&= await this.#withLayer(task, tree, id);
    return tree && encodeSummary(tree);
  }

  /** The layers of the base image, and those above; undefined without such an image. */
  #split(
    layers: readonly string[],
  ): { readonly chain: Digest; readonly base: readonly string[]; readonly above: readonly string[] } | undefined {
    const { layers: service } = this.#pieces.snapshots;
    const chains = service.imageChains(layers);
    const chain = chains.at(-1);
    return chain && { chain, base: layers.slice(0, chains.length), above: layers.slice(chains.length) };
  }

  /** A layer that is a blob, here or elsewhere. One that is a directory has times that no blob has: its files count. */
  async #withLayer(task: Task, below: SummaryTree, id: string): Promise<SummaryTree | undefined> {
    const { layers: service, store } = this.#pieces.snapshots;
    if (store.layers.get(id)?.fs === true) return undefined;
    await service.fetch(task, [id]);
    const layer = store.layers.get(id);
    const blob = layer?.blobs.find(({ descriptor }) => store.blobs.has(descriptor.digest));
    if (layer?.diffId === undefined || !blob) return undefined;
    const { compression, descriptor } = blob;
    const path = store.blobs.path(descriptor.digest);
    try {
      return await summarizeLayer(below, { path, compression, diffId: layer.diffId }, task.signal);
    } catch {
      task.signal.throwIfAborted();
      // Unpacking it mends what can be mended, and says what is wrong.
      return undefined;
    }
  }
}

/** A known stack for this process, which has the directories that were copied from; undefined where layers were copied from, too. */
export function knownHere({ summary, done }: KnownStack): KnownBase<OpenInput> | undefined {
  const above: AppliedOp<OpenInput>[] = [];
  for (const { file, inputs, base, now } of done) {
    const opened = treesOf(inputs, base);
    if (!opened) return undefined;
    above.push({ actions: file.actions, inputs: opened, now });
  }
  return { kind: 'known', summary, above };
}

/** Inputs as they are, where they are directories of the machine but for the one that is built upon. */
export function treesOf(inputs: readonly OpResult[], base: number): AppliedOp<OpenInput>['inputs'] | undefined {
  if (inputs.some((input, at) => at !== base && input.kind !== 'local')) return undefined;
  return inputs.map((input) => (input.kind === 'local' ? { kind: 'tree', tree: input.tree } : { kind: 'known' }));
}

/** A known stack as it is sent to the worker. */
export async function knownInWorker(
  { layers }: OpPieces['snapshots'],
  task: Task,
  { summary, done }: KnownStack,
): Promise<KnownBase> {
  const above: AppliedOp[] = [];
  for (const { file, inputs, base, now } of done) {
    const { sources } = await openInputs(layers, task, file, withoutBase(inputs, base));
    above.push({ actions: file.actions, inputs: sources.map((one, at) => (at === base ? NOTHING : one)), now });
  }
  return { kind: 'known', summary, above };
}

const NOTHING = { kind: 'known' } as const;

/** Inputs to open without what is built upon, which is not to be fetched. */
export function withoutBase(inputs: readonly OpResult[], base: number): readonly OpResult[] {
  return inputs.map((input, at) => (at === base ? { kind: 'layers', layers: [] } : input));
}

/** The opened inputs of an op, with a known base in its place. */
export function withKnown(
  sources: readonly FileInput[],
  base: number,
  known: KnownBase,
): readonly (FileInput | KnownBase)[] {
  return sources.map((source, at) => (at === base ? known : source));
}
