import type { FactTable, Lease, Store } from '../store/index.ts';
import type { Compression } from '../image/index.ts';
import type { Digest } from '../util/index.ts';
import type { Task } from '../events/index.ts';
import type { WorkerClient } from '../worker/index.ts';
import type { StepDevices } from './exec/devices.ts';
import type { LayerService } from '../snapshots/index.ts';
import type { Mask } from '../secrets/index.ts';
import type { RemoteSources } from './source/remote-sources.ts';
import type { DirectPack } from './file/early-pack.ts';
import type { SshAgents } from './exec/ssh-agents.ts';
import type { LocalResult } from './result.ts';

/** An image that was found, with the ids of its layers. */
export interface ImageLayers {
  /** Of the manifest for the platform. */
  readonly manifestDigest: string;
  /** Of the whole stack: equal for images with the same files, however compressed or named. */
  readonly chainId: string;
  /** Bottom first. */
  readonly layers: readonly string[];
}

/** Results that are only packed, and how. */
export interface DirectOutput {
  readonly vertices: ReadonlySet<Digest>;
  readonly compression: Compression;
  readonly level?: number;
}

/** What the op runners of one build share. */
export interface OpContext {
  readonly store: Store;
  readonly lease: Lease;
  readonly layers: LayerService;
  readonly worker: () => Promise<WorkerClient>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Image named by a source op's identifier and platform. */
  readonly image: (
    task: Task,
    identifier: string,
    platform: string,
    attrs: ReadonlyMap<string, string>,
  ) => Promise<ImageLayers>;
  /** Host directory named by a local source op. */
  readonly local: (name: string, attrs: ReadonlyMap<string, string>) => LocalResult;
  /** Web servers and git repositories. */
  readonly remote: RemoteSources;
  /** Value of a secret, or undefined when the build was given none with that id. */
  readonly secret: (id: string) => Promise<Uint8Array | undefined>;
  /** Hides the values of secrets; absent when there are none. */
  readonly mask?: Mask | undefined;
  readonly ssh: SshAgents;
  readonly warn: (message: string) => void;
  readonly entitlements: ReadonlySet<string>;
  readonly devices: StepDevices;
  /** Layers that were packed before it was known whether their ops must run, by vertex; see early-pack.ts. */
  readonly earlyPacks: Map<Digest, DirectPack>;
  /** Whether results may come from elsewhere than this store. */
  readonly hasOtherCaches: boolean;
  /** What earlier builds found out. */
  readonly facts: FactTable;
  /** Layers with the files of local directories that had to be copied whole. */
  readonly copies: WeakMap<LocalResult['tree'], Promise<readonly string[]>>;
  /** Told of a layer that a vertex made: if it will be wanted as a blob, it is packed while the build goes on. */
  readonly packAhead: (vertex: Digest, layer: string) => void;
  /** Vertices whose files nobody needs: only the layer blob is wanted, and is written straight from the sources where that is possible. */
  readonly direct?: DirectOutput | undefined;
}
