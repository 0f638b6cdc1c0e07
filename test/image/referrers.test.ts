import { describe, expect, test } from 'vitest';
import { type Descriptor, filterReferrers, mediaTypes } from '../../src/image/index.ts';
import { sha256 } from '../../src/util/index.ts';
import { blobOf, type TestBlob } from '../support/image.ts';

const SUBJECT = { mediaType: mediaTypes.ociManifest, digest: sha256('subject'), size: 7 };
const EMPTY = { mediaType: 'application/vnd.oci.empty.v1+json', digest: sha256('{}'), size: 2 };

const manifest = (more: object = {}): TestBlob =>
  blobOf({ schemaVersion: 2, mediaType: mediaTypes.ociManifest, config: EMPTY, layers: [], subject: SUBJECT, ...more });
const index = (more: object = {}): TestBlob =>
  blobOf({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [], subject: SUBJECT, ...more });
const described = ({ digest, size }: TestBlob, mediaType: string = mediaTypes.ociManifest): Descriptor => ({
  mediaType,
  digest,
  size,
});

/** What refers to the subject, of blobs of which all but those that are `lost` can be read. */
function referrers(
  all: readonly (readonly [TestBlob, (string | undefined)?])[],
  { type, lost = [] }: { readonly type?: string; readonly lost?: readonly TestBlob[] } = {},
): ReturnType<typeof filterReferrers> {
  const bytes = new Map(all.map(([blob]) => [blob.digest, blob.bytes]));
  for (const { digest } of lost) bytes.delete(digest);
  const descriptors = all.map(([blob, mediaType]) => described(blob, mediaType));
  return filterReferrers(descriptors, ({ digest }) => bytes.get(digest), SUBJECT.digest, type);
}

// distribution-spec, "Listing Referrers".
describe('an entry of the list', () => {
  test.each<[string, TestBlob, string | undefined, object]>([
    ['has the type of its manifest', manifest({ artifactType: 'a/b' }), undefined, { artifactType: 'a/b' }],
    ['without one, that of its config', manifest({ config: { ...EMPTY, mediaType: 'c/d' } }), undefined, { artifactType: 'c/d' }],
    ['has the annotations of its manifest', manifest({ annotations: { k: 'v' } }), undefined, { artifactType: EMPTY.mediaType, annotations: { k: 'v' } }],
    ['may be an index', index({ artifactType: 'a/b' }), mediaTypes.ociIndex, { artifactType: 'a/b' }],
    ['of an index has no config to take a type from', index(), mediaTypes.ociIndex, {}],
  ])('%s', (_what, blob, mediaType, more) => {
    expect(referrers([[blob, mediaType]])).toEqual({
      manifests: [{ ...described(blob, mediaType), ...more }],
      filtered: false,
    });
  }); // oxfmt-ignore

  test('has none of what its descriptor says besides', () => {
    const blob = manifest();
    const all = [{ ...described(blob), annotations: { 'org.opencontainers.image.ref.name': 'x' }, data: 'e30=' }];
    const { manifests } = filterReferrers(all, () => blob.bytes, SUBJECT.digest, undefined);
    expect(manifests).toEqual([{ ...described(blob), artifactType: EMPTY.mediaType }]);
  });

  test('stands there once, however many names it has, and in the order of the first', () => {
    const [one, two] = [manifest({ annotations: { n: '1' } }), manifest({ annotations: { n: '2' } })];
    const digests = referrers([[one], [two], [one]]).manifests.map(({ digest }) => digest);
    expect(digests).toEqual([one.digest, two.digest]);
  });
});

test('what is filtered by type says so, also where nothing is left', () => {
  const [a, b] = [manifest({ artifactType: 'x/a' }), manifest({ artifactType: 'x/b' })];
  const found = referrers([[a], [b]], { type: 'x/b' });
  expect(found).toMatchObject({ filtered: true, manifests: [{ digest: b.digest }] });
  expect(referrers([[a]], { type: 'x' })).toEqual({ filtered: true, manifests: [] });
});

describe('no entry is made of', () => {
  const other = { ...SUBJECT, digest: sha256('another subject') };
  test.each<[string, TestBlob, string?]>([
    ['a manifest without a subject', manifest({ subject: undefined })],
    ['a manifest of another subject', manifest({ subject: other })],
    ['a manifest whose subject is nothing', manifest({ subject: null })],
    ['a manifest whose subject is malformed', manifest({ subject: { digest: SUBJECT.digest } })],
    ['bytes that are no JSON', blobOf('{"schemaVersion":2')],
    ['a document of another version', manifest({ schemaVersion: 1 })],
    ['a document of another type than its descriptor says', index(), mediaTypes.ociManifest],
    ['a blob that is no document', manifest(), 'application/octet-stream; x'],
  ])('%s, and those beside it stay', (_what, blob, mediaType) => {
    const good = manifest({ annotations: { good: 'yes' } });
    const { manifests } = referrers([[blob, mediaType], [good]]);
    expect(manifests.map(({ digest }) => digest)).toEqual([good.digest]);
  });

  test('what cannot be read', () => {
    const [gone, good] = [manifest({ annotations: { gone: 'yes' } }), manifest()];
    const { manifests } = referrers([[gone], [good]], { lost: [gone] });
    expect(manifests.map(({ digest }) => digest)).toEqual([good.digest]);
  });
});
