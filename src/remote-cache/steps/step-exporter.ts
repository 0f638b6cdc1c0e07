import type { Task } from '../../events/index.ts';
import type { Descriptor, Repository } from '../../image/index.ts';
import type { PushBlob } from '../../registry/index.ts';
import type { KeyLink, KnownEdge } from '../../solver/index.ts';
import { type Digest, isTsbuildError } from '../../util/index.ts';
import type { CachedLayer } from '../remote-config.ts';
import { seal } from './envelope.ts';
import { IndexUpdate } from './index-update.ts';
import type { SigningKey } from './keys.ts';
import { namedLayers } from './named-layers.ts';
import { Pace } from './pace.ts';
import type { StepPlace } from './place.ts';
import { type Author, encodeRecord } from './record.ts';
import { StepNaming } from './step-naming.ts';

/** What is used is kept from expiring when that was last done so long ago. */
const DEFAULT_TOUCH_MS = 24 * 60 * 60_000;

/** What the results of a build are to an exporter. */
export interface StepLayers<R> {
  /** The layers of a result, bottom first, in the form that is wanted; undefined for what no cache can have. */
  describe(task: Task, result: R): Promise<readonly CachedLayer[] | undefined>;
  /** Ids of the layers of a result, for telling whether it is part of another. */
  ids(result: R): readonly string[];
  /** A layer that `describe` told of, as it is sent. */
  blob(task: Task, layer: CachedLayer): PushBlob;
  /** Repositories that may have a layer. */
  mountFrom(layer: CachedLayer): readonly Repository[];
  /** Told of layers that a repository has now. */
  onThere(layers: readonly CachedLayer[], repository: Repository): void;
  /** When the result of an edge was made, in milliseconds since the epoch. */
  createdAt(edge: KnownEdge<R>): number;
  /** What is told of a step to who explains why one missed. */
  summary?(edge: KnownEdge<R>): Uint8Array | undefined;
  /** Links of the local cache that lead to a node. */
  linksTo(node: string): readonly KeyLink[];
}

/** What an exporter works with. */
export interface StepExporterOptions<R> {
  readonly place: StepPlace;
  /** Of the build: what goes on beside it ends with it. */
  readonly task: Task;
  /** `min`: results whose layers are all in what the build is for; `max`: all. */
  readonly mode: 'min' | 'max';
  readonly layers: StepLayers<R>;
  readonly author: Author;
  readonly now: () => number;
  readonly key?: SigningKey;
  /** Most bytes that the place may take. */
  readonly maxBytes?: number;
  /** How old a record that is used may become before it is kept from expiring, in milliseconds. Default: a day. */
  readonly touchMs?: number;
  /** Layers that are damaged where they are kept, and have to be sent again. */
  readonly damaged?: () => ReadonlySet<Digest>;
}

/** What came of an export. */
export interface ExportReport {
  /** Records that were written, and that were there. */
  readonly written: number;
  readonly kept: number;
  readonly layersSent: number;
  readonly bytesSent: number;
}

/**
 * The writing side of one scope of a shared cache. Each step goes up when it has its result, while the build goes on: its layers, then its
 * records. Nothing that is there is written again, but for what was made anew in this build: whoever runs a step although there is
 * a record does so because that is damaged, or not wanted any more.
 */
export class StepExporter<R> {
  readonly #options: StepExporterOptions<R>;
  readonly #pace = new Pace();
  readonly #naming: StepNaming<R>;
  readonly #index: IndexUpdate;
  readonly #offered = new Map<KnownEdge<R>, Promise<void>>();
  readonly #sent = new Map<Digest, number>();
  /** Layers that are being put, or were, by digest and whether they are damaged there. */
  readonly #layers = new Map<string, Promise<void>>();
  #failure: Error | undefined;
  /** The place takes nothing: it is not tried again. */
  #isRefused = false;
  #written = 0;
  #kept = 0;

  constructor(options: StepExporterOptions<R>) {
    this.#options = options;
    this.#naming = new StepNaming((node) => options.layers.linksTo(node));
    this.#index = new IndexUpdate(options.place, options.now);
  }

  /** An edge has its result: it goes up beside the build. What goes wrong is told in the end. */
  offer(edge: KnownEdge<R>): void {
    if (edge.source || edge.result === undefined || this.#offered.has(edge)) return;
    this.#offered.set(
      edge,
      this.#pace.run(() => this.#failing(this.#export(this.#options.task, edge))),
    );
  }

  /**
   * Exports what is left, and the index.
   * @param known the edges of the build, inputs first
   * @throws what kept anything from being written; `TSB_CANCELED`
   */
  async finish(task: Task, known: readonly KnownEdge<R>[]): Promise<ExportReport> {
    this.#pace.hurry();
    const { mode, layers, maxBytes, place } = this.#options;
    const targets = known.filter(({ target }) => target);
    const ids = new Set(targets.flatMap(({ result }) => (result === undefined ? [] : layers.ids(result))));
    for (const edge of known) {
      const { result } = edge;
      if (result !== undefined && (mode === 'max' || layers.ids(result).every((id) => ids.has(id)))) this.offer(edge);
    }
    // What has no result may be known in several ways, of which all but the first only lead on.
    const rest = known
      .filter((edge) => !edge.source && !this.#offered.has(edge))
      .map((edge) => this.#pace.now(() => this.#failing(this.#writeRecords(task, edge, undefined))));
    await Promise.all([...this.#offered.values(), ...rest]);
    task.signal.throwIfAborted();
    if (this.#failure !== undefined && this.#isRefused) throw this.#failure;
    await this.#touch(task);
    const gone = maxBytes === undefined ? [] : await place.prune?.(task, maxBytes);
    await this.#index.write(task, gone);
    await place.flush?.(task);
    if (this.#failure !== undefined) throw this.#failure;
    return this.#report();
  }

  /** The build has failed: what was offered is written all the same, with an index that has it. @throws as `finish` */
  async settle(task: Task): Promise<void> {
    this.#pace.hurry();
    await Promise.all(this.#offered.values());
    if (this.#isRefused || this.#written === 0) return;
    await this.#index.write(task);
    await this.#options.place.flush?.(task);
  }

  /** Resolves when nothing of what was offered is going on any more. */
  async idle(): Promise<void> {
    this.#pace.hurry();
    await Promise.all(this.#offered.values());
  }

  #report(): ExportReport {
    const bytesSent = [...this.#sent.values()].reduce((sum, size) => sum + size, 0);
    return { written: this.#written, kept: this.#kept, layersSent: this.#sent.size, bytesSent };
  }

  /** A piece of work whose failure is known before the next one begins: a place that refuses is asked no more. */
  #failing(work: Promise<void>): Promise<void> {
    return work.catch((error: unknown) => this.#fail(error));
  }

  #fail(error: unknown): void {
    this.#failure ??= error instanceof Error ? error : new Error(String(error));
    const codes = ['TSB_REGISTRY', 'TSB_NETWORK', 'TSB_PERMISSION', 'TSB_NO_SPACE'] as const;
    if (codes.some((code) => isTsbuildError(error, code))) this.#isRefused = true;
  }

  async #export(task: Task, edge: KnownEdge<R>): Promise<void> {
    const { place, layers } = this.#options;
    task.signal.throwIfAborted();
    const { result } = edge;
    if (this.#isRefused || result === undefined) return;
    if (!edge.executed && (await this.#isThere(task, edge))) return;
    const described = await layers.describe(task, result);
    if (described === undefined) return;
    const own = (await this.#isMade(task, edge)) ? described.at(-1) : undefined;
    await Promise.all(described.map((layer) => this.#putLayer(task, layer, layer === own)));
    if (place.repository !== undefined) layers.onThere(described, place.repository);
    await this.#writeRecords(task, edge, described);
  }

  /**
   * Whether the index has an edge under all its names, which is enough to go by: should it not be there after all, somebody misses it and
   * writes it again.
   */
  async #isThere(task: Task, edge: KnownEdge<R>): Promise<boolean> {
    const names = this.#naming.namesOf(edge);
    const before = await this.#index.before(task);
    const damaged = this.#options.damaged?.();
    if (names.length === 0 || (damaged?.size ?? 0) > 0) return names.length === 0;
    if (!names.every((name) => before.get(name)?.hasLayers === true)) return false;
    for (const name of names) this.#index.use(name);
    this.#kept += names.length;
    return true;
  }

  /**
   * Whether a step was made again although there was a record. Its layer may be one that is there already, by its digest, and be the very one
   * that is damaged: nobody may have looked into it, because another of the record's layers was found to be damaged first.
   */
  async #isMade(task: Task, edge: KnownEdge<R>): Promise<boolean> {
    if (!edge.executed) return false;
    const before = await this.#index.before(task);
    return this.#naming.namesOf(edge).some((name) => before.get(name)?.hasLayers === true);
  }

  /** Steps stand on the same layers, and are exported at a time: each layer is asked for and sent once. A failure is not kept. */
  async #putLayer(task: Task, layer: CachedLayer, isMadeAgain: boolean): Promise<void> {
    const { digest } = layer.descriptor;
    const again = isMadeAgain || (this.#options.damaged?.().has(digest) ?? false);
    const key = `${digest} ${again}`;
    let putting = this.#layers.get(key);
    if (putting === undefined) {
      putting = this.#sendLayer(task, layer, again);
      this.#layers.set(key, putting);
      putting.catch(() => this.#layers.delete(key));
    }
    await putting;
  }

  async #sendLayer(task: Task, layer: CachedLayer, again: boolean): Promise<void> {
    const { place, layers } = this.#options;
    const { digest, size } = layer.descriptor;
    const blob = { ...layers.blob(task, layer), mountFrom: () => layers.mountFrom(layer) };
    const outcome = await this.#pace.transfer(() => place.putLayer(task, blob, again));
    if (outcome === 'sent') this.#sent.set(digest, size);
  }

  /** Writes the records of all names of an edge. Without layers they lead from one name to another. */
  async #writeRecords(task: Task, edge: KnownEdge<R>, layers: readonly CachedLayer[] | undefined): Promise<void> {
    const names = this.#naming.namesOf(edge);
    const [node] = names;
    if (node === undefined || this.#isRefused) return;
    const { place, key, author, now } = this.#options;
    const summary = layers && this.#options.layers.summary?.(edge);
    const common = {
      scope: place.scope,
      node,
      createdAt: Math.trunc(this.#options.layers.createdAt(edge)),
      writtenAt: Math.trunc(now()),
      author,
      links: this.#naming.leafLinks(edge),
      ...(layers && { layers }),
    };
    const blobs = layers?.map(({ descriptor }): Descriptor => descriptor) ?? [];
    const before = await this.#index.before(task);
    // The first name of what has no result is the one that others lead to.
    const write = async (name: string): Promise<void> => {
      const known = before.get(name);
      // One that only leads on makes way for one with a result, and never the other way round.
      const replace = layers !== undefined && (edge.executed || known?.hasLayers === false);
      // Once is enough: other names are of the same step.
      const own = name === node && summary !== undefined ? { ...common, name, summary } : { ...common, name };
      const envelope = seal(encodeRecord(own), key);
      const isWritten =
        (known === undefined || replace) && (await place.putRecord(task, name, envelope, blobs, replace));
      if (isWritten) this.#written++;
      else this.#kept++;
      if (isWritten || known === undefined) this.#index.add(name, envelope);
      else this.#index.use(name);
    };
    await Promise.all((layers === undefined ? names.slice(1) : names).map(write));
  }

  /** What is used and was not written for long is kept from expiring, with its layers. */
  async #touch(task: Task): Promise<void> {
    const { place, maxBytes, touchMs = DEFAULT_TOUCH_MS, now } = this.#options;
    if (place.touch === undefined) return;
    // Where the place is to be kept small, it matters what was used last.
    const old = this.#index.usedBefore(maxBytes === undefined ? now() - touchMs : now());
    if (old.length === 0) return;
    const layers = new Set(old.flatMap(({ envelope }) => namedLayers(envelope) ?? []));
    await place.touch(
      task,
      old.map(({ name }) => name),
      [...layers],
    );
    for (const { name } of old) this.#index.touched(name);
  }
}
