import type { Database } from './database.ts';
import { randomId } from './layout.ts';

const KIND = 'generation';
const KEY = 'records';

/** Names the present state of the cache records: the same name later means that none was added or pruned since. */
export function recordsGeneration(db: Database): string {
  return String(db.prepare('SELECT value FROM facts WHERE kind = ? AND key = ?').get(KIND, KEY)?.['value'] ?? '');
}

/** To be called in the transaction that adds or removes records. */
export function advanceRecords(db: Database): void {
  db.prepare('INSERT OR REPLACE INTO facts (kind, key, value, stored_at, used_at) VALUES (?, ?, ?, ?, ?)').run(
    KIND,
    KEY,
    randomId(),
    0,
    // Never old enough to be forgotten.
    Number.MAX_SAFE_INTEGER,
  );
}
