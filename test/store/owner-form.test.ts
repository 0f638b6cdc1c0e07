import fs from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { prune } from '../../src/store/index.ts';
import { collectGarbage } from './collect-garbage.ts';
import { openStore, removeTrees, type TestStore } from './support.ts';

/** A command with the same store, whose files have their owners on disk in a form of their own. */
function withForm(form: number, root?: string): TestStore {
  const opened = openStore(root, { bootId: 'this-boot' });
  opened.store.useForm(() => form);
  return opened;
}

/** Makes the directory of a layer with one file in it. */
function fill({ store }: TestStore, id: string, content: string): void {
  fs.writeFileSync(join(store.layers.prepareDirectory(id).fs, 'file'), content);
  store.layers.setFs(id, { bytes: 1, inodes: 2, synced: true, stamp: 'stamp' });
}

describe('directories with owners in another form', () => {
  test('are not there for who has this one, and are made again', () => {
    using shifted = withForm(7);
    using lease = shifted.store.leases.create();
    const id = shifted.store.layers.create({ parents: [] }, lease);
    fill(shifted, id, 'shifted');
    expect(shifted.store.layers.get(id)?.fs).toBe(true);
    using plain = withForm(8, shifted.root);
    expect(plain.store.layers.get(id)?.fs).toBe(false);
    expect(plain.store.layers.usable([id])).toBe(false);
    fill(plain, id, 'plain');
    expect(plain.store.layers.get(id)?.fs).toBe(true);
    expect(shifted.store.layers.get(id)?.fs).toBe(false);
  });

  test('stay with who has them mounted, and go when he does', async () => {
    using shifted = withForm(7);
    const lease = shifted.store.leases.create();
    const id = shifted.store.layers.create({ parents: [] }, lease);
    fill(shifted, id, 'shifted');
    const open = fs.openSync(shifted.store.layers.paths(id).fs, fs.constants.O_DIRECTORY);
    const stillThere = (): boolean => fs.existsSync(`/proc/self/fd/${open}/file`);
    using plain = withForm(8, shifted.root);
    using other = plain.store.leases.create();
    plain.store.layers.create({ id, parents: [] }, other);
    fill(plain, id, 'plain');
    await collectGarbage(plain.store, removeTrees);
    await prune(plain.store, { all: true, removeTrees });
    expect(stillThere()).toBe(true);
    lease[Symbol.dispose]();
    await collectGarbage(plain.store, removeTrees);
    expect(stillThere()).toBe(false);
    expect(fs.readFileSync(join(plain.store.layers.paths(id).fs, 'file'), 'utf8')).toBe('plain');
    fs.closeSync(open);
  });

  test('are any that somebody has who tells no form', () => {
    using shifted = withForm(7);
    using lease = shifted.store.leases.create();
    const id = shifted.store.layers.create({ parents: [] }, lease);
    fill(shifted, id, 'shifted');
    using anybody = openStore(shifted.root, { bootId: 'this-boot' });
    expect(anybody.store.layers.get(id)?.fs).toBe(true);
  });
});

describe('a cache mount whose files have owners in another form', () => {
  test('is another one, which is found again, and they are one as far as Dockerfiles know', () => {
    using shifted = withForm(7);
    using lease = shifted.store.leases.create();
    const first = shifted.store.mounts.ensure('/npm', lease, '/npm');
    expect(first).toMatchObject({ id: '/npm', created: true });
    using plain = withForm(8, shifted.root);
    using other = plain.store.leases.create();
    expect(plain.store.mounts.hasOtherOwners('/npm')).toBe(true);
    const second = plain.store.mounts.ensure('/npm', other, '/npm');
    expect(second).toMatchObject({ id: plain.store.mounts.usable('/npm'), created: true });
    expect(second.path).not.toBe(first.path);
    expect(plain.store.mounts.ensure('/npm', other)).toEqual({ ...second, created: false });
    expect(shifted.store.mounts.ensure('/npm', lease)).toEqual({ ...first, created: false });
    expect(plain.store.mounts.hasOtherOwners(second.id)).toBe(false);
    expect(plain.store.mounts.list().map(({ description }) => description)).toEqual(['/npm', '/npm']);
  });

  test('made by an earlier version is taken as it is', () => {
    using earlier = openStore();
    using lease = earlier.store.leases.create();
    const { path } = earlier.store.mounts.ensure('/npm', lease);
    using plain = withForm(8, earlier.root);
    using other = plain.store.leases.create();
    expect(plain.store.mounts.ensure('/npm', other)).toEqual({ id: '/npm', path, created: false });
  });

  test('that comes from elsewhere has the form of who brought it', () => {
    using plain = withForm(8);
    const { mounts, leases } = plain.store;
    using lease = leases.create();
    const dir = mounts.incoming(lease);
    fs.mkdirSync(join(dir, 'fs'));
    expect(mounts.adopt('/npm', dir, lease, '/npm')).toBe(true);
    expect(mounts.hasOtherOwners('/npm')).toBe(false);
    using shifted = withForm(7, plain.root);
    expect(shifted.store.mounts.hasOtherOwners('/npm')).toBe(true);
  });
});
