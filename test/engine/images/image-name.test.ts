import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isStoredImage } from '../../../src/engine/images/copy-source.ts';
import { storedReference, toReference } from '../../../src/engine/images/image-name.ts';
import { locateImage } from '../../../src/engine/images/locate-image.ts';
import type { Session } from '../../../src/engine/session.ts';
import { mediaTypes } from '../../../src/image/index.ts';
import { emptyRegistriesConfig, type Registry } from '../../../src/registry/index.ts';
import { TsbuildError } from '../../../src/util/index.ts';
import { openStore, type TestStore } from '../../store/support.ts';
import { imageArchive, testImage } from '../../support/image.ts';
import { testTask } from '../../support/task.ts';
import { layoutFiles, wholeImage } from '../../support/whole-image.ts';
import { TempDir } from '../../tree/support.ts';

const APP = 'docker.io/library/app:1';
const app = testImage({ layers: [[{ name: 'app', content: 'app' }]] });
const unnamed = testImage({ layers: [[{ name: 'unnamed', content: 'unnamed' }]] });
const remote = testImage({ layers: [[{ name: 'remote', content: 'remote' }]] });

let opened: TestStore;
let dir: TempDir;
let session: Session;
/** What the registry was asked for. */
const asked: string[] = [];

const put = (name: string | undefined, image: typeof app): void => {
  for (const { bytes } of image.blobs) opened.store.blobs.put(bytes);
  const { digest, size } = image.manifest;
  if (name !== undefined) opened.store.images.put(name, { mediaType: mediaTypes.ociManifest, digest, size });
};

beforeAll(() => {
  opened = openStore();
  dir = new TempDir();
  put(APP, app);
  put('ghcr.io/team/app:2', app);
  put(undefined, unnamed);
  dir.write('image.tar', '');
  writeFileSync(join(dir.path, 'image.tar'), imageArchive([[{ name: 'f', content: 'archived' }]], 'archived:1'));
  for (const [name, content] of Object.entries(layoutFiles(wholeImage('laid out'), 'v1', false))) {
    dir.write(`layout/${name}`);
    writeFileSync(join(dir.path, 'layout', name), content);
  }
  dir.write('debian/README', 'no layout');
  mkdirSync(join(dir.path, 'nothing'));
  symlinkSync('layout', join(dir.path, 'linked'));
  const registry = {
    manifest: async (_task: unknown, { host, path, tag }: { host: string; path: string; tag?: string }) => {
      asked.push(`${host}/${path}:${tag ?? ''}`);
      if (path.endsWith('absent')) throw new TsbuildError('TSB_NOT_FOUND', 'no such tag');
      const { digest, size, bytes } = remote.manifest;
      return { descriptor: { mediaType: mediaTypes.ociManifest, digest, size }, bytes };
    },
  } as unknown as Registry;
  session = {
    store: opened.store,
    lease: opened.store.leases.create(),
    registry,
    registriesConfig: () => Promise.resolve(emptyRegistriesConfig),
  } as unknown as Session;
});
afterAll(() => {
  opened[Symbol.dispose]();
  dir[Symbol.dispose]();
});

const named = (name: string) => toReference(session, testTask(), name, dir.path);
const located = (name: string, isRemote = false) =>
  locateImage(session, testTask(), name, { cwd: dir.path, remote: isRemote });
const hex = (digest: string): string => digest.slice('sha256:'.length);

describe('what names an image', () => {
  test('a name of the store, in any spelling', async () => {
    for (const name of ['app:1', 'library/app:1', 'docker.io/app:1', APP])
      expect((await named(name)).reference).toBe(APP);
    expect((await named('ghcr.io/team/app:2')).reference).toBe('ghcr.io/team/app:2');
  });

  test('an id, whole or short, of its config or its manifest', async () => {
    const names = [APP, 'ghcr.io/team/app:2'];
    const { digest } = app.config;
    for (const id of [digest, hex(digest), hex(digest).slice(0, 12), `sha256:${hex(digest).slice(0, 6)}`])
      expect(names).toContain((await named(id)).reference);
    expect(names).toContain((await named(app.manifest.digest)).reference);
  });

  test('an id of an image that has no name', async () => {
    expect((await named(unnamed.config.digest)).reference).toBe(`localhost/unnamed@${unnamed.manifest.digest}`);
  });

  test('an id that no image has is not looked for elsewhere', async () => {
    for (const id of [`sha256:${'0'.repeat(64)}`, '0'.repeat(64)])
      await expect(named(id)).rejects.toMatchObject({
        code: 'TSB_NOT_FOUND',
        message: expect.stringContaining('no image of the store has this id') as string,
        hint: expect.stringContaining('tsbuild images') as string,
      });
  });

  test('a layout, by its path and by its scheme', async () => {
    const path = join(dir.path, 'layout');
    for (const name of ['./layout', 'layout', 'oci:layout', 'oci-layout:layout', path, `oci-layout://${path}`])
      expect((await named(name)).reference).toBe(`oci-layout://${path}`);
    expect((await named('layout:v1')).reference).toBe(`oci-layout://${path}:v1`);
    expect((await named('./linked')).reference).toBe(`oci-layout://${join(dir.path, 'linked')}`);
  });

  test('an archive is imported under a name that goes again', async () => {
    for (const name of ['image.tar', './image.tar', 'oci-archive:image.tar', join(dir.path, 'image.tar')]) {
      const { reference, release } = await named(name);
      expect(reference).toMatch(/^localhost\/tsbuild-run:/);
      expect(opened.store.images.get(reference)).toBeDefined();
      release();
      expect(opened.store.images.get(reference)).toBeUndefined();
    }
  });

  test('a path that is not there is an error, and no name', async () => {
    for (const name of ['./none.tar', '../none', '/none/x.tar'])
      await expect(named(name)).rejects.toMatchObject({
        code: 'TSB_NOT_FOUND',
        message: `Cannot use ${JSON.stringify(name)}: there is no such file or directory`,
      });
  });

  test('a folder that is no layout is not in the way of a name', async () => {
    expect((await named('debian')).reference).toBe('docker.io/library/debian:latest');
    expect((await named('nothing')).reference).toBe('docker.io/library/nothing:latest');
  });

  test('a name of the store goes before a file', async () => {
    put('docker.io/library/image.tar:latest', app);
    try {
      expect((await named('image.tar')).reference).toBe('docker.io/library/image.tar:latest');
    } finally {
      opened.store.images.remove('docker.io/library/image.tar:latest');
    }
  });

  test('what can be no name is refused', async () => {
    for (const name of ['', 'UPPER', 'a b', '-x'])
      await expect(named(name)).rejects.toMatchObject({ code: 'TSB_USAGE' });
  });
});

test('what is in the store is known without a look at files', () => {
  expect(storedReference(session, 'app:1')).toBe(APP);
  for (const name of ['./layout', 'oci:layout', 'docker-archive:x', 'other:1', 'UPPER', 'image.tar'])
    expect(storedReference(session, name), name).toBeUndefined();
  for (const name of ['app:1', app.config.digest, hex(unnamed.config.digest).slice(0, 12)])
    expect(isStoredImage(session, name), name).toBe(true);
  for (const name of ['app:9', '0'.repeat(64), 'UPPER', 'app@sha256:1'])
    expect(isStoredImage(session, name), name).toBe(false);
});

describe('an image that is looked at', () => {
  test('has its names and when it got the last of them', async () => {
    using image = await located('app:1');
    expect(image).toMatchObject({ root: { digest: app.manifest.digest }, what: 'image "app:1"' });
    expect(image.names.toSorted()).toEqual([APP, 'ghcr.io/team/app:2']);
    expect(image.namedAt).toBeGreaterThan(0);
    const manifest = await image.provider.read(image.root);
    expect(Buffer.from(manifest ?? []).equals(app.manifest.bytes)).toBe(true);
  });

  test('by the digest of its manifest', async () => {
    using image = await located(`somebody/else@${app.manifest.digest}`);
    expect(image.root.digest).toBe(app.manifest.digest);
  });

  test('without a name', async () => {
    using image = await located(hex(unnamed.config.digest));
    expect(image).toMatchObject({ root: { digest: unnamed.manifest.digest }, names: [] });
    expect(image.namedAt).toBeUndefined();
  });

  test('in a layout, with a tag', async () => {
    using image = await located('./layout:v1');
    expect(image.root.mediaType).toBe(mediaTypes.ociIndex);
    await expect(located('./layout:v9')).rejects.toMatchObject({ message: expect.stringContaining('v9') as string });
  });

  test('in an archive, without leaving a name behind', async () => {
    const before = opened.store.images.list().length;
    using image = await located('image.tar');
    expect(image.names).toEqual([]);
    expect(JSON.parse(Buffer.from((await image.provider.read(image.root)) ?? []).toString())).toHaveProperty('layers');
    expect(opened.store.images.list()).toHaveLength(before);
  });

  test('in a registry only where that is said', async () => {
    asked.length = 0;
    await expect(located('other:1')).rejects.toMatchObject({
      code: 'TSB_NOT_FOUND',
      hint: expect.stringContaining('--remote') as string,
    });
    expect(asked).toEqual([]);
    for (const image of [
      await located('other:1', true),
      await located('docker://other:1'),
      await located('app:1', true),
    ])
      expect(image.root.digest).toBe(remote.manifest.digest);
    expect(asked).toEqual(['docker.io/library/other:1', 'docker.io/library/other:1', 'docker.io/library/app:1']);
    // What came by the tag is not fetched once more by its digest.
    const { provider, root } = await located('docker://other:1');
    expect(Buffer.from((await provider.read(root)) ?? []).equals(remote.manifest.bytes)).toBe(true);
    await expect(located('docker://absent')).rejects.toMatchObject({ code: 'TSB_NOT_FOUND' });
  });
});
