import fs from 'node:fs';
import { join, resolve } from 'node:path';
import { canonicalDigest, type Digest, hexOf, messageOf, sha256 } from '../util/index.ts';
import { compressionOf } from '../image/index.ts';
import { AccountTable } from './accounts.ts';
import { BlobDir } from './blob-dir.ts';
import { ContainerHolds } from './container-holds.ts';
import { Database } from './database.ts';
import { FactTable } from './facts.ts';
import { formatHolder, holdersOf } from './holders.ts';
import { findManifests } from './image-graph.ts';
import { ImageTable } from './images.ts';
import { LayerTable } from './layers.ts';
import { openLayout, storeLayout, type StoreLayout } from './layout.ts';
import { Leases } from './leases.ts';
import { LogTable } from './logs.ts';
import { ReportTable } from './reports.ts';
import { Locks } from './locks.ts';
import { MountTable } from './mounts.ts';
import { RecordTable } from './records.ts';
import { keepReserve, makeRoom } from './reserve.ts';
import { containerOf, Sessions } from './sessions.ts';
import { StackTable } from './stacks.ts';
import { Turns } from './turns.ts';
import type { DirectoryForm, Lock, LockOptions, StoreOptions, StoreWarning } from './types.ts';

/**
 * The directory where everything that outlives a command is: blobs, layers, images, cache records. Any number of processes
 * may use one store at the same time. After a crash it opens by itself, and nothing that is visible is half done.
 *
 * Removal is the reverse of making: records go first, then what they name.
 */
export class Store {
  readonly root: string;
  readonly blobs: BlobDir;
  readonly layers: LayerTable;
  readonly images: ImageTable;
  /** Lists of layers. */
  readonly stacks: StackTable;
  /** The cache of earlier builds. */
  readonly records: RecordTable;
  readonly facts: FactTable;
  /** What builds say of themselves. */
  readonly accounts: AccountTable;
  readonly mounts: MountTable;
  readonly logs: LogTable;
  readonly reports: ReportTable;
  readonly leases: Leases;
  readonly sessions: Sessions;
  /** What containers need. */
  readonly containers: ContainerHolds;
  readonly locks: Locks;
  readonly turns: Turns;
  readonly layout: StoreLayout;
  readonly now: () => number;
  readonly #db: Database;
  readonly #beforeClose: (() => void)[] = [];
  readonly #warn: (warning: StoreWarning) => void;
  readonly #leavesIndex: boolean;
  #closed = false;

  /**
   * Opens the store in `root`, made if need be. Takes a few ms.
   * @throws TsbuildError `TSB_STORE` when the directory is not safe or has an unknown format; `TSB_PERMISSION`, `TSB_NO_SPACE`
   */
  static open(root: string, options: StoreOptions): Store {
    return new Store(resolve(root), options);
  }

  private constructor(root: string, options: StoreOptions) {
    this.root = root;
    this.now = options.now;
    this.#leavesIndex = options.leavesIndex ?? false;
    this.layout = storeLayout(root);
    if (options.makeRoom) makeRoom(this.layout);
    const header = openLayout(this.layout);
    keepReserve(this.layout);
    this.#warn = options.onWarning ?? (() => {});
    this.#db = new Database(this.layout, header, this.#warn);
    this.sessions = new Sessions(this.layout, this.#db, options.now);
    this.leases = new Leases(this.#db, this.sessions);
    this.containers = new ContainerHolds(this.layout, this.#db, this.sessions);
    this.blobs = new BlobDir(root, () => this.session());
    const bootId = options.bootId ?? fs.readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    this.facts = new FactTable(this.#db, options.now);
    this.accounts = new AccountTable(this.#db, this.facts);
    this.stacks = new StackTable(this.#db);
    this.records = new RecordTable(this.#db, this.stacks, this.facts, options.now);
    this.layers = new LayerTable(this.layout, this.#db, this.blobs, this.stacks, {
      now: options.now,
      bootId,
      sessions: this.sessions,
    });
    this.images = new ImageTable(this.layout, options.now);
    this.mounts = new MountTable(this.layout, this.#db, options.now);
    this.logs = new LogTable(this.layout, options.now, () => this.session());
    this.reports = new ReportTable(this.layout, options.now);
    this.locks = new Locks(this.layout.locks);
    this.turns = new Turns(this.leases, this.layout.sessions);
    this.#db.onRebuild(() => this.#findImageLayers());
  }

  /**
   * Says how this process reads and makes owners on disk. What has them otherwise is not there for it: layers are made again when they are
   * wanted, cache mounts are others. Who never says it takes all as it is. Asked when there is a directory to judge.
   */
  useForm(form: () => DirectoryForm): void {
    this.layers.useForm(form);
    this.mounts.useForm(form);
  }

  /** Names this process; temporary files of the worker carry it too: `new BlobDir(root, store.session())`. */
  session(): string {
    return this.sessions.own();
  }

  /**
   * A lock among all processes of the store. The kernel releases it when the process dies.
   * @throws the signal's reason; TsbuildError `TSB_STORE` after `timeoutMs`
   */
  lock(name: string, options?: LockOptions): Promise<Lock> {
    return this.locks.acquire(name, options);
  }

  /**
   * Writes what `body` changes in the index in one transaction, which for many small changes is much faster, and lets others see all of
   * it or none. It may run twice, and must not wait for anything.
   */
  batch<T>(body: () => T): T {
    return this.#db.transaction(body);
  }

  /** The index, for the files of this folder: SQL stands nowhere else. */
  database(): Database {
    return this.#db;
  }

  /** Who needs a blob right now, besides this process: texts for people. */
  usersOfBlob(digest: Digest): readonly string[] {
    return this.leases.sessionsHolding('blob', digest).map((session) => {
      const container = containerOf(session);
      if (container !== undefined) return `container ${container.slice(0, 12)}`;
      const [holder] = holdersOf(join(this.layout.sessions, session));
      return holder ? formatHolder(holder, this.now()) : 'a process that cannot be seen from here';
    });
  }

  /** Adds something to be written when the store is closed. */
  beforeClose(write: () => void): void {
    this.#beforeClose.push(write);
  }

  /** Writes what is buffered (times of last use). */
  flush(): void {
    for (const write of this.#beforeClose) write();
    this.layers.flush();
    this.records.flush();
    this.facts.flush();
  }

  /** Ends the leases of this process. Never fails. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    keepReserve(this.layout);
    const closeIndex = (): void => (this.#leavesIndex ? this.#db.leave() : this.#db.close());
    // What fails here costs at most some times of last use; the next collection clears the rest away.
    for (const step of [() => this.flush(), () => this.sessions.close(), closeIndex]) {
      try {
        step();
      } catch (error) {
        this.#warn({ code: 'index-unwritable', message: `Cannot finish with the store: ${messageOf(error)}` });
      }
    }
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** For a new index: the layers of every image whose blobs are there, so that they are not fetched again. */
  #findImageLayers(): void {
    for (const { descriptor, manifest, config } of findManifests(this.blobs)) {
      if (!config) continue;
      const ids = imageLayerIds(config.os, config.rootfs.diff_ids);
      for (const [position, layer] of manifest.layers.entries()) {
        const compression = compressionOf(layer.mediaType);
        const diffId = config.rootfs.diff_ids[position];
        if (!compression || diffId === undefined || !this.blobs.has(layer.digest, layer.size)) continue;
        this.layers.restore(
          {
            id: ids[position] ?? '',
            parents: ids.slice(0, position),
            diffId,
            type: 'source.image',
            description: `layer of ${descriptor.digest}`,
          },
          { compression, descriptor: layer },
        );
      }
    }
  }
}

/**
 * The ids of an image's layers, bottom first: their chain ids, so that images share layers. The files in layers of a Windows image
 * are others than those in the same layers of another one.
 */
export function imageLayerIds(os: string, diffIds: readonly Digest[]): readonly string[] {
  const chain = chainIds(diffIds);
  return chain.map((id) => hexOf(os === 'windows' ? canonicalDigest('tsbuild.windows-layer.v1', [id]) : id));
}

/** Chain id of each layer, bottom first (image-spec config.md, "Layer ChainID"). */
export function chainIds(diffIds: readonly Digest[]): readonly Digest[] {
  const chain: Digest[] = [];
  for (const diffId of diffIds) {
    const below = chain.at(-1);
    chain.push(below === undefined ? diffId : sha256(`${below} ${diffId}`));
  }
  return chain;
}
