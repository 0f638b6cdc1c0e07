import fs from 'node:fs';
import { join } from 'node:path';
import { errnoOf } from '../util/index.ts';
import type { Database } from './database.ts';
import { type KernelLock, tryKernelLock } from './kernel-lock.ts';
import { randomId, type StoreLayout } from './layout.ts';

/** What sweeping dead sessions came to. */
export interface SweepResult {
  /**
   * A live session is unknown to the index, because it began before the index was replaced: nobody knows what it needs, and
   * nothing may be removed.
   */
  readonly unknownAlive: boolean;
  readonly removedFiles: number;
}

/** What a session of a process is called. */
const SESSION = /^[0-9a-f]{32}$/;

/** What a session of a container is called: it lives as long as the container's directory, whether a process runs in it or not. */
const CONTAINER = 'container-';

/** The session that holds what a container needs. */
export function containerSession(id: string): string {
  return CONTAINER + id;
}

/** The container whose session this is, if it is one. */
export function containerOf(session: string): string | undefined {
  return session.startsWith(CONTAINER) ? session.slice(CONTAINER.length) : undefined;
}

/**
 * The processes that use the store. Each has a file in `sessions/` that it keeps locked while it lives; the kernel tells
 * a dead one at once, whatever became of its pid (REL-13, REL-15). Leases and temporary files belong to sessions.
 */
export class Sessions {
  readonly #layout: StoreLayout;
  readonly #db: Database;
  readonly #now: () => number;
  #own: { readonly id: string; readonly lock: KernelLock } | undefined;

  constructor(layout: StoreLayout, db: Database, now: () => number) {
    this.#layout = layout;
    this.#db = db;
    this.#now = now;
    db.onRebuild(() => this.#register());
  }

  /** This process's session, made at first use. */
  own(): string {
    if (this.#own) return this.#own.id;
    while (!this.#own) {
      const id = randomId();
      const lock = tryKernelLock(join(this.#layout.sessions, id));
      // A sweep may look at the file before we have locked it: then another name is taken.
      if (typeof lock === 'object') this.#own = { id, lock };
    }
    this.#register();
    return this.#own.id;
  }

  #register(): void {
    if (!this.#own) return;
    this.#db
      .prepare('INSERT OR IGNORE INTO sessions (id, started_at) VALUES (?, ?)')
      .run(this.#own.id, Math.floor(this.#now()));
  }

  /** All that the index knows, dead ones too. */
  entered(): readonly string[] {
    const rows = this.#db.prepare('SELECT id FROM sessions').all();
    return rows.map(({ id }) => String(id));
  }

  /** Forgets dead sessions: their leases go, their temporary files are deleted. */
  sweep(): SweepResult {
    const known = new Set(this.entered());
    const alive = new Set(fs.readdirSync(this.#layout.sessions).filter((id) => this.isAlive(id)));
    for (const id of known) if (!alive.has(id) && !this.isAlive(id)) this.#forget(id);
    let removedFiles = 0;
    for (const entry of fs.readdirSync(this.#layout.ingest, { withFileTypes: true })) {
      if (entry.isDirectory() && !this.isAlive(entry.name)) removedFiles += this.#removeIngest(entry.name);
    }
    return { unknownAlive: [...alive].some((id) => !known.has(id)), removedFiles };
  }

  /** @returns how many files were in it; a session that ends right now removes its own */
  #removeIngest(id: string): number {
    const dir = join(this.#layout.ingest, id);
    try {
      const count = fs.readdirSync(dir).length;
      fs.rmSync(dir, { recursive: true, force: true });
      return count;
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return 0;
      throw error;
    }
  }

  /** A session's file exists before anything else of it and goes last; nobody else holds its lock for long. */
  isAlive(id: string): boolean {
    if (id === this.#own?.id) return true;
    if (id.startsWith(CONTAINER)) return fs.existsSync(join(this.#layout.containers, id.slice(CONTAINER.length)));
    if (!SESSION.test(id)) return false;
    const lock = tryKernelLock(join(this.#layout.sessions, id), false);
    if (typeof lock === 'object') lock.release();
    return lock === 'busy';
  }

  /** Whether a process died and nobody has cleared away after it yet. */
  hasDead(): boolean {
    const found = [...this.entered(), ...fs.readdirSync(this.#layout.ingest)];
    return found.some((id) => !this.isAlive(id));
  }

  /** When the oldest running session began, ms since the epoch by the clock of the file system. */
  oldestStart(): number {
    let oldest = Number.POSITIVE_INFINITY;
    for (const id of fs.readdirSync(this.#layout.sessions)) {
      const stat = fs.lstatSync(join(this.#layout.sessions, id), { throwIfNoEntry: false });
      if (stat && this.isAlive(id)) oldest = Math.min(oldest, stat.ctimeMs);
    }
    return oldest;
  }

  /** Enters a session that is no process. */
  register(id: string): void {
    this.#db.prepare('INSERT OR IGNORE INTO sessions (id, started_at) VALUES (?, ?)').run(id, Math.floor(this.#now()));
  }

  /** Ends a session that is no process. */
  forget(id: string): void {
    this.#forget(id);
  }

  #forget(id: string): void {
    this.#db.transaction(() => {
      this.#db.prepare('DELETE FROM lease_names WHERE lease IN (SELECT id FROM leases WHERE session = ?)').run(id);
      this.#db.prepare('DELETE FROM leases WHERE session = ?').run(id);
      this.#db.prepare('DELETE FROM sessions WHERE id = ?').run(id);
    });
  }

  close(): void {
    const own = this.#own;
    if (!own) return;
    this.#own = undefined;
    try {
      this.#forget(own.id);
      fs.rmSync(join(this.#layout.ingest, own.id), { recursive: true, force: true });
    } finally {
      own.lock.release();
    }
  }
}
