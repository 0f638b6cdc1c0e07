import { describe, expect, test } from 'vitest';
import { type Descriptor, mediaTypes } from '../../src/image/index.ts';
import { convertImage, planImage, planReferrers, type PlanSource } from '../../src/transfer/index.ts';
import { sha256 } from '../../src/util/index.ts';
import { blobOf, type TestBlob, type TestImage } from '../support/image.ts';
import { type MemoryContent, memoryContent } from '../support/memory-content.ts';
import { artifact, manifestDescriptor, wholeImage } from '../support/whole-image.ts';

const { amd64, arm64, attestation: attested, index, root, blobs } = wholeImage('plan');
const everything = (): MemoryContent => memoryContent(...blobs);
const source = (content: MemoryContent = everything()): PlanSource & { content: MemoryContent } => ({
  root,
  content,
  what: 'image "app"',
});
const digests = (of: readonly { readonly digest: string }[]): readonly string[] =>
  of.map(({ digest }) => digest).sort();
const documents = (plan: Awaited<ReturnType<typeof planImage>>): readonly string[] =>
  digests(plan.documents.map(({ descriptor }) => descriptor));
const ofImage = ({ layers, config }: TestImage): readonly TestBlob[] => [...layers, config];
const linux = (architecture: string): { os: string; architecture: string } => ({ os: 'linux', architecture });

describe('what is copied of an image', () => {
  test('all: every image of the index, and the attestation', async () => {
    const plan = await planImage(source(), { what: 'all' });
    expect(documents(plan)).toEqual(digests([index, amd64.manifest, arm64.manifest, attested.manifest]));
    const parts = [...ofImage(amd64), ...ofImage(arm64), ...attested.blobs.slice(0, 2)];
    expect(digests(plan.blobs)).toEqual(digests(parts));
    expect(plan.root.digest).toBe(index.digest);
    // What an index names comes before it.
    expect(plan.documents.at(-1)?.descriptor.digest).toBe(index.digest);
  });

  test('one: the image for a platform, by itself', async () => {
    const content = everything();
    const plan = await planImage(source(content), { what: 'one', platform: linux('arm64') });
    expect(plan.root.digest).toBe(arm64.manifest.digest);
    expect(documents(plan)).toEqual([arm64.manifest.digest]);
    expect(digests(plan.blobs)).toEqual(digests(ofImage(arm64)));
    // Nothing is read of the others.
    expect(content.reads).not.toContain(amd64.manifest.digest);
  });

  test('part: the same, with the index that has the name', async () => {
    const plan = await planImage(source(), { what: 'part', platform: linux('arm64') });
    expect(plan.root.digest).toBe(index.digest);
    expect(documents(plan)).toEqual(digests([arm64.manifest, index]));
  });

  test('part of an index in an index: both indexes', async () => {
    const outer = blobOf({
      schemaVersion: 2,
      mediaType: mediaTypes.ociIndex,
      manifests: [{ mediaType: mediaTypes.ociIndex, digest: index.digest, size: index.size }],
    });
    const content = everything();
    content.add(outer);
    const nested = { ...source(content), root: { ...root, digest: outer.digest, size: outer.size } };
    const plan = await planImage(nested, { what: 'part', platform: linux('amd64') });
    expect(documents(plan)).toEqual(digests([amd64.manifest, index, outer]));
  });

  test('the index alone, whatever is missing of it', async () => {
    const plan = await planImage(source(memoryContent(index)), { what: 'index' });
    expect([documents(plan), plan.blobs]).toEqual([[index.digest], []]);
  });

  test('a platform that is not there: which ones are', async () => {
    const wanted = planImage(source(), { what: 'one', platform: linux('s390x') });
    await expect(wanted).rejects.toMatchObject({
      code: 'TSB_NOT_FOUND',
      hint: 'it is available for linux/amd64, linux/arm64',
    });
  });

  test('an image without an index is taken whatever it is for, unless a platform was asked for', async () => {
    const { digest, size } = arm64.manifest;
    const alone = { ...source(), root: { mediaType: mediaTypes.ociManifest, digest, size } };
    expect((await planImage(alone, { what: 'one', platform: linux('amd64') })).root.digest).toBe(digest);
    const strict = planImage(alone, { what: 'one', platform: linux('amd64'), strict: true });
    await expect(strict).rejects.toMatchObject({ code: 'TSB_NOT_FOUND', hint: 'it is available for linux/arm64' });
  });

  test('a part that is missing, and one that is not what it should be', async () => {
    const without = planImage(source(memoryContent(...amd64.blobs, ...attested.blobs, index)), { what: 'all' });
    await expect(without).rejects.toMatchObject({
      code: 'TSB_NOT_FOUND',
      message: 'Cannot copy image "app": 1 of the images of its index are not there, 1 are',
      hint: expect.stringContaining('--platform'),
    });
    const content = everything();
    content.add({ digest: arm64.manifest.digest, bytes: amd64.manifest.bytes.subarray(0, 20) });
    await expect(planImage(source(content), { what: 'all' })).rejects.toMatchObject({ code: 'TSB_DIGEST' });
    const config = memoryContent(...amd64.layers, amd64.manifest);
    const { digest, size } = amd64.manifest;
    const alone = { ...source(config), root: { mediaType: mediaTypes.ociManifest, digest, size } };
    await expect(planImage(alone, { what: 'all' })).rejects.toMatchObject({ code: 'TSB_NOT_FOUND' });
  });
});

describe('what refers to an image', () => {
  const about = manifestDescriptor;
  const describeArtifact = ({ manifest }: { manifest: TestBlob }): Descriptor => about(manifest);

  test('is found for the index, its images, and what refers to them', async () => {
    const signature = artifact('application/vnd.example.signature', root);
    const sbom = artifact('application/vnd.example.sbom', about(arm64.manifest));
    const onSbom = artifact('application/vnd.example.signature', about(sbom.manifest));
    const content = everything();
    content.add(...signature.blobs, ...sbom.blobs, ...onSbom.blobs);
    const lists = new Map<string, readonly Descriptor[]>([
      [index.digest, [describeArtifact(signature)]],
      [arm64.manifest.digest, [describeArtifact(sbom)]],
      [sbom.manifest.digest, [describeArtifact(onSbom)]],
    ]);
    const plan = await planImage(source(content), { what: 'all' });
    const referrers = async (digest: string): Promise<readonly Descriptor[]> => lists.get(digest) ?? [];
    const found = await planReferrers({ ...source(content), referrers }, plan);
    expect(digests(found.map(({ root: own }) => own))).toEqual(
      digests([signature.manifest, sbom.manifest, onSbom.manifest]),
    );
    expect(found.every(({ blobs }) => blobs.length === 2)).toBe(true);
  });

  test('in circles ends, and without end is refused', async () => {
    const content = everything();
    const plan = await planImage(source(content), { what: 'all' });
    const self = async (): Promise<readonly Descriptor[]> => [root];
    expect(await planReferrers({ ...source(content), referrers: self }, plan)).toEqual([]);
    const endless = async (digest: string): Promise<readonly Descriptor[]> => {
      const next = artifact(`application/x-${sha256(digest).slice(7, 20)}`);
      content.add(...next.blobs);
      return [describeArtifact(next)];
    };
    await expect(planReferrers({ ...source(content), referrers: endless }, plan)).rejects.toMatchObject({
      code: 'TSB_IMAGE',
      hint: expect.stringContaining('--no-referrers'),
    });
  });
});

describe('another form of manifests', () => {
  test("Docker's and back: the same blobs, and the documents are the OCI's again", async () => {
    const plan = await planImage(source(), { what: 'one', platform: linux('arm64') });
    const docker = convertImage(plan, 'v2s2', 'it');
    expect(docker.root.mediaType).toBe(mediaTypes.dockerManifest);
    const parsed = JSON.parse(Buffer.from(docker.documents[0]?.bytes ?? []).toString()) as {
      config: { mediaType: string };
      layers: { mediaType: string }[];
    };
    expect(parsed.config.mediaType).toBe(mediaTypes.dockerConfig);
    expect(parsed.layers.map(({ mediaType }) => mediaType)).toEqual([mediaTypes.dockerLayerGzip]);
    expect(digests(docker.blobs)).toEqual(digests(plan.blobs));
    expect(convertImage(docker, 'oci', 'it').root.digest).toBe(plan.root.digest);
  });

  test("a layer of Docker's form in zstd, which BuildKit and containerd know, is one in the OCI's", async () => {
    const zstd = { mediaType: 'application/vnd.docker.image.rootfs.diff.tar.zstd', digest: sha256('z'), size: 1 };
    const empty = blobOf({ architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [sha256('d')] } });
    const config = { mediaType: mediaTypes.dockerConfig, digest: empty.digest, size: empty.size };
    const manifest = blobOf({ schemaVersion: 2, mediaType: mediaTypes.dockerManifest, config, layers: [zstd] });
    const { digest, size } = manifest;
    const plan = await planImage(
      {
        root: { mediaType: mediaTypes.dockerManifest, digest, size },
        content: memoryContent(manifest, empty),
        what: 'it',
      },
      { what: 'all' },
    );
    const [oci] = convertImage(plan, 'oci', 'it').documents;
    expect(JSON.parse(Buffer.from(oci?.bytes ?? []).toString())).toMatchObject({
      layers: [{ ...zstd, mediaType: mediaTypes.ociLayerZstd }],
    });
    expect(convertImage(plan, 'v2s2', 'it').root.digest).toBe(digest);
  });

  test('an index names what its images became', async () => {
    const content = memoryContent(...amd64.blobs, ...arm64.blobs);
    const plain = blobOf({
      schemaVersion: 2,
      mediaType: mediaTypes.ociIndex,
      manifests: [
        { ...manifestDescriptor(amd64.manifest), platform: linux('amd64') },
        { ...manifestDescriptor(arm64.manifest), platform: linux('arm64') },
      ],
      annotations: { a: 'b' },
    });
    content.add(plain);
    const plan = await planImage(
      { ...source(content), root: { ...root, digest: plain.digest, size: plain.size } },
      { what: 'all' },
    );
    const docker = convertImage(plan, 'v2s2', 'it');
    // It is read as any other image is: digests, sizes and types are right.
    const again = await planImage({ root: docker.root, content: docker.content, what: 'it' }, { what: 'all' });
    expect(again.documents).toHaveLength(3);
    expect(again.documents.map(({ descriptor }) => descriptor.mediaType)).toEqual([
      mediaTypes.dockerManifest,
      mediaTypes.dockerManifest,
      mediaTypes.dockerIndex,
    ]);
    // The OCI's form is what it was: not a byte is written anew.
    expect(convertImage(plan, 'oci', 'it').root.digest).toBe(plan.root.digest);
  });

  test('what has no other form is refused', async () => {
    const plan = await planImage(source(), { what: 'all' });
    expect(() => convertImage(plan, 'v2s2', 'image "app"')).toThrow(/Cannot convert image "app" to v2s2/);
  });
});
