import { prune } from './prune.ts';
import type { Store } from './store.ts';
import type { PruneOptions, PruneReport, UsageRecord } from './types.ts';

/** One rule of what may go without being asked for. Rules are followed in their order. */
export interface PrunePolicy {
  /** What it is about; absent: everything. */
  readonly filter?: (record: UsageRecord) => boolean;
  /** Spares what was used in the last so many ms. */
  readonly keepMs?: number;
  /** Takes the least recently used only, until what it is about has so many bytes; absent: all. */
  readonly maxBytes?: number;
  /** Takes what named images use and internal records, too. */
  readonly all?: boolean;
}

/** How large a store may become. */
export interface StoreLimits {
  /** Bytes on disk, all in all. */
  readonly maxBytes?: number;
  /** Bytes that the file system is to have left for others. */
  readonly minFreeBytes?: number;
  readonly policies: readonly PrunePolicy[];
}

/** What removing takes besides what is to be removed. */
export type PruneTools = Pick<PruneOptions, 'removeTrees' | 'signal' | 'onWait' | 'dryRun' | 'onChosen'>;

/** Whether there is any limit. */
export function isLimited({ maxBytes, minFreeBytes, policies }: StoreLimits): boolean {
  return maxBytes !== undefined || minFreeBytes !== undefined || policies.length > 0;
}

/**
 * Makes a store as small as its limits say: first by its policies, then whatever was not used for longest. What a running command holds
 * stays, even if that is more than the limit.
 * @returns what went, for each rule
 */
export async function keepWithin(
  store: Store,
  { maxBytes, minFreeBytes, policies }: StoreLimits,
  tools: PruneTools,
): Promise<readonly PruneReport[]> {
  const rules: Partial<PruneOptions>[] = policies.map(({ filter, keepMs, maxBytes: most, all }) => ({
    ...(filter === undefined ? {} : { filter }),
    ...(keepMs === undefined ? {} : { untilMs: keepMs }),
    ...(most === undefined ? {} : filter === undefined ? { maxBytes: most } : { keepStorageBytes: most }),
    ...(all === undefined ? {} : { all }),
  }));
  if (maxBytes !== undefined) rules.push({ maxBytes });
  if (minFreeBytes !== undefined) rules.push({ minFreeBytes });
  const reports: PruneReport[] = [];
  for (const rule of rules) reports.push(await prune(store, { ...tools, ...rule }));
  return reports;
}
