import type { Store, StoredReport } from '../store/index.ts';
import type { StepLog } from './facts.ts';
import { type BuildRecord, RECORD_VERSION } from './record.ts';
import { KEPT_LOGS } from './recorder.ts';

/** Remembers a build; of output that is more than is kept, the beginning and the end. What cannot be written is not remembered. */
export function keepRecord(store: Store, record: BuildRecord): void {
  let left = KEPT_LOGS.total;
  const vertices = record.vertices.map(({ log, ...vertex }) => {
    if (log === undefined) return vertex;
    const head = Math.min(KEPT_LOGS.head, left);
    const kept = shortened(log, head, Math.min(KEPT_LOGS.tail, left - head));
    left = Math.max(0, left - sizeOf(kept.lines));
    return { ...vertex, log: kept };
  });
  store.reports.keep(JSON.stringify({ ...record, vertices }));
}

/** What was remembered; undefined where it is damaged, or of a version of tsbuild that wrote it otherwise. */
export function parseRecord(text: string): BuildRecord | undefined {
  let value: Partial<BuildRecord> | null;
  try {
    value = JSON.parse(text) as Partial<BuildRecord> | null;
  } catch {
    return undefined;
  }
  const isWhole =
    value?.version === RECORD_VERSION &&
    [value.vertices, value.warnings, value.layers, value.outputs, value.platforms].every(Array.isArray) &&
    typeof value.startedAt === 'number' &&
    typeof value.ms === 'number' &&
    typeof value.about?.title === 'string';
  return isWhole ? (value as BuildRecord) : undefined;
}

/** As many lines of the beginning and of the end as have so many characters. */
function shortened(log: StepLog, head: number, tail: number): StepLog {
  const { lines, times, lost } = log;
  if (sizeOf(lines) <= head + tail) return log;
  let first = 0;
  for (let size = 0; first < lines.length; first++) if ((size += (lines[first]?.length ?? 0) + 1) > head) break;
  let last = lines.length;
  for (let size = 0; last > first; last--) if ((size += (lines[last - 1]?.length ?? 0) + 1) > tail) break;
  const cut = lines.slice(first, last);
  return {
    ...log,
    lines: [...lines.slice(0, first), ...lines.slice(last)],
    times: [...times.slice(0, first), ...times.slice(last)],
    // What was lost already lies between what is cut now, or, where little of the end is left, before it.
    lost: { bytes: sizeOf(cut) + (lost?.bytes ?? 0), before: first },
  };
}

const sizeOf = (lines: readonly string[]): number => lines.reduce((sum, line) => sum + line.length + 1, 0);

/** A build that is remembered. */
export interface KeptBuild {
  readonly stored: StoredReport;
  readonly record: BuildRecord;
}

/** The builds that a store remembers, the newest first. */
export function keptBuilds(store: Store): readonly KeptBuild[] {
  return store.reports.list().flatMap((stored) => {
    const record = parseRecord(store.reports.read(stored.id) ?? '');
    return record === undefined ? [] : [{ stored, record }];
  });
}
