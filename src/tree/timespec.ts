import type { Timespec } from '../sys/index.ts';

/** Nanoseconds since the epoch as whole seconds, rounded down, and the nanoseconds after them. */
export function toTimespec(ns: bigint): Timespec {
  const nsec = Number(ns % 1_000_000_000n);
  const sec = Number(ns / 1_000_000_000n);
  return nsec < 0 ? { sec: sec - 1, nsec: nsec + 1_000_000_000 } : { sec, nsec };
}
