import { mkdirSync, mkdtempDisposableSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { inspect, pull, push } from '../../src/api/index.ts';
import type { BuildEvent } from '../../src/events/index.ts';
import { type Descriptor, mediaTypes } from '../../src/image/index.ts';
import { prune, Store } from '../../src/store/index.ts';
import { removeTrees } from '../store/support.ts';
import { imageArchive, type TestBlob, testImage } from '../support/image.ts';
import { useWatchedRegistry } from '../support/watched-registry.ts';
import { layoutFiles, manifestDescriptor, wholeImage } from '../support/whole-image.ts';

const server = useWatchedRegistry();
const app = testImage({ layers: [[{ name: 'one', content: 'one' }], [{ name: 'two', content: 'two' }]] });
const other = testImage({ layers: [[{ name: 'other', content: 'other' }]] });
const whole = wholeImage('several platforms');
const NOBODY = `sha256:${'0'.repeat(64)}`;

let dir: ReturnType<typeof mkdtempDisposableSync>;
let root = '';
beforeEach(() => {
  dir = mkdtempDisposableSync(join(tmpdir(), 'tsbuild-api-images-'));
  root = join(dir.path, 'store');
  vi.stubEnv('HOME', dir.path);
  vi.stubEnv('DOCKER_CONFIG', '');
  vi.stubEnv('REGISTRY_AUTH_FILE', '');
});
afterEach(() => {
  vi.unstubAllEnvs();
  // Whatever became of a call, it uses the store no more.
  if (root !== '') expect(readdirSync(join(root, 'sessions'))).toEqual([]);
  dir[Symbol.dispose]();
});

function inStore<T>(work: (store: Store) => T): T {
  using store = Store.open(root, { now: Date.now });
  return work(store);
}

/** Puts an image into the store, under names of the registry. */
function stored(image: Descriptor, blobs: readonly TestBlob[], ...names: readonly string[]): void {
  inStore((store) => {
    for (const { bytes } of blobs) store.blobs.put(bytes);
    for (const name of names) store.images.put(at(name), image);
  });
}
const storedApp = (...names: readonly string[]): void => stored(manifestDescriptor(app.manifest), app.blobs, ...names);
const storedWhole = (...names: readonly string[]): void => stored(whole.root, whole.blobs, ...names);

/** A name at the registry. */
const at = (name: string): string => `${server.watched.host}/${name}`;
const namesIn = (): readonly string[] => inStore((store) => store.images.list().map(({ name }) => name));
/** What the registry has under a tag or digest, as bytes. */
async function manifestAt(path: string, reference: string): Promise<string | undefined> {
  const answer = await fetch(`http://${server.registry.host}/v2/${path}/manifests/${reference}`, {
    headers: { accept: Object.values(mediaTypes).join(', ') },
  });
  return answer.ok ? answer.text() : undefined;
}
const written = (): readonly string[] =>
  server.watched.requests.filter(({ method }) => method !== 'GET' && method !== 'HEAD').map(({ url }) => url);

/** What another command does to the store meanwhile: the image loses its name, and everything that nobody holds goes. */
async function removeAndPrune(): Promise<void> {
  using store = Store.open(root, { now: Date.now });
  for (const { name } of store.images.list()) store.images.remove(name);
  await prune(store, { removeTrees, all: true });
}

describe('push', () => {
  test('sends an image as it is, under the name that it has or another one, and says what is there now', async () => {
    storedApp('push/app:1');
    const { digest } = app.manifest;
    expect(await push(at('push/app:1'), { root })).toEqual([{ name: at('push/app:1'), digest }]);
    expect(await manifestAt('push/app', '1')).toBe(app.manifest.bytes.toString());
    expect(await push(at('push/app:1'), { root, to: at('push/elsewhere') })).toEqual([
      { name: at('push/elsewhere:latest'), digest },
    ]);
    expect(await manifestAt('push/elsewhere', 'latest')).toBe(app.manifest.bytes.toString());
  });

  test('an id says what, and not where to', async () => {
    storedApp('ids/app:1');
    const id = app.config.digest.slice('sha256:'.length, 19);
    await expect(push(id, { root })).rejects.toMatchObject({
      code: 'TSB_USAGE',
      hint: expect.stringContaining(`tsbuild push ${id} REGISTRY/NAME:TAG`) as string,
    });
    expect(await push(id, { root, to: at('ids/copy:2') })).toEqual([
      { name: at('ids/copy:2'), digest: app.manifest.digest },
    ]);
    // One that has lost its name is found by its id as well.
    inStore((store) => store.images.remove(at('ids/app:1')));
    expect(await push(id, { root, to: at('ids/copy:3') })).toHaveLength(1);
  });

  test('a digest cannot be chosen: the registry makes it of what is sent', async () => {
    storedApp('digests/app:1');
    await expect(push(at('digests/app:1'), { root, to: `${at('digests/copy')}@${NOBODY}` })).rejects.toMatchObject({
      code: 'TSB_USAGE',
      message: expect.stringContaining('a digest cannot be chosen') as string,
    });
    await expect(push(at('digests/app'), { root, allTags: true, to: `${at('x')}@${NOBODY}` })).rejects.toMatchObject({
      code: 'TSB_USAGE',
    });
    expect(written()).toEqual([]);
    // The one that it has is no choice.
    const own = `${at('digests/copy')}@${app.manifest.digest}`;
    expect(await push(at('digests/app:1'), { root, to: own })).toEqual([{ name: own, digest: app.manifest.digest }]);
    expect(await manifestAt('digests/copy', app.manifest.digest)).toBe(app.manifest.bytes.toString());
    expect(await manifestAt('digests/copy', 'latest')).toBeUndefined();
  });

  test('all tags of a repository go, and no other', async () => {
    storedApp('all/app:1', 'all/app:2', 'all/other:1');
    stored(manifestDescriptor(other.manifest), other.blobs, 'all/app:3');
    const pushed = await push(at('all/app'), { root, allTags: true });
    expect(pushed.map(({ name, digest }) => [name, digest])).toEqual([
      [at('all/app:1'), app.manifest.digest],
      [at('all/app:2'), app.manifest.digest],
      [at('all/app:3'), other.manifest.digest],
    ]);
    expect(await manifestAt('all/other', '1')).toBeUndefined();
    const copied = await push(at('all/app'), { root, allTags: true, to: at('all/copy') });
    expect(copied.map(({ name }) => name)).toEqual([at('all/copy:1'), at('all/copy:2'), at('all/copy:3')]);
    for (const [name, to] of [
      [at('all/app:1'), undefined],
      [`${at('all/app')}@${app.manifest.digest}`, undefined],
      [at('all/app'), at('all/copy:1')],
    ] as const)
      await expect(push(name, { root, allTags: true, ...(to && { to }) }), name).rejects.toMatchObject({
        code: 'TSB_USAGE',
      });
    await expect(push(at('all/none'), { root, allTags: true })).rejects.toMatchObject({ code: 'TSB_NOT_FOUND' });
  });

  test('an index goes as a whole, or a platform of it that was asked for', async () => {
    storedWhole('index/app:1');
    expect(await push(at('index/app:1'), { root })).toEqual([{ name: at('index/app:1'), digest: whole.root.digest }]);
    for (const { manifest } of [whole.amd64, whole.arm64, whole.attestation])
      expect(await manifestAt('index/app', manifest.digest)).toBe(manifest.bytes.toString());
    expect(await push(at('index/app:1'), { root, to: at('index/arm:1'), platform: 'linux/arm64' })).toEqual([
      { name: at('index/arm:1'), digest: whole.arm64.manifest.digest },
    ]);
    await expect(push(at('index/app:1'), { root, platform: 'linux/s390x' })).rejects.toMatchObject({
      code: 'TSB_NOT_FOUND',
      message: expect.stringContaining('linux/s390x') as string,
    });
    await expect(push(at('index/app:1'), { root, platform: 'no/such/thing/x' })).rejects.toMatchObject({
      code: 'TSB_USAGE',
    });
  });

  test('an index of which the store has a part is not sent as if it were whole', async () => {
    storedWhole('part/app:1');
    inStore((store) => store.blobs.remove(whole.arm64.manifest.digest));
    await expect(push(at('part/app:1'), { root })).rejects.toMatchObject({
      code: 'TSB_NOT_FOUND',
      message: expect.stringContaining('1 of the 3 images of its index') as string,
      hint: expect.stringContaining('--platform') as string,
    });
    expect(written()).toEqual([]);
    expect(await push(at('part/app:1'), { root, platform: 'linux/amd64' })).toHaveLength(1);
  });

  test('a layer that the store has lost, or that was damaged, leaves no tag', async () => {
    for (const [name, harm] of [
      ['lost', (store: Store, layer: TestBlob) => store.blobs.remove(layer.digest)],
      [
        'damaged',
        (store: Store, layer: TestBlob) => {
          const path = store.blobs.path(layer.digest);
          rmSync(path);
          writeFileSync(path, Buffer.alloc(layer.size, 'x'));
        },
      ],
    ] as const) {
      storedApp(`harmed/${name}:1`);
      const [layer] = app.layers;
      inStore((store) => layer && harm(store, layer));
      await expect(push(at(`harmed/${name}:1`), { root }), name).rejects.toMatchObject({
        message: expect.stringContaining(layer?.digest ?? '-') as string,
      });
      expect(await manifestAt(`harmed/${name}`, '1'), name).toBeUndefined();
    }
  });

  test('what is being sent stays in the store, whoever removes its name and prunes meanwhile', async () => {
    storedWhole('pruned/app:1');
    let pruned: Promise<void> | undefined;
    // When the first blob is on its way, the others are still to be read.
    server.watched.hold = ({ method }) =>
      method === 'PUT' || method === 'PATCH' ? (pruned ??= removeAndPrune()) : undefined;
    expect(await push(at('pruned/app:1'), { root })).toHaveLength(1);
    expect(pruned).toBeDefined();
    expect(await manifestAt('pruned/app', '1')).toBe(whole.index.bytes.toString());
    // With the push ends what held it.
    await removeAndPrune();
    expect(inStore((store) => [...store.blobs.list()])).toEqual([]);
  });

  test('a signal ends it, and no tag is given', async () => {
    storedApp('canceled/app:1');
    const controller = new AbortController();
    server.watched.hold = ({ method }) => {
      if (method === 'POST') controller.abort();
      return undefined;
    };
    await expect(push(at('canceled/app:1'), { root, signal: controller.signal })).rejects.toMatchObject({
      code: 'TSB_CANCELED',
    });
    expect(await manifestAt('canceled/app', '1')).toBeUndefined();
    await expect(push(at('canceled/app:1'), { root, signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'TSB_CANCELED',
    });
  });

  test('is told as steps that begin and end, also when it fails', async () => {
    storedApp('told/app:1');
    const states = async (name: string): Promise<readonly string[]> => {
      const seen: BuildEvent[] = [];
      await push(name, { root, onEvent: (event) => void seen.push(event) }).catch(() => undefined);
      return seen.flatMap((event) => (event.type === 'vertex' ? [`${event.state} ${event.name}`] : []));
    };
    const title = `pushing ${at('told/app:1')}`;
    expect(await states(at('told/app:1'))).toEqual([`started ${title}`, `done ${title}`]);
    server.watched.refuse = ({ method }) => (method === 'GET' ? undefined : 403);
    inStore((store) => store.images.put(at('told/refused:1'), manifestDescriptor(app.manifest)));
    const refused = `pushing ${at('told/refused:1')}`;
    expect(await states(at('told/refused:1'))).toEqual([`started ${refused}`, `failed ${refused}`]);
  });
});

describe('pull', () => {
  beforeEach(async () => {
    storedWhole('pull/whole:1');
    await push(at('pull/whole:1'), { root });
    rmSync(root, { recursive: true });
    server.watched.requests.length = 0;
    Store.open(root, { now: Date.now }).close();
  });
  const name = (): string => at('pull/whole:1');
  const has = ({ digest, size }: TestBlob): boolean => inStore((store) => store.blobs.has(digest, size));

  test('brings one platform, then another, then all that is missing', async () => {
    const arm = await pull(name(), { root, platform: 'linux/arm64' });
    expect(arm).toEqual({ name: name(), digest: whole.root.digest, isNew: true });
    expect([...whole.arm64.blobs, whole.index].every(has)).toBe(true);
    expect(whole.amd64.blobs.some(has)).toBe(false);
    expect((await pull(name(), { root, platform: 'linux/arm64' })).isNew).toBe(false);
    expect((await pull(name(), { root, platform: 'linux/amd64' })).isNew).toBe(true);
    expect((await pull(name(), { root, allPlatforms: true })).isNew).toBe(true);
    expect(whole.blobs.every(has)).toBe(true);
    expect((await pull(name(), { root, allPlatforms: true })).isNew).toBe(false);
    expect(namesIn()).toEqual([name()]);
  });

  test('says which platforms there are when it is not one of them', async () => {
    await expect(pull(name(), { root, platform: 'linux/s390x' })).rejects.toMatchObject({
      code: 'TSB_NOT_FOUND',
      message: expect.stringMatching(/linux\/s390x/) as string,
    });
    expect(namesIn()).toEqual([]);
  });

  test.each([
    ['one platform and all', { platform: 'linux/amd64', allPlatforms: true }],
    ['a platform that is none', { platform: 'a/b/c/d' }],
  ] as const)('refuses %s, and asks nobody', async (_what, options) => {
    await expect(pull(name(), { root, ...options })).rejects.toMatchObject({ code: 'TSB_USAGE' });
    expect(server.watched.requests).toEqual([]);
  });

  test('missing: asks nobody where the store has all of it, and fetches what it has lost', async () => {
    await pull(name(), { root, platform: 'linux/amd64' });
    server.watched.requests.length = 0;
    const again = { root, platform: 'linux/amd64', policy: 'missing' } as const;
    expect((await pull(name(), again)).isNew).toBe(false);
    expect(server.watched.requests).toEqual([]);
    const [layer] = whole.amd64.layers;
    for (const lost of [layer, whole.amd64.config, whole.amd64.manifest, whole.index]) {
      inStore((store) => store.blobs.remove(lost?.digest ?? whole.root.digest));
      await pull(name(), again);
      expect(lost && has(lost), lost?.digest).toBe(true);
    }
    // Another platform is no part of what the store has.
    expect((await pull(name(), { ...again, platform: 'linux/arm64' })).isNew).toBe(true);
  });

  test('by digest it has that as its name, and what a tag means now is another matter', async () => {
    const byDigest = `${at('pull/whole')}@${whole.amd64.manifest.digest}`;
    expect(await pull(byDigest, { root })).toEqual({
      name: byDigest,
      digest: whole.amd64.manifest.digest,
      isNew: true,
    });
    expect(namesIn()).toEqual([byDigest]);
  });

  test('a name follows its tag, and the image before is there by its id until a prune', async () => {
    const tag = at('pull/moving:1');
    storedApp('pull/moving:1');
    await push(tag, { root });
    rmSync(root, { recursive: true });
    expect((await pull(tag, { root })).digest).toBe(app.manifest.digest);
    stored(manifestDescriptor(other.manifest), other.blobs, 'pull/next:1');
    await push(at('pull/next:1'), { root, to: tag });
    inStore((store) => store.images.remove(at('pull/next:1')));
    expect((await pull(tag, { root, policy: 'missing' })).digest).toBe(app.manifest.digest);
    expect(await pull(tag, { root })).toMatchObject({ digest: other.manifest.digest, isNew: true });
    expect((await inspect(app.config.digest, { root })).descriptor.digest).toBe(app.manifest.digest);
  });

  test('what has come stays while the rest comes, whoever prunes meanwhile', async () => {
    const layers = new Set<string>(whole.amd64.layers.map(({ digest }) => digest));
    let pruned: Promise<void> | undefined;
    server.watched.hold = ({ url }) =>
      layers.has(url.split('/').at(-1) ?? '') ? (pruned ??= removeAndPrune()) : undefined;
    await pull(name(), { root, platform: 'linux/amd64' });
    expect(pruned).toBeDefined();
    expect([...whole.amd64.blobs, whole.index].every(has)).toBe(true);
    expect((await inspect(name(), { root, platform: 'linux/amd64' })).root.digest).toBe(whole.root.digest);
  });

  test('a signal ends it, and no name is given', async () => {
    const controller = new AbortController();
    const layers = new Set<string>(whole.amd64.layers.map(({ digest }) => digest));
    server.watched.hold = ({ url }) => {
      if (layers.has(url.split('/').at(-1) ?? '')) controller.abort();
      return undefined;
    };
    await expect(pull(name(), { root, platform: 'linux/amd64', signal: controller.signal })).rejects.toMatchObject({
      code: 'TSB_CANCELED',
    });
    expect(namesIn()).toEqual([]);
    expect(readdirSync(join(root, 'ingest'))).toEqual([]);
  });

  test.each(['', 'app/UPPER', 'a b', 'host/x:tag:tag', '../x'])('%j is no name', async (text) => {
    await expect(pull(text, { root })).rejects.toMatchObject({ code: 'TSB_USAGE' });
    expect(server.watched.requests).toEqual([]);
  });

  test('two at once bring it once each, and neither harms the other', async () => {
    const both = await Promise.all(['linux/amd64', 'linux/arm64'].map((platform) => pull(name(), { root, platform })));
    expect(both.map(({ digest }) => digest)).toEqual([whole.root.digest, whole.root.digest]);
    expect([...whole.amd64.blobs, ...whole.arm64.blobs, whole.index].every(has)).toBe(true);
  });
});

describe('inspect', () => {
  test('finds an image by all that it is called', async () => {
    storedWhole('inspect/whole:1');
    const expected = { root: whole.root, descriptor: { digest: whole.amd64.manifest.digest } };
    const options = { root, platform: 'linux/amd64' } as const;
    for (const name of [
      at('inspect/whole:1'),
      whole.root.digest,
      whole.root.digest.slice('sha256:'.length, 20),
      `${at('inspect/whole')}@${whole.root.digest}`,
    ])
      expect(await inspect(name, options), name).toMatchObject(expected);
    const { manifest, config } = await inspect(at('inspect/whole:1'), options);
    expect(manifest).toEqual(JSON.parse(whole.amd64.manifest.bytes.toString()));
    expect(config).toMatchObject({ architecture: 'amd64', rootfs: { type: 'layers' } });
  });

  test('needs no layers', async () => {
    storedApp('inspect/app:1');
    inStore((store) => app.layers.forEach(({ digest }) => store.blobs.remove(digest)));
    expect((await inspect(at('inspect/app:1'), { root })).descriptor.digest).toBe(app.manifest.digest);
  });

  test('reads archives and layouts, and leaves no image behind', async () => {
    inStore(() => undefined);
    const archive = join(dir.path, 'image.tar');
    writeFileSync(archive, imageArchive([[{ name: 'f', content: 'archived' }]], 'archived:1'));
    const layout = join(dir.path, 'layout');
    for (const [name, content] of Object.entries(layoutFiles(whole, 'v1', false))) {
      mkdirSync(dirname(join(layout, name)), { recursive: true });
      writeFileSync(join(layout, name), content);
    }
    expect((await inspect(archive, { root })).manifest.layers).toHaveLength(1);
    expect((await inspect(`oci-layout://${layout}`, { root, platform: 'linux/arm64' })).config.architecture).toBe(
      'arm64',
    );
    expect(namesIn()).toEqual([]);
  });

  test('asks the registry only when told to, and then whatever the store has', async () => {
    storedApp('inspect/both:1');
    await push(at('inspect/both:1'), { root });
    stored(manifestDescriptor(other.manifest), other.blobs, 'inspect/both:1');
    server.watched.requests.length = 0;
    expect((await inspect(at('inspect/both:1'), { root })).descriptor.digest).toBe(other.manifest.digest);
    expect(server.watched.requests).toEqual([]);
    const remote = await inspect(at('inspect/both:1'), { root, remote: true });
    expect(remote.descriptor.digest).toBe(app.manifest.digest);
    await expect(inspect(at('inspect/none:1'), { root })).rejects.toMatchObject({
      code: 'TSB_NOT_FOUND',
      hint: expect.stringContaining('--remote') as string,
    });
  });

  test('a platform that was asked for must be there', async () => {
    storedWhole('inspect/platforms:1');
    await expect(inspect(at('inspect/platforms:1'), { root, platform: 'linux/s390x' })).rejects.toMatchObject({
      code: 'TSB_NOT_FOUND',
      message: expect.stringContaining('linux/s390x') as string,
    });
  });

  test('a document that was damaged in the store is told as that', async () => {
    storedApp('inspect/damaged:1');
    inStore((store) => {
      const path = store.blobs.path(app.config.digest);
      rmSync(path);
      writeFileSync(path, app.config.bytes.toString().replace('linux', 'LINUX'));
    });
    await expect(inspect(at('inspect/damaged:1'), { root })).rejects.toMatchObject({
      code: 'TSB_DIGEST',
      message: expect.stringContaining(app.config.digest) as string,
    });
  });
});
