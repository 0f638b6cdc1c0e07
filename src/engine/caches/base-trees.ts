import { type ReportStatus, statusOf, type Task } from '../../events/index.ts';
import type { BaseSummaries } from '../../ops/index.ts';
import type { RepositoryWriters } from '../../registry/index.ts';
import { readSigningKey, sendTreeSummary, SharedCache, type StepCacheExport } from '../../remote-cache/index.ts';
import { decodeSummary } from '../../tree/index.ts';
import { type Digest, SharedWork } from '../../util/index.ts';
import type { UsedCache } from './cache-import.ts';
import { exportToEach } from './export-to-each.ts';
import type { Session } from '../session.ts';
import { openPlace } from './step-caches.ts';

/** Facts of the store: summaries by chain ID, and where they were sent. */
const FACT = 'tree-summary';
const SENT = 'tree-summary-sent';
/** So many are kept, of some 100 KB each. */
const MAX_KNOWN = 50;
const MAX_SENT = 1000;
/** One that was sent so long ago, in ms, is looked for once more: who looks after the place may have deleted it. */
const SENT_MS = 24 * 60 * 60_000;

/**
 * Summaries of the trees of base images: those of the store, of the shared caches that a build reads, and those that are made of images that
 * were unpacked anyway.
 */
export class BaseTrees implements BaseSummaries {
  readonly #session: Session;
  readonly #task: Task;
  readonly #caches: () => readonly UsedCache[];
  readonly #finding = new SharedWork<Digest, Uint8Array | undefined>({ keep: true });
  /** Base images that ops were done upon, whether or not there is a summary of them. */
  readonly #wanted = new Set<Digest>();
  readonly #making = new Map<Digest, Promise<void>>();

  /**
   * @param task of the build: what goes on beside it ends with it
   * @param caches those that the build reads
   */
  constructor(session: Session, task: Task, caches: () => readonly UsedCache[]) {
    this.#session = session;
    this.#task = task;
    this.#caches = caches;
  }

  find(task: Task, chain: Digest): Promise<Uint8Array | undefined> {
    return this.#finding.run(chain, task.signal, () => this.#find(task, chain));
  }

  /** Makes a summary beside the build, of an image that is unpacked. */
  wanted(chain: Digest, layers: readonly string[]): void {
    if (this.#wanted.has(chain)) return;
    this.#wanted.add(chain);
    const { store } = this.#session;
    // Most builds come here and need no more: whether it can be read is for who needs it.
    if (store.facts.get(FACT, chain) !== undefined || this.#session.layers.isWindows(layers)) return;
    if (!layers.every((id) => store.layers.get(id)?.fs === true)) return;
    // It ends with the build's task and its worker; what goes wrong is nobody's loss.
    this.#making.set(
      chain,
      this.#make(chain, layers).catch(() => undefined),
    );
  }

  /**
   * Sends the summaries of the base images that this build did something upon to the places of its cache. What cannot be sent is a
   * warning, unless the user wants to know.
   * @throws TsbuildError `TSB_EXPORT` of the first place with `ignore-error=false` that takes none; `TSB_CANCELED`
   */
  async send(task: Task, exports: readonly StepCacheExport[], writers: RepositoryWriters): Promise<void> {
    // Nobody else waits: a build that is done before a summary is leaves it to the next one.
    if (exports.length > 0) await Promise.all(this.#making.values());
    await exportToEach(this.#session, task, exports, (spec) => {
      const place = openPlace(this.#session, spec.place, spec.scope, writers);
      const fresh = [...this.#wanted].filter((chain) => this.#isToSend(chain, place.id, place.scope));
      if (fresh.length === 0) return undefined;
      return {
        what: `trees of base images to ${place.id}`,
        run: (status, inner) => this.#sendTo(inner, spec, place, fresh, status),
      };
    });
  }

  async #find(task: Task, chain: Digest): Promise<Uint8Array | undefined> {
    const known = this.#known(chain);
    if (known !== undefined) return known;
    for (const cache of this.#caches()) {
      const found = cache instanceof SharedCache ? await cache.treeSummary(chain) : undefined;
      if (found === undefined) continue;
      // Kept for this build alone: another one may not name that cache, or not trust who signed it.
      if (task.vertex !== undefined)
        statusOf(task, task.vertex, this.#session.now)(
          `summary of the base from ${cache.id}`,
          found.length,
          found.length,
          true,
        );
      return found;
    }
    return undefined;
  }

  /** What the store has. One that is damaged, or of another version, is made again. */
  #known(chain: Digest): Uint8Array | undefined {
    const text = this.#session.store.facts.get(FACT, chain)?.value;
    if (typeof text !== 'string') return undefined;
    const bytes = Buffer.from(text, 'base64');
    try {
      decodeSummary(bytes);
      return bytes;
    } catch {
      this.#session.store.facts.delete(FACT, chain);
      return undefined;
    }
  }

  #keep(chain: Digest, summary: Uint8Array): void {
    this.#session.store.facts.putNewest(FACT, chain, Buffer.from(summary).toString('base64'), MAX_KNOWN);
  }

  /** By the worker, whose files they are. */
  async #make(chain: Digest, layers: readonly string[]): Promise<void> {
    const { store } = this.#session;
    const worker = await this.#session.worker();
    const dirs = layers.map((id) => store.layers.paths(id).fs);
    const summary = await worker.call('summarizeTree', { layers: dirs }, { signal: this.#task.signal });
    if (summary !== undefined) this.#keep(chain, summary);
  }

  #isToSend(chain: Digest, ...place: readonly string[]): boolean {
    if (this.#damaged(place).has(chain)) return true;
    const sent = this.#session.store.facts.get(SENT, [...place, chain].join(' '));
    return sent === undefined || this.#session.now() - sent.storedAt > SENT_MS;
  }

  /** Images whose summaries could not be used where they are. */
  #damaged([id, scope]: readonly string[]): ReadonlySet<Digest> {
    const found = this.#caches().flatMap((cache) =>
      cache instanceof SharedCache && cache.place.id === id && cache.place.scope === scope
        ? [...cache.damagedTrees]
        : [],
    );
    return new Set(found);
  }

  async #sendTo(
    task: Task,
    { author, keyFile }: StepCacheExport,
    place: ReturnType<typeof openPlace>,
    chains: readonly Digest[],
    status: ReportStatus,
  ): Promise<void> {
    const { now, store } = this.#session;
    const target = { place, author, now, ...(keyFile === undefined ? {} : { key: readSigningKey(keyFile) }) };
    const damaged = this.#damaged([place.id, place.scope]);
    const sent: Digest[] = [];
    for (const chain of chains) {
      const summary = this.#known(chain);
      if (summary === undefined) continue;
      const isSent = await sendTreeSummary(task, target, { chain, summary }, damaged.has(chain));
      sent.push(chain);
      status(
        `summary of ${chain.slice(0, 19)}`,
        isSent ? summary.length : 0,
        isSent ? summary.length : undefined,
        true,
      );
    }
    await place.flush?.(task);
    // Before that, the place may have kept it to itself.
    for (const chain of sent) store.facts.putNewest(SENT, [place.id, place.scope, chain].join(' '), true, MAX_SENT);
  }
}
