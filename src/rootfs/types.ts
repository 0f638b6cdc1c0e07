/** One root file system to write out. Plain data, so that it can be sent to the worker. */
export interface RootfsTree {
  /** Layer directories, bottom first. */
  readonly layers: readonly string[];
  /** Directory within the output that it goes to, one name, e.g. `linux_amd64`; absent for the top. */
  readonly prefix?: string;
  /** Names it in messages, e.g. `linux/amd64`. */
  readonly label: string;
}

/** What is written: trees, ids and times. */
export interface WriteRootfsOptions {
  readonly trees: readonly RootfsTree[];
  /** Added to image ids on disk. */
  readonly idShift: number;
  /** Seconds since the epoch that every time becomes (SOURCE_DATE_EPOCH). */
  readonly epoch?: number;
}

/** What was done. */
export interface RootfsReport {
  readonly files: number;
  /** Bytes of content. */
  readonly bytes: number;
  /** Paths of devices and sockets, which the output cannot have; at most 100. */
  readonly skipped: readonly string[];
}

/** Called now and then; throws to stop. */
export type Checkpoint = (done: { readonly files: number; readonly bytes: number }) => void;
