import * as fc from 'fast-check';
import fs from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type Descriptor, mediaTypes } from '../../src/image/index.ts';
import { BlobDir, holdImage, prune } from '../../src/store/index.ts';
import { findManifests, imageBlobs } from '../../src/store/image-graph.ts';
import { blobOf, type TestBlob, testImage } from '../support/image.ts';
import { manifestDescriptor, wholeImage } from '../support/whole-image.ts';
import { openStore, removeTrees, tempRoot } from './support.ts';

const whole = wholeImage('graph');
const all = whole.blobs.map(({ digest }) => digest);

function dirWith(blobs: readonly TestBlob[]): BlobDir {
  const dir = new BlobDir(tempRoot());
  for (const { bytes } of blobs) dir.put(bytes);
  return dir;
}
const sorted = (digests: Iterable<string>): readonly string[] => [...digests].toSorted();
const without = (...gone: readonly TestBlob[]): readonly TestBlob[] =>
  whole.blobs.filter(({ digest }) => !gone.some((one) => one.digest === digest));

describe('what an image consists of', () => {
  test('is the index, all manifests, configs and layers, with their sizes', () => {
    const { blobs, missing, malformed } = imageBlobs(dirWith(whole.blobs), whole.root);
    expect(sorted(blobs.keys())).toEqual(sorted(all));
    for (const { digest, size } of whole.blobs) expect(blobs.get(digest)).toBe(size);
    expect([missing, malformed]).toEqual([[], []]);
  });

  test('an index with some of its platforms lacks nothing, one with none of them all', () => {
    const { amd64, arm64, attestation } = whole;
    const some = imageBlobs(dirWith(without(arm64.manifest, ...arm64.layers, arm64.config)), whole.root);
    expect(some.missing).toEqual([]);
    const none = imageBlobs(dirWith(without(amd64.manifest, arm64.manifest, attestation.manifest)), whole.root);
    expect(sorted(none.missing)).toEqual(
      sorted([amd64.manifest.digest, arm64.manifest.digest, attestation.manifest.digest]),
    );
  });

  test.each([
    ['a layer', whole.arm64.layers[0]],
    ['a config', whole.amd64.config],
    ['a layer of what is no image', whole.attestation.blobs[0]],
  ])('%s that is gone is missing, and still part of it', (_what, blob) => {
    if (blob === undefined) throw new Error('no such blob');
    const { blobs, missing } = imageBlobs(dirWith(without(blob)), whole.root);
    expect(missing).toEqual([blob.digest]);
    expect(blobs.has(blob.digest)).toBe(true);
  });

  test('a layer of another size than its manifest says is missing', () => {
    const dir = dirWith(whole.blobs);
    const [layer] = whole.amd64.layers;
    fs.chmodSync(dir.path(layer?.digest ?? whole.root.digest), 0o600);
    fs.truncateSync(dir.path(layer?.digest ?? whole.root.digest), 3);
    expect(imageBlobs(dir, whole.root).missing).toEqual([layer?.digest]);
  });

  test('a root that is gone is missing; one that cannot be read is malformed', () => {
    expect(imageBlobs(dirWith([]), whole.root)).toMatchObject({ missing: [whole.root.digest], malformed: [] });
    for (const text of ['{', '[]', 'null', '{"schemaVersion":1}', '{"schemaVersion":2,"manifests":7}']) {
      const blob = blobOf(text);
      const root: Descriptor = { mediaType: mediaTypes.ociIndex, digest: blob.digest, size: blob.size };
      expect(imageBlobs(dirWith([blob]), root), text).toMatchObject({ missing: [], malformed: [blob.digest] });
    }
  });

  test('a manifest with other bytes than its name promises is no image, and keeps nothing it names', () => {
    const dir = dirWith(whole.amd64.blobs);
    const { digest, size } = whole.amd64.manifest;
    fs.chmodSync(dir.path(digest), 0o600);
    fs.writeFileSync(dir.path(digest), Buffer.alloc(size, '{'));
    expect(imageBlobs(dir, manifestDescriptor(whole.amd64.manifest))).toMatchObject({ malformed: [digest] });
  });

  test('whatever is gone, what is there of it is told, and nothing throws', () => {
    const dir = dirWith(whole.blobs);
    fc.assert(
      fc.property(fc.subarray([...whole.blobs]), (gone) => {
        for (const { digest } of gone) dir.remove(digest);
        const { blobs, missing, malformed } = imageBlobs(dir, whole.root);
        expect(malformed).toEqual([]);
        for (const digest of missing) expect(dir.has(digest)).toBe(false);
        for (const digest of blobs.keys()) expect(all).toContain(digest);
        for (const { bytes } of gone) dir.put(bytes);
      }),
      { numRuns: 60 },
    );
  });
});

describe('holding an image', () => {
  test('keeps all of it from being pruned, without a name and without other platforms', async () => {
    const root = tempRoot();
    using opened = openStore(root, { now: Date.now() });
    for (const { bytes } of without(whole.arm64.manifest)) opened.store.blobs.put(bytes);
    using other = openStore(root, { now: Date.now() + 1000 });
    const lease = other.store.leases.create();
    holdImage(other.store, lease, whole.root);
    opened.store.close();
    await prune(other.store, { removeTrees, all: true });
    const kept = [...whole.amd64.blobs, ...whole.attestation.blobs, whole.index].map(({ digest }) => digest);
    const left = [...other.store.blobs.list()].map(({ digest }) => digest);
    expect(kept.every((digest) => left.includes(digest))).toBe(true);
    lease.release();
    expect(other.store.leases.names('blob')).toEqual(new Set());
  });

  test('of one that is not there holds its name, so that what comes stays', () => {
    using opened = openStore();
    holdImage(opened.store, opened.store.leases.create(), whole.root);
    expect(opened.store.leases.names('blob')).toEqual(new Set([whole.root.digest]));
  });
});

describe('finding images without an index', () => {
  /** Digests of manifests, and whether each has its config. */
  const found = (dir: BlobDir): Readonly<Record<string, boolean>> =>
    Object.fromEntries(
      [...findManifests(dir)].map(({ descriptor, config }) => [descriptor.digest, config !== undefined]),
    );

  test('finds every manifest, with its config where that is one of an image with these layers', () => {
    const twice = testImage({ config: { rootfs: { type: 'layers', diff_ids: [] } } });
    const dir = dirWith([...whole.blobs, ...twice.blobs]);
    expect(found(dir)).toEqual({
      [whole.amd64.manifest.digest]: true,
      [whole.arm64.manifest.digest]: true,
      [whole.attestation.manifest.digest]: false,
      [twice.manifest.digest]: false,
    });
    dir.remove(whole.amd64.config.digest);
    expect(found(dir)[whole.amd64.manifest.digest]).toBe(false);
  });

  test('takes nothing else for one, and reads nothing that is large', () => {
    const texts = ['', '{', '{}', '[]', '{"schemaVersion":2}', '{"layers":[]}', `{${'x'.repeat(5 << 20)}`, 'not json'];
    const dir = dirWith(texts.map((text) => blobOf(text)));
    dir.put(Buffer.alloc(3, 0x7b));
    expect(found(dir)).toEqual({});
  });
});
