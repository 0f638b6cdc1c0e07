import { expect, test } from 'vitest';
import { KeyHistory } from '../../src/cache/index.ts';
import { openStore, tempRoot } from '../store/support.ts';

test('says which parts of a key differ from the last time', () => {
  const root = tempRoot();
  {
    using opened = openStore(root);
    const history = new KeyHistory(opened.store);
    expect(history.compare('step 1', { command: 'make' })).toBeUndefined();
    history.remember('step 1', {
      command: 'make',
      'env A': '1',
      'input src/a.c': 'sha256:1',
      'input src/b.c': 'sha256:2',
    });
  }
  using opened = openStore(root);
  const history = new KeyHistory(opened.store);
  const now = { command: 'make', 'env B': '1', 'input src/a.c': 'sha256:9', 'input src/b.c': 'sha256:2' };
  expect(history.compare('step 1', now)).toEqual([
    { part: 'env A', before: '1' },
    { part: 'env B', after: '1' },
    { part: 'input src/a.c', before: 'sha256:1', after: 'sha256:9' },
  ]);
  history.remember('step 1', now);
  expect(history.compare('step 1', now)).toEqual([]);
  expect(history.compare('step 2', now)).toBeUndefined();
});

test('long values are kept in short, and still differ', () => {
  using opened = openStore();
  const history = new KeyHistory(opened.store);
  const long = 'x'.repeat(100_000);
  history.remember('s', { command: long });
  expect(history.compare('s', { command: long })).toEqual([]);
  const [difference] = history.compare('s', { command: `${long}y` }) ?? [];
  expect(difference?.after).toMatch(/x… \(100001 characters\)$/);
});
