import fs from 'node:fs';
import { describe, expect, test } from 'vitest';
import { check } from '../../src/store/index.ts';
import { openStore, realBootId, runUser, tempRoot } from './support.ts';

describe('several processes on one store', () => {
  test.each([2, 8])('%i builders and a pruner that checks (REL-12)', { timeout: 60_000 }, async (count) => {
    const root = tempRoot();
    const builders = Array.from({ length: count }, (_, number) => runUser(['builds', root, `b${number}`, '8']));
    const pruner = runUser(['prunes', root, '8']);
    for (const result of await Promise.all([...builders, pruner]))
      expect(result).toMatchObject({ code: 0, stderr: '' });
    using opened = openStore(root, { bootId: realBootId });
    expect((await check(opened.store)).problems).toEqual([]);
    expect(opened.store.images.list().length).toBeGreaterThanOrEqual(count * 5);
    expect(fs.readdirSync(opened.store.layout.sessions)).toEqual([]);
    expect(fs.readdirSync(opened.store.layout.ingest)).toEqual([]);
  });

  test('eight processes make a new store at once', async () => {
    const root = tempRoot();
    const results = await Promise.all(Array.from({ length: 8 }, () => runUser(['build', root, 'same'])));
    for (const result of results) expect(result).toMatchObject({ code: 0, stderr: '' });
    using opened = openStore(root, { bootId: realBootId });
    expect(opened.store.layers.list()).toHaveLength(1);
    expect((await check(opened.store)).problems).toEqual([]);
  });
});
