import fs from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { prune } from '../../src/store/index.ts';
import { openStore, realBootId, removeTrees, type TestStore } from './support.ts';

/** Another command with the same store: its leases are those of another process as far as the store can tell. */
function another({ root }: TestStore): TestStore {
  return openStore(root, { bootId: 'this-boot' });
}

describe('a cache mount that comes from elsewhere', () => {
  /** A directory that has come, with a file in it. */
  function arrive({ store }: TestStore, content = 'from elsewhere'): string {
    const dir = store.mounts.incoming(store.leases.create());
    fs.mkdirSync(join(dir, 'fs'));
    fs.writeFileSync(join(dir, 'fs/file'), content);
    return dir;
  }
  const fileOf = ({ store }: TestStore, id: string): string =>
    fs.readFileSync(join(store.mounts.paths(id).fs, 'file'), 'utf8');

  test('takes the place of one that is not there, and is a mount as any other', () => {
    using opened = openStore();
    const { store } = opened;
    using lease = store.leases.create();
    const dir = arrive(opened);
    expect(store.mounts.adopt('/npm', dir, lease, 'npm')).toBe(true);
    expect(fileOf(opened, '/npm')).toBe('from elsewhere');
    expect(fs.existsSync(dir)).toBe(false);
    expect(store.mounts.list()).toMatchObject([{ id: '/npm', description: 'npm', usedAt: 1_700_000_000_000 }]);
    expect(store.mounts.ensure('/npm', lease).created).toBe(false);
    expect(store.mounts.hasFiles('/npm')).toBe(true);
  });

  test('takes the place of one without files, and leaves one that has some', () => {
    using opened = openStore();
    const { store } = opened;
    using lease = store.leases.create();
    store.mounts.ensure('/empty', lease);
    fs.writeFileSync(join(store.mounts.ensure('/full', lease).path, 'file'), 'kept');
    expect(store.mounts.hasFiles('/empty')).toBe(false);
    expect(store.mounts.adopt('/empty', arrive(opened), lease, '')).toBe(true);
    expect(fileOf(opened, '/empty')).toBe('from elsewhere');
    const refused = arrive(opened);
    expect(store.mounts.adopt('/full', refused, lease, '')).toBe(false);
    expect(fileOf(opened, '/full')).toBe('kept');
    // It is the caller's to remove.
    expect(fs.existsSync(refused)).toBe(true);
  });

  test('does not take the place of one that another command may be using', () => {
    using opened = openStore();
    using other = another(opened);
    using lease = opened.store.leases.create();
    {
      using theirs = other.store.leases.create();
      theirs.hold({ mounts: ['/npm'] });
      expect(opened.store.mounts.adopt('/npm', arrive(opened), lease, '')).toBe(false);
    }
    expect(opened.store.mounts.adopt('/npm', arrive(opened), lease, '')).toBe(true);
  });

  test('does no harm when it is put in its place twice', () => {
    using opened = openStore();
    const { store } = opened;
    using lease = store.leases.create();
    const dir = arrive(opened);
    expect(store.mounts.adopt('/npm', dir, lease, '')).toBe(true);
    expect(store.mounts.adopt('/npm', dir, lease, '')).toBe(true);
    expect(fileOf(opened, '/npm')).toBe('from elsewhere');
  });

  test('outlives its command only where it was put in its place', async () => {
    using opened = openStore();
    {
      using dying = another(opened);
      const lost = arrive(dying);
      dying.store.close();
      await prune(opened.store, { removeTrees });
      expect(fs.existsSync(lost)).toBe(false);
    }
    using lease = opened.store.leases.create();
    opened.store.mounts.adopt('/npm', arrive(opened), lease, '');
    await prune(opened.store, { removeTrees });
    expect(fileOf(opened, '/npm')).toBe('from elsewhere');
  });
});

describe('what is remembered of a cache mount', () => {
  test('is what it was first known by on other machines', () => {
    using opened = openStore();
    const { mounts, leases } = opened.store;
    using lease = leases.create();
    mounts.ensure('/npm', lease);
    expect(mounts.elsewhere('/npm')).toBeUndefined();
    mounts.setElsewhere('/npm', 'name');
    mounts.setElsewhere('/npm', 'another');
    expect(mounts.elsewhere('/npm')).toBe('name');
    expect(mounts.elsewhere('/none')).toBeUndefined();
  });

  test('lies beside its files, in a directory that nobody could guess a way out of', () => {
    using opened = openStore();
    const { mounts, leases } = opened.store;
    using lease = leases.create();
    for (const id of ['../../etc', '/', 'a\nb', 'x'.repeat(4000), 'ä']) {
      const { path } = mounts.ensure(id, lease);
      expect(path).toMatch(new RegExp(`^${opened.root}/mounts/[0-9a-f]{64}/fs$`));
      expect(mounts.paths(id)).toEqual({ fs: path, memory: join(path, '../memory') });
      expect(mounts.directory(id)).toBe(join(path, '..'));
      expect(mounts.get(id)).toMatchObject({ id, bytes: 0, inodes: 0 });
    }
  });

  test('of one that this process may not look into is taken for files', () => {
    using opened = openStore();
    const { mounts, leases } = opened.store;
    using lease = leases.create();
    const { path } = mounts.ensure('/npm', lease);
    expect(mounts.hasFiles('/none')).toBe(false);
    // A file in its place cannot be listed either.
    fs.rmdirSync(path);
    fs.writeFileSync(path, '');
    expect(mounts.hasFiles('/npm')).toBe(true);
    fs.rmSync(path);
    expect(mounts.hasFiles('/npm')).toBe(false);
  });

  test('is found again by a new index, but for what is none', () => {
    using opened = openStore(undefined, { bootId: realBootId });
    const { store, root } = opened;
    {
      using lease = store.leases.create();
      for (const id of ['/npm', 'project/pip']) store.mounts.ensure(id, lease, id);
    }
    const other = join(root, 'mounts', 'f'.repeat(64));
    fs.mkdirSync(other);
    fs.writeFileSync(join(other, 'id'), '/npm');
    fs.mkdirSync(join(root, 'mounts/no-id'));
    store.close();
    for (const name of fs.readdirSync(root)) if (name.startsWith('index')) fs.rmSync(join(root, name));
    using again = openStore(root, { bootId: realBootId, now: 5 });
    expect(again.store.mounts.list()).toEqual([
      { id: '/npm', description: '/npm', bytes: 0, inodes: 0, createdAt: 5, usedAt: 5 },
      { id: 'project/pip', description: 'project/pip', bytes: 0, inodes: 0, createdAt: 5, usedAt: 5 },
    ]);
  });
});
