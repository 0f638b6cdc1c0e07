import type { OpPieces } from '../pieces.ts';

/** The time of what a file op makes without one of its own, in nanoseconds since the epoch. */
export function nowOf({ report }: Pick<OpPieces, 'report'>): bigint {
  return BigInt(Math.floor(report.now())) * 1_000_000n;
}
