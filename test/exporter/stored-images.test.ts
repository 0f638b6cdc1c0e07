import { describe, expect, test } from 'vitest';
import {
  idDigits,
  listImages,
  namesOfId,
  parseNames,
  readStoredImage,
  removeImages,
  replaceLayers,
  storedName,
  tagImage,
  unnamedImage,
  untagImage,
} from '../../src/exporter/index.ts';
import { type Descriptor, mediaTypes, parseManifest } from '../../src/image/index.ts';
import { Store } from '../../src/store/index.ts';
import { isTsbuildError, sha256 } from '../../src/util/index.ts';
import { openStore } from '../store/support.ts';
import { type TestImage, testImage } from '../support/image.ts';
import { manifestDescriptor, wholeImage } from '../support/whole-image.ts';

const app = testImage({ layers: [[{ name: 'app', content: 'app' }]] });
const other = testImage({ layers: [[{ name: 'other', content: 'other' }]] });

function put(store: Store, image: TestImage, ...names: readonly string[]): void {
  for (const { bytes } of image.blobs) store.blobs.put(bytes);
  for (const name of names) store.images.put(name, manifestDescriptor(image.manifest));
}

function withStore<T>(work: (store: Store) => T): T {
  using opened = openStore();
  put(opened.store, app, 'docker.io/library/app:1', 'docker.io/library/app:2');
  put(opened.store, other, 'ghcr.io/team/other:latest');
  return work(opened.store);
}

const names = (store: Store): readonly string[] => store.images.list().map(({ name }) => name);
const refused = (
  work: () => unknown,
): { readonly message: string; readonly code: string; readonly hint?: string | undefined } => {
  try {
    work();
  } catch (error) {
    if (isTsbuildError(error)) return error;
    throw error;
  }
  throw new Error('Nothing was refused');
};

describe('names for images', () => {
  test.each([
    [['app'], ['docker.io/library/app:latest']],
    [
      ['app', 'docker.io/library/app:latest', ' app:1 '],
      ['docker.io/library/app:latest', 'docker.io/library/app:1'],
    ],
    [['h:5000/a/b'], ['h:5000/a/b:latest']],
    [[], []],
  ])('%j are %j', (typed, normalised) => {
    expect(parseNames(typed)).toEqual(normalised);
  });

  test.each([['UPPER'], [''], ['a:b:c'], [`app@${app.manifest.digest}`]])('%j is none', (name) => {
    expect(['TSB_USAGE', 'TSB_DIGEST']).toContain(refused(() => parseNames([name])).code);
  });
});

describe('ids', () => {
  test.each([
    ['abcd', 'abcd'],
    ['sha256:abcd', 'abcd'],
    ['abc', undefined],
    ['sha256:', undefined],
    ['ABCD', undefined],
    ['xyzw', undefined],
    ['a'.repeat(65), undefined],
  ])('%j has digits %j', (text, digits) => {
    expect(idDigits(text)).toBe(digits);
  });

  test('stand for all names of an image, whether of its config or its manifest', () => {
    withStore((store) => {
      for (const { digest } of [app.config, app.manifest])
        for (const id of [digest, digest.slice(7), digest.slice(7, 19)])
          expect(namesOfId(store, id).toSorted()).toEqual(['docker.io/library/app:1', 'docker.io/library/app:2']);
      expect(namesOfId(store, 'app:1')).toEqual([]);
      expect(namesOfId(store, '0000000000')).toEqual([]);
    });
  });

  test('of images without a name are found among all documents', () => {
    withStore((store) => {
      const nameless = testImage({ layers: [[{ name: 'x', content: 'nameless' }]] });
      put(store, nameless);
      expect(unnamedImage(store, nameless.config.digest)).toBe(nameless.manifest.digest);
      expect(unnamedImage(store, nameless.manifest.digest.slice(7, 20))).toBe(nameless.manifest.digest);
      expect(unnamedImage(store, '0'.repeat(64))).toBeUndefined();
      // A layer is no image, whatever its digest is.
      const [layer] = nameless.layers;
      expect(unnamedImage(store, layer?.digest ?? '')).toBeUndefined();
    });
  });

  test('that are short for several images are refused', () => {
    using opened = openStore();
    const { store } = opened;
    // Enough of them for two with the same first four digits.
    const seen = new Map<string, string>();
    let short: string | undefined;
    for (let at = 0; short === undefined && at < 3000; at++) {
      const start = sha256(`{"schemaVersion":2,"at":${at}}`).slice(7, 11);
      if (seen.has(start)) short = start;
      seen.set(start, String(at));
    }
    if (short === undefined) throw new Error('No two digests begin alike');
    for (let at = 0; at < 3000; at++) {
      const text = `{"schemaVersion":2,"at":${at}}`;
      if (sha256(text).slice(7, 11) !== short) continue;
      const { digest, size } = store.blobs.put(text);
      store.images.put(`docker.io/library/x${at}:1`, { mediaType: mediaTypes.ociIndex, digest, size });
    }
    expect(refused(() => namesOfId(store, short))).toMatchObject({
      code: 'TSB_USAGE',
      message: expect.stringMatching(/it is short for \d+ images/) as string,
    });
  });
});

describe('images of the store', () => {
  test('are found under any spelling of a name', () => {
    withStore((store) => {
      for (const text of ['app:1', 'library/app:1', 'docker.io/app:1'])
        expect(storedName(store, text)).toBe('docker.io/library/app:1');
      expect(storedName(store, 'ghcr.io/team/other')).toBe('ghcr.io/team/other:latest');
      expect(storedName(store, 'app')).toBeUndefined();
    });
  });

  test('are listed with what they are', () => {
    withStore((store) => {
      const listed = listImages(store);
      expect(listed.map(({ familiar }) => familiar).toSorted()).toEqual([
        'app:1',
        'app:2',
        'ghcr.io/team/other:latest',
      ]);
      expect(listed.find(({ familiar }) => familiar === 'app:1')).toMatchObject({
        name: 'docker.io/library/app:1',
        id: app.config.digest,
        digest: app.manifest.digest,
      });
    });
  });

  test('get more names, and a name goes from one to the other', () => {
    withStore((store) => {
      const lease = store.leases.create();
      expect(tagImage(store, lease, 'app:1', ['ghcr.io/team/other', 'new'])).toEqual([
        'ghcr.io/team/other:latest',
        'docker.io/library/new:latest',
      ]);
      expect(store.images.get('ghcr.io/team/other:latest')?.descriptor.digest).toBe(app.manifest.digest);
    });
  });

  test('get none of several names when one of them is wrong', () => {
    withStore((store) => {
      const before = names(store);
      const lease = store.leases.create();
      expect(refused(() => tagImage(store, lease, 'app:1', ['new', 'UPPER'])).code).toBe('TSB_USAGE');
      expect(refused(() => tagImage(store, lease, 'none', ['new'])).code).toBe('TSB_NOT_FOUND');
      expect(names(store)).toEqual(before);
    });
  });

  test('lose names, and go with the last one; one that is not there keeps no other', () => {
    withStore((store) => {
      expect(untagImage(store, 'app:1', ['app:2'])).toEqual(['docker.io/library/app:2']);
      const { removed, refused: missing } = removeImages(store, ['ohter', 'app:1', app.config.digest]);
      expect(removed).toEqual(['docker.io/library/app:1']);
      expect(missing).toMatchObject([
        { code: 'TSB_NOT_FOUND', message: 'Cannot remove "ohter": no such image in the local image store' },
      ]);
      expect(names(store)).toEqual(['ghcr.io/team/other:latest']);
      // It was the last one of its image.
      expect(removeImages(store, [app.config.digest])).toMatchObject({
        removed: [],
        refused: [{ code: 'TSB_NOT_FOUND' }],
      });
    });
  });

  test('a name that is near one is suggested', () => {
    withStore((store) => {
      expect(removeImages(store, ['app:9']).refused.map(({ hint }) => hint)).toEqual(['did you mean "app:1"?']);
    });
  });

  test('one name that is none keeps all', () => {
    withStore((store) => {
      const before = names(store);
      expect(refused(() => removeImages(store, ['app:1', 'UPPER'])).code).toBe('TSB_USAGE');
      expect(names(store)).toEqual(before);
    });
  });

  test('an image that another command uses keeps its last name, unless that is forced; others go', () => {
    withStore((store) => {
      const other = Store.open(store.root, { now: () => 1 });
      const lease = other.leases.create();
      lease.hold({ blobs: [app.manifest.digest] });
      const both = removeImages(store, ['app:1', 'app:2', 'ghcr.io/team/other']);
      expect(both.removed).toEqual(['ghcr.io/team/other:latest']);
      expect(both.refused.map(({ message }) => message)).toEqual([
        expect.stringMatching(/^Cannot remove "app:1": .* uses it$/),
        expect.stringMatching(/^Cannot remove "app:2": .* uses it$/),
      ]);
      expect(removeImages(store, ['app:1'])).toEqual({ removed: ['docker.io/library/app:1'], refused: [] });
      expect(removeImages(store, ['app:2'], { force: true }).removed).toEqual(['docker.io/library/app:2']);
      other.close();
      expect(names(store)).toEqual([]);
    });
  });
});

describe('an image with its layers compressed in another way', () => {
  const whole = wholeImage('replaced');

  test('keeps its config; manifests and the index that names them are new', () => {
    using opened = openStore();
    const { store } = opened;
    for (const { bytes } of whole.blobs) store.blobs.put(bytes);
    store.images.put('docker.io/library/whole:1', whole.root);
    const image = readStoredImage(store.blobs, 'whole', whole.root);
    const [old] = whole.amd64.layers;
    const blob: Descriptor = { mediaType: mediaTypes.ociLayerZstd, digest: sha256('zstd'), size: 4 };
    const changed = replaceLayers(image, new Map([[old?.digest ?? sha256(''), blob]]));
    const documents = new Map(changed.documents.map(({ descriptor, bytes }) => [descriptor.digest, bytes]));
    for (const [digest, bytes] of documents) expect(sha256(bytes)).toBe(digest);
    const index = JSON.parse(Buffer.from(documents.get(changed.root.digest) ?? []).toString()) as {
      manifests: {
        digest: typeof old extends undefined ? never : `sha256:${string}`;
        annotations?: Record<string, string>;
      }[];
    };
    const [amd64, arm64, attestation] = index.manifests;
    expect(amd64?.digest).not.toBe(whole.amd64.manifest.digest);
    expect(arm64?.digest).toBe(whole.arm64.manifest.digest);
    const bytes = documents.get(amd64?.digest ?? sha256(''));
    const manifest = parseManifest(bytes ?? Buffer.alloc(0), mediaTypes.ociManifest, 'manifest');
    expect(manifest.config.digest).toBe(whole.amd64.config.digest);
    expect(manifest.layers[0]).toMatchObject(blob);
    expect(manifest.layers[1]?.digest).toBe(whole.amd64.layers[1]?.digest);
    // What is said of the image is said of the new one.
    expect(attestation?.annotations?.['vnd.docker.reference.digest']).toBe(amd64?.digest);
  });

  test('is the same where none of its layers is another one', () => {
    using opened = openStore();
    const { store } = opened;
    put(store, app, 'docker.io/library/app:1');
    const image = readStoredImage(store.blobs, 'app', manifestDescriptor(app.manifest));
    const same = replaceLayers(image, new Map());
    expect(same.root).toEqual(image.root);
    expect(same.documents.map(({ descriptor }) => descriptor.digest)).toEqual(
      image.documents.map(({ descriptor }) => descriptor.digest),
    );
  });
});
