import type { RegistryLimits } from '../types.ts';

/** All limits, see `RegistryLimits`. */
export type Limits = Required<RegistryLimits>;

/** What holds where nobody says otherwise. */
export const DEFAULT_LIMITS: Limits = {
  connectMs: 10_000,
  headersMs: 20_000,
  uploadAnswerMs: 60_000,
  idleMs: 20_000,
  smallBodyMs: 30_000,
  windowMs: 20_000,
  minBytesPerWindow: 40 * 1024,
  attempts: 3,
  backoffMs: 1000,
  maxRetryAfterMs: 60_000,
  connectionsPerHost: 10,
  chunkBytes: 16 << 20,
};
