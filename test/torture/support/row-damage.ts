import fs from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import type { Random } from './random.ts';

/** Where the index of a store is: `store.json` names it. */
function indexPath(store: string): string {
  const { index } = JSON.parse(fs.readFileSync(join(store, 'store.json'), 'utf8')) as { index: string };
  return join(store, index);
}

/** Flips one bit of the index, or edits one row of it. @returns what was done */
export function harmIndex(store: string, random: Random): string {
  return random.below(2) === 0 ? flipBit(indexPath(store), random) : editRow(indexPath(store), random);
}

function flipBit(path: string, random: Random): string {
  const bytes = fs.readFileSync(path);
  const position = random.below(bytes.length);
  bytes[position] = (bytes[position] ?? 0) ^ (1 << random.below(8));
  const fd = fs.openSync(path, 'r+');
  fs.writeSync(fd, bytes, position, 1, position);
  fs.closeSync(fd);
  return `byte ${position} of ${bytes.length} of the index flipped`;
}

function editRow(path: string, random: Random): string {
  const { uid, gid } = fs.statSync(path);
  const database = new DatabaseSync(path);
  try {
    const tables = database
      .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name")
      .all()
      .map(({ name }) => String(name));
    for (let tries = 0; tries < 200; tries++) {
      const done = tryEdit(database, random.pick(tables), random);
      if (done !== undefined) return done;
    }
    throw new Error('No row could be edited');
  } finally {
    database.close();
    for (const name of [path, `${path}-wal`, `${path}-shm`]) if (fs.existsSync(name)) fs.chownSync(name, uid, gid);
  }
}

/** One edit of one row of a table, unless the table is empty or its constraints forbid it. */
function tryEdit(database: DatabaseSync, table: string, random: Random): string | undefined {
  const columns = database.prepare(`SELECT name, pk FROM pragma_table_info('${table}') ORDER BY cid`).all();
  const keys = columns.filter(({ pk }) => pk !== 0).map(({ name }) => String(name));
  const rows = database.prepare(`SELECT * FROM ${table} ORDER BY ${keys.join(', ')}`).all();
  if (rows.length === 0) return undefined;
  const row = random.pick(rows);
  const where = keys.map((key) => `${key} = ?`).join(' AND ');
  const identity = keys.map((key) => row[key] ?? null);
  const named = `${table} ${identity.map(String).join(' ').slice(0, 100)}`;
  if (random.below(8) === 0) {
    database.prepare(`DELETE FROM ${table} WHERE ${where}`).run(...identity);
    return `row deleted: ${named}`;
  }
  const column = String(random.pick(columns)['name']);
  const old = row[column] ?? null;
  const value = random.pick<SQLInputValue>([
    null,
    '',
    '{}',
    'x',
    0,
    -1,
    random.pick(rows)[column] ?? null,
    random.pick(rows)[column] ?? null,
    typeof old === 'number' ? old + 1 : `${String(old)}0`,
    typeof old === 'number' ? old * 10 : String(old).slice(0, -1),
  ]);
  if (value === old) return undefined;
  try {
    database.prepare(`UPDATE ${table} SET ${column} = ? WHERE ${where}`).run(value, ...identity);
  } catch {
    return undefined;
  }
  return `row edited: ${named}: ${column} from ${JSON.stringify(old)} to ${JSON.stringify(value)}`;
}
