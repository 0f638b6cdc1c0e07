import type { LayerUnpacks } from './layer-unpacks.ts';
import type { NoUserNetwork } from '../network/index.ts';
import type { WorkerConfig } from './protocol.ts';

/** What a handler gets beside its parameters. */
export interface HandlerContext {
  readonly config: WorkerConfig;
  readonly signal: AbortSignal;
  /** Output of a step. Wait for the promise, if there is one, before producing more. Not available in threads. */
  readonly output: (stream: 1 | 2, data: Uint8Array) => Promise<void> | undefined;
  readonly progress: (data: unknown) => void;
  /** Tells that a step got the /proc around it. Not available in threads. */
  readonly boundProc?: () => void;
  /** Tells that a step got the machine's network, and why. Not available in threads. */
  readonly sharedNetwork?: (why: NoUserNetwork) => void;
  /** Made at the first call. Absent in threads. */
  readonly unpacks?: () => Promise<LayerUnpacks>;
}
