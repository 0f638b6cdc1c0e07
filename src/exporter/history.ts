import type { HistoryEntry } from '../image/index.ts';
import { goTime } from './go-json.ts';
import type { ExportLayer } from './types.ts';

/** `comment` of entries that stand for layers which the frontend's history does not mention (BuildKit's word). */
const FALLBACK_COMMENT = 'buildkit.exporter.image.v0';

/**
 * Makes the history fit the layers, by BuildKit's rules (`normalizeLayersAndHistory`): every layer has one entry that is
 * not empty, and every entry a time. Entries of layers take the layer's; those of metadata take the time of the first new
 * layer, else of the layer before.
 */
export function completeHistory(history: readonly HistoryEntry[], layers: readonly ExportLayer[]): HistoryEntry[] {
  let layerCount = 0;
  const entries = history.map((entry): HistoryEntry => {
    if (entry.empty_layer === true) return { ...entry };
    layerCount++;
    // Entries without a layer cannot be right; the ones at the top are given up.
    return layerCount > layers.length ? { ...entry, empty_layer: true } : { ...entry };
  });
  for (const layer of layers.slice(layerCount)) {
    entries.push({
      ...(layer.createdAt === undefined ? {} : { created: goTime(layer.createdAt) }),
      ...(layer.description === undefined ? {} : { created_by: layer.description }),
      comment: FALLBACK_COMMENT,
    });
  }
  let index = 0;
  for (const entry of entries) {
    if (entry.empty_layer === true) continue;
    const createdAt = layers[index++]?.createdAt;
    if (entry.created === undefined && createdAt !== undefined) entry.created = goTime(createdAt);
  }
  fillTimes(entries);
  return entries;
}

/** Entries without a time get that of a neighbour. */
function fillTimes(entries: readonly HistoryEntry[]): void {
  let created: string | undefined;
  let gap = false;
  for (const entry of entries) {
    if (entry.created === undefined) gap = true;
    else {
      created = entry.created;
      if (gap) break;
    }
  }
  gap = false;
  for (const entry of entries) {
    if (entry.created === undefined) {
      gap = true;
      if (created !== undefined) entry.created = created;
    } else if (gap) created = entry.created;
  }
}

/**
 * Limits the times of a history to the epoch. What the history has in common with that of the base image, from its first
 * entry on, is the base image's and stays.
 * @param epoch seconds since the epoch
 */
export function clampHistory(
  history: readonly HistoryEntry[],
  base: readonly HistoryEntry[] | undefined,
  epoch: number,
): HistoryEntry[] {
  let diverged = false;
  return history.map((entry, index) => {
    const baseEntry = base?.[index];
    diverged ||= baseEntry === undefined || !sameEntry(entry, baseEntry);
    return diverged && isLater(entry.created, epoch) ? { ...entry, created: goTime(epoch * 1000) } : entry;
  });
}

/** Whether a time is after the epoch, or none at all. */
export function isLater(created: string | undefined, epoch: number): boolean {
  if (created === undefined) return true;
  const ms = Date.parse(created);
  return Number.isNaN(ms) || ms > epoch * 1000;
}

function sameEntry(a: HistoryEntry, b: HistoryEntry): boolean {
  return (
    a.created === b.created &&
    (a.created_by ?? '') === (b.created_by ?? '') &&
    (a.author ?? '') === (b.author ?? '') &&
    (a.comment ?? '') === (b.comment ?? '') &&
    (a.empty_layer ?? false) === (b.empty_layer ?? false)
  );
}
