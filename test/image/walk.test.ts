import { assert, json, oneof, property, uint8Array } from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type Descriptor,
  faultError,
  type ImageNode,
  mediaTypes,
  type Platform,
  walk,
  walkSync,
} from '../../src/image/index.ts';
import { sha256 } from '../../src/util/index.ts';
import { blobOf, type TestBlob, testImage, type TestImage } from '../support/image.ts';
import { memoryContent } from '../support/memory-content.ts';

const what = 'image "x"';
const amd64: Platform = { os: 'linux', architecture: 'amd64' };
const named = (mediaType: string, { digest, size }: TestBlob, rest: object = {}): Descriptor => ({
  mediaType,
  digest,
  size,
  ...rest,
});
const entryOf = (image: TestImage, rest: object = {}): Descriptor =>
  named(mediaTypes.ociManifest, image.manifest, rest);
const indexOf = (manifests: readonly object[], rest: object = {}): TestBlob =>
  blobOf({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests, ...rest });
const index = (blob: TestBlob): Descriptor => named(mediaTypes.ociIndex, blob);
const platform = (architecture: string): object => ({ platform: { os: 'linux', architecture } });
/** A walk as `kind digest`, with messages of what is malformed. */
const shape = (nodes: Iterable<ImageNode>): string[] =>
  [...nodes].map(
    (node) =>
      `${node.kind} ${node.kind === 'malformed' ? node.error.message : (names.get(node.descriptor.digest) ?? node.descriptor.digest)}`,
  );
const names = new Map<string, string>();
const call = (name: string, blob: TestBlob): TestBlob => {
  names.set(blob.digest, name);
  return blob;
};

const amd = testImage();
const arm = testImage({ architecture: 'arm64' });
call('amd', amd.manifest);
call('arm', arm.manifest);
call('amd-config', amd.config);
const both = call('both', indexOf([entryOf(arm, platform('arm64')), entryOf(amd, platform('amd64'))]));

describe('a walk without a platform', () => {
  test('finds everything, what is named before what names it', () => {
    const content = memoryContent(...amd.blobs, ...arm.blobs, both);
    expect(shape(walkSync(content, index(both), { what }))).toEqual(['image arm', 'image amd', 'index both']);
  });

  test('gives manifest, config and their bytes as they are', () => {
    const content = memoryContent(...amd.blobs);
    const [node] = [...walkSync(content, entryOf(amd), { what })];
    if (node?.kind !== 'image') throw new Error('no image');
    expect(Buffer.from(node.bytes)).toEqual(amd.manifest.bytes);
    expect(Buffer.from(node.configBytes)).toEqual(amd.config.bytes);
    expect(node.config.rootfs.diff_ids).toHaveLength(1);
    expect(node.manifest.layers.map(({ digest }) => digest)).toEqual(amd.layers.map(({ digest }) => digest));
  });

  test('never reads a layer', () => {
    const content = memoryContent(...amd.blobs);
    Array.from(walkSync(content, entryOf(amd), { what }));
    expect(content.reads).toEqual([amd.manifest.digest, amd.config.digest]);
  });

  test('visits what is named twice once', () => {
    const again = call('again', indexOf([index(both), entryOf(amd), index(both), entryOf(amd)]));
    const content = memoryContent(...amd.blobs, ...arm.blobs, both, again);
    expect(shape(walkSync(content, index(again), { what }))).toEqual([
      'image arm',
      'image amd',
      'index both',
      'index again',
    ]);
    expect(new Set(content.reads).size).toBe(content.reads.length);
  });

  test('counts the entries of an index that are there', () => {
    const content = memoryContent(...amd.blobs, both);
    const nodes = [...walkSync(content, index(both), { what })];
    expect(shape(nodes)).toEqual(['absent arm', 'image amd', 'index both']);
    expect(nodes.at(-1)).toMatchObject({ kind: 'index', present: 1 });
    expect(nodes[0]).toMatchObject({ parent: { digest: both.digest } });
  });

  test('what is not there: a root, a config, with what names them', () => {
    expect([...walkSync(memoryContent(), entryOf(amd), { what })]).toEqual([
      { kind: 'absent', descriptor: entryOf(amd), parent: undefined },
    ]);
    const [node] = [...walkSync(memoryContent(amd.manifest), entryOf(amd), { what })];
    expect(node).toMatchObject({ kind: 'absent', descriptor: { digest: amd.config.digest }, parent: entryOf(amd) });
    expect(node?.kind === 'absent' ? node.manifest?.layers : []).toHaveLength(1);
    if (node?.kind === 'absent') expect(faultError(node, what)).toMatchObject({ code: 'TSB_NOT_FOUND' });
  });
});

describe('a walk for a platform', () => {
  test('stops at the first that fits, and reads nothing else', async () => {
    const content = memoryContent(...amd.blobs, ...arm.blobs, both);
    for await (const node of walk(content, index(both), { what, platform: amd64 })) {
      expect(node.kind).toBe('image');
      break;
    }
    expect(content.reads).toEqual([both.digest, amd.manifest.digest, amd.config.digest]);
  });

  test('judges an entry that does not say what it is for by its config', () => {
    const silent = call('silent', indexOf([entryOf(arm), entryOf(amd)]));
    const content = memoryContent(...amd.blobs, ...arm.blobs, silent);
    expect(shape(walkSync(content, index(silent), { what, platform: amd64 }))).toEqual(['image amd', 'index silent']);
  });

  test('takes an image that is not in an index whatever it is for', () => {
    expect(shape(walkSync(memoryContent(...arm.blobs), entryOf(arm), { what, platform: amd64 }))).toEqual([
      'image arm',
    ]);
  });

  test('searches an index within an index', () => {
    const outer = call('outer', indexOf([index(both)]));
    const content = memoryContent(...amd.blobs, ...arm.blobs, both, outer);
    expect(shape(walkSync(content, index(outer), { what, platform: amd64 }))).toEqual([
      'image amd',
      'index both',
      'index outer',
    ]);
  });

  test('passes over attestations', () => {
    const attested = call(
      'attested',
      indexOf([
        entryOf(arm, { annotations: { 'vnd.docker.reference.type': 'attestation-manifest' } }),
        entryOf(amd, platform('amd64')),
      ]),
    );
    const content = memoryContent(...amd.blobs, ...arm.blobs, attested);
    expect(shape(walkSync(content, index(attested), { what, platform: amd64 }))).toEqual([
      'image amd',
      'index attested',
    ]);
    expect(content.reads).not.toContain(arm.manifest.digest);
  });
});

describe('what is no image', () => {
  const artifact = call(
    'artifact',
    blobOf({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      artifactType: 'application/x.thing',
      config: { mediaType: 'application/vnd.oci.empty.v1+json', ...ref(blobOf('{}')) },
      layers: [{ mediaType: 'application/x.part', ...ref(blobOf('part')) }],
      subject: entryOf(amd),
    }),
  );

  test('an artifact: its config is not read, its subject not followed', () => {
    const content = memoryContent(artifact, ...amd.blobs);
    expect(shape(walkSync(content, named(mediaTypes.ociManifest, artifact), { what }))).toEqual(['artifact artifact']);
    expect(content.reads).toEqual([artifact.digest]);
  });

  test.each([
    ['by annotation', { annotations: { 'vnd.docker.reference.type': 'attestation-manifest' } }],
    ['by platform', { platform: { os: 'unknown', architecture: 'unknown' } }],
  ])('an attestation, known %s', (_, mark) => {
    const attested = indexOf([entryOf(amd, mark)]);
    const [node] = [...walkSync(memoryContent(attested, ...amd.blobs), index(attested), { what })];
    expect(node).toMatchObject({ kind: 'artifact', descriptor: { digest: amd.manifest.digest } });
  });

  test('an entry of unknown type is named, and not read', () => {
    const foreign = blobOf('something');
    const mixed = call('mixed', indexOf([named('application/x.thing', call('foreign', foreign)), entryOf(amd)]));
    const content = memoryContent(mixed, foreign, ...amd.blobs);
    expect(shape(walkSync(content, index(mixed), { what }))).toEqual(['foreign foreign', 'image amd', 'index mixed']);
    expect(content.reads).not.toContain(foreign.digest);
  });
});

describe('hostile images', () => {
  /** The one thing that is wrong, as the walk from a root tells it. */
  function fault(root: Descriptor, ...blobs: readonly TestBlob[]): string {
    const [node, ...others] = [...walkSync(memoryContent(...blobs), root, { what })];
    if (node?.kind !== 'malformed') throw new Error(`not malformed but ${node?.kind}`);
    expect(others.filter(({ kind }) => kind !== 'index')).toEqual([]);
    expect(faultError(node, what)).toBe(node.error);
    return `${node.error.code} ${node.error.message}`;
  }
  const manifestOf = (change: object): TestBlob =>
    blobOf({ ...(JSON.parse(amd.manifest.bytes.toString()) as object), ...change });
  const manifest = (blob: TestBlob): Descriptor => named(mediaTypes.ociManifest, blob);

  test('indexes nested without end are left at a depth', () => {
    let inner = both;
    const all = [...amd.blobs, ...arm.blobs, both];
    for (let depth = 0; depth < 50; depth++) all.push((inner = indexOf([index(inner)])));
    const content = memoryContent(...all);
    const nodes = [...walkSync(content, index(inner), { what })];
    expect(nodes[0]).toMatchObject({ kind: 'malformed', error: { code: 'TSB_IMAGE' } });
    expect(content.reads.length).toBeLessThan(10);
  });

  test('an index within itself, which only a place that does not verify can have, is refused as other bytes', () => {
    const self: Descriptor = { mediaType: mediaTypes.ociIndex, digest: sha256('self'), size: 0 };
    // A document cannot contain its own digest, so its size and content are those of something else.
    const lying = indexOf([{ ...self, size: 200 }]);
    const content = memoryContent();
    content.add({ digest: self.digest, bytes: lying.bytes });
    const nodes = [...walkSync(content, { ...self, size: lying.size }, { what })];
    expect(nodes).toMatchObject([{ kind: 'malformed', error: { code: 'TSB_DIGEST' } }]);
  });

  test('indexes that multiply are left at a number of documents', () => {
    const content = memoryContent();
    // 1000 indexes of 1000 images each, made when they are asked for.
    const leaf = (at: number): Descriptor => ({
      mediaType: mediaTypes.ociManifest,
      digest: sha256(`leaf ${at}`),
      size: 5,
    });
    const inner = Array.from({ length: 1000 }, (_, at) =>
      indexOf(Array.from({ length: 1000 }, (__, of) => leaf(at * 1000 + of))),
    );
    const root = indexOf(inner.map(index));
    content.add(root, ...inner);
    let nodes = 0;
    let last: ImageNode | undefined;
    for (const node of walkSync(content, index(root), { what })) {
      nodes++;
      if (node.kind !== 'malformed') continue;
      last = node;
      break;
    }
    expect(last).toMatchObject({ kind: 'malformed', error: { code: 'TSB_IMAGE' } });
    expect(nodes).toBeLessThan(6000);
    expect(content.reads.length).toBeLessThan(6000);
  });

  test.each<[string, () => string, string]>([
    [
      'an index of too many entries',
      () => run(indexOf(Array.from({ length: 1001 }, () => entryOf(amd))), index),
      'limit of 1000',
    ],
    [
      'a manifest of too many layers',
      () => run(manifestOf({ layers: Array.from({ length: 1001 }, () => ref(blobOf('x'))) }), manifest),
      'limit of 1000',
    ],
    ['a manifest that says it is an index', () => run(amd.manifest, index), 'was sent as'],
    ['an index that says it is a manifest', () => run(both, manifest), 'was sent as'],
    ['keys of both kinds', () => run(indexOf([], { layers: [] }), index), 'keys of both'],
    [
      'a document of schema 1',
      () => run(blobOf({ schemaVersion: 1, fsLayers: [] }), manifest),
      'schema 1 are not supported',
    ],
    [
      'a root of Docker’s schema 1 type',
      () =>
        run(blobOf({ schemaVersion: 1 }), (blob) =>
          named('application/vnd.docker.distribution.manifest.v1+prettyjws', blob),
        ),
      'schema 1 are not supported',
    ],
    ['a root of another type', () => run(amd.manifest, (blob) => named('text/html', blob)), 'not a manifest or index'],
    ['JSON that means two things', () => run(blobOf('{"schemaVersion":2,"schemaVersion":2}'), manifest), 'twice'],
    ['no JSON', () => run(blobOf('<html>'), manifest), 'not valid JSON'],
    [
      'a size that is too small',
      () => run(amd.manifest, (blob) => ({ ...manifest(blob), size: blob.size + 1 })),
      'its descriptor says',
    ],
    ['a manifest of 5 MiB', () => run(blobOf(' '.repeat(5 << 20)), manifest), 'more than the limit'],
    [
      'a config of 9 MiB',
      () =>
        fault(
          manifest(manifestOf({ config: { ...configOf(), size: 9 << 20 } })),
          manifestOf({ config: { ...configOf(), size: 9 << 20 } }),
        ),
      'more than the limit',
    ],
    [
      'diff ids that are not as many as the layers',
      () => run(manifestOf({ layers: [] }), manifest),
      '1 diff ids for the 0 layers',
    ],
    [
      'a config that is no config',
      () =>
        fault(
          manifest(manifestOf({ config: { mediaType: mediaTypes.ociConfig, ...ref(blobOf('[]')) } })),
          manifestOf({ config: { mediaType: mediaTypes.ociConfig, ...ref(blobOf('[]')) } }),
          blobOf('[]'),
        ),
      'is not an object',
    ],
  ])('%s', (_, tell, message) => {
    expect(tell()).toContain(message);
  });
  function run(blob: TestBlob, describeAs: (blob: TestBlob) => Descriptor): string {
    return fault(describeAs(blob), blob, amd.config);
  }
  function configOf(): Descriptor {
    return named(mediaTypes.ociConfig, amd.config);
  }

  test('bytes that were changed are refused', () => {
    const content = memoryContent(...amd.blobs);
    const bytes = Buffer.from(amd.config.bytes);
    bytes[10] = (bytes[10] ?? 0) ^ 1;
    content.add({ digest: amd.config.digest, bytes });
    expect([...walkSync(content, entryOf(amd), { what })]).toMatchObject([
      { kind: 'malformed', descriptor: { digest: amd.config.digest }, error: { code: 'TSB_DIGEST' } },
    ]);
  });

  test('no bytes make it throw or run on', () => {
    assert(
      property(
        oneof(
          uint8Array(),
          json().map((text) => Buffer.from(text)),
        ),
        (bytes) => {
          const blob = blobOf(bytes);
          for (const describeAs of [index, manifest]) {
            const nodes = [...walkSync(memoryContent(blob), describeAs(blob), { what })];
            expect(nodes).toMatchObject([{ kind: 'malformed' }]);
          }
        },
      ),
    );
  });
});

test('what a place throws goes to whoever walks', async () => {
  const broken = { read: () => Promise.reject(new Error('no network')) };
  await expect(walk(broken, entryOf(amd), { what }).next()).rejects.toThrow('no network');
});

function ref({ digest, size }: TestBlob): { digest: string; size: number } {
  return { digest, size };
}
