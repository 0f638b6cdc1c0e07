import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  compressionOf,
  type Descriptor,
  dockerLayerTypes,
  documentMediaType,
  isAttestation,
  isIndexType,
  isManifestType,
  isNonDistributable,
  mediaTypes,
  ociLayerTypes,
  parseDocument,
  parseIndex,
  parseManifest,
} from '../../src/image/index.ts';
import { isConfigType } from '../../src/image/descriptor.ts';
import { verifiedStream } from '../../src/image/verified-stream.ts';
import { sha256 } from '../../src/util/index.ts';

const bytesOf = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));
const layer = { mediaType: mediaTypes.ociLayerGzip, digest: sha256('l'), size: 1 };
const config = { mediaType: mediaTypes.ociConfig, digest: sha256('c'), size: 1 };

describe('media types', () => {
  // image-spec media-types.md and Docker's manifest v2 schema 2, letter by letter.
  test.each([
    ['application/vnd.oci.image.layer.v1.tar', 'none'],
    ['application/vnd.oci.image.layer.v1.tar+gzip', 'gzip'],
    ['application/vnd.oci.image.layer.v1.tar+zstd', 'zstd'],
    ['application/vnd.docker.image.rootfs.diff.tar', 'none'],
    ['application/vnd.docker.image.rootfs.diff.tar.gzip', 'gzip'],
    // Not in Docker's list; containerd and BuildKit write and read it.
    ['application/vnd.docker.image.rootfs.diff.tar.zstd', 'zstd'],
    ['application/vnd.oci.image.layer.v1.tar+bzip2', undefined],
    ['application/vnd.oci.image.layer.v1.tar+gzip+encrypted', undefined],
    ['application/vnd.oci.image.config.v1+json', undefined],
    ['application/vnd.oci.empty.v1+json', undefined],
    ['', undefined],
  ])('%j is a layer compressed by %s', (type, kind) => {
    expect(compressionOf(type)).toBe(kind);
  });

  test('of layers that are written are those that are read', () => {
    for (const types of [ociLayerTypes, dockerLayerTypes])
      for (const [kind, type] of Object.entries(types)) expect(compressionOf(type)).toBe(kind);
  });

  test('of indexes, manifests and configs are three kinds', () => {
    const kinds = Object.values(mediaTypes).map((type) => [isIndexType, isManifestType, isConfigType].filter((is) => is(type)).length); // oxfmt-ignore
    expect(kinds.every((count) => count <= 1)).toBe(true);
    expect(kinds.filter((count) => count === 1)).toHaveLength(6);
  });

  test.each<[string, readonly string[] | undefined, boolean]>([
    ['application/vnd.oci.image.layer.nondistributable.v1.tar+gzip', ['https://a.test/x'], true],
    ['application/vnd.oci.image.layer.nondistributable.v1.tar', ['https://a.test/x'], true],
    ['application/vnd.docker.image.rootfs.foreign.diff.tar.gzip', ['https://a.test/x'], true],
    // Nobody says where it is: it must be here.
    ['application/vnd.docker.image.rootfs.foreign.diff.tar.gzip', [], false],
    ['application/vnd.docker.image.rootfs.foreign.diff.tar.gzip', undefined, false],
    // Of a usual layer, addresses say nothing.
    ['application/vnd.oci.image.layer.v1.tar+gzip', ['https://a.test/x'], false],
    ['application/vnd.oci.image.layer.nondistributable.v1.tarx', ['https://a.test/x'], false],
  ])('%s at %j is not to be sent: %s', (mediaType, urls, isKept) => {
    expect(isNonDistributable({ ...layer, mediaType, ...(urls === undefined ? {} : { urls }) })).toBe(isKept);
  });

  test.each<[string, Partial<Descriptor>, boolean]>([
    ['an image', { platform: { os: 'linux', architecture: 'amd64' } }, false],
    ['an image without platform', {}, false],
    ['what BuildKit marks', { annotations: { 'vnd.docker.reference.type': 'attestation-manifest' } }, true],
    ['what has a platform that no machine has', { platform: { os: 'unknown', architecture: 'unknown' } }, true],
    ['other annotations', { annotations: { 'vnd.docker.reference.digest': 'x', constructor: 'x' } }, false],
  ])('%s is about another one: %s', (_what, more, is) => {
    expect(isAttestation({ ...layer, ...more })).toBe(is);
  });
});

describe('a document is a manifest or an index, and the same to everybody (CVE-2021-41190)', () => {
  const manifest = { schemaVersion: 2, config, layers: [layer] };
  const index = { schemaVersion: 2, manifests: [] };

  test.each<[string, object, string | undefined, string | RegExp]>([
    ['says it itself', { ...manifest, mediaType: mediaTypes.dockerManifest }, undefined, mediaTypes.dockerManifest],
    ['says what it was sent as', { ...index, mediaType: mediaTypes.ociIndex }, mediaTypes.ociIndex, mediaTypes.ociIndex],
    ['is said by the header alone', manifest, mediaTypes.ociManifest, mediaTypes.ociManifest],
    ['has keys that say it', index, undefined, mediaTypes.ociIndex],
    ['was sent as any JSON', manifest, 'application/json', mediaTypes.ociManifest],
    ['was sent as bytes', index, 'application/octet-stream', mediaTypes.ociIndex],
    ['was sent as text', manifest, 'text/plain', mediaTypes.ociManifest],
    ['has an empty type', { ...manifest, mediaType: '' }, undefined, mediaTypes.ociManifest],
    ['says another than it was sent as', { ...manifest, mediaType: mediaTypes.ociManifest }, mediaTypes.dockerManifest, /but it was sent as/],
    ['has keys of both', { ...manifest, manifests: [] }, undefined, /keys of both/],
    ['has keys of both by case', { ...manifest, Manifests: [] }, undefined, /"Manifests" is spelled differently from "manifests"/],
    ['has its type twice by case', { ...index, MediaType: mediaTypes.ociManifest }, undefined, /spelled differently/],
    ['is a manifest sent as an index', manifest, mediaTypes.ociIndex, /keys are those of the other kind/],
    ['is an index that says manifest', { ...index, mediaType: mediaTypes.ociManifest }, undefined, /keys are those of the other kind/],
    ['is of Docker and does not say so', manifest, mediaTypes.dockerManifest, /"mediaType" is missing/],
    ['is of no type', { schemaVersion: 2 }, undefined, /is not that of an image manifest or index/],
    ['was sent as a page', manifest, 'text/html', /it is of type "text\/html", not a manifest or index/],
    ['says the type of a config', { ...manifest, mediaType: mediaTypes.ociConfig }, undefined, /is not that of an image manifest/],
    ['has schema 1', { schemaVersion: 1, name: 'x', fsLayers: [] }, 'application/vnd.docker.distribution.manifest.v1+prettyjws', /schema 1 are not supported/],
    ['has no schema', { config, layers: [] }, undefined, /"schemaVersion" is not 2/],
    ['has schema "2"', { ...manifest, schemaVersion: '2' }, undefined, /"schemaVersion" is not 2/],
    ['is a list', [], undefined, /is not an object/],
  ])('one that %s', (_what, document, declared, expected) => {
    const read = (): string => documentMediaType(bytesOf(document), declared, 'document');
    if (typeof expected === 'string') expect(read()).toBe(expected);
    else expect(read).toThrow(expect.objectContaining({ code: 'TSB_IMAGE', message: expect.stringMatching(expected) as string }));
  }); // oxfmt-ignore

  test('one is not read as the other', () => {
    expect(parseDocument(bytesOf(manifest), 'application/json', 'x').kind).toBe('manifest');
    expect(parseDocument(bytesOf(index), 'application/json', 'x').kind).toBe('index');
    expect(() => parseManifest(bytesOf(index), 'application/json', 'x')).toThrow(/not an image manifest/);
    expect(() => parseIndex(bytesOf(manifest), 'application/json', 'x')).toThrow(/not an image index/);
  });

  test('what Go writes for nothing is nothing', () => {
    const read = parseManifest(
      bytesOf({ ...manifest, layers: null, annotations: null, subject: null, artifactType: null }),
      mediaTypes.ociManifest,
      'x',
    );
    expect(read).toEqual({ schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers: [] });
    const entry = {
      ...layer,
      mediaType: mediaTypes.ociManifest,
      urls: null,
      annotations: null,
      platform: null,
      data: null,
    };
    expect(parseIndex(bytesOf({ ...index, manifests: [entry] }), mediaTypes.ociIndex, 'x').manifests).toEqual([
      { ...layer, mediaType: mediaTypes.ociManifest },
    ]);
  });

  test('all that a descriptor may have is kept, and what it may not is left out', () => {
    const entry = {
      mediaType: mediaTypes.ociManifest,
      digest: sha256('m'),
      size: 7,
      urls: ['https://a.test'],
      annotations: { a: 'b', constructor: 'c' },
      platform: { architecture: 'arm', os: 'linux', variant: 'v7', 'os.version': '1', 'os.features': ['x'] },
      artifactType: 'application/x',
      data: 'e30=',
    };
    const read = parseIndex(
      bytesOf({ ...index, manifests: [{ ...entry, own: 1 }], annotations: { x: 'y' } }),
      mediaTypes.ociIndex,
      'x',
    );
    expect(read).toMatchObject({ manifests: [entry], annotations: { x: 'y' } });
    expect(read.manifests[0]).not.toHaveProperty('own');
  });

  test.each<[string, object]>([
    ['platform', { platform: 'linux/amd64' }],
    ['platform.os', { platform: { os: 1, architecture: 'x' } }],
    ['platform.os.features', { platform: { os: 'linux', architecture: 'x', 'os.features': 'x' } }],
    ['data', { data: {} }],
    ['artifactType', { artifactType: [] }],
    ['urls', { urls: 'https://a.test' }],
  ])('a descriptor whose %s is of another kind is refused', (place, more) => {
    const entry = { ...layer, mediaType: mediaTypes.ociManifest, ...more };
    expect(() => parseIndex(bytesOf({ ...index, manifests: [entry] }), mediaTypes.ociIndex, 'x')).toThrow(
      `"manifests[0].${place}"`,
    );
  });
});

describe('a blob that is compared while it passes', () => {
  /** What comes of it, and what was thrown. */
  async function pass(pieces: readonly Uint8Array[], descriptor: Descriptor) {
    const got: Buffer[] = [];
    try {
      for await (const piece of verifiedStream({ stream: () => pieces }, descriptor, '"x"'))
        got.push(Buffer.from(piece));
      return { bytes: Buffer.concat(got) };
    } catch (error) {
      return { bytes: Buffer.concat(got), error };
    }
  }
  const of = (bytes: Uint8Array): Descriptor => ({
    mediaType: mediaTypes.ociLayer,
    digest: sha256(bytes),
    size: bytes.length,
  });
  const pieces = fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 8 });

  test('is handed out whole when it is right, however it is cut (property)', async () => {
    await fc.assert(
      fc.asyncProperty(pieces, async (all) => {
        const whole = Buffer.concat(all);
        expect(await pass(all, of(whole))).toEqual({ bytes: whole });
      }),
    );
  });

  test('is never handed out whole when it is wrong (property)', async () => {
    await fc.assert(
      fc.asyncProperty(pieces, pieces, async (all, others) => {
        const [sent, wanted] = [Buffer.concat(all), Buffer.concat(others)];
        fc.pre(!sent.equals(wanted));
        const { bytes, error } = await pass(all, of(wanted));
        expect(error).toMatchObject({ code: 'TSB_DIGEST' });
        // Whoever waits for so many bytes never has them.
        expect(bytes.length === 0 || bytes.length < wanted.length).toBe(true);
      }),
    );
  });

  test.each<[string, string, RegExp]>([
    ['longer', 'abcd', /it is longer than the 3 bytes that its descriptor says/],
    ['shorter', 'ab', /it has 2 bytes, its descriptor says 3/],
    ['another one', 'abd', /its content has another digest/],
    ['nothing', '', /it has 0 bytes, its descriptor says 3/],
  ])('is refused when it is %s', async (_what, sent, why) => {
    const { error } = await pass([Buffer.from(sent)], of(Buffer.from('abc')));
    expect(String(error)).toMatch(why);
    expect(String(error)).toContain(`Cannot use blob ${sha256('abc')} of "x"`);
  });

  test('an empty one has the digest of nothing', async () => {
    expect(await pass([], of(Buffer.alloc(0)))).toEqual({ bytes: Buffer.alloc(0) });
    const { error } = await pass([], { ...of(Buffer.alloc(0)), digest: sha256('x') });
    expect(String(error)).toMatch(/another digest/);
  });
});
