/** How much a frontend may ask of this machine: it is anybody's program. */
export interface GatewayLimits {
  /** Larger messages are refused, as by BuildKit. Bytes. */
  readonly maxMessageBytes: number;
  /** Of requests that are under way together. Bytes. */
  readonly maxBufferedBytes: number;
  /** Calls at a time. */
  readonly maxCalls: number;
  /** Results that it may ask for in all. */
  readonly maxSolves: number;
  /** What their definitions may have together. Bytes. */
  readonly maxDefinitionBytes: number;
  /** Containers that it may have at a time. */
  readonly maxContainers: number;
  /** Mounts of a container. */
  readonly maxMounts: number;
  /** Programs that run in its containers at a time. */
  readonly maxProcesses: number;
  /** The same in all. */
  readonly maxStarts: number;
  /** Of the command and environment of a program. Bytes: the kernel takes no more. */
  readonly maxCommandBytes: number;
  /** Warnings that are shown. */
  readonly maxWarnings: number;
  /** Without a call under way for so long, it is taken for stuck. Milliseconds. */
  readonly idleMs: number;
  /** Between its result and its end. Milliseconds. */
  readonly exitMs: number;
}

/** What frontends get. */
export const gatewayLimits: GatewayLimits = {
  maxMessageBytes: 16 * 1024 * 1024,
  maxBufferedBytes: 64 * 1024 * 1024,
  maxCalls: 100,
  maxSolves: 10_000,
  maxDefinitionBytes: 256 * 1024 * 1024,
  maxContainers: 20,
  maxMounts: 200,
  maxProcesses: 100,
  maxStarts: 10_000,
  maxCommandBytes: 2 * 1024 * 1024,
  maxWarnings: 100,
  idleMs: 10 * 60_000,
  exitMs: 10_000,
};
