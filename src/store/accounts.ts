import { randomId } from './layout.ts';
import type { Database, Row, Statement } from './database.ts';
import type { FactTable } from './facts.ts';
import { plain, rowSum } from './row-sum.ts';

/** Builds that accounts are kept of, besides one for each lineage the newest. */
const KEEP = 32;
/** Bytes of lists that are added before those that no account names any more are looked for. */
const SWEEP_AFTER = 8 * 1024 * 1024;
const SALT = ['explain', 'salt'] as const;
const ADDED = ['explain', 'added'] as const;

/** What a build says of itself. The store knows what names what, and nothing of the texts. */
export interface StoredAccount {
  readonly id: string;
  /** Builds of one lineage replace each other. */
  readonly lineage: string;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  readonly value: string;
}

/** A step of a build. It goes when the cache has no record any more at its node. */
export interface StoredStep {
  readonly position: number;
  /** Of the key graph; `''` for what has none, which goes with the others. */
  readonly node: string;
  /** Ids of the lists of what it read. */
  readonly listings: readonly string[];
  readonly value: string;
}

/** A list of names that a step read, part of a Merkle tree. */
export interface StoredListing {
  readonly children: readonly string[];
  readonly value: string;
}

/** What is known of the last build of each lineage: what its steps were made of and read. All SQL on these tables is here. */
export class AccountTable {
  readonly #db: Database;
  readonly #facts: FactTable;
  readonly #selectListing: Statement;
  readonly #insertListing: Statement;

  constructor(db: Database, facts: FactTable) {
    this.#db = db;
    this.#facts = facts;
    this.#selectListing = db.prepare('SELECT * FROM listings WHERE id = ?');
    this.#insertListing = db.prepare('INSERT OR IGNORE INTO listings (id, children, sum, value) VALUES (?, ?, ?, ?)');
  }

  /** Mixed into digests of values, so that they cannot be found by trying; made when first asked for. */
  salt(): string {
    const known = this.#facts.get(...SALT)?.value;
    if (typeof known === 'string') return known;
    const salt = randomId();
    this.#facts.setPermanent(...SALT, salt);
    return salt;
  }

  /** The newest first. */
  list(): readonly StoredAccount[] {
    return this.#db
      .prepare('SELECT * FROM accounts ORDER BY created_at DESC, id')
      .all()
      .filter((row) => this.#check('accounts', row, isSoundAccount(row), 'id'))
      .map((row) => ({
        id: String(row['id']),
        lineage: String(row['lineage']),
        createdAt: Number(row['created_at']),
        value: String(row['value']),
      }));
  }

  /** What is still known of the steps of a build, in order. */
  steps(account: string): readonly StoredStep[] {
    return this.#db
      .prepare('SELECT * FROM account_steps WHERE account = ? ORDER BY position')
      .all(account)
      .filter((row) => this.#check('account_steps', row, isSoundStep(row), 'account'))
      .map((row) => ({
        position: Number(row['position']),
        node: String(row['node']),
        listings: idsOf(row['listings']),
        value: String(row['value']),
      }));
  }

  listing(id: string): StoredListing | undefined {
    const row = this.#selectListing.get(id);
    if (!row || !this.#check('listings', row, isSoundListing(row), 'id')) return undefined;
    return { children: idsOf(row['children']), value: String(row['value']) };
  }

  /** Adds an account in place of the one of the same lineage. What it has in common with others is there once. */
  add(
    account: Pick<StoredAccount, 'lineage' | 'createdAt' | 'value'>,
    steps: readonly StoredStep[],
    listings: ReadonlyMap<string, StoredListing>,
  ): void {
    const { lineage, createdAt, value } = account;
    const id = randomId();
    this.#db.transaction(() => {
      this.#drop('lineage = ?', lineage);
      const sum = rowSum('accounts', id, lineage, createdAt, value);
      this.#db
        .prepare('INSERT INTO accounts (id, lineage, created_at, sum, value) VALUES (?, ?, ?, ?, ?)')
        .run(id, lineage, createdAt, sum, value);
      const insert = this.#db.prepare(
        'INSERT INTO account_steps (account, position, node, listings, sum, value) VALUES (?, ?, ?, ?, ?, ?)',
      );
      for (const step of steps) {
        const names = step.listings.join(' ');
        const rowSumOf = rowSum('account_steps', id, step.position, step.node, names, step.value);
        insert.run(id, step.position, step.node, names, rowSumOf, step.value);
      }
      let added = 0;
      for (const [id, listing] of listings) added += this.#addListing(id, listing);
      this.#drop('id NOT IN (SELECT id FROM accounts ORDER BY created_at DESC LIMIT ?)', KEEP);
      if (added > 0) this.#count(added);
    });
  }

  #addListing(id: string, { children, value }: StoredListing): number {
    const names = children.join(' ');
    return this.#insertListing.run(id, names, rowSum('listings', id, names, value), value) === 0 ? 0 : value.length;
  }

  /** Now and then what nobody names is looked for. */
  #count(added: number): void {
    const known = this.#facts.get(...ADDED)?.value;
    const total = (typeof known === 'number' ? known : 0) + added;
    this.#facts.setPermanent(...ADDED, total > SWEEP_AFTER ? 0 : total);
    if (total > SWEEP_AFTER) this.#sweep();
  }

  #drop(where: string, value: string | number): void {
    this.#db.prepare(`DELETE FROM accounts WHERE ${where}`).run(value);
    this.#db.exec('DELETE FROM account_steps WHERE account NOT IN (SELECT id FROM accounts)');
  }

  /** Forgets steps whose records are gone, builds of which nothing is left, and lists that nobody names any more. */
  removeDangling(): void {
    this.#db.transaction(() => {
      this.#db.exec(`
        DELETE FROM account_steps WHERE node <> '' AND node NOT IN (SELECT node FROM records);
        DELETE FROM accounts WHERE id NOT IN (SELECT account FROM account_steps WHERE node <> '');
        DELETE FROM account_steps WHERE account NOT IN (SELECT id FROM accounts);
      `);
      this.#sweep();
    });
  }

  #sweep(): void {
    const rows = this.#db.prepare('SELECT listings FROM account_steps').all();
    const waiting = rows.flatMap((row) => idsOf(row['listings']));
    const children = this.#db.prepare('SELECT children FROM listings WHERE id = ?');
    const named = new Set<string>();
    for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
      if (named.has(id)) continue;
      named.add(id);
      for (const child of idsOf(children.get(id)?.['children'])) waiting.push(child);
    }
    const remove = this.#db.prepare('DELETE FROM listings WHERE id = ?');
    for (const row of this.#db.prepare('SELECT id FROM listings').all())
      if (!named.has(String(row['id']))) remove.run(row['id'] ?? null);
  }

  /** Bytes of all of it. */
  bytes(): number {
    const sizes = ['accounts', 'account_steps', 'listings'].map((table) =>
      Number(
        this.#db.prepare(`SELECT total(length(CAST(value AS BLOB)) + 64) AS bytes FROM ${table}`).get()?.['bytes'],
      ),
    );
    return sizes.reduce((total, size) => total + size, 0);
  }

  /** How many rows do not say what was written into them; with `remove` they are taken out. */
  damaged(remove: boolean): number {
    const tables = [
      ['accounts', isSoundAccount],
      ['account_steps', isSoundStep],
      ['listings', isSoundListing],
    ] as const;
    let count = 0;
    for (const [table, isSound] of tables) {
      const rows = this.#db
        .prepare(`SELECT * FROM ${table}`)
        .all()
        .filter((row) => !isSound(row));
      if (remove) for (const row of rows) this.#remove(table, row);
      count += rows.length;
    }
    return count;
  }

  #check(table: string, row: Row, isSound: boolean, key: string): boolean {
    if (isSound) return true;
    this.#db.damagedRow(table, String(row[key]));
    this.#remove(table, row);
    return false;
  }

  #remove(table: string, row: Row): void {
    if (table === 'account_steps')
      this.#db
        .prepare('DELETE FROM account_steps WHERE account IS ? AND position IS ?')
        .run(row['account'] ?? null, row['position'] ?? null);
    else this.#db.prepare(`DELETE FROM ${table} WHERE id IS ?`).run(row['id'] ?? null);
  }
}

function idsOf(column: Row[string] | undefined): readonly string[] {
  return typeof column === 'string' && column !== '' ? column.split(' ') : [];
}

function isSoundAccount({ id, lineage, created_at, sum, value }: Row): boolean {
  return sum === rowSum('accounts', ...[id, lineage, created_at, value].map(plain));
}

function isSoundStep({ account, position, node, listings, sum, value }: Row): boolean {
  return sum === rowSum('account_steps', ...[account, position, node, listings, value].map(plain));
}

function isSoundListing({ id, children, sum, value }: Row): boolean {
  return sum === rowSum('listings', ...[id, children, value].map(plain));
}
