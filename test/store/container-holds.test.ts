import fs from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { check, prune, type Store } from '../../src/store/index.ts';
import { collectGarbage } from './collect-garbage.ts';
import { makeLayer, openStore, putImage, removeTrees, tempRoot } from './support.ts';

const ID = 'c'.repeat(64);

/** Makes the directory of a container the way `Containers.create` does, up to its name. */
function place(store: Store, layers: readonly string[], blobs: readonly `sha256:${string}`[] = [], id = ID): string {
  const making = join(store.layout.containers, `new-${id}`);
  fs.mkdirSync(making, { recursive: true });
  store.containers.prepare(making, { layers, blobs });
  const directory = join(store.layout.containers, id);
  fs.renameSync(making, directory);
  return directory;
}

const pruneAll = (store: Store) => prune(store, { removeTrees, all: true });
const layerIds = (store: Store): readonly string[] => store.layers.list().map(({ id }) => id);

describe('what a container stands on', () => {
  test('stays as long as its directory is there, whoever prunes, and goes with it', async () => {
    const root = tempRoot();
    let layer = '';
    let other = '';
    {
      using opened = openStore(root);
      layer = makeLayer(opened.store);
      other = makeLayer(opened.store);
      place(opened.store, [layer]);
      opened.store.containers.enter(ID);
    }
    // Another process, which never heard of the container.
    using opened = openStore(root);
    const { store } = opened;
    await pruneAll(store);
    expect(layerIds(store)).toEqual([layer]);
    expect(store.layers.get(other)).toBeUndefined();
    expect(store.containers.layersOf(ID)).toEqual([layer]);

    fs.rmSync(join(store.layout.containers, ID), { recursive: true });
    store.containers.release(ID);
    await pruneAll(store);
    expect(layerIds(store)).toEqual([]);
  });

  test('is freed by the next collection when a process died between removing the directory and letting go', async () => {
    using opened = openStore();
    const { store } = opened;
    const layer = makeLayer(store);
    const directory = place(store, [layer]);
    store.containers.enter(ID);
    fs.rmSync(directory, { recursive: true });
    await collectGarbage(store, removeTrees);
    await pruneAll(store);
    expect(layerIds(store)).toEqual([]);
  });

  test.each([
    ['prune', pruneAll],
    ['a collection', (store: Store) => collectGarbage(store, removeTrees)],
    ['a check that repairs', (store: Store) => check(store, { repair: true, removeTrees })],
  ])('is held by %s when its maker was killed before it could say so', async (_what, work) => {
    const root = tempRoot();
    let layer = '';
    {
      using opened = openStore(root);
      layer = makeLayer(opened.store);
      // Its directory has its name, and `enter` was never reached.
      place(opened.store, [layer]);
    }
    using opened = openStore(root);
    await work(opened.store);
    await pruneAll(opened.store);
    expect(layerIds(opened.store)).toEqual([layer]);
  });

  test('is held in a new index, too', async () => {
    const root = tempRoot();
    let held: readonly string[] = [];
    {
      using opened = openStore(root);
      const { store } = opened;
      const image = putImage(store, 'docker.io/library/app:1', ['layer']);
      const { digest } = store.blobs.put('a document');
      place(store, [], [digest, image.digest]);
      store.containers.enter(ID);
      store.images.remove('docker.io/library/app:1');
      store.database().rebuild();
      held = [digest, image.digest].sort();
    }
    using opened = openStore(root);
    await pruneAll(opened.store);
    expect([...opened.store.blobs.list()].map(({ digest }) => digest).sort()).toEqual(held);
  });

  test('names what uses a blob as people know it', () => {
    using opened = openStore();
    const { store } = opened;
    const { digest } = store.blobs.put('a document');
    place(store, [], [digest]);
    store.containers.enter(ID);
    expect(store.usersOfBlob(digest)).toEqual([`container ${'c'.repeat(12)}`]);
  });
});

describe('a damaged list of what a container holds', () => {
  test.each([
    ['nothing', ''],
    ['half of it', '{"layers":["a"'],
    ['null', 'null'],
    ['a number', '7'],
    ['other fields', '{"version":2}'],
    ['lists of something else', '{"layers":[{"id":1}],"blobs":"x"}'],
  ])('(%s) keeps no store from opening', async (_what, text) => {
    const root = tempRoot();
    let kept = '';
    {
      using opened = openStore(root);
      kept = makeLayer(opened.store);
      fs.writeFileSync(join(place(opened.store, []), 'holds.json'), text);
      place(opened.store, [kept], [], 'd'.repeat(64));
      opened.store.containers.enter('d'.repeat(64));
    }
    using opened = openStore(root);
    const { store } = opened;
    expect(store.containers.layersOf(ID)).toEqual([]);
    store.containers.enter(ID);
    // A new index asks every container.
    store.database().rebuild();
    await pruneAll(store);
    store.containers.release(ID);
    expect(opened.warnings.map(({ code }) => code)).toEqual(['index-rebuilt']);
  });

  test.each(['../../etc', 'new-c', 'by-name', 'events'])('no directory called %s is taken for a container', (name) => {
    using opened = openStore();
    const { store } = opened;
    fs.mkdirSync(join(store.layout.containers, 'by-name'), { recursive: true });
    fs.writeFileSync(join(store.layout.containers, 'events'), '');
    fs.mkdirSync(join(store.layout.containers, 'new-c'));
    store.database().rebuild();
    expect(store.containers.layersOf(name)).toEqual([]);
    expect(store.database().prepare('SELECT id FROM sessions').all()).toEqual([]);
  });
});
