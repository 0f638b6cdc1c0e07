import { expect, test } from 'vitest';
import { FactCache } from '../../src/cache/index.ts';
import { prune } from '../../src/store/index.ts';
import { openStore, removeTrees, tempRoot } from '../store/support.ts';

test('facts are kept by kind and key, with the time', () => {
  const root = tempRoot();
  {
    using opened = openStore(root);
    const facts = new FactCache(opened.store);
    facts.put('image', 'debian:12', { digest: 'sha256:1' });
    facts.put('image', 'debian:12', { digest: 'sha256:2' });
    facts.put('http', 'debian:12', [1, null, 'ü']);
  }
  using opened = openStore(root);
  const facts = new FactCache(opened.store);
  expect(facts.get('image', 'debian:12')).toEqual({ value: { digest: 'sha256:2' }, storedAt: 1_700_000_000_000 });
  expect(facts.get('http', 'debian:12')?.value).toEqual([1, null, 'ü']);
  expect(facts.get('image', 'debian')).toBeUndefined();
  facts.delete('http', 'debian:12');
  expect(facts.get('http', 'debian:12')).toBeUndefined();
});

test('a fact that cannot be read is not there', () => {
  using opened = openStore();
  const facts = new FactCache(opened.store);
  facts.put('k', 'a', 1);
  opened.store.database().exec("UPDATE facts SET value = '{'");
  expect(facts.get('k', 'a')).toBeUndefined();
  opened.store.database().exec('DROP TABLE facts');
  facts.put('k', 'a', 1);
  expect(facts.get('k', 'a')).toBeUndefined();
});

test('prune --all forgets them', async () => {
  using opened = openStore();
  const facts = new FactCache(opened.store);
  facts.put('k', 'a', 1);
  await prune(opened.store, { removeTrees });
  expect(facts.get('k', 'a')?.value).toBe(1);
  await prune(opened.store, { removeTrees, all: true });
  expect(facts.get('k', 'a')).toBeUndefined();
});
