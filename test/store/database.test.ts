import fs from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Database } from '../../src/store/database.ts';
import { tryKernelLock } from '../../src/store/kernel-lock.ts';
import { writeFileDurably } from '../../src/store/layout.ts';
import { filesBelow, openStore, tempRoot, type TestStore } from './support.ts';

const count = (db: Database): number => Number(db.prepare('SELECT count(*) AS n FROM sessions').get()?.['n']);
const add = (db: Database, id: string): number =>
  db.prepare('INSERT INTO sessions (id, started_at) VALUES (?, 1)').run(id);
/** Makes the file of the index be something else for who opens it next. */
function harm({ store, root }: TestStore, text: string): void {
  const { path } = store.database();
  store.close();
  for (const name of fs.readdirSync(root)) if (/-(wal|shm)$/.test(name)) fs.rmSync(join(root, name));
  fs.writeFileSync(path, text);
}

describe('a transaction', () => {
  test('is there as a whole for others, or not at all', () => {
    using one = openStore();
    using two = openStore(one.root);
    const [mine, theirs] = [one.store.database(), two.store.database()];
    mine.transaction(() => {
      add(mine, 'a');
      expect(count(mine)).toBe(1);
      expect(count(theirs)).toBe(0);
    });
    expect(count(theirs)).toBe(1);
    expect(() =>
      mine.transaction(() => {
        add(mine, 'b');
        throw new Error('half way');
      }),
    ).toThrow('half way');
    expect([count(mine), count(theirs)]).toEqual([1, 1]);
  });

  test('within another one is part of it, and goes with it', () => {
    using opened = openStore();
    const db = opened.store.database();
    expect(() =>
      db.transaction(() => {
        db.transaction(() => add(db, 'inner'), { durable: true });
        throw new Error('outer');
      }),
    ).toThrow('outer');
    expect(count(db)).toBe(0);
    // What was wrong with one does not stay with the next.
    expect(db.transaction(() => add(db, 'next'))).toBe(1);
  });

  test('gives what its body gives, and says how many rows changed', () => {
    using opened = openStore();
    const db = opened.store.database();
    expect(db.transaction(() => 'value')).toBe('value');
    expect(add(db, 'a')).toBe(1);
    expect(db.prepare('DELETE FROM sessions').run()).toBe(1);
    expect(db.prepare('DELETE FROM sessions').run()).toBe(0);
    expect(db.prepare('SELECT * FROM sessions').all()).toEqual([]);
    expect(db.prepare('SELECT * FROM sessions').get()).toBeUndefined();
  });

  test('waits for one of another process that is at it', () => {
    using one = openStore();
    using two = openStore(one.root);
    const [mine, theirs] = [one.store.database(), two.store.database()];
    // Both in one thread: what is tried while the other writes would wait for ever, and is refused in time.
    mine.transaction(() => {
      add(mine, 'a');
      expect(count(theirs)).toBe(0);
    });
    expect(theirs.transaction(() => add(theirs, 'b'))).toBe(1);
    expect(count(mine)).toBe(2);
  });

  test('after the store was closed is a fault of the program', () => {
    using opened = openStore();
    const db = opened.store.database();
    opened.store.close();
    for (const use of [() => count(db), () => db.transaction(() => 1), () => db.exec('SELECT 1')])
      expect(use).toThrow(expect.objectContaining({ code: 'TSB_INTERNAL' }));
  });

  test('an error in a statement is told as what it is, and keeps the index', () => {
    using opened = openStore();
    const db = opened.store.database();
    add(db, 'a');
    expect(() => add(db, 'a')).toThrow(expect.objectContaining({ code: 'TSB_STORE' }));
    expect(count(db)).toBe(1);
    expect(opened.warnings).toEqual([]);
  });
});

describe('a new index in the place of another', () => {
  test('has the next number, is told once, and is filled by those who know what belongs into it', () => {
    const root = tempRoot();
    openStore(root)[Symbol.dispose]();
    using opened = openStore(root);
    const db = opened.store.database();
    const filled: string[] = [];
    db.onRebuild(() => void filled.push('first'));
    db.onRebuild(() => void filled.push('second'));
    expect(filled).toEqual([]);
    add(db, 'a');
    db.rebuild();
    expect(filled).toEqual(['first', 'second']);
    expect(count(db)).toBe(0);
    expect(db.path).toBe(join(opened.root, 'index-1.sqlite'));
    expect(fs.existsSync(join(opened.root, 'index.sqlite'))).toBe(true);
    expect(opened.warnings).toMatchObject([
      { code: 'index-rebuilt', message: expect.stringContaining('was given up') as string },
    ]);
    db.rebuild();
    expect(db.path).toBe(join(opened.root, 'index-2.sqlite'));
  });

  test('that was just made is filled at once by whoever comes to know of it', () => {
    using opened = openStore();
    const filled: string[] = [];
    opened.store.database().onRebuild(() => void filled.push('at once'));
    expect(filled).toEqual(['at once']);
  });

  test('statements that were prepared before go on with the new one', () => {
    using opened = openStore();
    const db = opened.store.database();
    const insert = db.prepare('INSERT INTO sessions (id, started_at) VALUES (?, 1)');
    insert.run('a');
    db.rebuild();
    expect(insert.run('b')).toBe(1);
    expect(db.prepare('SELECT id FROM sessions').all()).toEqual([{ id: 'b' }]);
  });

  test.each([
    ['garbage', 'x'.repeat(9000), /was damaged/],
    ['cut to a part of a page', 'SQLite format 3\0', /was damaged|another version/],
  ])('is made for one that is %s, when it is opened', (_what, text, message) => {
    const root = tempRoot();
    harm(openStore(root), text);
    using opened = openStore(root);
    expect(opened.warnings).toHaveLength(1);
    expect(opened.warnings[0]?.message).toMatch(message);
    expect(add(opened.store.database(), 'a')).toBe(1);
    using again = openStore(root);
    expect(again.warnings).toEqual([]);
    expect(count(again.store.database())).toBe(1);
  });

  test('is the same for all who find that the old one is no more', () => {
    using one = openStore();
    using two = openStore(one.root);
    one.store.database().rebuild();
    add(one.store.database(), 'a');
    two.store.database().rebuild();
    // The second was given up for that of the first, which is newer than what it had.
    expect(two.store.database().path).toBe(one.store.database().path);
    expect(count(two.store.database())).toBe(1);
  });

  test('what SQLite finds wrong with a sound one is nothing', () => {
    using opened = openStore();
    expect(opened.store.database().integrity()).toEqual([]);
    opened.store.close();
    expect(opened.store.database().integrity()).toHaveLength(1);
  });
});

describe('a lock of the kernel', () => {
  test('is one’s at a time, of one process too, and leaves no file', () => {
    const path = join(tempRoot(), '..', 'lock');
    const lock = tryKernelLock(path);
    if (typeof lock !== 'object') throw new Error(lock);
    expect(lock.path).toBe(path);
    expect(tryKernelLock(path)).toBe('busy');
    expect(tryKernelLock(path, false)).toBe('busy');
    lock.release();
    lock.release();
    expect(fs.existsSync(path)).toBe(false);
    expect(tryKernelLock(path, false)).toBe('missing');
    expect(fs.existsSync(path)).toBe(false);
  });

  test('a second release does not take the lock of the next holder away', () => {
    const path = join(tempRoot(), '..', 'lock');
    const first = tryKernelLock(path);
    if (typeof first !== 'object') throw new Error(first);
    first.release();
    const second = tryKernelLock(path);
    first.release();
    expect(tryKernelLock(path)).toBe('busy');
    if (typeof second === 'object') second.release();
  });

  test('where no file can be made says so', () => {
    const path = join(tempRoot(), '..', 'none', 'lock');
    expect(() => tryKernelLock(path)).toThrow(
      expect.objectContaining({ code: expect.stringMatching(/^TSB_/) as string }),
    );
    expect(tryKernelLock(path, false)).toBe('missing');
  });

  test.each([
    ['garbage', (path: string) => fs.writeFileSync(path, 'x'.repeat(5000))],
    ['a directory', (path: string) => fs.mkdirSync(join(path, 'with', 'more'), { recursive: true })],
    ['a link to nothing', (path: string) => fs.symlinkSync('nothing', path)],
    ['a link to a file', (path: string) => fs.symlinkSync(import.meta.filename, path)],
  ])('%s in its place is nobody’s lock', (_what, make) => {
    const path = join(tempRoot(), '..', 'lock');
    make(path);
    const lock = tryKernelLock(path);
    expect(lock).toMatchObject({ path });
    expect(fs.existsSync(import.meta.filename)).toBe(true);
    if (typeof lock === 'object') lock.release();
    expect(fs.lstatSync(path, { throwIfNoEntry: false })).toBeUndefined();
  });
});

describe('a file that is written durably', () => {
  test('is the old one or the new one, for its owner alone, and leaves nothing beside it', () => {
    const dir = join(tempRoot(), '..');
    const path = join(dir, 'file');
    for (const text of ['first', 'x'.repeat(1 << 20), '']) {
      writeFileDurably(path, text, dir);
      expect(fs.readFileSync(path, 'utf8')).toBe(text);
      expect(fs.statSync(path).mode & 0o777).toBe(0o600);
    }
    expect(filesBelow(dir)).toEqual([path]);
    // In the place of a directory it cannot be, and that leaves nothing either.
    fs.mkdirSync(join(dir, 'directory', 'full'), { recursive: true });
    expect(() => writeFileDurably(join(dir, 'directory'), 'x', dir)).toThrow();
    expect(filesBelow(dir)).toEqual([path]);
  });
});
