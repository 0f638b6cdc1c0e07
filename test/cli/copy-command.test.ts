import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { mediaTypes } from '../../src/image/index.ts';
import { commandIn } from '../fakes/command.ts';
import { blobOf, imageArchive, tar, testImage } from '../support/image.ts';
import { TempDir } from '../tree/support.ts';

// From places on this machine to others nothing is fetched and nothing unpacked.
let dir: TempDir;
const one = testImage({ layers: [[{ name: 'one', content: '1' }]] });
const two = testImage({ layers: [[{ name: 'two', content: '2' }]] });
beforeAll(async () => {
  dir = new TempDir();
  writeFileSync(join(dir.path, 'image.tar'), imageArchive([[{ name: 'one', content: '1' }]], 'app:1'));
  await ok('import', 'image.tar', '-t', 'app:1');
  // As docker writes it today: names of docker, and an index beside them; one has for a tag what another has for a name.
  const manifests = [
    ['docker.io/library/app:9', '9', one],
    ['docker.io/library/tool:app', 'app', two],
    ['docker.io/library/app:latest', 'latest', one],
    ['reg.test:5000/team/other:3', '3', two],
  ] as const;
  const index = blobOf({
    schemaVersion: 2,
    manifests: manifests.map(([name, tag, { manifest }]) => ({
      mediaType: mediaTypes.ociManifest,
      digest: manifest.digest,
      size: manifest.size,
      annotations: { 'io.containerd.image.name': name, 'org.opencontainers.image.ref.name': tag },
    })),
  });
  const blobs = [...one.blobs, ...two.blobs].map(({ digest, bytes }) => ({
    name: `blobs/${digest.replace(':', '/')}`,
    content: bytes,
  }));
  const files = [
    { name: 'oci-layout', content: '{"imageLayoutVersion":"1.0.0"}' },
    { name: 'index.json', content: index.bytes },
    { name: 'manifest.json', content: '[]' },
  ];
  writeFileSync(join(dir.path, 'docker.tar'), tar([...files, ...blobs]));
});
afterAll(() => dir[Symbol.dispose]());

const { run, ok } = commandIn(() => dir.path);
const copy = (...words: readonly string[]) => run('copy', '-q', ...words);
/** Names and digests in a layout. */
const names = (layout: string): Readonly<Record<string, string>> => {
  type Manifest = { digest: string; annotations?: Record<string, string> };
  const { manifests } = JSON.parse(readFileSync(join(dir.path, layout, 'index.json'), 'utf8')) as {
    manifests: Manifest[];
  };
  return Object.fromEntries(
    manifests.map(({ digest, annotations = {} }) => [annotations['org.opencontainers.image.ref.name'] ?? '', digest]),
  );
};

describe('an image of an archive of docker', () => {
  test.each([
    ['app:9', one],
    ['docker.io/library/app:9', one],
    ['library/app:9', one],
    // The name goes before the tag of another image.
    ['app', one],
    ['tool:app', two],
    ['reg.test:5000/team/other:3', two],
  ])('is found by its name: %s', async (name, { manifest }) => {
    const { code, out, err } = await copy(`docker-archive:docker.tar:${name}`, 'oci:found');
    expect(code, err).toBe(0);
    expect(out.trim().split('@')[1]).toBe(manifest.digest);
  });

  test.each(['none:1', 'app:8', 'other:3', 'reg.test/team/other:3'])('is not any other: %s', async (name) => {
    const { code, out, err } = await copy(`docker-archive:docker.tar:${name}`, 'oci:found');
    expect([code, out]).toEqual([1, '']);
    expect(err).toContain(`Cannot find ${JSON.stringify(name)} in archive`);
    expect(err).toContain('hint: it has: "docker.io/library/app:9"');
  });

  test('that tsbuild has written is found by the names that it was given', async () => {
    await ok('copy', '-q', 'app:1', 'docker-archive:own.tar:a:1', '--additional-tag', 'team/b:2');
    for (const name of ['a:1', 'team/b:2', 'docker.io/team/b:2'])
      expect((await copy(`docker-archive:own.tar:${name}`, 'oci:found')).code, name).toBe(0);
    await ok('save', '--format=docker', 'app:1', '-o', 'saved.tar');
    expect((await copy('docker-archive:saved.tar:app:1', 'oci:found')).code).toBe(0);
  });
});

describe('an image of a layout', () => {
  test('has the tags that it was given, beside those of others', async () => {
    await ok('copy', '-q', 'app:1', 'oci:layout:v1', '--additional-tag', 'v2');
    await ok('copy', '-q', 'docker-archive:docker.tar:tool:app', 'oci:layout:v2');
    await ok('copy', '-q', 'oci:layout:v1', 'oci:layout:v3');
    const { v1 = '', v2, v3 } = names('layout');
    expect([v2, v3]).toEqual([two.manifest.digest, v1]);
    expect((await copy(`oci:layout@${v1}`, 'oci:by-digest:x')).code).toBe(0);
    expect(names('by-digest')).toEqual({ x: v1 });
  });

  test('in a whole archive, by the whole name that stands there', async () => {
    expect((await copy('oci-archive:image.tar:app:1', 'oci:whole:x')).code).toBe(0);
    expect((await copy('oci-archive:image.tar', 'oci:whole:y')).code).toBe(0);
    const { err } = await copy('oci-archive:image.tar:app:2', 'oci:whole:z');
    expect(err).toContain('Cannot find "app:2" in archive');
  });

  test('is written with its digest where that is wanted, and printed with it', async () => {
    const out = await ok('copy', '-q', 'app:1', 'oci:printed:v1', '--digestfile', 'digest');
    const digest = readFileSync(join(dir.path, 'digest'), 'utf8');
    expect(out).toBe(`oci:${join(dir.path, 'printed')}:v1@${digest}\n`);
    expect(names('printed')).toEqual({ v1: digest });
  });

  test('keeps its digest in every place but in another form', async () => {
    const digest = (text: string): string => text.trim().split('@')[1] ?? '';
    const first = digest(await ok('copy', '-q', 'app:1', 'oci:kept'));
    for (const [from, to] of [
      ['oci:kept', 'oci-archive:kept.tar:x'],
      ['oci-archive:kept.tar:x', 'docker-archive:kept-docker.tar:kept:1'],
      ['docker-archive:kept-docker.tar:kept:1', 'store:kept:1'],
      ['store:kept:1', 'oci:again'],
    ] as const)
      expect(digest(await ok('copy', '-q', from, to)), to).toBe(first);
    expect(digest(await ok('copy', '-q', 'oci:kept', 'oci:other-form', '--format=v2s2'))).not.toBe(first);
  });
});

describe('a place that cannot be', () => {
  test.each([
    [['store:none:1', 'oci:x'], 'Cannot copy "none:1": no such image in the local image store'],
    [['store:ap:1', 'oci:x'], 'did you mean "app:1"?'],
    [['oci:none', 'oci:x'], 'it does not exist'],
    [['oci-archive:none.tar', 'oci:x'], 'it does not exist'],
    [['app:1', 'oci:image.tar'], 'something else of that name is there'],
    [['app:1', 'oci-archive:none/x.tar'], 'does not exist\nhint: make it first: mkdir -p'],
    [['app:1', 'oci-archive:.'], 'it is a directory'],
    [['app:1', `oci:x@sha256:${'a'.repeat(64)}`], 'a digest cannot be chosen'],
    [['app:1', 'store:Bad'], 'must be lowercase'],
    [['app:1', 'store:x:1', '--format=v2s2', '--preserve-digests'], 'its digest would change'],
    [['app:1', 'store:x:1', '--multi-arch=index-only'], 'it is one image and has none'],
    [['app:1', 'store:x:1', '--platform=linux/s390x'], 'it is available for linux/amd64'],
  ])('%j', async (words, why) => {
    const { code, out, err } = await copy(...words);
    expect(code).toBeGreaterThan(0);
    expect(out).toBe('');
    expect(err).toContain(why);
    expect(err).not.toMatch(/\bE[A-Z]{4,}:/);
  });
});

describe('who somebody is', () => {
  // As with skopeo: half of a login, and two of them, are mistakes, and nobody is asked as somebody else.
  test.each([
    ['--src-password=x', 'Cannot copy with --src-password without --src-username'],
    ['--src-username=x', 'Cannot copy with --src-username without --src-password'],
    ['--dest-password=x', 'Cannot copy with --dest-password without --dest-username'],
    ['--src-creds=a:b --src-no-creds', 'Cannot copy with --src-creds and --src-no-creds: they exclude each other'],
    [
      '--dest-creds=a:b --dest-username=x',
      'Cannot copy with --dest-creds and --dest-username: they exclude each other',
    ],
    ['--dest-no-creds --dest-username=x --dest-password=y', 'Cannot copy with --dest-no-creds and --dest-username'],
    ['--src-creds=a', 'Cannot use --creds: expected USER:PASSWORD'],
  ])('%s is refused before a registry is asked', async (words, why) => {
    const { code, out, err } = await copy(...words.split(' '), 'docker://127.0.0.1:1/a', 'docker://127.0.0.1:1/b');
    expect([code, out]).toEqual([2, '']);
    expect(err).toContain(why);
  });
});
