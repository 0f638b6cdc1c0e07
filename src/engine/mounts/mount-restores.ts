import { statfsSync } from 'node:fs';
import { join } from 'node:path';
import { statusOf, type Task } from '../../events/index.ts';
import type { Mount } from '../../llb/index.ts';
import type { MountTravel } from '../../ops/index.ts';
import { mountId } from '../../store/index.ts';
import {
  fetchMountBlobs,
  findMount,
  type MountName,
  mountRecordName,
  type MountRecord,
  type Policy,
  type StepPlace,
  travels,
  type TravelingMounts,
} from '../../remote-cache/index.ts';
import {
  type Digest,
  formatBytes,
  formatDuration,
  isTsbuildError,
  messageWithHint,
  TsbuildError,
} from '../../util/index.ts';
import { withInternalVertex } from '../internal-vertex.ts';
import { shownMount, type StepMount, type StepMounts } from './mount-names.ts';
import { withScratch } from '../scratch.ts';
import type { Session } from '../session.ts';

/** A scope of a shared cache that mounts are restored from. */
export interface MountSource {
  readonly place: StepPlace;
  readonly policy: Policy;
  readonly mounts: TravelingMounts;
}

/** A mount that was found elsewhere. */
export interface FoundMount {
  readonly place: StepPlace;
  readonly record: MountRecord;
}

/** A mount on its way. */
interface Coming {
  /** The directory that it has come into; undefined when it does not come. Never rejects. */
  readonly dir: Promise<string | undefined>;
  readonly giveUp: (reason: Error) => void;
}

/** Names in a mount that is restored. */
const MAX_ENTRIES = 500_000;

/**
 * Restores the cache mounts of a build's steps from shared caches, of several scopes the first that has one. A mount that has files on this
 * machine is left as it is. Nothing is asked for before a step runs; then whatever it and the steps after it mount is fetched, into a
 * directory of its own that takes the mount's place when it is whole. What cannot be had is a warning and an empty mount.
 */
export class MountRestores implements MountTravel {
  /** Mounts that steps have used and could write to, by the ids that the store has them under. */
  readonly used: Map<string, MountName> = new Map();
  /** Where mounts were found, by the names of their records. */
  readonly found: Map<string, FoundMount> = new Map();
  readonly #session: Session;
  readonly #task: Task;
  readonly #sources: readonly MountSource[];
  readonly #coming = new Map<string, Coming>();
  readonly #settling = new Map<string, Promise<void>>();
  readonly #damaged = new Set<string>();
  readonly #begun = new Set<Digest>();
  #mounts: StepMounts | undefined;

  /** @param task of the build: what is fetched ends with it */
  constructor(session: Session, task: Task, sources: readonly MountSource[]) {
    this.#session = session;
    this.#task = task;
    this.#sources = sources;
  }

  /** The graph is known. */
  expect(mounts: StepMounts): void {
    this.#mounts = mounts;
  }

  begin(vertex: Digest): void {
    if (this.#sources.length === 0 || this.#begun.has(vertex)) return;
    this.#begun.add(vertex);
    const wanted = (this.#mounts?.from(vertex) ?? []).filter((one) => this.#isWanted(one));
    if (wanted.length === 0) return;
    // Under which id a mount that starts with files is kept is not known before these are there.
    const { mounts } = this.#session.store;
    const here = mounts.list().filter(({ id }) => mounts.hasFiles(id));
    for (const { name } of wanted) if (!here.some(({ description }) => description === name.id)) this.#bring(name);
  }

  async arrive(task: Task, vertex: Digest, mount: Mount, id: string): Promise<void> {
    const own = this.#mounts?.find(vertex, mount);
    if (own === undefined) return;
    if (!mount.readonly) this.used.set(id, own.name);
    if (!this.#isWanted(own)) return;
    let settling = this.#settling.get(id);
    if (settling === undefined) this.#settling.set(id, (settling = this.#settle(task, id, own.name)));
    await settling;
  }

  /**
   * Brings a mount that starts empty, however long it takes.
   * @param replaces also where the store has files in it
   */
  async bringNow(
    task: Task,
    name: MountName,
    replaces: boolean,
  ): Promise<'restored' | 'occupied' | 'in-use' | 'absent'> {
    const { store, lease } = this.#session;
    const id = mountId(name.id);
    if (!replaces && store.mounts.hasFiles(id)) return 'occupied';
    const dir = await this.#bring(name).dir;
    if (dir === undefined) return 'absent';
    await using _lock = await store.lock(`prepare-mount-${id}`, { signal: task.signal });
    if (lease.isShared('mount', id)) return 'in-use';
    if (replaces) store.mounts.retire(name.id);
    if (!store.mounts.adopt(id, dir, lease, name.id)) return 'occupied';
    this.#coming.delete(mountRecordName(name));
    return 'restored';
  }

  /** Whether what a place has of a mount turned out not to be usable. */
  isDamaged(place: StepPlace, name: MountName): boolean {
    return this.#damaged.has(damageKey(place, name));
  }

  /** Ends what is going on, and removes what came too late. Never rejects. */
  async end(): Promise<void> {
    for (const { giveUp } of this.#coming.values()) giveUp(new TsbuildError('TSB_CANCELED', 'The build has ended'));
    await Promise.allSettled(this.#settling.values());
    const dirs = await Promise.all([...this.#coming.values()].map(({ dir }) => dir));
    await this.#remove(dirs.filter((dir) => dir !== undefined));
  }

  /** With `--no-cache` a step wants its mounts empty. */
  #isWanted({ vertex, name }: StepMount): boolean {
    return !vertex.ignoreCache && this.#sources.some(({ mounts }) => travels(mounts, name.id));
  }

  /** Puts a mount in its place, if it comes in time. */
  async #settle(task: Task, id: string, name: MountName): Promise<void> {
    const { store, lease } = this.#session;
    if (store.mounts.hasFiles(id)) return;
    const key = mountRecordName(name);
    const dir = await this.#patiently(task, name, this.#bring(name));
    if (dir === undefined) return;
    await using _lock = await store.lock(`prepare-mount-${id}`, { signal: task.signal });
    if (!store.mounts.adopt(id, dir, lease, name.id)) return;
    this.#coming.delete(key);
    store.mounts.setElsewhere(id, JSON.stringify(name));
  }

  /** Waits for a mount, and not for ever: one that comes later is not wanted any more. */
  async #patiently(task: Task, name: MountName, coming: Coming): Promise<string | undefined> {
    const patience = this.#sources
      .filter(({ mounts }) => travels(mounts, name.id))
      .map(({ mounts }) => mounts.patienceMs);
    const limitMs = Math.max(...patience);
    const late = Promise.withResolvers<undefined>();
    const onAbort = (): void => late.reject(task.signal.reason);
    task.signal.addEventListener('abort', onAbort, { once: true });
    const timer = setTimeout(() => {
      const why = `it did not come within ${formatDuration(limitMs)} (mounts-timeout sets another limit)`;
      coming.giveUp(new TsbuildError('TSB_NETWORK', why));
      late.resolve(undefined);
    }, limitMs);
    try {
      return await Promise.race([coming.dir, late.promise]);
    } finally {
      clearTimeout(timer);
      task.signal.removeEventListener('abort', onAbort);
    }
  }

  /** Begins to fetch a mount, once. */
  #bring(name: MountName): Coming {
    const key = mountRecordName(name);
    const known = this.#coming.get(key);
    if (known !== undefined) return known;
    const stop = new AbortController();
    const task: Task = { ...this.#task, signal: AbortSignal.any([this.#task.signal, stop.signal]) };
    const dir = this.#fetch(task, name).catch((error: unknown) => {
      const reason: unknown = stop.signal.aborted ? stop.signal.reason : error;
      if (!this.#task.signal.aborted && !isTsbuildError(reason, 'TSB_CANCELED')) this.#warn(name, undefined, reason);
      return undefined;
    });
    const coming: Coming = { dir, giveUp: (reason) => stop.abort(reason) };
    this.#coming.set(key, coming);
    return coming;
  }

  /** From the first source that has it. */
  async #fetch(task: Task, name: MountName): Promise<string | undefined> {
    for (const source of this.#sources) {
      if (!travels(source.mounts, name.id)) continue;
      const { place, policy } = source;
      try {
        const record = await findMount(task, place, policy, name);
        if (record === undefined) continue;
        this.found.set(mountRecordName(name), { place, record });
        checkRoom(this.#session, source, record);
        return await this.#unpack(task, source, record);
      } catch (error) {
        task.signal.throwIfAborted();
        const isDamage = ['TSB_IMAGE', 'TSB_DIGEST', 'TSB_NOT_FOUND', 'TSB_ARCHIVE'] as const;
        if (isDamage.some((code) => isTsbuildError(error, code))) this.#damaged.add(damageKey(place, name));
        this.#warn(name, place, error);
      }
    }
    return undefined;
  }

  #unpack(task: Task, { place, mounts }: MountSource, record: MountRecord): Promise<string> {
    const { store, lease, now } = this.#session;
    const label = `restoring cache mount ${shownMount(record.mount)} from ${place.id}`;
    return withInternalVertex(task, now, label, (vertex, _, inner) =>
      withScratch(this.#session, async (work) => {
        const status = statusOf(inner, vertex, now);
        const blobs = [record.tree, ...record.packs];
        const total = blobs.reduce((sum, { size }) => sum + size, 0);
        let come = 0;
        const files = await fetchMountBlobs(inner, place, blobs, work, (bytes) =>
          status('transferring files', (come += bytes), total),
        );
        status('transferring files', total, total, true);
        const dir = store.mounts.incoming(lease);
        try {
          const worker = await this.#session.worker();
          const tree = {
            path: files.get(record.tree.digest) ?? '',
            what: `cache mount ${shownMount(record.mount)} of ${place.id}`,
          };
          const places = { dir: join(dir, 'fs'), memory: join(dir, 'memory'), work };
          const limits = { bytes: mounts.maxBytes, entries: MAX_ENTRIES };
          const packs = record.packs.map(({ digest }): [Digest, string] => [digest, files.get(digest) ?? '']);
          await worker.call('unpackMount', { ...places, tree, packs, limits, now: now() }, { signal: inner.signal });
          return dir;
        } catch (error) {
          await this.#remove([dir]);
          throw error;
        }
      }),
    );
  }

  async #remove(paths: readonly string[]): Promise<void> {
    if (paths.length === 0) return;
    const worker = await this.#session.worker();
    // What is left is nobody's, and goes with the next collection.
    await worker.call('removeTrees', { paths }, {}).catch(() => undefined);
  }

  #warn(name: MountName, place: StepPlace | undefined, error: unknown): void {
    const from = place === undefined ? '' : ` from ${place.id} (${place.scope})`;
    const message = `Cannot restore cache mount ${shownMount(name)}${from}: ${messageWithHint(error)}`;
    this.#task.events({
      type: 'diagnostic',
      diagnostic: { code: 'CacheImport', severity: 'warning', message, ranges: [] },
      at: this.#session.now(),
    });
  }
}

function damageKey(place: StepPlace, name: MountName): string {
  return `${place.id} ${mountRecordName(name)}`;
}

/** Twice its size is needed while it is unpacked. @throws TsbuildError when it is more than may come, or fits */
function checkRoom({ store }: Session, { mounts }: MountSource, { bytes }: MountRecord): void {
  if (bytes > mounts.maxBytes)
    throw new TsbuildError('TSB_STORE', `it has ${formatBytes(bytes)}, more than ${formatBytes(mounts.maxBytes)}`, {
      hint: 'mounts-max-size=SIZE of --cache-from allows more',
    });
  const { bavail, bsize } = statfsSync(store.root);
  if (bytes * 2.5 > bavail * bsize)
    throw new TsbuildError('TSB_NO_SPACE', `it has ${formatBytes(bytes)}, and there is too little space`);
}
