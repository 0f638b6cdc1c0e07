import {
  existsSync,
  mkdirSync,
  mkdtempDisposableSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { copyImage, type CopyRequest, openSession, type Session } from '../../../src/engine/index.ts';
import { type Descriptor, mediaTypes, parseReference } from '../../../src/image/index.ts';
import { prune, Store } from '../../../src/store/index.ts';
import { parsePlace } from '../../../src/transfer/index.ts';
import { hexOf, sha256 } from '../../../src/util/index.ts';
import { removeTrees } from '../../store/support.ts';
import { tar, type TestBlob, testImage } from '../../support/image.ts';
import { testTask } from '../../support/task.ts';
import { useWatchedRegistry } from '../../support/watched-registry.ts';
import { layoutFiles, manifestDescriptor, wholeImage } from '../../support/whole-image.ts';

const server = useWatchedRegistry();
const app = testImage({ layers: [[{ name: 'one', content: 'one' }], [{ name: 'two', content: 'two' }]] });
const whole = wholeImage('copied');

let dir: ReturnType<typeof mkdtempDisposableSync>;
let root = '';
let session: Session;
beforeEach(() => {
  dir = mkdtempDisposableSync(join(tmpdir(), 'tsbuild-copy-image-'));
  root = join(dir.path, 'store');
  session = openSession({
    root,
    now: Date.now,
    signal: new AbortController().signal,
    home: dir.path,
    credentialSources: { files: [] },
    onWarning: () => undefined,
  });
});
afterEach(async () => {
  await session[Symbol.asyncDispose]();
  dir[Symbol.dispose]();
});

const at = (name: string): string => `${server.watched.host}/${name}`;
const place = (text: string) => parsePlace(text, dir.path, (name) => session.store.images.get(name) !== undefined);
const names = (): readonly string[] => session.store.images.list().map(({ name }) => name);
function stored(image: Descriptor, blobs: readonly TestBlob[], name: string): void {
  for (const { bytes } of blobs) session.store.blobs.put(bytes);
  session.store.images.put(name, image);
}
const APP = 'docker.io/library/app:1';
const storedApp = (): void => stored(manifestDescriptor(app.manifest), app.blobs, APP);

const copy = (source: string, dest: string, more: Partial<CopyRequest> = {}) =>
  copyImage(session, testTask(), {
    source: place(source),
    dest: place(dest),
    selection: { what: 'all' },
    referrers: false,
    stdout: process.stdout,
    ...more,
  });

/** A layout in a directory of the test. */
function layout(name: string): string {
  for (const [file, content] of Object.entries(layoutFiles(whole, 'v1'))) {
    mkdirSync(dirname(join(dir.path, name, file)), { recursive: true });
    writeFileSync(join(dir.path, name, file), content);
  }
  return `oci:${join(dir.path, name)}`;
}

/** An archive as docker wrote it before it knew of manifests. */
function dockerArchive(name: string, repoTags: readonly string[] = ['old:1']): string {
  const layer = tar([{ name: 'file', content: 'archived' }]);
  const config = Buffer.from(
    JSON.stringify({
      architecture: 'amd64',
      os: 'linux',
      config: {},
      rootfs: { type: 'layers', diff_ids: [`sha256:${sha(layer)}`] },
    }),
  );
  const manifest = [{ Config: `${sha(config)}.json`, RepoTags: repoTags, Layers: ['a/layer.tar'] }];
  writeFileSync(
    join(dir.path, name),
    tar([
      { name: `${sha(config)}.json`, content: config },
      { name: 'a/layer.tar', content: layer },
      { name: 'manifest.json', content: JSON.stringify(manifest) },
    ]),
  );
  return `docker-archive:${join(dir.path, name)}`;
}
const sha = (bytes: Uint8Array): string => hexOf(sha256(bytes));

async function removeAndPrune(): Promise<void> {
  using store = Store.open(root, { now: Date.now });
  for (const { name } of store.images.list()) store.images.remove(name);
  await prune(store, { removeTrees, all: true });
}
async function tagsOf(path: string): Promise<readonly string[]> {
  const answer = await fetch(`http://${server.registry.host}/v2/${path}/tags/list`);
  return answer.ok ? (((await answer.json()) as { tags: string[] | null }).tags?.toSorted() ?? []) : [];
}

describe('from the store', () => {
  test('an image arrives with its digest, and what is there is not sent again', async () => {
    storedApp();
    const first = await copy(`store:${APP}`, `docker://${at('copied/app:1')}`);
    expect(first.image.root.digest).toBe(app.manifest.digest);
    expect(first.shown).toBe(at('copied/app:1'));
    expect(first.sent.sent).toHaveLength(3);
    const again = await copy(`store:${APP}`, `docker://${at('copied/app:1')}`);
    expect(again.sent.sent).toEqual([]);
  });

  test('what is being copied stays, whoever removes its name and prunes meanwhile', async () => {
    stored(whole.root, whole.blobs, APP);
    let pruned: Promise<void> | undefined;
    server.watched.hold = ({ method }) => (method === 'POST' ? (pruned ??= removeAndPrune()) : undefined);
    await copy(`store:${APP}`, `docker://${at('pruned/app:1')}`);
    expect(pruned).toBeDefined();
    expect(await tagsOf('pruned/app')).toEqual(['1']);
  });

  test('a name that there is not is told with one that is near', async () => {
    storedApp();
    await expect(copy('store:app:2', `docker://${at('none:1')}`)).rejects.toMatchObject({
      code: 'TSB_NOT_FOUND',
      hint: 'did you mean "app:1"?',
    });
    expect(server.watched.requests).toEqual([]);
  });

  test('tags besides are of the same repository', async () => {
    storedApp();
    await copy(`store:${APP}`, `docker://${at('tags/app:1')}`, { tags: ['2', at('tags/app:3')] });
    expect(await tagsOf('tags/app')).toEqual(['1', '2', '3']);
    for (const tag of [at('tags/other:1'), 'docker.io/library/app:1', `${at('tags/app')}@${app.manifest.digest}`])
      await expect(copy(`store:${APP}`, `docker://${at('tags/app:1')}`, { tags: [tag] }), tag).rejects.toMatchObject({
        code: 'TSB_USAGE',
        message: expect.stringContaining('it is of another repository') as string,
      });
  });

  test('a digest can be named where it is the one that comes, and no other', async () => {
    storedApp();
    await copy(`store:${APP}`, `docker://${at('digests/app')}@${app.manifest.digest}`);
    expect(await tagsOf('digests/app')).toEqual([]);
    const other = `docker://${at('digests/app')}@${whole.root.digest}`;
    await expect(copy(`store:${APP}`, other)).rejects.toMatchObject({ code: 'TSB_USAGE' });
  });
});

describe('into the store', () => {
  test('all names are given when all of the image is there', async () => {
    await copy(`${layout('layout')}:v1`, 'store:laid:1', { tags: ['2', 'example.com/other:3'] });
    expect(names()).toEqual(['docker.io/library/laid:1', 'docker.io/library/laid:2', 'example.com/other:3']);
    for (const { digest, size } of whole.blobs) expect(session.store.blobs.has(digest, size)).toBe(true);
  });

  test('a layout with a damaged blob gives no name', async () => {
    const source = layout('damaged');
    const [layer] = whole.arm64.layers;
    const path = join(dir.path, 'damaged/blobs/sha256', hexOf(layer?.digest ?? whole.root.digest));
    writeFileSync(path, Buffer.alloc(layer?.size ?? 0, 'x'));
    await expect(copy(`${source}:v1`, 'store:laid:1')).rejects.toMatchObject({ code: 'TSB_DIGEST' });
    expect(names()).toEqual([]);
  });

  test('one platform of an index comes as an image of its own', async () => {
    const platform = { os: 'linux', architecture: 'arm64' };
    const { image } = await copy(`${layout('layout')}:v1`, 'store:arm:1', { selection: { what: 'one', platform } });
    expect(image.root.digest).toBe(whole.arm64.manifest.digest);
    expect(session.store.blobs.has(whole.index.digest)).toBe(false);
  });
});

describe('archives of docker without manifests', () => {
  test('get one, and leave no name in the store', async () => {
    const { image } = await copy(dockerArchive('old.tar'), `docker://${at('archived/old:1')}`);
    expect(await tagsOf('archived/old')).toEqual(['1']);
    expect(image.documents).toHaveLength(1);
    expect(names()).toEqual([]);
  });

  test('leave none either when they could not be copied', async () => {
    const source = dockerArchive('old.tar');
    server.watched.refuse = ({ method }) => (method === 'GET' ? undefined : 403);
    await expect(copy(source, `docker://${at('archived/refused:1')}`)).rejects.toMatchObject({ code: 'TSB_REGISTRY' });
    expect(names()).toEqual([]);
    await expect(copy(`${source}:none:1`, `docker://${at('archived/none:1')}`)).rejects.toMatchObject({
      code: 'TSB_NOT_FOUND',
    });
    expect(names()).toEqual([]);
    expect(readdirSync(join(root, 'ingest', session.store.session()))).toEqual([]);
  });

  test('are not taken for archives of OCI', async () => {
    const source = dockerArchive('old.tar').replace('docker-archive', 'oci-archive');
    await expect(copy(source, `oci:${join(dir.path, 'out')}`)).rejects.toMatchObject({
      code: 'TSB_IMAGE',
      hint: expect.stringContaining('docker-archive:') as string,
    });
    expect(existsSync(join(dir.path, 'out'))).toBe(false);
  });
});

describe('what cannot be', () => {
  test('the index alone of one image', async () => {
    storedApp();
    await expect(copy(`store:${APP}`, 'store:copy:1', { selection: { what: 'index' } })).rejects.toMatchObject({
      code: 'TSB_USAGE',
      message: expect.stringContaining('it is one image and has none') as string,
    });
  });

  test('another form with the same digests', async () => {
    storedApp();
    const request = { format: 'v2s2', preserveDigests: true } as const;
    await expect(copy(`store:${APP}`, 'store:copy:1', request)).rejects.toMatchObject({ code: 'TSB_USAGE' });
    expect(names()).toEqual([APP]);
    // One that has that form already keeps its digest.
    const docker = testImage({ docker: true });
    const { digest, size } = docker.manifest;
    stored({ mediaType: mediaTypes.dockerManifest, digest, size }, docker.blobs, 'docker.io/library/docker:1');
    expect((await copy('store:docker:1', 'store:copy:1', request)).image.root.digest).toBe(digest);
  });

  test('a digest that an archive or layout is to have', async () => {
    storedApp();
    for (const dest of [`oci:${join(dir.path, 'out')}@${app.manifest.digest}`])
      await expect(copy(`store:${APP}`, dest), dest).rejects.toMatchObject({ code: 'TSB_USAGE' });
  });

  test('a registry of another user, whose password is for one side only', async () => {
    storedApp();
    await copy(`store:${APP}`, `docker://${at('sides/app:1')}`);
    const own = { credentials: { host: 'example.com', credential: { username: 'a', password: 'b' } } };
    // A client of its own for each side, which ends with the copy.
    const { image } = await copy(`docker://${at('sides/app:1')}`, `oci:${join(dir.path, 'sides')}:v1`, {
      sourceRegistry: own,
      destRegistry: own,
    });
    expect(image.root.digest).toBe(app.manifest.digest);
    const index = JSON.parse(readFileSync(join(dir.path, 'sides/index.json'), 'utf8')) as { manifests: Descriptor[] };
    expect(index.manifests.map(({ digest }) => digest)).toEqual([app.manifest.digest]);
    expect(parseReference(at('sides/app:1')).host).toBe(server.watched.host);
    rmSync(join(dir.path, 'sides'), { recursive: true });
  });
});
