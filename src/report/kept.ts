import type { Store } from '../store/index.ts';
import { type BuildRecord, RECORD_VERSION } from './record.ts';

/** Remembers a build, without its output where all of it would be too much. What cannot be written is not remembered. */
export function keepRecord(store: Store, record: BuildRecord): void {
  const id = store.reports.keep(JSON.stringify(record));
  if (id !== undefined) return;
  const vertices = record.vertices.map(({ log: _log, ...vertex }) => vertex);
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
