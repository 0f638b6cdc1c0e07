import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type ObjectStoreRequest, objectStoreId, openObjectStore } from '../../src/object-store/index.ts';
import { bytesOf, contentOf } from '../suites/object-store.ts';
import { DEFAULT_BRANCH, startActionsCache } from '../support/actions-cache.ts';
import { S3_BUCKET, startS3Server } from '../support/s3-server.ts';
import { testTask } from '../support/task.ts';
import { s3Options, s3Surroundings } from './support.ts';

const now = (): number => Date.now();

test('what is opened asks nothing before it is asked, and then does what its kind does', async () => {
  await using s3 = await startS3Server();
  await using actions = await startActionsCache();
  const root = mkdtempSync(join(tmpdir(), 'tsbuild-open-'));
  const requests: readonly (readonly [ObjectStoreRequest, string])[] = [
    [{ kind: 'directory', path: join(root, 'cache') }, join(root, 'cache')],
    [{ kind: 's3', options: s3Options(s3, { prefix: 'app/' }) }, `s3://${S3_BUCKET}/app`],
    [
      { kind: 'gha', options: { url: actions.url, token: actions.token(DEFAULT_BRANCH) }, scope: 'Web App' },
      `the cache of GitHub Actions at ${new URL(actions.url).host}`,
    ],
  ];
  for (const [request, id] of requests) {
    let asked = 0;
    const store = openObjectStore(request, now, () => {
      asked++;
      return Promise.resolve(s3Surroundings());
    });
    expect([store.id, objectStoreId(request), asked]).toEqual([id, id, 0]);
    await store.flush?.(testTask());
    expect(asked).toBe(0);
    await Promise.all(['a', 'b'].map((name) => store.put(testTask(), name, contentOf(Buffer.from(name)))));
    await store.flush?.(testTask());
    expect((await bytesOf(store, 'b'))?.toString()).toBe('b');
    expect(asked).toBe(request.kind === 'directory' ? 0 : 1);
    await store[Symbol.asyncDispose]();
  }
  rmSync(root, { recursive: true });
});

test('scopes of the cache of GitHub Actions do not see each other, whatever they are called', async () => {
  await using actions = await startActionsCache();
  const token = actions.token(DEFAULT_BRANCH);
  const scopes = ['app', 'app-catalog', 'App', 'app.catalog', 'app-catalog-0000000001', ''];
  const stores = scopes.map((scope) =>
    openObjectStore({ kind: 'gha', options: { url: actions.url, token }, scope }, now, () =>
      Promise.resolve(s3Surroundings()),
    ),
  );
  for (const [at, store] of stores.entries()) {
    await store.put(testTask(), 'records/x', contentOf(Buffer.from(`of ${scopes[at]}`)));
    await store.flush?.(testTask());
  }
  for (const scope of scopes) {
    const again = openObjectStore({ kind: 'gha', options: { url: actions.url, token }, scope }, now, () =>
      Promise.resolve(s3Surroundings()),
    );
    expect((await bytesOf(again, 'records/x'))?.toString()).toBe(`of ${scope}`);
    await again[Symbol.asyncDispose]();
  }
  for (const store of stores) await store[Symbol.asyncDispose]();
});

test.each<ObjectStoreRequest>([
  { kind: 's3', options: s3Options({ url: 'ftp://x' }) },
  { kind: 'gha', options: { url: 'results', token: 'x' }, scope: 'a' },
  {
    kind: 'azblob',
    options: {
      accountUrl: 'https://a.test',
      container: 'NO',
      access: { kind: 'token', token: 'x' },
      accessFrom: 'the test',
      prefix: '',
      blobsPrefix: 'blobs/',
      manifestsPrefix: 'm/',
    },
  },
])('what cannot be reached by its description is refused at once: $kind', (request) => {
  expect(() => objectStoreId(request)).toThrow(expect.objectContaining({ code: 'TSB_USAGE' }));
});
