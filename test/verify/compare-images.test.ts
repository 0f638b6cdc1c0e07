import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ImageConfig, type Manifest, mediaTypes } from '../../src/image/index.ts';
import { compareImages, type ComparedImage, formatComparison } from '../../src/verify/index.ts';
import { type Digest, sha256 } from '../../src/util/index.ts';
import { tar, type TarMember } from '../support/image.ts';

let dir = '';
beforeAll(() => void (dir = mkdtempSync(join(tmpdir(), 'tsbuild-compare-'))));
afterAll(() => rmSync(dir, { recursive: true }));

interface Parts {
  readonly layers?: readonly (readonly TarMember[])[];
  readonly config?: Readonly<Record<string, unknown>>;
  readonly manifest?: Readonly<Record<string, unknown>>;
  /** Between the values of the config's JSON. */
  readonly spaces?: number;
}

function image({ layers = [], config: more = {}, manifest: extra = {}, spaces }: Parts): ComparedImage {
  const blobs = layers.map((members) => {
    const bytes = tar(members);
    const digest = sha256(bytes);
    writeFileSync(join(dir, digest.slice(7)), bytes);
    return { mediaType: mediaTypes.ociLayer, digest, size: bytes.length };
  });
  const config = {
    architecture: 'amd64',
    os: 'linux',
    rootfs: { type: 'layers', diff_ids: blobs.map(({ digest }) => digest) },
    history: [
      { created_by: 'ENV a=b', empty_layer: true },
      ...layers.map((_, at) => ({ created_by: `RUN step ${at + 1}` })),
    ],
    ...more,
  } as unknown as ImageConfig;
  const configBytes = Buffer.from(JSON.stringify(config, undefined, spaces));
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: { mediaType: mediaTypes.ociConfig, digest: sha256(configBytes), size: configBytes.length },
    layers: blobs,
    ...extra,
  } as unknown as Manifest;
  return {
    manifest,
    config,
    configBytes,
    manifestDigest: sha256(JSON.stringify(manifest)),
    file: (digest: Digest) => join(dir, digest.slice(7)),
  };
}

const compare = (ours: Parts, theirs: Parts) =>
  compareImages('linux/amd64', image(ours), image(theirs), dir, new AbortController().signal);

const file = (content: string): readonly TarMember[] => [{ name: 'f', content }];

test('the same image is not looked into', async () => {
  const same = image({ layers: [file('a')] });
  const closed: ComparedImage = {
    ...same,
    file: () => {
      throw new Error('nobody asks');
    },
  };
  const found = await compareImages('linux/amd64', closed, closed, dir, new AbortController().signal);
  expect(found).toMatchObject({ identical: true, differences: [] });
  expect(formatComparison(found)).toBe(`linux/amd64: built again, it is the same: ${same.manifestDigest}`);
});

test('a file differs in the layer of its step, and its digests are no difference of their own', async () => {
  const { identical, differences } = await compare(
    { layers: [file('a'), file('one')] },
    { layers: [file('a'), file('two')] },
  );
  expect(identical).toBe(false);
  expect(differences).toEqual([
    {
      kind: 'entry',
      layer: 2,
      createdBy: 'RUN step 2',
      path: '/f',
      what: 'changed',
      fields: [],
      content: { offset: 0, image: 'one', rebuilt: 'two' },
    },
  ]);
});

test('a layer that only one of them has is one', async () => {
  const [two, one] = [{ layers: [file('a'), file('b')] }, { layers: [file('a')] }];
  const less = await compare(two, one);
  expect(less.differences).toContainEqual(
    expect.objectContaining({ kind: 'layer', layer: 2, createdBy: 'RUN step 2', what: 'absent' }),
  );
  const more = await compare(one, two);
  // Its instruction is known of the one that has it.
  expect(more.differences).toContainEqual(
    expect.objectContaining({ kind: 'layer', layer: 2, createdBy: 'RUN step 2', what: 'added' }),
  );
  expect(formatComparison(less)).toContain('layer 2: RUN step 2\n  ~ the rebuilt image does not have this layer');
  expect(formatComparison(more)).toContain('layer 2: RUN step 2\n  ~ only the rebuilt image has this layer');
});

test('values of config and manifest have their paths', async () => {
  const { differences } = await compare(
    { config: { config: { User: 'a' } }, manifest: { annotations: { x: '1' } } },
    { config: { config: { User: 'b' } }, manifest: { annotations: { x: '2' } } },
  );
  expect(differences).toEqual([
    { kind: 'manifest', path: 'annotations.x', image: '1', rebuilt: '2' },
    { kind: 'config', path: 'config.User', image: 'a', rebuilt: 'b' },
  ]);
});

test('the same said in other bytes is a difference, too', async () => {
  const found = await compare({}, { spaces: 1 });
  expect(found.differences).toMatchObject([{ kind: 'manifest', path: '' }]);
  expect(formatComparison(found)).toContain('  ~ the same JSON in other bytes');
});
