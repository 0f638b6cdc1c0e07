import fs from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type ContainerRecord, Containers, Volumes } from '../../src/containers/index.ts';
import type { Store } from '../../src/store/index.ts';
import { openStore, type TestStore } from './support.ts';

let opened: TestStore;
let store: Store;
let before = 0;
beforeEach(() => {
  // Of somebody who gives nothing to anybody.
  before = process.umask(0o077);
  opened = openStore();
  ({ store } = opened);
});
afterEach(() => {
  opened[Symbol.dispose]();
  process.umask(before);
});

const mode = (path: string): string => (fs.statSync(path).mode & 0o7777).toString(8);

/** Whoever a step runs as must be able to go through them: BuildKit and docker make them so, too. */
test('what steps and containers see is open to their users, whatever the umask of who typed the command', () => {
  using lease = store.leases.create();
  expect(mode(store.mounts.ensure('/cache', lease).path)).toBe('755');
  expect(mode(store.mounts.incoming(lease))).toBe('755');
  expect(mode(new Volumes(store).ensure('data', 0).directory)).toBe('755');
  const record = { format: 1, id: 'a'.repeat(64), image: { name: 'i' }, labels: {}, step: { args: [] } };
  const { directory } = new Containers(store).create(
    record as unknown as ContainerRecord,
    'web',
    { layers: [], blobs: [] },
    0,
  );
  expect(mode(join(directory, 'fs'))).toBe('755');
  expect(mode(store.layers.prepareDirectory(store.layers.create({ parents: [] }, lease)).fs)).toBe('755');
});
