import { DatabaseSync } from 'node:sqlite';
import { mkdtempDisposableSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { check, Store, type StoredListing } from '../../src/store/index.ts';

const listing = (value: string, ...children: string[]): StoredListing => ({ value, children });

/** A step of a build, as it is kept. */
function step(position: number, node: string, ...listings: string[]) {
  return { position, node, listings, value: `{"step":${position}}` };
}

function open(root: string, warnings: string[] = []): Store {
  return Store.open(root, { now: () => 1_000_000, onWarning: ({ message }) => void warnings.push(message) });
}

/** Makes a node of the key graph one with a record. */
function record(store: Store, node: string): void {
  store.records.add({ id: `record of ${node}`, node, layers: [], blobs: [], createdAt: 1 });
}

describe('what builds say of themselves', () => {
  test('the last build of each lineage is kept, the newest first', () => {
    using dir = mkdtempDisposableSync(join(tmpdir(), 'tsbuild-accounts-'));
    using store = open(dir.path);
    const add = (lineage: string, createdAt: number): void =>
      store.accounts.add({ lineage, createdAt, value: `${lineage}${createdAt}` }, [step(0, 'n')], new Map());
    add('a', 1);
    add('b', 2);
    add('a', 3);
    expect(store.accounts.list().map(({ value }) => value)).toEqual(['a3', 'b2']);
    const id = store.accounts.list()[0]?.id ?? '';
    expect(store.accounts.steps(id)).toEqual([step(0, 'n')]);
    for (let time = 10; time < 60; time++) add(`many ${time}`, time);
    expect(store.accounts.list()).toHaveLength(32);
    expect(store.accounts.list()[0]?.lineage).toBe('many 59');
  });

  test('steps go with their records, lists with the last step that names them', async () => {
    using dir = mkdtempDisposableSync(join(tmpdir(), 'tsbuild-accounts-'));
    using store = open(dir.path);
    for (const node of ['kept', 'gone']) record(store, node);
    const lists = new Map([
      ['top', listing('t', 'shared', 'own')],
      ['shared', listing('s')],
      ['own', listing('o')],
      ['other', listing('x', 'shared')],
    ]);
    store.accounts.add(
      { lineage: 'a', createdAt: 1, value: 'a' },
      [step(0, 'gone', 'top'), step(1, 'kept', 'other'), step(2, '')],
      lists,
    );
    const before = store.accounts.bytes();
    store.records.remove('record of gone');
    store.accounts.removeDangling();
    const id = store.accounts.list()[0]?.id ?? '';
    expect(store.accounts.steps(id).map(({ position }) => position)).toEqual([1, 2]);
    expect(['top', 'own', 'other', 'shared'].map((one) => store.accounts.listing(one)?.value)).toEqual([
      undefined,
      undefined,
      'x',
      's',
    ]);
    expect(store.accounts.bytes()).toBeLessThan(before);
    store.records.remove('record of kept');
    store.accounts.removeDangling();
    expect([store.accounts.list(), store.accounts.bytes()]).toEqual([[], 0]);
  });

  test('lists that no account names any more are not kept for ever', () => {
    using dir = mkdtempDisposableSync(join(tmpdir(), 'tsbuild-accounts-'));
    using store = open(dir.path);
    const megabyte = 'x'.repeat(1024 * 1024);
    for (let round = 0; round < 30; round++) {
      store.accounts.add(
        { lineage: 'a', createdAt: round, value: 'a' },
        [step(0, 'n', `list${round}`)],
        new Map([[`list${round}`, listing(megabyte + round)]]),
      );
    }
    expect(store.accounts.bytes()).toBeLessThan(12 * megabyte.length);
    expect(store.accounts.listing('list29')).toBeDefined();
  });

  test.each(['accounts', 'account_steps', 'listings'])('a damaged row of %s is taken out, and told', async (table) => {
    using dir = mkdtempDisposableSync(join(tmpdir(), 'tsbuild-accounts-'));
    {
      using store = open(dir.path);
      store.accounts.add(
        { lineage: 'a', createdAt: 1, value: 'a' },
        [step(0, 'n', 'l')],
        new Map([['l', listing('t')]]),
      );
    }
    const db = new DatabaseSync(join(dir.path, 'index.sqlite'));
    db.exec(`UPDATE ${table} SET value = 'else'`);
    db.close();
    const warnings: string[] = [];
    using store = open(dir.path, warnings);
    const report = await check(store, {});
    expect(report.problems.map(({ kind }) => kind)).toContain('index-row-damaged');
    const found = store.accounts.list().map(({ id }) => store.accounts.steps(id));
    expect([found.length, found[0]?.length ?? 0, store.accounts.listing('l') === undefined]).toEqual(
      { accounts: [0, 0, false], account_steps: [1, 0, false], listings: [1, 1, true] }[table],
    );
    expect(warnings.join()).toContain(`damaged row (${table}`);
    expect(await check(store, {}).then(({ problems }) => problems)).toEqual([]);
  });

  test('the salt is made once', () => {
    using dir = mkdtempDisposableSync(join(tmpdir(), 'tsbuild-accounts-'));
    using store = open(dir.path);
    const salt = store.accounts.salt();
    expect(salt).toMatch(/^[0-9a-f]{32}$/);
    store.facts.forgetUnused(Date.now());
    expect(store.accounts.salt()).toBe(salt);
  });
});
