import type { Task } from '../events/index.ts';
import type { SourceOp } from '../llb/index.ts';
import type { BuildSecrets } from '../secrets/index.ts';
import type { Emulation } from '../sandbox/index.ts';
import type { LayerService, Shown } from '../snapshots/index.ts';
import type { Lease, Store } from '../store/index.ts';
import type { Digest } from '../util/index.ts';
import type { WorkerClient } from '../worker/index.ts';
import type { StepDevices } from './exec/devices.ts';
import type { SshAgents } from './exec/ssh-agents.ts';
import type { MovedMounts } from './exec/moved-mounts.ts';
import type { MountTravel } from './exec/mount-travel.ts';
import type { RecordedSteps } from './exec/recorded-steps.ts';
import type { StepLimits } from './exec/step-limits.ts';
import type { StepVisitor } from './exec/step-visitor.ts';
import type { BaseSummaries } from './file/base-summaries.ts';
import type { LocalResult } from './result.ts';
import type { StepNotes } from './step-notes.ts';
import type { RemoteSources } from './source/remote-sources.ts';

/** Where layers are, and the process that fills them. */
export interface Snapshots {
  readonly store: Store;
  readonly lease: Lease;
  readonly layers: LayerService;
  /** Started when it is first asked for. */
  readonly worker: () => Promise<WorkerClient>;
  /** Where a cache mount can be in one place at a time: those that are in containers. Undefined elsewhere. */
  readonly movedMounts?: () => Promise<MovedMounts | undefined>;
}

/** An image that was found, with the ids of its layers. */
export interface ImageLayers {
  /** Of the manifest for the platform. */
  readonly manifestDigest: string;
  /** Of the whole stack: equal for images with the same files, however compressed or named. */
  readonly chainId: string;
  /** Bottom first. */
  readonly layers: readonly string[];
}

/** Where bytes come from. What was found once holds for the build. */
export interface Origins {
  /** Image named by a source op's identifier and platform. */
  readonly image: (
    task: Task,
    identifier: string,
    platform: string,
    attrs: ReadonlyMap<string, string>,
    shown: Shown,
  ) => Promise<ImageLayers>;
  /** Brings the blob that a source op names into the store. @throws TsbuildError */
  readonly blob: (task: Task, source: SourceOp, digest: Digest, vertex: Digest) => Promise<void>;
  /** Host directory named by a local source op. @throws TsbuildError `TSB_CONTEXT` */
  readonly local: (name: string, attrs: ReadonlyMap<string, string>) => LocalResult;
  /** Web servers and git repositories. */
  readonly remote: RemoteSources;
}

/** What ops may be handed without it becoming part of anything. */
export interface Credentials {
  readonly secrets: BuildSecrets;
  readonly ssh: SshAgents;
}

/** What the user allows to steps. */
export interface Grants {
  readonly entitlements: ReadonlySet<string>;
  readonly devices: StepDevices;
  /** Processes and threads that a step may have at a time; 0 for no limit. */
  readonly processLimit: number;
}

/** Clock, mouth and notebook. */
export interface Report {
  readonly notes: StepNotes;
  /** Of the whole build, for what outlasts the op that began it. */
  readonly build: Task;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly warn: (message: string) => void;
}

/** What the ops of one build share. A runner asks for the pieces that it needs, by name; none can be changed. */
export interface OpPieces {
  readonly snapshots: Snapshots;
  readonly origins: Origins;
  readonly credentials: Credentials;
  readonly grants: Grants;
  /** Milliseconds that a step may run; undefined for no limit. No part of any key. */
  readonly timeLimit: (vertex: Digest) => number | undefined;
  readonly limits: StepLimits;
  /** Networks of steps that are recorded, where there are any. */
  readonly recorded?: RecordedSteps | undefined;
  /** Vertices that steps with an isolated network stand on, however far below. */
  readonly beforeNetwork?: ReadonlySet<Digest>;
  /** Of base images, where there are any. */
  readonly summaries?: BaseSummaries | undefined;
  /** Looks into steps, before they run or when they have failed. */
  readonly visitor?: StepVisitor;
  /** Cache mounts of other machines, where there are any; known when the graph is. */
  readonly travel: () => MountTravel | undefined;
  /** Who executes programs of other platforms than this machine's. */
  readonly emulation: Emulation;
  readonly report: Report;
}
