import type { Database, Row, Statement } from './database.ts';
import { plain, rowSum } from './row-sum.ts';

/** A fact whose use is noted at most once in so many ms: a build that looks at the same ones again writes nothing. */
const TOUCH_AFTER = 3600 * 1000;

/** Something that was found out once. */
export interface Fact {
  readonly value: unknown;
  /** Milliseconds since the epoch. */
  readonly storedAt: number;
  /** When it was last noted to be of use, ms since the epoch. */
  readonly usedAt: number;
}

/**
 * Small facts that cost something to find out, as JSON by kind and key: what a reference resolved to, an ETag. A fact that
 * cannot be read is not there; one that cannot be written is lost. Neither is an error.
 */
export class FactTable {
  readonly #db: Database;
  readonly #now: () => number;
  readonly #select: Statement;
  readonly #insert: Statement;
  /** Of facts that were read: written in one transaction when the store is flushed, since reading must stay cheap. */
  readonly #touched = new Map<string, readonly [kind: string, key: string, usedAt: number]>();

  constructor(db: Database, now: () => number) {
    this.#db = db;
    this.#now = now;
    this.#select = db.prepare('SELECT * FROM facts WHERE kind = ? AND key = ?');
    this.#insert = db.prepare(
      'INSERT OR REPLACE INTO facts (kind, key, stored_at, used_at, sum, value) VALUES (?, ?, ?, ?, ?, ?)',
    );
  }

  /** What is known, and notes that it was of use. */
  get(kind: string, key: string): Fact | undefined {
    try {
      const row = this.#select.get(kind, key);
      if (!row) return undefined;
      if (!isSound(row)) {
        this.#db.damagedRow('facts', `${kind} ${key}`);
        this.delete(kind, key);
        return undefined;
      }
      const now = Math.floor(this.#now());
      if (now - Number(row['used_at']) > TOUCH_AFTER) this.#touched.set(`${kind}\0${key}`, [kind, key, now]);
      const value = JSON.parse(String(row['value'])) as unknown;
      return { value, storedAt: Number(row['stored_at']), usedAt: Number(row['used_at']) };
    } catch {
      return undefined;
    }
  }

  /** Notes a use for the sake of `putNewest`, where the order within an hour counts too. */
  touch(kind: string, key: string): void {
    this.#touched.set(`${kind}\0${key}`, [kind, key, Math.floor(this.#now())]);
  }

  put(kind: string, key: string, value: unknown): void {
    const now = Math.floor(this.#now());
    try {
      this.#write(kind, key, JSON.stringify(value), now, now);
    } catch {
      // Found out again next time.
    }
  }

  /** Adds one and forgets all of its kind but the `count` that were used last. */
  putNewest(kind: string, key: string, value: unknown, count: number): void {
    try {
      this.#db.transaction(() => {
        this.flush();
        this.put(kind, key, value);
        this.#db
          .prepare(
            `DELETE FROM facts WHERE kind = ?
             AND key NOT IN (SELECT key FROM facts WHERE kind = ? ORDER BY used_at DESC LIMIT ?)`,
          )
          .run(kind, kind, count);
      });
    } catch {
      // As above.
    }
  }

  delete(kind: string, key: string): void {
    this.#touched.delete(`${kind}\0${key}`);
    try {
      this.#db.prepare('DELETE FROM facts WHERE kind = ? AND key = ?').run(kind, key);
    } catch {
      // As above.
    }
  }

  /**
   * Writes a fact that is never forgotten for its age: the store's own. Unlike `put` it fails where it cannot be written, as the
   * transaction that it belongs to must then fail too.
   */
  setPermanent(kind: string, key: string, value: unknown): void {
    this.#write(kind, key, JSON.stringify(value), 0, Number.MAX_SAFE_INTEGER);
  }

  #write(kind: string, key: string, value: string, storedAt: number, usedAt: number): void {
    this.#insert.run(kind, key, storedAt, usedAt, rowSum('facts', kind, key, value, storedAt), value);
  }

  /** How many rows do not say what was written into them; with `remove` they are taken out. */
  damaged(remove: boolean): number {
    const rows = this.#db
      .prepare('SELECT * FROM facts')
      .all()
      .filter((row) => !isSound(row));
    if (remove)
      for (const { kind, key } of rows)
        this.#db.prepare('DELETE FROM facts WHERE kind IS ? AND key IS ?').run(kind ?? null, key ?? null);
    return rows.length;
  }

  /** Forgets what was last used at `time` or before, ms since the epoch. */
  forgetUnused(time: number): void {
    this.flush();
    this.#db.prepare('DELETE FROM facts WHERE used_at <= ?').run(Math.floor(time));
  }

  /** Writes the times of last use. */
  flush(): void {
    if (this.#touched.size === 0) return;
    const update = this.#db.prepare('UPDATE facts SET used_at = max(used_at, ?) WHERE kind = ? AND key = ?');
    this.#db.transaction(() => {
      for (const [kind, key, usedAt] of this.#touched.values()) update.run(usedAt, kind, key);
    });
    this.#touched.clear();
  }
}

function isSound({ kind, key, value, stored_at, sum }: Row): boolean {
  return sum === rowSum('facts', ...[kind, key, value, stored_at].map(plain));
}
