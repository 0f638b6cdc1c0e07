import fs from 'node:fs';
import { join } from 'node:path';
import type { Compression } from '../image/index.ts';
import { type Digest, errnoOf, makeDirectory, TsbuildError } from '../util/index.ts';
import type { BlobDir } from './blob-dir.ts';
import { storeWriteError } from './write-error.ts';
import type { Database, Row, Statement } from './database.ts';
import { isSound, isSoundBlob, layerSum } from './layer-rows.ts';
import { plain, rowSum } from './row-sum.ts';
import { randomId, type StoreLayout } from './layout.ts';
import { holdAlso, type Lease } from './leases.ts';
import type { Sessions } from './sessions.ts';
import { measurerOf, unmeasured } from './stamp.ts';
import type { StackTable } from './stacks.ts';
import {
  ANY_FORM,
  type DirectoryForm,
  type DirectoryUsage,
  type Layer,
  type LayerBlob,
  type LayerPaths,
  type NewLayer,
  type RecordType,
} from './types.ts';

const BLOB_ORDER = 'ORDER BY compression, digest';

/**
 * The layers. Making one: `create` (the row, held by a lease), `prepareDirectory` under the lock `layer-<id>`, fill it,
 * `setFs`, `setStamps`. Until `setFs` the directory is not part of the store: a crash leaves it to garbage collection. One that was
 * not synced is worth nothing after a reboot, for the power may have failed in between; and one that was not measured is worth nothing
 * when the process is dead that made it: nobody can tell what happened to it since.
 */
export class LayerTable {
  readonly #layout: StoreLayout;
  readonly #db: Database;
  readonly #blobs: BlobDir;
  readonly #stacks: StackTable;
  readonly #now: () => number;
  readonly #bootId: string;
  readonly #sessions: Sessions;
  readonly #touched = new Map<string, number>();
  #form: (() => DirectoryForm) | undefined;
  readonly #select: Statement;
  readonly #selectBlobs: Statement;
  readonly #update: Statement;

  constructor(
    layout: StoreLayout,
    db: Database,
    blobs: BlobDir,
    stacks: StackTable,
    options: { now: () => number; bootId: string; sessions: Sessions },
  ) {
    this.#layout = layout;
    this.#db = db;
    this.#blobs = blobs;
    this.#stacks = stacks;
    this.#now = options.now;
    this.#bootId = options.bootId;
    this.#sessions = options.sessions;
    this.#select = db.prepare('SELECT * FROM layers WHERE id = ?');
    this.#selectBlobs = db.prepare(`SELECT * FROM layer_blobs WHERE layer = ? ${BLOB_ORDER}`);
    this.#update = db.prepare(
      `UPDATE layers SET parents = ?, diff_id = ?, fs = ?, synced = ?, boot_id = ?, stamp = ?, bytes = ?, inodes = ?, sum = ?
       WHERE id = ?`,
    );
  }

  /** See `Store.useForm`. */
  useForm(form: () => DirectoryForm): void {
    this.#form = form;
  }

  /** Undefined for a layer that is not there, or whose row is damaged. */
  get(id: string): Layer | undefined {
    const row = this.#row(id);
    return row && this.#layer(row);
  }

  /** All layers, oldest first. */
  list(): readonly Layer[] {
    const rows = this.#db.prepare('SELECT * FROM layers ORDER BY created_at, id').all();
    // At once, where one by one would take 50 us for each layer.
    this.#stacks.preload();
    const blobs = Map.groupBy(this.#db.prepare(`SELECT * FROM layer_blobs ${BLOB_ORDER}`).all(), (row) => row['layer']);
    return rows.filter((row) => this.#check(row)).map((row) => this.#layer(row, blobs.get(String(row['id'])) ?? []));
  }

  /** Whether each of them is there with a directory or a blob. */
  usable(ids: readonly string[]): boolean {
    return ids.every((id) => {
      const layer = this.get(id);
      if (!layer) return false;
      if (layer.fs && fs.existsSync(this.paths(id).fs)) return true;
      return layer.blobs.some(({ descriptor }) => this.#blobs.has(descriptor.digest, descriptor.size));
    });
  }

  /**
   * Makes the row if there is none with that id; the lease holds it in either case.
   * @returns the id
   */
  create(layer: NewLayer, lease: Lease): string {
    const id = layer.id ?? randomId();
    if (!isLayerId(id))
      throw new TsbuildError('TSB_INTERNAL', `Cannot make layer ${JSON.stringify(id)}: not a layer id`);
    this.#db.transaction(() => {
      lease.hold({ layers: [id] });
      this.#insert(id, layer);
    });
    return id;
  }

  /** Enters a layer again whose blob was found, into an index that does not know it. No lease holds it. */
  restore(layer: NewLayer & { readonly id: string; readonly diffId: Digest }, blob: LayerBlob): void {
    this.#insert(layer.id, layer);
    this.addBlob(layer.id, { ...blob, diffId: layer.diffId });
  }

  /** Makes the row; one that is there stays, for whoever made it knew more. */
  #insert(id: string, layer: NewLayer): void {
    const now = Math.floor(this.#now());
    const { type = 'regular', description = '', createdAt = now, diffId: diff_id = null } = layer;
    this.#db.transaction(() => {
      // An id that was just thrown is nobody's.
      if (layer.id !== undefined && this.#row(id)) return;
      const parents = this.#stacks.intern(layer.parents);
      const sum = layerSum({ id, parents, diff_id, fs: 0, synced: 0, type, description, created_at: createdAt });
      this.#db
        .prepare(
          `INSERT INTO layers (id, parents, diff_id, type, description, created_at, used_at, sum)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
        )
        .run(id, parents, diff_id, type, description, createdAt, now, sum);
    });
  }

  /** Corrects what a layer stands on, for one that was made before that was known. */
  setParents(id: string, parents: readonly string[]): void {
    this.#db.transaction(() => {
      const row = this.#row(id);
      if (row) this.#change(row, { parents: this.#stacks.intern(parents) });
    });
  }

  /** Where its directory is or would be. Ids become paths here, so anything but an id is refused. */
  paths(id: string): LayerPaths {
    if (!isLayerId(id))
      throw new TsbuildError('TSB_INTERNAL', `Cannot use layer ${JSON.stringify(id)}: not a layer id`);
    const dir = join(this.#layout.snapshots, id);
    return { dir, fs: join(dir, 'fs'), work: join(dir, 'work') };
  }

  /**
   * Empty `fs` and `work` directories for a layer that has none. Call it with the lock `layer-<id>` held, and look at
   * `get(id).fs` under that lock first. What a killed process left there is put aside for garbage collection; a directory of another
   * form stays with who uses it.
   * @throws TsbuildError `TSB_INTERNAL` when the layer has a directory; `TSB_NO_SPACE`, `TSB_STORE`
   */
  prepareDirectory(id: string): LayerPaths {
    const paths = this.paths(id);
    const row = this.#row(id);
    if (row && this.#hasDirectory(row))
      throw new TsbuildError('TSB_INTERNAL', `Cannot fill layer "${id}": it is complete`);
    try {
      if (row && row['fs'] !== 0 && this.staleness(row) === undefined) this.#giveToHolders(id);
      makeAnew(this.#layout, paths.dir);
      makeDirectory(paths.fs, 0o755);
      fs.mkdirSync(paths.work, { mode: 0o700 });
      fs.chmodSync(paths.dir, 0o755);
    } catch (error) {
      throw storeWriteError(error, paths.dir);
    }
    return paths;
  }

  /** Gives a directory the name of a layer that nobody asks for, held by others who hold its own: what is mounted must not be collected. */
  #giveToHolders(id: string): void {
    this.#db.transaction(() => {
      const { dir } = this.paths(id);
      const other = randomId();
      const held = holdAlso(this.#db, 'layer', id, other, this.#sessions.own());
      // The transaction may run twice.
      if (held > 0 && fs.existsSync(dir)) fs.renameSync(dir, this.paths(other).dir);
    });
  }

  /** Says that the directory is complete. Without a stamp it counts as long as this process lives: `setStamps` is to follow. */
  setFs(id: string, usage: DirectoryUsage): void {
    const { bytes, inodes, stamp = unmeasured(this.#sessions.own()), synced = false } = usage;
    this.#db.transaction(() => {
      const row = this.#row(id);
      if (!row) throw new TsbuildError('TSB_STORE', `Cannot finish layer "${id}": it is not in the store any more`);
      const form = this.#form?.() ?? ANY_FORM;
      this.#change(row, { fs: form, synced: synced ? 1 : 0, boot_id: this.#bootId, stamp, bytes, inodes });
    });
  }

  /** Says what directories look like that were just made, or found in order. Nothing happens to one that was put aside meanwhile. */
  setStamps(found: readonly (readonly [id: string, usage: Required<Omit<DirectoryUsage, 'synced'>>])[]): void {
    this.#db.transaction(() => {
      for (const [id, { bytes, inodes, stamp }] of found) {
        const row = this.#row(id);
        if (row && row['fs'] !== 0) this.#change(row, { stamp, bytes, inodes });
      }
    });
  }

  /** The directories of these layers are on disk now (syncfs). */
  markSynced(ids: Iterable<string>): void {
    this.#db.transaction(() => {
      for (const id of ids) {
        const row = this.#row(id);
        if (row?.['boot_id'] === this.#bootId) this.#change(row, { synced: 1 });
      }
    });
  }

  /** Complete layers that a power cut would still take. */
  unsynced(): readonly string[] {
    const rows = this.#db
      .prepare('SELECT id FROM layers WHERE fs <> 0 AND synced = 0 AND boot_id = ?')
      .all(this.#bootId);
    return rows.map((row) => String(row['id']));
  }

  /**
   * Adds a compressed form. A lease on the layer holds the blobs that it has here. Of an image layer that was not fetched
   * yet the blob may be missing.
   * @throws TsbuildError `TSB_DIGEST` when the layer has another diff id
   */
  addBlob(id: string, blob: LayerBlob & { readonly diffId: Digest }): void {
    const { descriptor, compression, diffId } = blob;
    this.#db.transaction(() => {
      const row = this.#row(id);
      if (!row)
        throw new TsbuildError('TSB_STORE', `Cannot add a blob to layer "${id}": it is not in the store any more`);
      const known = row['diff_id'];
      if (known !== null && known !== diffId) {
        throw new TsbuildError(
          'TSB_DIGEST',
          `Cannot add blob "${descriptor.digest}" to layer "${id}": its content "${diffId}" is not the layer's "${String(known)}"`,
        );
      }
      if (known === null) this.#change(row, { diff_id: diffId });
      const { digest, mediaType, size } = descriptor;
      this.#db
        .prepare(
          'INSERT OR REPLACE INTO layer_blobs (layer, digest, compression, media_type, size, sum) VALUES (?, ?, ?, ?, ?, ?)',
        )
        .run(id, digest, compression, mediaType, size, rowSum('layer_blobs', id, digest, compression, mediaType, size));
    });
  }

  /** Forgets a layer that was never filled: nothing can name it yet. One with a directory or a blob stays. */
  abandon(id: string): void {
    this.#db
      .prepare(
        `DELETE FROM layers WHERE id = ? AND fs = 0
           AND NOT EXISTS (SELECT 1 FROM layer_blobs WHERE layer = layers.id)`,
      )
      .run(id);
  }

  /** Forgets a blob, e.g. after it was found damaged. The file is not touched. */
  dropBlob(id: string, digest: Digest): void {
    this.#db.prepare('DELETE FROM layer_blobs WHERE layer = ? AND digest = ?').run(id, digest);
  }

  /** Takes a directory out of use that no row stands for; it is deleted when garbage is collected. */
  putAside(dir: string): void {
    discard(this.#layout, dir);
  }

  /** Forgets the directory, e.g. after it was found damaged, and puts it aside for garbage collection. */
  dropFs(id: string): void {
    this.#db.transaction(() => {
      const row = this.#row(id);
      if (row) this.#change(row, { fs: 0, synced: 0, stamp: null, bytes: 0, inodes: 0 });
      discard(this.#layout, this.paths(id).dir);
    });
  }

  /** Notes that they were used now. Written with the next flush. */
  touch(ids: Iterable<string>): void {
    const now = Math.floor(this.#now());
    for (const id of ids) this.#touched.set(id, now);
  }

  flush(): void {
    if (this.#touched.size === 0) return;
    const update = this.#db.prepare('UPDATE layers SET used_at = ? WHERE id = ?');
    this.#db.transaction(() => {
      for (const [id, usedAt] of this.#touched) update.run(usedAt, id);
    });
    this.#touched.clear();
  }

  /** Why a directory lost its worth although it is complete: with the last boot, or with the process that made it. */
  staleness(row: Row): 'unsynced' | 'unmeasured' | undefined {
    if (row['fs'] === 0) return undefined;
    if (row['synced'] === 0 && row['boot_id'] !== this.#bootId) return 'unsynced';
    const { stamp } = row;
    const measurer = typeof stamp === 'string' ? measurerOf(stamp) : '';
    return measurer === undefined || this.#sessions.isAlive(measurer) ? undefined : 'unmeasured';
  }

  /** Forgets a layer. Its directory, if it has one, is left to garbage collection. */
  forget(id: string): void {
    this.#db.transaction(() => {
      this.#db.prepare('DELETE FROM layers WHERE id = ?').run(id);
      this.#db.prepare('DELETE FROM layer_blobs WHERE layer = ?').run(id);
    });
  }

  /** Rows that do not say what was written into them: layers by id, their blobs by layer and digest. Nothing is changed. */
  damaged(): { readonly layers: readonly string[]; readonly blobs: readonly (readonly [string, Digest])[] } {
    const layers = this.#db.prepare('SELECT * FROM layers').all();
    const blobs = this.#db.prepare('SELECT * FROM layer_blobs').all();
    return {
      layers: layers
        .filter((row) => !isSound(row) || !this.#stacks.isWhole(String(row['parents'])))
        .map((row) => String(row['id'])),
      blobs: blobs
        .filter((row) => !isSoundBlob(row))
        .map((row) => [String(row['layer']), String(row['digest']) as Digest] as const),
    };
  }

  #row(id: string): Row | undefined {
    const row = this.#select.get(id);
    return row && this.#check(row) ? row : undefined;
  }

  /** A damaged row is taken out: what it told is found out or made again. */
  #check(row: Row): boolean {
    // What it stands on is part of what it is.
    if (isSound(row) && this.#stacks.isWhole(String(row['parents']))) return true;
    const id = String(row['id']);
    this.#db.damagedRow('layers', id);
    this.forget(id);
    return false;
  }

  /** Writes a row anew that was read in the same transaction. */
  #change(row: Row, change: Readonly<Record<string, string | number | null>>): void {
    const changed = { ...row, ...change };
    const { id, parents, diff_id, fs: directory, synced, boot_id, stamp, bytes, inodes } = changed;
    this.#update.run(
      ...[parents, diff_id, directory, synced, boot_id, stamp, bytes, inodes, layerSum(changed), id].map(plain),
    );
  }

  #soundBlobs(id: string, rows: readonly Row[]): readonly Row[] {
    return rows.filter((row) => {
      if (isSoundBlob(row)) return true;
      const digest = String(row['digest']) as Digest;
      this.#db.damagedRow('layer_blobs', `${id} ${digest}`);
      this.dropBlob(id, digest);
      return false;
    });
  }

  /** Whether there is a complete directory that this process can use. */
  #hasDirectory(row: Row): boolean {
    if (row['fs'] === 0 || this.staleness(row) !== undefined) return false;
    return this.#form === undefined || row['fs'] === this.#form();
  }

  #layer(row: Row, blobs: readonly Row[] = this.#selectBlobs.all(String(row['id']))): Layer {
    const id = String(row['id']);
    const fsUsable = this.#hasDirectory(row);
    const stamp = fsUsable ? String(row['stamp']) : '';
    const stacks = this.#stacks;
    const beneath = String(row['parents']);
    return {
      id,
      beneath,
      // On demand: a list of all layers that spelled them out would grow with the square of the longest chain.
      get parents() {
        return stacks.layers(beneath) ?? [];
      },
      ...(row['diff_id'] === null ? {} : { diffId: row['diff_id'] as Digest }),
      fs: fsUsable,
      blobs: this.#soundBlobs(id, blobs).map((blob) => ({
        compression: blob['compression'] as Compression,
        descriptor: {
          mediaType: String(blob['media_type']),
          digest: blob['digest'] as Digest,
          size: Number(blob['size']),
        },
      })),
      type: row['type'] as RecordType,
      description: String(row['description']),
      bytes: fsUsable ? Number(row['bytes']) : 0,
      inodes: fsUsable ? Number(row['inodes']) : 0,
      ...(fsUsable && measurerOf(stamp) === undefined ? { stamp } : {}),
      createdAt: Number(row['created_at']),
      usedAt: Math.max(Number(row['used_at']), this.#touched.get(id) ?? 0),
    };
  }
}

/** Ids become directory names: 128 to 256 random or hashed bits in hex. */
export function isLayerId(id: string): boolean {
  return /^[0-9a-f]{32,64}$/.test(id);
}

/** An empty directory, also where another stands, which is put aside. Nearly always there is none. */
function makeAnew(layout: StoreLayout, dir: string): void {
  try {
    fs.mkdirSync(dir, { mode: 0o755 });
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
    discard(layout, dir);
    fs.mkdirSync(dir, { mode: 0o755 });
  }
}

/**
 * Takes a directory out of use in one step; garbage collection deletes it later. Its content may belong to sub-ids and is
 * not touched.
 * @returns where it is now; undefined when there was none
 */
export function discard(layout: StoreLayout, dir: string): string | undefined {
  const target = join(layout.garbage, randomId());
  try {
    fs.renameSync(dir, target);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    if (!fs.lstatSync(dir, { throwIfNoEntry: false })) return undefined;
    fs.mkdirSync(layout.garbage, { recursive: true, mode: 0o700 });
    fs.renameSync(dir, target);
  }
  return target;
}
