import fs from 'node:fs';
import { join } from 'node:path';
import type { Database } from './database.ts';
import { randomId, type StoreLayout } from './layout.ts';
import type { LeaseNames } from './types.ts';
import { containerSession, type Sessions } from './sessions.ts';

/** In a container's directory: what it needs of the store, so that a new index can be told. */
const HOLDS = 'holds.json';

interface Holds {
  readonly layers: readonly string[];
  readonly blobs: readonly string[];
}

/**
 * What containers need of the store: the layers that they stand on, and the documents of their images. Held as by a lease, as long as the
 * container's directory is there.
 */
export class ContainerHolds {
  readonly #layout: StoreLayout;
  readonly #db: Database;
  readonly #sessions: Sessions;

  constructor(layout: StoreLayout, db: Database, sessions: Sessions) {
    this.#layout = layout;
    this.#db = db;
    this.#sessions = sessions;
    db.onRebuild(() => this.#enterAgain());
  }

  /** Writes down what a container will hold, into its directory before that has its name. */
  prepare(directory: string, names: LeaseNames): void {
    const { layers = [], blobs = [] } = names;
    fs.writeFileSync(join(directory, HOLDS), JSON.stringify({ layers: [...layers], blobs: [...blobs] }), {
      mode: 0o600,
    });
  }

  /** Holds from now on what was prepared. The caller's own lease must hold it until then. */
  enter(id: string): void {
    const names = this.#read(id);
    if (names === undefined) return;
    const session = containerSession(id);
    const lease = randomId();
    this.#db.transaction(() => {
      this.#sessions.register(session);
      this.#db.prepare('INSERT INTO leases (id, session) VALUES (?, ?)').run(lease, session);
      const insert = this.#db.prepare('INSERT OR IGNORE INTO lease_names (lease, kind, name) VALUES (?, ?, ?)');
      for (const layer of names.layers) insert.run(lease, 'layer', layer);
      for (const blob of names.blobs) insert.run(lease, 'blob', blob);
    });
  }

  /** Lets go of everything, when the container's directory is gone. */
  release(id: string): void {
    this.#sessions.forget(containerSession(id));
  }

  /** The layers of a container, bottom first. */
  layersOf(id: string): readonly string[] {
    return this.#read(id)?.layers ?? [];
  }

  /**
   * Enters what was never entered: whoever makes a container may be killed when it has its name, and before it holds anything. To be called
   * before what nobody holds is removed.
   */
  enterMissing(): void {
    const known = new Set(this.#sessions.entered());
    for (const id of this.#list()) if (!known.has(containerSession(id))) this.enter(id);
  }

  #read(id: string): Holds | undefined {
    try {
      return parseHolds(fs.readFileSync(join(this.#layout.containers, id, HOLDS), 'utf8'));
    } catch {
      // It is being removed, or a disk that was full left nothing of it: nothing is known that it needs.
      return undefined;
    }
  }

  #enterAgain(): void {
    for (const id of this.#list()) this.enter(id);
  }

  #list(): readonly string[] {
    const { containers } = this.#layout;
    if (!fs.existsSync(containers)) return [];
    return fs.readdirSync(containers).filter((name) => /^[0-9a-f]{64}$/.test(name));
  }
}

/** Undefined for what is not what `prepare` writes. */
function parseHolds(text: string): Holds | undefined {
  const { layers, blobs } = (JSON.parse(text) ?? {}) as Partial<Record<keyof Holds, unknown>>;
  return isTexts(layers) && isTexts(blobs) ? { layers, blobs } : undefined;
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string');
}
