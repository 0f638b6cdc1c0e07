import type { Database, Statement } from './database.ts';
import { randomId } from './layout.ts';
import type { Sessions } from './sessions.ts';
import type { LeaseNames } from './types.ts';

/** What a lease can hold. */
export type LeaseKind = 'layer' | 'blob' | 'mount' | 'turn';

/** What one build needs: garbage collection leaves it alone until the lease is released or its process is dead. */
export class Lease {
  readonly id: string;
  readonly #leases: Leases;

  constructor(id: string, leases: Leases) {
    this.id = id;
    this.#leases = leases;
  }

  /**
   * Holds layers, blobs and cache mounts from now on. Hold first and look whether it is there afterwards: what is there
   * then stays there.
   * @returns the layers that the store does not have (any more)
   */
  hold(names: LeaseNames): { readonly missingLayers: readonly string[] } {
    return this.#leases.hold(this.id, names);
  }

  /** Holds a name unless another living command has it. @returns whether it is held now */
  take(kind: LeaseKind, name: string): boolean {
    return this.#leases.take(this.id, kind, name);
  }

  /** Holds a name no more. Never fails: where the index cannot be written, it is held until this command ends. */
  giveBack(kind: LeaseKind, name: string): void {
    this.#leases.giveBack(this.id, kind, name);
  }

  /** Whether a living command other than this process needs it too. */
  isShared(kind: LeaseKind, name: string): boolean {
    return this.#leases.sessionsHolding(kind, name).length > 0;
  }

  release(): void {
    this.#leases.release(this.id);
  }

  [Symbol.dispose](): void {
    this.release();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve(this.release());
  }
}

/** The leases of all processes. Those of a dead one go with its session. */
export class Leases {
  readonly #db: Database;
  readonly #sessions: Sessions;
  /** Names held by this process, to enter them again in a new index, and to skip what is held already. */
  readonly #open = new Map<string, Set<string>>();
  readonly #insert: Statement;
  readonly #delete: Statement;
  readonly #layerExists: Statement;

  constructor(db: Database, sessions: Sessions) {
    this.#db = db;
    this.#sessions = sessions;
    this.#insert = db.prepare('INSERT OR IGNORE INTO lease_names (lease, kind, name) VALUES (?, ?, ?)');
    this.#delete = db.prepare('DELETE FROM lease_names WHERE lease = ? AND kind = ? AND name = ?');
    this.#layerExists = db.prepare('SELECT 1 AS found FROM layers WHERE id = ?');
    db.onRebuild(() => this.#enterAgain());
  }

  /** A new lease of this process, which holds nothing yet. */
  create(): Lease {
    const id = randomId();
    const session = this.#sessions.own();
    this.#db.prepare('INSERT INTO leases (id, session) VALUES (?, ?)').run(id, session);
    this.#open.set(id, new Set());
    return new Lease(id, this);
  }

  /** Enters names that are not held yet. Most are asked for many times over, so what is held is remembered here. */
  hold(id: string, names: LeaseNames): { readonly missingLayers: readonly string[] } {
    const held = this.#namesOf(id);
    const layers = [...(names.layers ?? [])];
    const wanted: (readonly [LeaseKind, string])[] = [
      ...layers.map((name) => ['layer', name] as const),
      ...Array.from(names.blobs ?? [], (name) => ['blob', name] as const),
      ...Array.from(names.mounts ?? [], (name) => ['mount', name] as const),
    ];
    const added = wanted.filter(([kind, name]) => !held.has(`${kind} ${name}`));
    if (added.length > 0) {
      this.#db.transaction(() => {
        for (const [kind, name] of added) this.#insert.run(id, kind, name);
      });
      for (const [kind, name] of added) held.add(`${kind} ${name}`);
    }
    return { missingLayers: layers.filter((name) => !this.#layerExists.get(name)) };
  }

  /** See `Lease.take`. */
  take(id: string, kind: LeaseKind, name: string): boolean {
    const held = this.#namesOf(id);
    const taken = this.#db.transaction(() => {
      if (this.sessionsHolding(kind, name).length > 0) return false;
      this.#insert.run(id, kind, name);
      return true;
    });
    if (taken) held.add(`${kind} ${name}`);
    return taken;
  }

  /** See `Lease.giveBack`. */
  giveBack(id: string, kind: LeaseKind, name: string): void {
    this.#open.get(id)?.delete(`${kind} ${name}`);
    try {
      this.#delete.run(id, kind, name);
    } catch {
      // It goes with the session.
    }
  }

  #namesOf(id: string): Set<string> {
    const held = this.#open.get(id);
    if (!held) throw new Error(`lease ${id} was released`);
    return held;
  }

  release(id: string): void {
    if (!this.#open.delete(id)) return;
    this.#db.transaction(() => {
      this.#db.prepare('DELETE FROM lease_names WHERE lease = ?').run(id);
      this.#db.prepare('DELETE FROM leases WHERE id = ?').run(id);
    });
  }

  /** Whether any lease names it. Leases of dead sessions count until `Sessions.sweep`. */
  holds(kind: LeaseKind, name: string): boolean {
    return (
      this.#db.prepare('SELECT 1 AS found FROM lease_names WHERE kind = ? AND name = ?').get(kind, name) !== undefined
    );
  }

  /** Sessions of other processes that live, and have leases that name it. */
  sessionsHolding(kind: LeaseKind, name: string): readonly string[] {
    return this.#db
      .prepare('SELECT DISTINCT session FROM lease_names JOIN leases ON leases.id = lease WHERE kind = ? AND name = ?')
      .all(kind, name)
      .map((row) => String(row['session']))
      .filter((session) => session !== this.#sessions.own() && this.#sessions.isAlive(session));
  }

  /** Everything of that kind that a lease names. */
  names(kind: LeaseKind): Set<string> {
    const rows = this.#db.prepare('SELECT DISTINCT name FROM lease_names WHERE kind = ?').all(kind);
    return new Set(rows.map((row) => String(row['name'])));
  }

  /** The same, without what only leases of dead processes name. */
  namesOfLiving(kind: LeaseKind): Set<string> {
    const rows = this.#db
      .prepare('SELECT DISTINCT name, session FROM lease_names JOIN leases ON leases.id = lease WHERE kind = ?')
      .all(kind);
    const alive = new Map<string, boolean>();
    const isAlive = (session: string): boolean => {
      const known = alive.get(session) ?? this.#sessions.isAlive(session);
      alive.set(session, known);
      return known;
    };
    return new Set(rows.filter((row) => isAlive(String(row['session']))).map((row) => String(row['name'])));
  }

  /** After the index was replaced: what this process holds must not be taken for garbage. */
  #enterAgain(): void {
    for (const [id, names] of this.#open) {
      this.#db.prepare('INSERT OR IGNORE INTO leases (id, session) VALUES (?, ?)').run(id, this.#sessions.own());
      for (const text of names) {
        const space = text.indexOf(' ');
        this.#insert.run(id, text.slice(0, space), text.slice(space + 1));
      }
    }
  }
}

/**
 * Has leases that hold a name hold another one, too, for what goes on under that.
 * @param except a session whose leases do not
 * @returns how many leases do
 */
export function holdAlso(db: Database, kind: LeaseKind, name: string, also: string, except = ''): number {
  return db
    .prepare(
      `INSERT OR IGNORE INTO lease_names (lease, kind, name)
       SELECT lease, kind, ? FROM lease_names JOIN leases ON leases.id = lease
       WHERE kind = ? AND name = ? AND session <> ?`,
    )
    .run(also, kind, name, except);
}
