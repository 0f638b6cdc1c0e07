import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type AssembledImage, type KnownRepositories, pushImage } from '../../src/exporter/index.ts';
import { type Descriptor, mediaTypes, parseReference, type Repository } from '../../src/image/index.ts';
import { createRegistry, type Registry, RepositoryWriters } from '../../src/registry/index.ts';
import type { Digest } from '../../src/util/index.ts';
import { type TestBlob, testImage } from '../support/image.ts';
import { testTask } from '../support/task.ts';
import { startUploadRegistry, type UploadRegistry } from '../support/upload-registry.ts';

let server: UploadRegistry;
let client: Registry;
beforeEach(async () => {
  server = await startUploadRegistry();
  client = createRegistry({ now: () => 0, limits: { attempts: 1, backoffMs: 1 } });
});
afterEach(async () => {
  await client[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

const whole = testImage({ layers: [[{ name: 'a', content: 'a' }], [{ name: 'b', content: 'b' }]] });
const descriptor = (mediaType: string, { digest, size }: TestBlob): Descriptor => ({ mediaType, digest, size });
const layers = whole.layers.map((blob) => descriptor(mediaTypes.ociLayerGzip, blob));
const [root, config] = [
  descriptor(mediaTypes.ociManifest, whole.manifest),
  descriptor(mediaTypes.ociConfig, whole.config),
];
const assembled: AssembledImage = {
  root,
  documents: [
    { descriptor: config, bytes: whole.config.bytes },
    { descriptor: root, bytes: whole.manifest.bytes },
  ],
  platforms: [{ platform: { os: 'linux', architecture: 'amd64' }, manifest: root, config, layers, diffIds: [] }],
};

/** Pushes, by a client that remembers nothing but what it noted. */
async function push(names: readonly string[], known: Partial<KnownRepositories> = {}, streamed?: Digest[]) {
  const shown: string[] = [];
  const noted: (readonly [string, readonly Digest[]])[] = [];
  const writers = new RepositoryWriters(client);
  const sent = await pushImage(
    testTask(),
    names.map((name) => `${server.host}/${name}`),
    assembled,
    {
      stream: ({ digest }) => {
        streamed?.push(digest);
        const blob = whole.layers.find((one) => one.digest === digest);
        if (blob === undefined) throw new Error(`${digest} is no layer`);
        return [blob.bytes];
      },
      writer: (repository) => writers.of(repository),
      origins: {
        of: () => [],
        note: (digests, { path }) => void noted.push([path, [...digests]]),
        ...known,
      },
      status: (id, _current, _total, completed) => void (completed === true && shown.push(id)),
    },
  );
  return { sent, shown, noted };
}

const puts = (): readonly string[] =>
  server.requests.flatMap(({ method, path }) =>
    method === 'PUT' ? (/^\/v2\/(.*)\/manifests\/(.*)$/.exec(path)?.slice(1).join(':') ?? []) : [],
  );

describe('a push', () => {
  test('gives all tags of a repository by one image, in the order of the names, and says what was done', async () => {
    const { sent, shown, noted } = await push(['app:1', 'team/other:x', 'app:latest']);
    expect(puts()).toEqual(['app:1', 'app:latest', 'team/other:x']);
    expect(sent).toHaveLength(2);
    const at = server.host;
    const manifests = shown.filter((id) => id.startsWith('pushing manifest'));
    expect(manifests).toEqual(
      ['app:1', 'app:latest', 'team/other:x'].map((name) => `pushing manifest for ${at}/${name}@${root.digest}`),
    );
    expect(shown.filter((id) => id.startsWith('pushed to'))).toEqual([
      expect.stringMatching(`^pushed to ${at}/app, blobs: 3 sent \\(\\d+B\\)$`),
      expect.stringMatching(`^pushed to ${at}/team/other, blobs: 3 (mounted from another repository|sent .*)$`),
    ]);
    for (const { digest } of [...layers, config]) expect(shown).toContain(`pushing ${digest}`);
    const all = [...layers, config].map(({ digest }) => digest).toSorted();
    expect(noted.map(([path, digests]) => [path, digests.toSorted()])).toEqual([
      ['app', all],
      ['team/other', all],
    ]);
  });

  test('of a name without a tag is found by its digest', async () => {
    const { shown } = await push(['app']);
    expect(puts()).toEqual([`app:${root.digest}`]);
    expect(shown).toContain(`pushing manifest for ${server.host}/app@${root.digest}`);
    expect([...server.manifests.keys()].some((key) => key.includes('latest'))).toBe(false);
  });

  test('reads each layer once, and no document from the store', async () => {
    const streamed: Digest[] = [];
    await push(['app:1', 'app:2', 'other:1'], {}, streamed);
    expect(streamed.toSorted()).toEqual(layers.map(({ digest }) => digest).toSorted());
  });

  test('takes blobs from repositories that are known to have them', async () => {
    await push(['base:1']);
    const asked: Digest[] = [];
    const base: Repository = parseReference(`${server.host}/base`);
    const of = (digest: Digest): readonly Repository[] => {
      asked.push(digest);
      return [base];
    };
    const streamed: Digest[] = [];
    const { sent, shown } = await push(['app:1'], { of }, streamed);
    expect(streamed).toEqual([]);
    expect(sent[0]?.mounted).toHaveLength(3);
    for (const { digest } of layers) {
      expect(asked).toContain(digest);
      expect(shown).toContain(`mounted ${digest}`);
    }
  });

  test('again sends no blob, and puts the tags', async () => {
    await push(['app:1']);
    server.requests.length = 0;
    const { sent, shown } = await push(['app:2']);
    expect(sent[0]?.there).toHaveLength(3);
    expect(shown.filter((id) => id.startsWith('pushing sha256'))).toEqual([]);
    expect(puts()).toEqual(['app:2']);
  });

  test('that one repository refuses notes nothing of it, and what came before stays noted', async () => {
    server.fault = ({ path, method }) =>
      path.startsWith('/v2/second/') && method !== 'HEAD' ? { status: 403 } : undefined;
    const noted: string[] = [];
    const note = (_digests: Iterable<Digest>, { path }: Repository): void => void noted.push(path);
    await expect(push(['first:1', 'second:1', 'third:1'], { note })).rejects.toMatchObject({
      code: 'TSB_REGISTRY',
      message: expect.stringContaining(`${server.host}/second`) as string,
    });
    expect(noted).toEqual(['first']);
    expect(puts()).toEqual(['first:1']);
  });
});
