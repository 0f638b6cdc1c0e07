import type { ImageConfig } from '../image/index.ts';
import type { ResourceLimits } from '../limits/index.ts';
import type { PublishedPort } from '../network/index.ts';
import type { StepSpec } from '../sandbox/index.ts';
import type { Digest } from '../util/index.ts';
import type { Attachment } from './network-types.ts';

/** What a container's process is, but for where its root file system is: all that `config.json` can say of it. */
export type ContainerStep = Omit<StepSpec, 'lowers' | 'upper' | 'work' | 'prepareUpper' | 'networkPath'>;

/** When a container is started again after its end. */
export interface RestartPolicy {
  readonly name: 'no' | 'on-failure' | 'always' | 'unless-stopped';
  /** For `on-failure`; 0 for any number of times. */
  readonly most: number;
}

/** The check of HEALTHCHECK or of `--health-*`. Times in ms. */
export interface HealthCheck {
  /** Program and arguments. */
  readonly test: readonly string[];
  readonly interval: number;
  readonly timeout: number;
  readonly startPeriod: number;
  readonly startInterval: number;
  readonly retries: number;
}

/** `config.json`: what a container is. Written when it is made, and anew by `update`. */
export interface ContainerRecord {
  readonly format: 1;
  /** 64 hex digits. */
  readonly id: string;
  /** RFC 3339. */
  readonly created: string;
  readonly image: {
    /** As it was typed, or as the image is called. */
    readonly name: string;
    /** Of its config: what docker calls the image's id. */
    readonly id: Digest;
    readonly manifest: Digest;
  };
  readonly imageConfig: ImageConfig;
  readonly step: ContainerStep;
  /** What it may use of the machine. */
  readonly resources?: ResourceLimits;
  /** `--rm` */
  readonly autoRemove: boolean;
  /** `-d`: nobody was attached when it was made. */
  readonly detached: boolean;
  /** Streams that somebody was at when it was made. Absent: standard output and errors, unless it is detached. */
  readonly attach?: readonly ('stdin' | 'stdout' | 'stderr')[];
  readonly restart: RestartPolicy;
  readonly stopSignal: string;
  /** Seconds between that signal and SIGKILL; -1: it is waited for. */
  readonly stopTimeout: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly health?: HealthCheck;
  /** What it may be at most; no file, no log. Absent, as in records that others may have written: `LOG_LIMITS`. */
  readonly log?: { readonly maxBytes: number; readonly maxFiles: number };
  /** Published ports, as they were asked for. */
  readonly ports?: readonly PublishedPort[];
  /** `--expose`, as `80/tcp`. */
  readonly exposed?: readonly string[];
  /** Hardware address in a network of its own alone. */
  readonly mac?: string;
  /** Networks that it is in, as it was made: see `attachmentsOf`. Absent: its network is what the step says. */
  readonly networks?: readonly Attachment[];
  /** `--network container:NAME`: id of the container whose network it uses. */
  readonly networkOf?: string;
  /** `--pid container:NAME`, `--ipc container:NAME`: ids of the containers whose namespaces it shares. */
  readonly processesOf?: string;
  readonly ipcOf?: string;
  /** `--scope`: what it goes with. */
  readonly scope?: string;
}

/** What a container is doing, in docker's words. */
export type ContainerStatus = 'created' | 'running' | 'paused' | 'restarting' | 'exited';

/** `state.json`, as its supervisor last wrote it. */
export interface ContainerState {
  readonly status: ContainerStatus;
  /** Of its first process, as this machine counts; 0 while it does not run. */
  readonly pid: number;
  readonly exitCode: number;
  readonly restarts: number;
  /** RFC 3339, empty before the first start. */
  readonly started: string;
  readonly finished: string;
  readonly health?: 'starting' | 'healthy' | 'unhealthy';
  /** The kernel has ended processes of it for lack of memory. Absent for no. */
  readonly oomKilled?: boolean;
  /** Why the program did not run. */
  readonly failure?: { readonly errno: number; readonly stage: string; readonly text: string };
  /** Its supervisor was killed, and the container with it. */
  readonly lost?: boolean;
}

/** A container with its name. */
export interface Container {
  readonly id: string;
  readonly name: string;
  /** `containers/<id>` in the store. */
  readonly directory: string;
  readonly record: ContainerRecord;
}
