import type { Statement, Store } from '../store/index.ts';

export interface Fact {
  readonly value: unknown;
  /** Milliseconds since the epoch. */
  readonly storedAt: number;
}

/**
 * Small facts that cost something to find out, as JSON by kind and key: what a reference resolved to, an ETag. A fact that
 * cannot be read is not there; one that cannot be written is lost. Neither is an error.
 */
export class FactCache {
  readonly #store: Store;
  readonly #select: Statement;

  constructor(store: Store) {
    this.#store = store;
    this.#select = store.database().prepare('SELECT value, stored_at FROM facts WHERE kind = ? AND key = ?');
  }

  get(kind: string, key: string): Fact | undefined {
    try {
      const row = this.#select.get(kind, key);
      return row && { value: JSON.parse(String(row['value'])) as unknown, storedAt: Number(row['stored_at']) };
    } catch {
      return undefined;
    }
  }

  put(kind: string, key: string, value: unknown): void {
    const now = Math.floor(this.#store.now());
    try {
      this.#store
        .database()
        .prepare('INSERT OR REPLACE INTO facts (kind, key, value, stored_at, used_at) VALUES (?, ?, ?, ?, ?)')
        .run(kind, key, JSON.stringify(value), now, now);
    } catch {
      // Found out again next time.
    }
  }

  delete(kind: string, key: string): void {
    try {
      this.#store.database().prepare('DELETE FROM facts WHERE kind = ? AND key = ?').run(kind, key);
    } catch {
      // As above.
    }
  }
}
