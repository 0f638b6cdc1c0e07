import type { Digest } from '../util/index.ts';
import type { Database, Row, Statement } from './database.ts';
import type { FactTable } from './facts.ts';
import { randomId } from './layout.ts';
import { plain, rowSum } from './row-sum.ts';
import type { StackTable } from './stacks.ts';

/** A record that a build looks at is noted at most once in so many ms: builds that find the same ones again write nothing. */
const TOUCH_AFTER = 3600 * 1000;
const GENERATION = ['generation', 'records'] as const;

/** A link of the key graph: with `from` as input `input` of `op`, its output `output` is known by a node. */
export interface StoredLink {
  readonly from: string;
  readonly op: Digest;
  readonly input: number;
  readonly output: number;
  readonly selector?: Digest;
}

/** A cache record: what was made, and what must be there for it to be of use. */
export interface StoredRecord {
  readonly id: string;
  readonly node: string;
  /** Bottom first. */
  readonly layers: readonly string[];
  readonly blobs: readonly Digest[];
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
}

/** The key graph of earlier builds, with their results at its nodes. All SQL on `links`, `records` and `record_blobs` is here. */
export class RecordTable {
  readonly #db: Database;
  readonly #stacks: StackTable;
  readonly #facts: FactTable;
  readonly #now: () => number;
  readonly #touched = new Map<string, number>();
  readonly #selectNodes: Statement;
  readonly #selectRecords: Statement;
  readonly #selectNode: Statement;
  readonly #selectLinks: Statement;

  constructor(db: Database, stacks: StackTable, facts: FactTable, now: () => number) {
    this.#db = db;
    this.#stacks = stacks;
    this.#facts = facts;
    this.#now = now;
    this.#selectNodes = db.prepare(
      'SELECT * FROM links WHERE source = ? AND op = ? AND input = ? AND output = ? AND selector = ?',
    );
    this.#selectRecords = db.prepare(
      'SELECT id, created_at, used_at FROM records WHERE node = ? ORDER BY created_at DESC, id DESC',
    );
    this.#selectNode = db.prepare('SELECT node FROM records WHERE id = ?');
    this.#selectLinks = db.prepare('SELECT * FROM links WHERE node = ? ORDER BY op, output, input, source, selector');
  }

  /** Nodes that a link leads to. */
  nodes({ from, op, input, output, selector }: StoredLink): readonly string[] {
    const rows = this.#selectNodes.all(from, op, input, output, selector ?? '');
    return rows.filter((row) => this.#checkLink(row)).map((row) => String(row['node']));
  }

  /** The links that lead to a node, in the order of their sources. */
  linksTo(node: string): readonly StoredLink[] {
    const rows = this.#selectLinks.all(node).filter((row) => this.#checkLink(row));
    return rows.map((row) => ({
      from: String(row['source']),
      op: row['op'] as Digest,
      input: Number(row['input']),
      output: Number(row['output']),
      ...(row['selector'] === '' ? {} : { selector: row['selector'] as Digest }),
    }));
  }

  /** Runs `body` in one write transaction. */
  together<T>(body: () => T): T {
    return this.#db.transaction(body);
  }

  /** Adds links to a node; links that are there stay. */
  addLinks(node: string, links: readonly StoredLink[]): void {
    const insert = this.#db.prepare(
      'INSERT OR IGNORE INTO links (source, op, input, output, selector, node, sum) VALUES (?, ?, ?, ?, ?, ?, ?)',
    );
    for (const { from, op, input, output, selector = '' } of links)
      insert.run(from, op, input, output, selector, node, rowSum('links', from, op, input, output, selector, node));
  }

  /**
   * Records at a node, newest first. The newest counts as used: of a build whose last step is cached nothing beneath is loaded, but
   * it is what the next build needs when that step changes.
   */
  at(node: string): readonly Pick<StoredRecord, 'id' | 'createdAt'>[] {
    const rows = this.#selectRecords.all(node).filter((row) => this.#isAt(node, String(row['id'])));
    const [newest] = rows;
    if (newest && this.#now() - Number(newest['used_at']) > TOUCH_AFTER) this.touch(String(newest['id']));
    return rows.map((row) => ({ id: String(row['id']), createdAt: Number(row['created_at']) }));
  }

  /**
   * Whether the record itself says so. `records_by_node` has a copy of each node's name: a damaged one leads to a record that is sound,
   * and of another step.
   */
  #isAt(node: string, id: string): boolean {
    const found = this.#selectNode.get(id)?.['node'];
    if (found === node) return true;
    if (found !== undefined) {
      this.#db.damagedRow('records_by_node', node);
      this.#db.exec('REINDEX records_by_node');
    }
    return false;
  }

  /** Undefined when it was removed, or names a stack that is gone. */
  get(id: string): StoredRecord | undefined {
    const row = this.#db.prepare('SELECT node, stack, created_at, sum FROM records WHERE id = ?').get(id);
    if (!row) return undefined;
    const { node, stack, createdAt } = {
      node: String(row['node']),
      stack: String(row['stack']),
      createdAt: Number(row['created_at']),
    };
    const blobs = this.#blobsOf(id);
    if (row['sum'] !== rowSum('records', id, node, stack, createdAt, ...blobs)) {
      this.#db.damagedRow('records', id);
      this.remove(id);
      return undefined;
    }
    const layers = this.#stacks.layers(stack);
    return layers && { id, node, layers, blobs, createdAt };
  }

  #blobsOf(id: string): readonly Digest[] {
    const rows = this.#db.prepare('SELECT digest FROM record_blobs WHERE record = ? ORDER BY digest').all(id);
    return rows.map(({ digest }) => String(digest) as Digest);
  }

  #checkLink(row: Row): boolean {
    if (isSoundLink(row)) return true;
    this.#db.damagedRow('links', String(row['source']));
    this.#removeLink(row);
    return false;
  }

  #removeLink({ source, op, input, output, selector, node }: Row): void {
    this.#db
      .prepare(
        'DELETE FROM links WHERE source IS ? AND op IS ? AND input IS ? AND output IS ? AND selector IS ? AND node IS ?',
      )
      .run(source ?? null, op ?? null, input ?? null, output ?? null, selector ?? null, node ?? null);
  }

  /** How many rows do not say what was written into them; with `remove` they are taken out. */
  damaged(remove: boolean): number {
    const links = this.#db
      .prepare('SELECT * FROM links')
      .all()
      .filter((row) => !isSoundLink(row));
    if (remove) for (const row of links) this.#removeLink(row);
    const records = this.#db
      .prepare('SELECT * FROM records')
      .all()
      .filter(
        ({ id, node, stack, created_at, sum }) =>
          sum !==
          rowSum('records', plain(id), plain(node), plain(stack), plain(created_at), ...this.#blobsOf(String(id))),
      );
    if (remove) for (const { id } of records) this.remove(String(id));
    return links.length + records.length;
  }

  add({ id, node, layers, blobs, createdAt }: StoredRecord): void {
    this.#db.transaction(() => {
      const stack = this.#stacks.intern(layers);
      const sum = rowSum('records', id, node, stack, createdAt, ...[...new Set(blobs)].sort());
      this.#db
        .prepare('INSERT OR REPLACE INTO records (id, node, stack, created_at, used_at, sum) VALUES (?, ?, ?, ?, ?, ?)')
        .run(id, node, stack, createdAt, createdAt, sum);
      // Those of a record that was there under this id.
      this.#db.prepare('DELETE FROM record_blobs WHERE record = ?').run(id);
      const insert = this.#db.prepare('INSERT OR IGNORE INTO record_blobs (record, digest) VALUES (?, ?)');
      for (const blob of blobs) insert.run(id, blob);
      this.advance();
    });
  }

  /** Forgets a record. Links stay: their keys may come to hold another one. */
  remove(id: string): void {
    this.#touched.delete(id);
    this.#db.transaction(() => {
      this.#db.prepare('DELETE FROM records WHERE id = ?').run(id);
      this.#db.prepare('DELETE FROM record_blobs WHERE record = ?').run(id);
      this.advance();
    });
  }

  /** Notes that it was used now. Written with the next flush. */
  touch(id: string): void {
    this.#touched.set(id, Math.floor(this.#now()));
  }

  /** Writes when records were last used. */
  flush(): void {
    if (this.#touched.size === 0) return;
    const update = this.#db.prepare('UPDATE records SET used_at = ? WHERE id = ?');
    this.#db.transaction(() => {
      for (const [id, usedAt] of this.#touched) update.run(usedAt, id);
    });
    this.#touched.clear();
  }

  /** Names the present state of the records: the same name later means that none was added or pruned since. */
  generation(): string {
    const value = this.#facts.get(...GENERATION)?.value;
    return typeof value === 'string' ? value : '';
  }

  /** To be called in the transaction that adds or removes records. */
  advance(): void {
    this.#facts.setPermanent(...GENERATION, randomId());
  }

  /** When records of each stack and of each blob were last used, newest first: ms since the epoch. */
  uses(): { readonly stacks: readonly (readonly [string, number])[]; readonly blobs: ReadonlyMap<Digest, number> } {
    this.flush();
    const stacks = this.#db
      .prepare('SELECT stack, max(used_at) AS at FROM records GROUP BY stack ORDER BY at DESC')
      .all();
    const blobs = this.#db
      .prepare('SELECT digest, max(used_at) AS at FROM record_blobs JOIN records ON id = record GROUP BY digest')
      .all();
    return {
      stacks: stacks.map((row) => [String(row['stack']), Number(row['at'])] as const),
      blobs: new Map(blobs.map((row) => [row['digest'] as Digest, Number(row['at'])])),
    };
  }

  /** Records that name a layer which is gone, or a blob that `hasBlob` denies. */
  dangling(hasBlob: (digest: Digest) => boolean): readonly string[] {
    const byLayer = this.#db.prepare(`${WHOLE} SELECT id FROM records WHERE stack NOT IN whole`).all();
    const byBlob = this.#db
      .prepare('SELECT record AS id, digest FROM record_blobs')
      .all()
      .filter((row) => !hasBlob(row['digest'] as Digest));
    return [...new Set([...byLayer, ...byBlob].map((row) => String(row['id'])))];
  }

  /** Removes the records that name one of these blobs. */
  removeByBlob(digest: string): void {
    this.#db.prepare('DELETE FROM records WHERE id IN (SELECT record FROM record_blobs WHERE digest = ?)').run(digest);
  }

  /** For a transaction. Removes records that name a layer that is gone, and all that only they needed but for links. @returns how many records */
  removeDangling(): number {
    const removed = this.#db.prepare(`${WHOLE} DELETE FROM records WHERE stack NOT IN whole`).run();
    this.#db.exec('DELETE FROM record_blobs WHERE record NOT IN (SELECT id FROM records)');
    this.#stacks.removeUnused();
    if (removed > 0) this.advance();
    return removed;
  }

  /** Removes links from which no record can be reached. */
  removeDeadLinks(): void {
    this.#db.transaction(() =>
      this.#db.exec(`
        WITH RECURSIVE alive (node) AS (
          SELECT node FROM records
          UNION
          SELECT links.source FROM links JOIN alive ON links.node = alive.node
        )
        DELETE FROM links WHERE node NOT IN (SELECT node FROM alive)
      `),
    );
  }
}

function isSoundLink({ source, op, input, output, selector, node, sum }: Row): boolean {
  return sum === rowSum('links', ...[source, op, input, output, selector, node].map(plain));
}

/** The stacks of which every layer is there, from the bottom up: each is looked at once, however many stand on it. */
const WHOLE = `
  WITH RECURSIVE whole (id) AS (
    SELECT ''
    UNION ALL
    SELECT stacks.id FROM whole JOIN stacks ON stacks.parent = whole.id WHERE stacks.layer IN (SELECT id FROM layers)
  )`;
