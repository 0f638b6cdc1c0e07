import { expect, test } from 'vitest';
import { prune } from '../../src/store/index.ts';
import { openStore, removeTrees, tempRoot } from './support.ts';

test('facts are kept by kind and key, with the time', () => {
  const root = tempRoot();
  {
    using opened = openStore(root);
    const facts = opened.store.facts;
    facts.put('image', 'debian:12', { digest: 'sha256:1' });
    facts.put('image', 'debian:12', { digest: 'sha256:2' });
    facts.put('http', 'debian:12', [1, null, 'ü']);
  }
  using opened = openStore(root);
  const facts = opened.store.facts;
  expect(facts.get('image', 'debian:12')).toEqual({
    value: { digest: 'sha256:2' },
    storedAt: 1_700_000_000_000,
    usedAt: 1_700_000_000_000,
  });
  expect(facts.get('http', 'debian:12')?.value).toEqual([1, null, 'ü']);
  expect(facts.get('image', 'debian')).toBeUndefined();
  facts.delete('http', 'debian:12');
  expect(facts.get('http', 'debian:12')).toBeUndefined();
});

test('a fact that cannot be read is not there, and an index without the table is given up for a new one', () => {
  using opened = openStore();
  const facts = opened.store.facts;
  facts.put('k', 'a', 1);
  opened.store.database().exec("UPDATE facts SET value = '{'");
  expect(facts.get('k', 'a')).toBeUndefined();
  opened.store.database().exec('DROP TABLE facts');
  expect(facts.get('k', 'a')).toBeUndefined();
  expect(opened.warnings.map(({ code }) => code)).toEqual(['index-row-damaged', 'index-rebuilt']);
  facts.put('k', 'a', 1);
  expect(facts.get('k', 'a')?.value).toBe(1);
});

test('prune --all forgets them', async () => {
  using opened = openStore();
  const facts = opened.store.facts;
  facts.put('k', 'a', 1);
  await prune(opened.store, { removeTrees });
  expect(facts.get('k', 'a')?.value).toBe(1);
  await prune(opened.store, { removeTrees, all: true });
  expect(facts.get('k', 'a')).toBeUndefined();
});

test('a fact that is read counts as used, one that is not is forgotten', () => {
  const root = tempRoot();
  {
    using opened = openStore(root);
    for (const key of ['read', 'unread']) opened.store.facts.put('k', key, 1);
    opened.advance(2 * 3_600_000);
    opened.store.facts.get('k', 'read');
  }
  using opened = openStore(root);
  opened.store.facts.forgetUnused(1_700_000_000_000 + 3_600_000);
  expect(['read', 'unread'].map((key) => opened.store.facts.get('k', key)?.value)).toEqual([1, undefined]);
});
