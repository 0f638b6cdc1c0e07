import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { findInLayout, type LayoutReader, mediaTypes, openOciLayout } from '../../src/image/index.ts';
import { hexOf, sha256 } from '../../src/util/index.ts';
import { blobOf, testImage } from '../support/image.ts';

const REF = 'org.opencontainers.image.ref.name';
const NAME = 'io.containerd.image.name';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tsbuild-layout-'));
  mkdirSync(join(folder, 'blobs/sha256'), { recursive: true });
  writeFileSync(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
});
afterEach(() => rmSync(folder, { recursive: true }));

interface Entry {
  readonly annotations?: Readonly<Record<string, string>>;
}

const image = testImage();
const other = testImage({ architecture: 'arm64' });
const entry = (of: typeof image, annotations?: Entry['annotations']): object => ({
  mediaType: mediaTypes.ociManifest,
  digest: of.manifest.digest,
  size: of.manifest.size,
  ...(annotations === undefined ? {} : { annotations }),
});

function open(...manifests: readonly object[]): LayoutReader & Disposable {
  writeFileSync(join(folder, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests }));
  return openOciLayout(folder);
}

const put = (bytes: Uint8Array): void => writeFileSync(join(folder, 'blobs/sha256', hexOf(sha256(bytes))), bytes);

describe('an image of a layout', () => {
  test.each<[string, Readonly<Record<string, string>>, string | undefined]>([
    ['the tag of the image-spec', { [REF]: '1.0' }, '1.0'],
    ['a full name that is written where the tag belongs', { [REF]: 'r.example/app:1.0' }, 'r.example/app:1.0'],
    ['the name of containerd', { [NAME]: 'r.example/app:1.0' }, 'r.example/app:1.0'],
    ['the tag of that name', { [NAME]: 'r.example/app:1.0', [REF]: 'x' }, '1.0'],
    ['no name: the one called latest', { [REF]: 'latest' }, undefined],
  ])('is found by %s, and comes without what was said of its name', (_what, annotations, tag) => {
    using layout = open(entry(other, { [REF]: 'other' }), entry(image, annotations));
    expect(findInLayout(layout, tag === undefined ? {} : { tag })).toEqual(entry(image));
  });

  test('needs no name when it is the only one, under however many names', () => {
    using layout = open(entry(image, { [REF]: 'a' }), entry(image, { [REF]: 'b' }));
    expect(findInLayout(layout, {})).toEqual(entry(image));
  });

  test.each<[string, readonly (readonly [typeof image, string?])[], string | undefined, string | undefined]>([
    ['a tag that there is not', [[image, 'a']], 'b', 'it has: "a"'],
    ['the only image under another name', [[image, 'a']], 'latest', 'it has: "a"'],
    ['no name, of two images', [[image, 'a'], [other, 'b']], undefined, 'it has: "a", "b"'],
    ['no name, of images without names', [[image], [other]], undefined, undefined],
    ['a name of an empty layout', [], 'a', undefined],
    ['a tag that is the end of another', [[image, 'v1']], '1', 'it has: "v1"'],
    ['a name with signs for a terminal', [[image, 'a\u001b[31m']], 'b', String.raw`it has: "a\\x1b[31m"`],
  ])('%s: none', (_what, all, tag, hint) => {
    using layout = open(...all.map(([of, ref]) => entry(of, ref === undefined ? undefined : { [REF]: ref })));
    const found = (): unknown => findInLayout(layout, tag === undefined ? {} : { tag });
    expect(found).toThrow(expect.objectContaining({ code: 'TSB_NOT_FOUND' }));
    try {
      found();
    } catch (error) {
      const said = (error as { hint?: string }).hint;
      // How a sign is shown is not the layout's.
      if (hint?.includes('x1b')) expect(said).not.toContain('\u001b');
      else expect(said).toBe(hint);
    }
  }); // oxfmt-ignore

  test('of many names ten are told', () => {
    const names = Array.from({ length: 30 }, (_, at) => `v${at}`);
    using layout = open(...names.map((name) => entry(image, { [REF]: name })));
    try {
      findInLayout(layout, { tag: 'x' });
      expect.unreachable();
    } catch (error) {
      expect((error as { hint?: string }).hint?.match(/"v\d+"/g)).toHaveLength(10);
    }
  });
});

describe('by digest', () => {
  test('any document among the blobs is found, named by the index or not, with the type that it says it has', () => {
    const nested = blobOf({ schemaVersion: 2, mediaType: mediaTypes.dockerIndex, manifests: [] });
    put(nested.bytes);
    put(image.manifest.bytes);
    using layout = open();
    const { digest, size } = nested;
    expect(findInLayout(layout, { digest })).toEqual({ mediaType: mediaTypes.dockerIndex, digest, size });
    const { manifest } = image;
    expect(findInLayout(layout, { digest: manifest.digest, tag: 'ignored' })).toEqual(entry(image));
  });

  test('a blob that is not there is said to be so', () => {
    using layout = open(entry(image));
    expect(() => findInLayout(layout, { digest: image.manifest.digest })).toThrow(
      expect.objectContaining({ code: 'TSB_NOT_FOUND', message: expect.stringMatching(/^Cannot find blob sha256:/) }),
    );
  });

  test.each<[string, Uint8Array, string, string]>([
    ['a layer', Buffer.from('no JSON'), 'TSB_IMAGE', 'Cannot use blob'],
    ['a config', image.config.bytes, 'TSB_IMAGE', 'schemaVersion'],
    ['a document beyond 4 MiB', Buffer.alloc((4 << 20) + 1, ' '), 'TSB_IMAGE', 'more than the limit of 4194304'],
  ])('%s is no image', (_what, bytes, code, message) => {
    put(bytes);
    using layout = open();
    expect(() => findInLayout(layout, { digest: sha256(bytes) })).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(message) as string }),
    );
  });

  test('a blob with other bytes than its name says is refused', () => {
    const { digest } = image.manifest;
    writeFileSync(join(folder, 'blobs/sha256', hexOf(digest)), other.manifest.bytes);
    using layout = open();
    expect(() => findInLayout(layout, { digest })).toThrow(expect.objectContaining({ code: 'TSB_DIGEST' }));
  });
});

describe('a directory that is no layout is refused', () => {
  test.each<[string, () => void, string, string]>([
    ['no oci-layout', () => rmSync(join(folder, 'oci-layout')), 'TSB_NOT_FOUND', '"oci-layout"'],
    ['another version', () => writeFileSync(join(folder, 'oci-layout'), '{"imageLayoutVersion":"2.0.0"}'), 'TSB_IMAGE', 'is "2.0.0", not "1.0.0"'],
    ['no version', () => writeFileSync(join(folder, 'oci-layout'), '{}'), 'TSB_IMAGE', 'imageLayoutVersion'],
    ['a version that is no text', () => writeFileSync(join(folder, 'oci-layout'), '{"imageLayoutVersion":1}'), 'TSB_IMAGE', 'is not a string'],
    ['an oci-layout beyond 64 KiB', () => writeFileSync(join(folder, 'oci-layout'), ' '.repeat(65 * 1024)), 'TSB_IMAGE', 'limit'],
    ['an index that is a manifest', () => writeFileSync(join(folder, 'index.json'), image.manifest.bytes), 'TSB_IMAGE', 'index.json'],
    ['an index beyond 4 MiB', () => truncateSync(join(folder, 'index.json'), (4 << 20) + 1), 'TSB_IMAGE', 'too large'],
    ['an index that is a directory', () => { rmSync(join(folder, 'index.json')); mkdirSync(join(folder, 'index.json')); }, 'TSB_IMAGE', 'not a regular file'],
    ['an index that is a link', () => { rmSync(join(folder, 'index.json')); symlinkSync('oci-layout', join(folder, 'index.json')); }, 'TSB_IMAGE', 'symbolic link'],
  ])('%s', (_what, harm, code, message) => {
    open()[Symbol.dispose]();
    harm();
    expect(() => openOciLayout(folder)).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(message) as string }),
    );
  }); // oxfmt-ignore

  test('one that is not there', () => {
    expect(() => openOciLayout(join(folder, 'none'))).toThrow(
      expect.objectContaining({ code: 'TSB_NOT_FOUND', message: expect.stringContaining('does not exist') as string }),
    );
  });

  test('blobs beneath a link are not read', () => {
    const outside = mkdtempSync(join(tmpdir(), 'tsbuild-outside-'));
    mkdirSync(join(outside, 'sha256'));
    writeFileSync(join(outside, 'sha256', hexOf(image.manifest.digest)), image.manifest.bytes);
    rmSync(join(folder, 'blobs'), { recursive: true });
    symlinkSync(outside, join(folder, 'blobs'));
    using layout = open();
    expect(layout.size(image.manifest.digest)).toBeUndefined();
    expect(() => findInLayout(layout, { digest: image.manifest.digest })).toThrow('Cannot find blob');
    rmSync(outside, { recursive: true });
  });
});
