import { mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { du, prune } from '../../src/store/index.ts';
import { openStore, removeTrees } from './support.ts';

describe('records of builds', () => {
  test('the newest are kept, for their owner alone', () => {
    using opened = openStore();
    const { store } = opened;
    const ids = Array.from({ length: 13 }, (_, at) => {
      opened.advance(1000);
      return store.reports.keep(JSON.stringify({ at }));
    });
    expect(store.reports.list().map(({ id }) => id)).toEqual(ids.toReversed().slice(0, 10));
    expect(store.reports.read(ids[12] ?? '')).toBe('{"at":12}');
    expect(store.reports.read(ids[2] ?? '')).toBeUndefined();
    const [first = ''] = readdirSync(store.layout.reports);
    expect(statSync(join(store.layout.reports, first)).mode & 0o777).toBe(0o600);
    expect(statSync(store.layout.reports).mode & 0o777).toBe(0o700);
  });

  test('what is too large or cannot be written is not kept', () => {
    using opened = openStore();
    const { store } = opened;
    expect(store.reports.keep('x'.repeat(5 << 20))).toBeUndefined();
    expect(store.reports.list()).toEqual([]);
    mkdirSync(store.layout.reports, { recursive: true });
    writeFileSync(join(store.layout.reports, 'other'), '');
    expect(store.reports.list()).toEqual([]);
  });

  test('links are not followed, and names do not lead out', () => {
    using opened = openStore();
    const { store } = opened;
    store.reports.keep('{}');
    const outside = join(store.root, 'outside');
    writeFileSync(outside, 'secret');
    symlinkSync(outside, join(store.layout.reports, '1.json'));
    expect(store.reports.read('1.json')).toBeUndefined();
    expect(store.reports.read('../outside')).toBeUndefined();
    expect(store.reports.list()).toHaveLength(1);
  });

  test('count as used space, and prune takes them', async () => {
    using opened = openStore();
    const { store } = opened;
    store.reports.keep('{}');
    const records = (): number => du(store).records.filter(({ type }) => type === 'report').length;
    expect(records()).toBe(1);
    await prune(store, { all: true, removeTrees });
    expect(records()).toBe(0);
  });
});
