import { join } from 'node:path';
import { createIndexCache, type IndexCache } from '../cache/index.ts';
import type { DeviceCatalog } from '../cdi/index.ts';
import { proxiesOf, type RegistriesConfig, type Registry, type UserRegistryOptions } from '../registry/index.ts';
import { formatReference, type Repository } from '../image/index.ts';
import { offlineRefusals, Pins, type Refusals } from '../pins/index.ts';
import { Witness } from '../recall/index.ts';
import { BlobOrigins, createImageSource, type ImageSource } from '../source/index.ts';
import { type Lease, Store, type StoreLimits } from '../store/index.ts';
import { type Digest, messageOf, randomHex, TsbuildError } from '../util/index.ts';
import type { NoUserNetwork } from '../network/index.ts';
import type { WorkerClient } from '../worker/index.ts';
import { LayerService } from '../snapshots/index.ts';
import { kernelFiles, Limiter, sweepDeadGroups } from '../limits/index.ts';
import { RemoteSources, type OpResult, snapshot } from '../ops/index.ts';
import {
  BOUND_PROC,
  boundProcText,
  currentUser,
  findHelper,
  type Isolation,
  measureTrees,
  type NamespacePlan,
  ownerForm,
  readPlanInputs,
  type TreeUsage,
} from '../sandbox/index.ts';
import { fileBatch } from '../sys/index.ts';
import { ObjectStores } from './object-stores.ts';
import { offlineRegistry } from './offline-registry.ts';
import { seccompDirectory, workerEntry } from './paths.ts';

/** What a command decides for all that it does. */
export interface SessionOptions extends UserRegistryOptions {
  /** The store's directory. */
  readonly root: string;
  readonly signal: AbortSignal;
  /** No registry is asked for images: what the store has must do. */
  readonly neverPull?: boolean;
  /** How large the store may become: builds remove what was not used for longest. Default: no limit. */
  readonly storeLimits?: StoreLimits;
  /** The command frees space, and must be able to on a full disk. */
  readonly makeRoom?: boolean;
  /** The process ends with the command, which should not take long: see `StoreOptions`. */
  readonly leavesIndex?: boolean;
  /** Nothing is asked of other machines: what the store and the lock file have must do. RUN steps keep their network. */
  readonly offline?: boolean;
  /** Path of the native helper, where it is not beside the program. */
  readonly helper?: string;
  /** What steps run in. Default: `auto`. */
  readonly isolation?: Isolation;
  /** The store at `root`, where it is open already; the session closes it. */
  readonly store?: Store;
  /** Directories with specifications of devices, instead of the usual ones. */
  readonly deviceSpecDirs?: readonly string[];
  /** Milliseconds that importing caches may take in all before the build goes on without them; 0 for no limit. Default 15 s. */
  readonly cacheImportMs?: number;
}

/**
 * What one command shares: the open store with its lease, the worker (started when it is first needed), the registry client and
 * the cache. Dispose it: processes end, the lease is given back.
 */
export class Session implements AsyncDisposable {
  readonly options: SessionOptions;
  readonly store: Store;
  readonly now: () => number;
  /** Told of everything on the host and in the store that the result depends on. */
  readonly witness: Witness;
  /** Set: nothing may be asked of other machines. */
  readonly offline: Refusals | undefined;
  #pins = new Pins();
  readonly #lease: { value: Lease | undefined } = { value: undefined };
  #worker: Promise<WorkerClient> | undefined;
  #registry: Promise<Registry> | undefined;
  #registriesConf: Promise<RegistriesConfig> | undefined;
  #images: ImageSource | undefined;
  #layers: LayerService | undefined;
  #remote: RemoteSources | undefined;
  #cache: IndexCache<OpResult> | undefined;
  #objects: ObjectStores | undefined;
  #devices: Promise<DeviceCatalog> | undefined;
  #plan: Promise<NamespacePlan> | undefined;
  readonly #planInputs = once(() => readPlanInputs(currentUser()));
  #treesDir: string | undefined;
  #limiter: Limiter | undefined;
  #saidBoundProc = false;
  #saidSharedNetwork = false;

  constructor(options: SessionOptions) {
    // The store hashes: with these calls it does so without node:crypto, which takes some 5 ms to load.
    fileBatch();
    this.options = options;
    this.now = options.now;
    this.witness = new Witness(options.now());
    this.offline = options.offline ? offlineRefusals() : undefined;
    this.store =
      options.store ??
      Store.open(options.root, {
        now: options.now,
        onWarning: (warning) => options.onWarning(warning.message),
        ...(options.makeRoom ? { makeRoom: true } : {}),
        ...(options.leavesIndex ? { leavesIndex: true } : {}),
      });
    const { isolation = 'auto' } = options;
    this.store.useForm(once(() => ownerForm(isolation, this.#planInputs(), () => findHelper(options.helper))));
    sweepDeadGroups(kernelFiles, ledgerOf(this.store.root));
  }

  /** What changeable names stand for. */
  get pins(): Pins {
    return this.#pins;
  }

  /** Takes over what a lock file says, before anything is asked for. */
  usePins(pins: Pins): void {
    if (this.#images ?? this.#remote) throw new TsbuildError('TSB_INTERNAL', 'A lock file came after what it is about');
    this.#pins = pins;
  }

  /** What this command needs of the store; garbage collection leaves it alone. */
  get lease(): Lease {
    return (this.#lease.value ??= this.store.leases.create());
  }

  /** The process inside the namespace, started at the first call. */
  worker(): Promise<WorkerClient> {
    return (this.#worker ??= this.#start());
  }

  /** How steps are kept apart from this machine; what is weaker than usual is told once. @throws TsbuildError `TSB_SANDBOX` */
  plan(): Promise<NamespacePlan> {
    return (this.#plan ??= this.#choosePlan());
  }

  async #choosePlan(): Promise<NamespacePlan> {
    const { noticeOf, ownPlan } = await import('./own-plan.ts');
    const plan = await ownPlan({ ...this.options, inputs: this.#planInputs() });
    const notice = noticeOf(plan);
    if (notice !== undefined) this.options.onWarning(notice);
    return plan;
  }

  /** A place for copies of layers, which goes with this session however it ends. It need not exist. */
  treesDir(): string {
    if (this.#treesDir !== undefined) return this.#treesDir;
    const id = randomHex(16);
    this.lease.hold({ layers: [id] });
    return (this.#treesDir = this.store.layers.paths(id).dir);
  }

  /** Measures trees of the store, whose files may belong to sub-ids: by the worker where there is one, which nothing is started for. */
  async measure(paths: readonly string[], signal: AbortSignal): Promise<readonly TreeUsage[]> {
    if (this.#worker) return (await this.#worker).call('usage', { paths }, { signal });
    return measureTrees({ helperPath: findHelper(this.options.helper), plan: await this.plan(), signal }, paths);
  }

  /** Starts the worker for somebody who will ask for it soon, and will then be told what is wrong with it. */
  startWorker(): void {
    this.worker().catch(() => undefined);
  }

  /** Starts the worker, once: whoever needs it first. */
  async #start(): Promise<WorkerClient> {
    const { startWorker } = await import('../worker/index.ts');
    const plan = await this.plan();
    const worker = await startWorker({
      plan,
      ...(plan.copies ? { treesDir: this.treesDir() } : {}),
      helperPath: findHelper(this.options.helper),
      workerEntry,
      seccompDir: seccompDirectory,
      storeRoot: this.store.root,
      session: this.store.session(),
      signal: this.options.signal,
      onBoundProc: () => this.boundProc(),
      onSharedNetwork: (why) => this.sharedNetwork(why),
    });
    this.layers.syncEarlier(worker);
    return worker;
  }

  /** What holds the limits of steps and containers. */
  get limiter(): Limiter {
    const { onWarning } = this.options;
    return (this.#limiter ??= new Limiter({ ledger: ledgerOf(this.store.root), onWarning }));
  }

  /** A step or container got the /proc around it: its user is told, once. */
  boundProc(): void {
    if (this.#saidBoundProc) return;
    this.#saidBoundProc = true;
    this.options.onWarning(`Less isolation than usual (rung ${BOUND_PROC}): ${boundProcText}`);
  }

  /** A step got the machine's network instead of one of its own: its user is told, once. */
  sharedNetwork({ reason, fix }: NoUserNetwork): void {
    if (this.#saidSharedNetwork) return;
    this.#saidSharedNetwork = true;
    this.options.onWarning(
      `RUN steps share this machine's network, and with it what listens on its loopback interface: ${reason} (fix: ${fix}; ` +
        'or say --network=host)',
    );
  }

  /** The registry client; its configuration is read when something is first asked of it, which most builds never do. */
  #openRegistry(): Promise<Registry> {
    return (this.#registry ??= import('../registry/index.ts').then(({ createUserRegistry }) =>
      createUserRegistry(this.options),
    ));
  }

  /** What the user's registries.conf says. @throws TsbuildError `TSB_USAGE` when it cannot be used */
  registriesConfig(): Promise<RegistriesConfig> {
    return (this.#registriesConf ??= this.#readRegistriesConfig());
  }

  async #readRegistriesConfig(): Promise<RegistriesConfig> {
    const { emptyRegistriesConfig, userRegistryOptions } = await import('../registry/index.ts');
    const { config = emptyRegistriesConfig } = await userRegistryOptions(this.options);
    return config;
  }

  /** The registry client, which nothing is loaded for before the first request. */
  get registry(): Registry {
    return this.offline ? offlineRegistry(this.offline) : lazyRegistry(() => this.#openRegistry());
  }

  /** Directories and buckets with caches. */
  get objects(): ObjectStores {
    return (this.#objects ??= new ObjectStores(this.options, this.offline));
  }

  get images(): ImageSource {
    return (this.#images ??= createImageSource({
      store: this.store,
      lease: this.lease,
      registry: this.options.neverPull ? refusingRegistry(this.registry) : this.registry,
      facts: this.store.facts,
      pins: this.#pins,
      offline: this.offline !== undefined,
      observe: {
        local: (path, text) => this.witness.text(path, text),
        elsewhere: () => this.witness.refuse(),
      },
      now: this.now,
    }));
  }

  /** Repositories that may have a blob. @param layer the layer that it is, where that is known */
  repositoriesOf(blob: { readonly digest: Digest }, layer?: string): readonly Repository[] {
    const own = layer === undefined ? undefined : this.layers.repositoryOf(layer);
    return [...(own === undefined ? [] : [own]), ...this.origins.of(blob.digest)];
  }

  /** Which repositories have which blobs. */
  get origins(): BlobOrigins {
    return new BlobOrigins(this.store.facts);
  }

  get layers(): LayerService {
    return (this.#layers ??= new LayerService({
      store: this.store,
      lease: this.lease,
      worker: () => this.worker(),
      measure: (paths, signal) => this.measure(paths, signal),
      onWarning: this.options.onWarning,
    }));
  }

  /** Web servers and git repositories, and a place for what comes from there. */
  get remote(): RemoteSources {
    const { proxies = {}, home } = this.options;
    return (this.#remote ??= new RemoteSources({
      store: this.store,
      onUse: () => this.witness.refuse(),
      now: this.now,
      home,
      proxies,
      proxy: proxiesOf(proxies),
      pins: this.#pins,
      offline: this.offline,
    }));
  }

  get cache(): IndexCache<OpResult> {
    return (this.#cache ??= createIndexCache<OpResult>(this.store, {
      lease: this.lease,
      available: (layers) => this.layers.available(layers),
      codec: {
        encode: (result) => (result.kind === 'layers' ? { layers: result.layers } : undefined),
        decode: (layers) => snapshot(layers),
      },
      onWarning: this.options.onWarning,
    }));
  }

  /** The devices of this machine, read when a step first asks for one. What they are decides whether a build may go on at all. */
  devices(): Promise<DeviceCatalog> {
    this.witness.refuse();
    return (this.#devices ??= this.#readDevices());
  }

  /** Specifications of devices, read when the first step wants one. */
  async #readDevices(): Promise<DeviceCatalog> {
    const { defaultSpecDirs, readDevices } = await import('../cdi/index.ts');
    return readDevices(this.options.deviceSpecDirs ?? defaultSpecDirs, this.options.onWarning);
  }

  /** Each part is given back whatever becomes of the others. */
  async [Symbol.asyncDispose](): Promise<void> {
    // What is deferred last is done first.
    await using parts = new AsyncDisposableStack();
    // Ends the lease too, and never fails.
    parts.defer(() => this.store.close());
    parts.defer(() => this.#objects?.[Symbol.asyncDispose]());
    parts.defer(() => this.#remote?.[Symbol.asyncDispose]());
    parts.defer(() => ended(this.#registry));
    parts.defer(() => this.#putTreesAside());
    parts.defer(() => this.#limiter?.[Symbol.asyncDispose]());
    parts.defer(() => ended(this.#worker));
    parts.defer(() => this.#layers?.measured());
    parts.defer(() => this.#flushCache());
  }

  /** By renaming: deleting copies of images takes seconds, and whoever builds next does it beside the build. */
  #putTreesAside(): void {
    if (this.#treesDir !== undefined) this.store.layers.putAside(this.#treesDir);
    this.#treesDir = undefined;
  }

  /** A build that is done, or failed for a reason of its own, does not fail for what it could not write down. */
  #flushCache(): void {
    try {
      this.#cache?.flush();
    } catch (error) {
      this.options.onWarning(`Cannot remember what was built: ${messageOf(error)}`);
    }
  }
}

/** Ends what was started, if it was. That it could not be was told to who wanted it, and who may have gone on without. */
async function ended(started: Promise<AsyncDisposable> | undefined): Promise<void> {
  const part = await started?.catch(() => undefined);
  await part?.[Symbol.asyncDispose]();
}

/** The same answer each time, found at the first. */
function once<T>(find: () => T): () => T {
  let found: { readonly value: T } | undefined;
  return () => (found ??= { value: find() }).value;
}

/** Where commands write down which groups of control they made. */
const ledgerOf = (root: string): string => join(root, 'cgroups');

/** Opens the store for one command. @throws TsbuildError `TSB_STORE`, `TSB_PERMISSION` */
export function openSession(options: SessionOptions): Session {
  return new Session(options);
}

/** A registry whose HTTP client is loaded when something is asked of it: most builds ask nothing. */
function lazyRegistry(open: () => Promise<Registry>): Registry {
  return {
    resolve: async (task, reference) => (await open()).resolve(task, reference),
    manifest: async (task, reference) => (await open()).manifest(task, reference),
    async *blob(task, repository, descriptor: { readonly digest: Digest; readonly size: number }, options) {
      yield* (await open()).blob(task, repository, descriptor, options);
    },
    blobSize: async (task, repository, digest) => (await open()).blobSize(task, repository, digest),
    hasBlob: async (task, repository, blob) => (await open()).hasBlob(task, repository, blob),
    hasManifest: async (task, repository, manifest) => (await open()).hasManifest(task, repository, manifest),
    pushBlob: async (task, repository, blob, options) => (await open()).pushBlob(task, repository, blob, options),
    mountBlob: async (task, repository, blob, from) => (await open()).mountBlob(task, repository, blob, from),
    pushManifest: async (task, reference, mediaType, bytes, options) =>
      (await open()).pushManifest(task, reference, mediaType, bytes, options),
    referrers: async (task, repository, digest, artifactType) =>
      (await open()).referrers(task, repository, digest, artifactType),
    [Symbol.asyncDispose]: async () => undefined,
  };
}

/** `--pull=never`: as without a network, what a name stood for before still counts. */
function refusingRegistry(registry: Registry): Registry {
  return {
    ...registry,
    resolve: (_task, reference) =>
      Promise.reject(
        new TsbuildError(
          'TSB_NETWORK',
          `Cannot use ${JSON.stringify(formatReference(reference))}: it is not in the store, and --pull=never asks no registry`,
          {
            hint: 'import it with "tsbuild import FILE -t NAME", or leave --pull=never out',
          },
        ),
      ),
  };
}
