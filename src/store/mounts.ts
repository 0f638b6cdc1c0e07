import fs from 'node:fs';
import { join } from 'node:path';
import { errnoOf, hexOf, makeDirectory, sha256 } from '../util/index.ts';
import { storeWriteError } from './write-error.ts';
import type { Database, Row } from './database.ts';
import { discard } from './layers.ts';
import { randomId, type StoreLayout } from './layout.ts';
import { holdAlso, type Lease } from './leases.ts';
import { idOfMount, isRetired, mountId, mountOfForm, retiredMount } from './mount-id.ts';
import type { CacheMount, DirectoryForm } from './types.ts';

/** Beside the files of a mount: what is remembered of them, and what it is known by on other machines. */
const MEMORY = 'memory';
const ELSEWHERE = 'elsewhere';
/** And how its files have owners. */
const OWNERS = 'owners';

/** The directories of `RUN --mount=type=cache`. `mounts/<sha256 of the id>/fs` holds the files, `id` beside it the id. */
export class MountTable {
  readonly #layout: StoreLayout;
  readonly #db: Database;
  readonly #now: () => number;
  #form: (() => DirectoryForm) | undefined;

  constructor(layout: StoreLayout, db: Database, now: () => number) {
    this.#layout = layout;
    this.#db = db;
    this.#now = now;
    db.onRebuild(() => this.#findAgain());
  }

  /** See `Store.useForm`. */
  useForm(form: () => DirectoryForm): void {
    this.#form = form;
  }

  /** The id of the mount that this process can use: another one where the files of this one have owners in another form. */
  usable(id: string): string {
    return this.hasOtherOwners(id) ? mountOfForm(id, this.#form?.() ?? 0) : id;
  }

  /** Whether files of a mount have their owners in another form than this process. */
  hasOtherOwners(id: string): boolean {
    if (this.#form === undefined) return false;
    try {
      return fs.readFileSync(join(this.#dir(id), OWNERS), 'utf8') !== String(this.#form());
    } catch {
      // A mount that is not there, or of an earlier version, which did not tell them apart.
      return false;
    }
  }

  /**
   * The directory of a cache mount, made if need be; the lease holds it.
   * @param wanted whatever keeps projects apart is part of it
   * @returns its id (see `usable`), the path, and whether it is new: then the caller sets owner and mode
   */
  ensure(
    wanted: string,
    lease: Lease,
    description = '',
  ): { readonly id: string; readonly path: string; readonly created: boolean } {
    const now = Math.floor(this.#now());
    return this.#db.transaction(() => {
      const id = this.usable(wanted);
      const dir = this.#dir(id);
      const path = join(dir, 'fs');
      lease.hold({ mounts: [id] });
      this.#db
        .prepare(
          `INSERT INTO mounts (id, description, created_at, used_at) VALUES (?, ?, ?, ?)
           ON CONFLICT (id) DO UPDATE SET used_at = excluded.used_at`,
        )
        .run(id, description, now, now);
      try {
        if (fs.existsSync(path)) return { id, path, created: false };
        fs.mkdirSync(dir, { recursive: true, mode: 0o755 });
        fs.chmodSync(dir, 0o755);
        fs.writeFileSync(join(dir, 'id'), id);
        this.#writeOwners(dir);
        makeDirectory(path, 0o755);
      } catch (error) {
        throw storeWriteError(error, path);
      }
      return { id, path, created: true };
    });
  }

  /** Whether a mount is there and has files, as far as this process may look. */
  hasFiles(id: string): boolean {
    if (this.get(id) === undefined) return false;
    try {
      return fs.readdirSync(join(this.#dir(id), 'fs')).length > 0;
    } catch (error) {
      // One that another user of the step owns may be closed to this process.
      return errnoOf(error) !== 'ENOENT';
    }
  }

  /** A new directory that may become a mount: `fs` in it is to be made. The lease holds it until then. */
  incoming(lease: Lease): string {
    const name = randomId();
    lease.hold({ mounts: [name] });
    const dir = join(this.#layout.mounts, name);
    try {
      makeDirectory(dir, 0o755);
    } catch (error) {
      throw storeWriteError(error, dir);
    }
    return dir;
  }

  /**
   * Puts what has come into a directory of `incoming` in the place of a mount that has no files, unless another command uses that one.
   * @returns whether it did; the directory is the caller's to remove otherwise
   */
  adopt(id: string, dir: string, lease: Lease, description: string): boolean {
    const now = Math.floor(this.#now());
    lease.hold({ mounts: [id] });
    return this.#db.transaction(() => {
      // It may run twice.
      if (!fs.existsSync(dir)) return true;
      // Whoever wants to use it has a lease before he looks, or finds what is put there.
      if (this.hasFiles(id) || lease.isShared('mount', id)) return false;
      this.#db.prepare('DELETE FROM mounts WHERE id = ?').run(id);
      if (fs.existsSync(this.#dir(id))) discard(this.#layout, this.#dir(id));
      fs.writeFileSync(join(dir, 'id'), id);
      this.#writeOwners(dir);
      fs.renameSync(dir, this.#dir(id));
      this.#db
        .prepare('INSERT INTO mounts (id, description, created_at, used_at) VALUES (?, ?, ?, ?)')
        .run(id, description, now, now);
      return true;
    });
  }

  #writeOwners(dir: string): void {
    if (this.#form !== undefined) fs.writeFileSync(join(dir, OWNERS), String(this.#form()));
  }

  /** The files of a mount, and the file beside them for what is remembered of them. */
  paths(id: string): { readonly fs: string; readonly memory: string } {
    return { fs: join(this.#dir(id), 'fs'), memory: join(this.#dir(id), MEMORY) };
  }

  /** Notes what a mount is known by on other machines. */
  setElsewhere(id: string, name: string): void {
    const path = join(this.#dir(id), ELSEWHERE);
    if (!fs.existsSync(path)) fs.writeFileSync(path, name, { mode: 0o600 });
  }

  /** What `setElsewhere` noted. */
  elsewhere(id: string): string | undefined {
    try {
      return fs.readFileSync(join(this.#dir(id), ELSEWHERE), 'utf8');
    } catch {
      return undefined;
    }
  }

  /**
   * Takes all cache mounts of a description, which is an id as Dockerfiles have it, out of use: the next `ensure` of their ids makes new ones. A build that is using
   * one keeps its directory, which is deleted when something is pruned.
   */
  retire(description: string): void {
    this.#db.transaction(() => {
      const rows = this.#db
        .prepare('SELECT id FROM mounts WHERE description = ? OR id = ?')
        .all(description, mountId(description));
      for (const row of rows) this.#retire(String(row['id']));
    });
  }

  /** One in use gets another id, with its directory and with its leases: steps that run keep what they have mounted. */
  #retire(id: string): void {
    const dir = this.#dir(id);
    const held = this.#db.prepare("SELECT 1 FROM lease_names WHERE kind = 'mount' AND name = ?").get(id) !== undefined;
    if (!held || !fs.existsSync(dir)) {
      this.#db.prepare('DELETE FROM mounts WHERE id = ?').run(id);
      discard(this.#layout, dir);
      return;
    }
    const retired = retiredMount(id, randomId());
    fs.writeFileSync(join(dir, 'id'), retired);
    fs.renameSync(dir, this.#dir(retired));
    this.#db.prepare('UPDATE mounts SET id = ?, description = ? WHERE id = ?').run(retired, '', id);
    holdAlso(this.#db, 'mount', id, retired);
  }

  /** Notes how much is in it. */
  setUsage(id: string, usage: { readonly bytes: number; readonly inodes: number }): void {
    this.#db.prepare('UPDATE mounts SET bytes = ?, inodes = ? WHERE id = ?').run(usage.bytes, usage.inodes, id);
  }

  /** A cache mount by its id. */
  get(id: string): CacheMount | undefined {
    const row = this.#db.prepare('SELECT * FROM mounts WHERE id = ?').get(id);
    return row && toMount(row);
  }

  /** All cache mounts, oldest first. */
  list(): readonly CacheMount[] {
    return this.#db.prepare('SELECT * FROM mounts ORDER BY created_at, id').all().map(toMount);
  }

  #dir(id: string): string {
    return join(this.#layout.mounts, hexOf(sha256(id)));
  }

  /** The outer directory of a mount, for removal. */
  directory(id: string): string {
    return this.#dir(id);
  }

  /** For a new index: the ids stand in the directories. */
  #findAgain(): void {
    const now = Math.floor(this.#now());
    for (const name of fs.readdirSync(this.#layout.mounts)) {
      try {
        const id = fs.readFileSync(join(this.#layout.mounts, name, 'id'), 'utf8');
        if (hexOf(sha256(id)) !== name) continue;
        this.#db
          .prepare('INSERT OR IGNORE INTO mounts (id, description, created_at, used_at) VALUES (?, ?, ?, ?)')
          .run(id, isRetired(id) ? '' : idOfMount(id), now, now);
      } catch {
        // Not a cache mount: garbage collection takes it.
      }
    }
  }
}

function toMount(row: Row): CacheMount {
  return {
    id: String(row['id']),
    description: String(row['description']),
    bytes: Number(row['bytes']),
    inodes: Number(row['inodes']),
    createdAt: Number(row['created_at']),
    usedAt: Number(row['used_at']),
  };
}
