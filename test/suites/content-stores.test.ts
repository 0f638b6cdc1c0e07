import { chmodSync, writeFileSync } from 'node:fs';
import { BlobDir } from '../../src/store/index.ts';
import { openStore, tempRoot } from '../store/support.ts';
import { type ContentStoreFixture, contentStoreSuite } from './content-store.ts';

function damage(path: string, bytes: Uint8Array): void {
  chmodSync(path, 0o600);
  writeFileSync(path, bytes);
}

contentStoreSuite("a store, and its worker's way to it", (): ContentStoreFixture => {
  const opened = openStore();
  const { store } = opened;
  const other = new BlobDir(store.root, () => store.session());
  return { one: store.blobs, other, damage, [Symbol.dispose]: () => opened[Symbol.dispose]() };
});

contentStoreSuite("a worker's way to a store, and the store", (): ContentStoreFixture => {
  const opened = openStore();
  const { store } = opened;
  const one = new BlobDir(store.root, () => store.session());
  return { one, other: store.blobs, damage, [Symbol.dispose]: () => opened[Symbol.dispose]() };
});

contentStoreSuite('a directory without a store', (): ContentStoreFixture => {
  const root = tempRoot();
  const one = new BlobDir(root);
  // Whoever writes first makes the directories.
  one.ingest().abort();
  return { one, other: new BlobDir(root), damage, [Symbol.dispose]: () => undefined };
});

contentStoreSuite('two stores open on one directory', (): ContentStoreFixture => {
  const root = tempRoot();
  const [one, other] = [openStore(root), openStore(root)];
  return {
    one: one.store.blobs,
    other: other.store.blobs,
    damage,
    [Symbol.dispose]() {
      other[Symbol.dispose]();
      one[Symbol.dispose]();
    },
  };
});
