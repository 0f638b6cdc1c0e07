import * as fc from 'fast-check';
import fs from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { copyOfMount, idOfMount, isPlainMount, mountId } from '../../src/store/index.ts';
import { isRetired, retiredMount } from '../../src/store/mount-id.ts';
import { openStore, tempRoot } from './support.ts';

/** Ids as users write them, with many `#` among them. */
const ids = fc.string({ unit: fc.constantFrom('#', '#', '1', 'a', '/', '-', '\n', 'retired-'), maxLength: 8 });
const bases = fc.option(fc.constantFrom('0123456789abcdef', 'fedcba9876543210'), { nil: undefined });

/** A mount as the store has it, and what it is made of. */
const mounts = fc
  .record({
    id: ids,
    base: bases,
    copy: fc.option(fc.integer({ min: 1, max: 20 }), { nil: undefined }),
    retired: fc.option(fc.constantFrom('ab', 'cd'), { nil: undefined }),
  })
  .map((parts) => {
    const { id, base, copy, retired } = parts;
    const first = mountId(id, base);
    const second = copy === undefined ? first : copyOfMount(first, copy);
    return { parts, name: retired === undefined ? second : retiredMount(second, retired) };
  });

describe('names of cache mounts in the store', () => {
  test('ids without # are kept as they are, so that stores of before have them', () => {
    expect(mountId('/root/.npm')).toBe('/root/.npm');
    expect(mountId('/x', 'base')).toBe('/x#base');
    expect(copyOfMount('/x#base', 3)).toBe('/x#base#3');
  });

  test('no two mounts have one name', () => {
    fc.assert(
      fc.property(mounts, mounts, (one, two) => {
        expect(one.name === two.name).toBe(JSON.stringify(one.parts) === JSON.stringify(two.parts));
      }),
      { numRuns: 3000 },
    );
  });

  test('say which id they are of, and whether they are more than that', () => {
    fc.assert(
      fc.property(mounts, ({ name, parts: { id, base, copy, retired } }) => {
        expect(idOfMount(name)).toBe(id);
        expect(isRetired(name)).toBe(retired !== undefined);
        expect(isPlainMount(name)).toBe((base ?? copy ?? retired) === undefined);
      }),
      { numRuns: 1000 },
    );
  });
});

describe('emptying the mounts of an id', () => {
  test.each(['as the index knows them', 'after a new index'])(
    'takes those of the id, all of them, and no others: %s',
    (when) => {
      using opened = openStore(tempRoot());
      const { store } = opened;
      const lease = store.leases.create();
      const names = ['x', 'x#1', 'x#', 'y'].map((id) => [mountId(id), id] as const);
      const all = [...names, [mountId('x', 'base'), 'x'], [copyOfMount(mountId('x'), 1), 'x']] as const;
      for (const [name, id] of all) fs.writeFileSync(join(store.mounts.ensure(name, lease, id).path, 'file'), '');
      lease.release();
      if (when === 'after a new index') store.database().rebuild();
      store.mounts.retire('x');
      const kept = all.filter(([name]) => store.mounts.hasFiles(name)).map(([, id]) => id);
      expect(kept).toEqual(['x#1', 'x#', 'y']);
    },
  );
});
