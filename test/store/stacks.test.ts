import * as fc from 'fast-check';
import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { prune } from '../../src/store/index.ts';
import { makeLayer, openStore, removeTrees, tempRoot } from './support.ts';

const rows = (root: string, sql: string): number => {
  const db = new DatabaseSync(join(root, 'index.sqlite'), { readOnly: true });
  try {
    return Number(db.prepare(sql).get()?.['n']);
  } finally {
    db.close();
  }
};

test('any list of layers comes back as it was, also in another process', () => {
  const root = tempRoot();
  const name = fc.constantFrom('a', 'b', 'c', 'd');
  const known = new Map<string, readonly string[]>();
  {
    using opened = openStore(root);
    fc.assert(
      fc.property(fc.array(name, { maxLength: 8 }), (layers) => {
        const id = opened.store.stacks.intern(layers);
        expect(known.get(id) ?? layers).toEqual(layers);
        known.set(id, layers);
        expect(opened.store.stacks.layers(id)).toEqual(layers);
      }),
    );
  }
  using opened = openStore(root);
  for (const [id, layers] of known) expect(opened.store.stacks.layers(id)).toEqual(layers);
  expect(opened.store.stacks.layers('unknown')).toBeUndefined();
});

test('the records of a chain take rows in proportion to its length', async () => {
  const root = tempRoot();
  using opened = openStore(root);
  const { store } = opened;
  const layers: string[] = [];
  for (let step = 0; step < 100; step++) {
    layers.push(makeLayer(store, { parents: [...layers], size: 1 }));
    store.records.add({
      id: `r${step}`,
      node: `n${step}`,
      layers: [...layers],
      blobs: [],
      createdAt: step,
    });
  }
  expect(rows(root, 'SELECT count(*) AS n FROM stacks')).toBe(100);
  expect(store.records.get('r99')?.layers).toEqual(layers);
  // A layer in the middle goes: all records above it do too, those below stay.
  await prune(store, { removeTrees, all: true, filter: ({ id }) => id === layers[50] });
  expect(store.records.get('r49')?.layers).toEqual(layers.slice(0, 50));
  expect(store.records.get('r50')).toBeUndefined();
  await prune(store, { removeTrees, all: true });
  expect(rows(root, 'SELECT count(*) AS n FROM stacks')).toBe(0);
  expect(rows(root, 'SELECT count(*) AS n FROM records')).toBe(0);
});

test('an index of the version before is given up, and images stay (REL-25, REL-26)', () => {
  const root = tempRoot();
  {
    using opened = openStore(root);
    opened.store.blobs.put('kept');
  }
  const db = new DatabaseSync(join(root, 'index.sqlite'));
  db.exec('PRAGMA user_version = 1');
  db.close();
  using opened = openStore(root);
  expect(opened.warnings).toMatchObject([{ code: 'index-rebuilt', message: /another version of tsbuild/ }]);
  expect([...opened.store.blobs.list()]).toHaveLength(1);
});

test('what a build only found on its way counts as used', () => {
  const root = tempRoot();
  using opened = openStore(root);
  const { store } = opened;
  store.records.add({ id: 'r', node: 'n', layers: [], blobs: [], createdAt: 1 });
  store.records.at('n');
  expect(store.records.uses().stacks).toEqual([['', 1_700_000_000_000]]);
});
