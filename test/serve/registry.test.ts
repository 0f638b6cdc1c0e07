import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hashSync } from 'bcryptjs';
import * as fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { mediaTypes } from '../../src/image/index.ts';
import { openAccess, startServer } from '../../src/serve/index.ts';
import type { RegistryServer } from '../../src/serve/server.ts';
import { Store } from '../../src/store/index.ts';
import { sha256 } from '../../src/util/index.ts';
import { filesBelow } from '../store/support.ts';
import { blobOf, type TestBlob } from '../support/image.ts';

let root: string;
let store: Store;
let server: RegistryServer;
let failures: string[];

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'tsbuild-serve-'));
  store = Store.open(join(root, 'store'), { now: Date.now, onWarning: () => undefined });
  failures = [];
  server = await start(true);
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
  store.close();
  rmSync(root, { recursive: true, force: true });
  expect(failures).toEqual([]);
});

function start(writable: boolean, htpasswd?: string): Promise<RegistryServer> {
  return startServer({
    store,
    host: '127.0.0.1',
    port: 0,
    access: openAccess({ writable, ...(htpasswd === undefined ? {} : { htpasswd }) }, Date.now),
    onFailure: (message) => failures.push(message),
  });
}

function url(path: string): string {
  return path.startsWith('http') ? path : `http://${server.address}${path}`;
}

interface Ask {
  readonly headers?: Record<string, string>;
  readonly body?: string | Uint8Array;
}

async function ask(method: string, path: string, { headers = {}, body }: Ask = {}): Promise<Response> {
  return fetch(url(path), { method, headers, ...(body === undefined ? {} : { body: Buffer.from(body) }) });
}

async function errorOf(answer: Response): Promise<string> {
  return ((await answer.json()) as { errors: { code: string }[] }).errors[0]?.code ?? '';
}

/** Pushes a blob in one request after the first. */
async function pushBlob(repository: string, blob: TestBlob): Promise<void> {
  const begun = await ask('POST', `/v2/${repository}/blobs/uploads/`);
  expect(begun.status).toBe(202);
  const done = await ask('PUT', `${begun.headers.get('location')}?digest=${blob.digest}`, { body: blob.bytes });
  expect(done.status).toBe(201);
  expect(done.headers.get('docker-content-digest')).toBe(blob.digest);
}

const config = blobOf({ architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [sha256('layer')] } });
const layer = blobOf('layer');

function manifestOf(parts: Readonly<Record<string, unknown>> = {}): TestBlob {
  return blobOf({
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: { mediaType: mediaTypes.ociConfig, digest: config.digest, size: config.size },
    layers: [{ mediaType: mediaTypes.ociLayer, digest: layer.digest, size: layer.size }],
    ...parts,
  });
}

async function putManifest(
  repository: string,
  reference: string,
  manifest: TestBlob,
  type?: string,
): Promise<Response> {
  return ask('PUT', `/v2/${repository}/manifests/${reference}`, {
    headers: { 'content-type': type ?? mediaTypes.ociManifest },
    body: manifest.bytes,
  });
}

async function pushImage(repository: string, tag: string, manifest: TestBlob = manifestOf()): Promise<void> {
  await pushBlob(repository, config);
  await pushBlob(repository, layer);
  expect((await putManifest(repository, tag, manifest)).status).toBe(201);
}

describe('pull', () => {
  test('says what it is', async () => {
    const base = await ask('GET', '/v2/');
    expect([base.status, base.headers.get('docker-distribution-api-version')]).toEqual([200, 'registry/2.0']);
  });

  test('a manifest by tag and by digest, with its type, its digest and the bytes as they were pushed', async () => {
    const manifest = manifestOf();
    await pushImage('web', '1', manifest);
    for (const reference of ['1', manifest.digest])
      for (const method of ['GET', 'HEAD']) {
        const answer = await ask(method, `/v2/web/manifests/${reference}`);
        expect(answer.status).toBe(200);
        expect(answer.headers.get('content-type')).toBe(mediaTypes.ociManifest);
        expect(answer.headers.get('docker-content-digest')).toBe(manifest.digest);
        expect(answer.headers.get('content-length')).toBe(String(manifest.size));
        const body = Buffer.from(await answer.arrayBuffer());
        expect(body).toEqual(method === 'GET' ? manifest.bytes : Buffer.alloc(0));
      }
  });

  test('a blob, whole and in parts (RFC 9110, 14)', async () => {
    await pushImage('web', '1');
    const path = `/v2/web/blobs/${layer.digest}`;
    expect(await (await ask('GET', path)).text()).toBe('layer');
    expect((await ask('HEAD', path)).headers.get('content-length')).toBe('5');
    const ranges: readonly (readonly [string, number, string, string | null])[] = [
      ['bytes=0-0', 206, 'l', 'bytes 0-0/5'],
      ['bytes=2-', 206, 'yer', 'bytes 2-4/5'],
      ['bytes=-2', 206, 'er', 'bytes 3-4/5'],
      ['bytes=1-99', 206, 'ayer', 'bytes 1-4/5'],
      ['bytes=0-0,2-2', 200, 'layer', null],
      ['lines=1', 200, 'layer', null],
    ];
    for (const [range, status, body, content] of ranges) {
      const answer = await ask('GET', path, { headers: { range } });
      expect([range, answer.status, await answer.text(), answer.headers.get('content-range')]).toEqual([
        range,
        status,
        body,
        content,
      ]);
    }
    const beyond = await ask('GET', path, { headers: { range: 'bytes=5-' } });
    expect([beyond.status, beyond.headers.get('content-range')]).toEqual([416, 'bytes */5']);
  });

  test('what is not there, or is in another repository only, is unknown', async () => {
    await pushImage('web', '1');
    store.blobs.put('a layer of some build');
    const cases: readonly (readonly [string, string])[] = [
      ['/v2/web/manifests/2', 'MANIFEST_UNKNOWN'],
      [`/v2/web/manifests/${sha256('x')}`, 'MANIFEST_UNKNOWN'],
      [`/v2/web/manifests/${layer.digest}`, 'MANIFEST_UNKNOWN'],
      [`/v2/web/blobs/${sha256('x')}`, 'BLOB_UNKNOWN'],
      [`/v2/web/blobs/${sha256('a layer of some build')}`, 'BLOB_UNKNOWN'],
      [`/v2/other/blobs/${layer.digest}`, 'BLOB_UNKNOWN'],
      [`/v2/other/manifests/${manifestOf().digest}`, 'MANIFEST_UNKNOWN'],
      ['/v2/other/tags/list', 'NAME_UNKNOWN'],
    ];
    for (const [path, code] of cases) {
      const answer = await ask('GET', path);
      expect([path, answer.status, await errorOf(answer)]).toEqual([path, 404, code]);
    }
  });

  test('who resolved a tag goes on by digest when it moved on, here or by a build, until the tag or the digest is deleted', async () => {
    const [first, second, third, unasked] = ['1', '2', '3', '4'].map((revision) =>
      manifestOf({ annotations: { revision } }),
    ) as [TestBlob, TestBlob, TestBlob, TestBlob];
    const old = blobOf('a layer that only the first has');
    const firstWithOld = manifestOf({
      layers: [{ mediaType: mediaTypes.ociLayer, digest: old.digest, size: old.size }],
    });
    await pushBlob('web', old);
    await pushImage('web', 'latest', firstWithOld);
    expect((await ask('HEAD', '/v2/web/manifests/latest')).headers.get('docker-content-digest')).toBe(
      firstWithOld.digest,
    );
    await pushImage('web', 'latest', second);
    for (const path of [`manifests/${firstWithOld.digest}`, `blobs/${old.digest}`])
      expect([path, (await ask('GET', `/v2/web/${path}`)).status]).toEqual([path, 200]);
    expect((await ask('GET', '/v2/web/manifests/latest')).headers.get('docker-content-digest')).toBe(second.digest);
    // Builds move tags without asking the server; what no client ever saw of them stays in the store.
    const move = ({ bytes, digest, size }: TestBlob): void => {
      store.blobs.put(bytes);
      store.images.put('docker.io/library/web:latest', { mediaType: mediaTypes.ociManifest, digest, size });
    };
    move(unasked);
    move(third);
    const statusOf = async ({ digest }: TestBlob): Promise<number> =>
      (await ask('GET', `/v2/web/manifests/${digest}`)).status;
    expect([await statusOf(second), await statusOf(third), await statusOf(unasked)]).toEqual([200, 200, 404]);
    await server[Symbol.asyncDispose]();
    server = await start(true);
    expect(await statusOf(second), 'another server of the same store').toBe(200);
    expect((await ask('GET', `/v2/other/manifests/${second.digest}`)).status).toBe(404);
    expect((await ask('DELETE', `/v2/web/manifests/${second.digest}`)).status).toBe(202);
    expect(await statusOf(second)).toBe(404);
    expect(await statusOf(firstWithOld)).toBe(200);
    expect((await ask('DELETE', '/v2/web/manifests/latest')).status).toBe(202);
    await pushImage('web', 'latest', first);
    expect(await statusOf(firstWithOld), 'with its tag it went').toBe(404);
  });

  const bad: readonly (readonly [string, string])[] = [
    ['/v2/UPPER/tags/list', 'NAME_INVALID'],
    ['/v2/a/../../etc/tags/list', 'UNSUPPORTED'],
    ['/v2/%2e%2e/%2e%2e/manifests/x', 'UNSUPPORTED'],
    ['/v2/a%00b/manifests/x', 'NAME_INVALID'],
    [`/v2/${'a/'.repeat(130)}a/tags/list`, 'NAME_INVALID'],
    ['/v2/a/manifests/.x', 'TAG_INVALID'],
    ['/v2/a/manifests/sha256:x', 'DIGEST_INVALID'],
    ['/v2/a/blobs/sha256:..%2f..%2fx', 'UNSUPPORTED'],
    ['/v2/a/blobs/md5:d41d8cd98f00b204e9800998ecf8427e', 'DIGEST_INVALID'],
    ['/v1/search', 'UNSUPPORTED'],
    ['/', 'UNSUPPORTED'],
    ['/v2/%zz', 'UNSUPPORTED'],
  ];
  test.each(bad)('%s is %s', async (path, code) => {
    const answer = await ask('GET', path);
    expect([answer.status >= 400 && answer.status < 500, await errorOf(answer)]).toEqual([true, code]);
  });

  test('any path is answered without a failure of the server', async () => {
    await fc.assert(
      fc.asyncProperty(fc.webPath(), fc.constantFrom('GET', 'PUT', 'POST', 'PATCH', 'DELETE'), async (path, method) => {
        const answer = await ask(method, `/v2${path}`);
        expect(answer.status).toBeLessThan(500);
        await answer.arrayBuffer();
      }),
      { numRuns: 60 },
    );
  });
});

describe('push', () => {
  test('a blob in one request', async () => {
    const answer = await ask('POST', `/v2/web/blobs/uploads/?digest=${layer.digest}`, { body: layer.bytes });
    expect([answer.status, answer.headers.get('location')]).toEqual([201, `/v2/web/blobs/${layer.digest}`]);
    expect(await (await ask('GET', `/v2/web/blobs/${layer.digest}`)).text()).toBe('layer');
  });

  test('a blob in chunks, each where the last one ended; the upload says where it stands', async () => {
    const begun = await ask('POST', '/v2/web/blobs/uploads/');
    const location = begun.headers.get('location') ?? '';
    const first = await ask('PATCH', location, { headers: { 'content-range': '0-1' }, body: 'la' });
    expect([first.status, first.headers.get('range')]).toEqual([202, '0-1']);
    const wrong = await ask('PATCH', location, { headers: { 'content-range': '3-4' }, body: 'er' });
    expect([wrong.status, wrong.headers.get('range')]).toEqual([416, '0-1']);
    const state = await ask('GET', location);
    expect([state.status, state.headers.get('range'), state.headers.get('location')]).toEqual([204, '0-1', location]);
    await ask('PATCH', location, { headers: { 'content-range': '2-3' }, body: 'ye' });
    const done = await ask('PUT', `${location}?digest=${layer.digest}`, {
      headers: { 'content-range': '4-4' },
      body: 'r',
    });
    expect(done.status).toBe(201);
    expect((await ask('GET', location)).status, 'it is over').toBe(404);
  });

  test('a blob goes on after its connection broke', async () => {
    const blob = blobOf('x'.repeat(300_000));
    const begun = await ask('POST', '/v2/web/blobs/uploads/');
    const location = begun.headers.get('location') ?? '';
    const [host = '', port = ''] = server.address.split(':');
    await new Promise<void>((resolve) => {
      const socket = connect(Number(port), host, () => {
        socket.write(`PATCH ${location} HTTP/1.1\r\nhost: ${host}\r\ncontent-length: 300000\r\n\r\n`);
        socket.write(blob.bytes.subarray(0, 100_000), () => setTimeout(() => socket.destroy(), 100));
      });
      socket.on('close', () => resolve());
    });
    // What was sent arrives at some time.
    await expect.poll(async () => (await ask('GET', location)).headers.get('range')).toBe('0-99999');
    const stands = 100_000;
    const done = await ask('PUT', `${location}?digest=${blob.digest}`, { body: blob.bytes.subarray(stands) });
    expect(done.status).toBe(201);
  });

  test('bytes with another digest leave nothing behind, nor do uploads that are called off', async () => {
    const begun = await ask('POST', '/v2/web/blobs/uploads/');
    const wrong = await ask('PUT', `${begun.headers.get('location')}?digest=${sha256('other')}`, { body: 'layer' });
    expect([wrong.status, await errorOf(wrong)]).toEqual([400, 'DIGEST_INVALID']);
    const again = await ask('POST', '/v2/web/blobs/uploads/');
    expect((await ask('DELETE', again.headers.get('location') ?? '')).status).toBe(204);
    expect((await ask('GET', again.headers.get('location') ?? '')).status).toBe(404);
    expect(store.blobs.has(sha256('other'))).toBe(false);
    expect([...store.blobs.list()]).toEqual([]);
  });

  test('the digest of a layer of some build does not give that layer, whatever is sent under it', async () => {
    const secret = blobOf('a layer of some build');
    store.blobs.put(secret.bytes);
    const begun = await ask('POST', '/v2/web/blobs/uploads/');
    const location = begun.headers.get('location') ?? '';
    expect((await ask('PUT', `${location}?digest=${secret.digest}`, { body: 'a guess' })).status).toBe(400);
    expect((await ask('GET', `/v2/web/blobs/${secret.digest}`)).status).toBe(404);
    expect((await ask('POST', `/v2/app/blobs/uploads/?mount=${secret.digest}&from=web`)).status).toBe(202);
    const index = blobOf({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [] });
    const named = manifestOf({
      layers: [{ mediaType: mediaTypes.ociLayer, digest: secret.digest, size: secret.size }],
    });
    expect((await putManifest('web', 'index', index, mediaTypes.ociIndex)).status).toBe(201);
    await pushBlob('web', config);
    expect(await errorOf(await putManifest('web', '1', named))).toBe('MANIFEST_BLOB_UNKNOWN');
  });

  test('what fails in the request that began it leaves no upload that nobody knows of', async () => {
    const files = (): string[] =>
      filesBelow(store.layout.root).filter((path) => !/\/(sessions\/|index\.sqlite)/.test(path));
    const before = files();
    const asks: readonly (readonly [string, Ask, number])[] = [
      ['sha256:x', { body: 'layer' }, 400],
      [sha256('other'), { body: 'layer' }, 400],
      [layer.digest, { headers: { 'content-range': '7-8' }, body: 'x' }, 416],
      [layer.digest, { headers: { 'content-range': 'nowhere' }, body: 'x' }, 416],
    ];
    for (const [digest, sent, status] of asks)
      expect((await ask('POST', `/v2/web/blobs/uploads/?digest=${digest}`, sent)).status).toBe(status);
    expect(files()).toEqual(before);
    await ask('POST', '/v2/web/blobs/uploads/');
    expect(files(), 'one that is known of is a file').toHaveLength(before.length + 1);
  });

  test('an upload belongs to its repository', async () => {
    const begun = await ask('POST', '/v2/web/blobs/uploads/');
    const elsewhere = (begun.headers.get('location') ?? '').replace('/web/', '/other/');
    expect(await errorOf(await ask('PATCH', elsewhere, { body: 'x' }))).toBe('BLOB_UPLOAD_UNKNOWN');
  });

  test('a blob of another repository is mounted, and only from where it is', async () => {
    await pushImage('web', '1');
    const mounted = await ask('POST', `/v2/app/blobs/uploads/?mount=${layer.digest}&from=web`);
    expect([mounted.status, mounted.headers.get('location')]).toEqual([201, `/v2/app/blobs/${layer.digest}`]);
    const elsewhere = await ask('POST', `/v2/app/blobs/uploads/?mount=${layer.digest}&from=nowhere`);
    expect(elsewhere.status).toBe(202);
  });

  test('a manifest only when all that it names is there', async () => {
    await pushBlob('web', layer);
    expect(await errorOf(await putManifest('web', '1', manifestOf()))).toBe('MANIFEST_BLOB_UNKNOWN');
    await pushBlob('other', config);
    expect(await errorOf(await putManifest('web', '1', manifestOf())), 'in another repository').toBe(
      'MANIFEST_BLOB_UNKNOWN',
    );
    await pushBlob('web', config);
    const done = await putManifest('web', '1', manifestOf());
    expect([done.status, done.headers.get('location')]).toEqual([201, `/v2/web/manifests/${manifestOf().digest}`]);
  });

  const manifests: readonly (readonly [string, string, string])[] = [
    ['no JSON', 'x', 'MANIFEST_INVALID'],
    [
      'two kinds at once',
      JSON.stringify({ ...(JSON.parse(manifestOf().bytes.toString()) as object), manifests: [] }),
      'MANIFEST_INVALID',
    ],
    ['another media type', JSON.stringify({ schemaVersion: 2, mediaType: 'text/plain' }), 'MANIFEST_INVALID'],
    ['schema 1', JSON.stringify({ schemaVersion: 1 }), 'MANIFEST_INVALID'],
  ];
  test.each(manifests)('a manifest with %s is refused', async (_what, text, code) => {
    await pushBlob('web', config);
    await pushBlob('web', layer);
    const answer = await putManifest('web', '1', blobOf(text));
    expect([answer.status, await errorOf(answer)]).toEqual([400, code]);
    expect((await ask('GET', '/v2/web/tags/list')).status).toBe(404);
  });

  test('a manifest under another digest, or too large, is refused', async () => {
    await pushBlob('web', config);
    await pushBlob('web', layer);
    expect(await errorOf(await putManifest('web', sha256('x'), manifestOf()))).toBe('DIGEST_INVALID');
    const large = await putManifest('web', '1', blobOf(' '.repeat((4 << 20) + 1)));
    expect([large.status, await errorOf(large)]).toEqual([413, 'SIZE_INVALID']);
  });

  test('an index with its images; names that were needed for them alone go', async () => {
    const manifest = manifestOf();
    await pushImage('web', manifest.digest, manifest);
    const index = blobOf({
      schemaVersion: 2,
      mediaType: mediaTypes.ociIndex,
      manifests: [{ mediaType: mediaTypes.ociManifest, digest: manifest.digest, size: manifest.size }],
    });
    expect((await putManifest('web', '1', index, mediaTypes.ociIndex)).status).toBe(201);
    expect((await ask('GET', `/v2/web/manifests/${manifest.digest}`)).status).toBe(200);
    expect(store.images.list().map(({ name }) => name)).toEqual(['docker.io/library/web:1']);
  });

  test('what was pushed is an image of the store, and outlives a prune', async () => {
    await pushImage('web', '1');
    await pushImage('ghcr.io/team/app', '2');
    expect(store.images.list().map(({ name }) => name)).toEqual(['docker.io/library/web:1', 'ghcr.io/team/app:2']);
    await pushBlob('waiting', blobOf('for its manifest'));
    expect(store.leases.holds('blob', sha256('for its manifest'))).toBe(true);
  });
});

describe('what there is', () => {
  test('repositories and tags, sorted and in pages', async () => {
    for (const tag of ['3', '1', '2']) await pushImage('web', tag);
    await pushImage('team/app', 'x');
    expect(await (await ask('GET', '/v2/_catalog')).json()).toEqual({ repositories: ['team/app', 'web'] });
    const tags: string[] = [];
    let next: string | undefined = '/v2/web/tags/list?n=2';
    for (let pages = 0; next !== undefined && pages < 5; pages++) {
      const answer = await ask('GET', next);
      tags.push(...((await answer.json()) as { tags: string[] }).tags);
      next = /^<([^>]+)>; rel="next"$/.exec(answer.headers.get('link') ?? '')?.[1];
    }
    expect(tags).toEqual(['1', '2', '3']);
    expect(await (await ask('GET', '/v2/web/tags/list?n=0')).json()).toMatchObject({ tags: [] });
    expect((await ask('GET', '/v2/web/tags/list?n=-1')).status).toBe(400);
  });

  test('names that were given for the address itself are served without it', async () => {
    await pushImage('web', '1');
    const web = store.images.get('docker.io/library/web:1');
    if (web) store.images.put(`${server.address}/mine:2`, web.descriptor);
    expect(await (await ask('GET', '/v2/mine/tags/list')).json()).toEqual({ name: 'mine', tags: ['2'] });
    expect(await (await ask('GET', '/v2/_catalog')).json()).toEqual({ repositories: ['mine', 'web'] });
  });

  test('what refers to an image, also before that is there, and by type', async () => {
    const subject = manifestOf();
    await pushBlob('web', config);
    await pushBlob('web', layer);
    const referrer = (artifactType: string): TestBlob =>
      manifestOf({
        artifactType,
        annotations: { for: artifactType },
        subject: { mediaType: mediaTypes.ociManifest, digest: subject.digest, size: subject.size },
      });
    for (const type of ['application/a', 'application/b']) {
      const blob = referrer(type);
      const answer = await putManifest('web', blob.digest, blob);
      expect([answer.status, answer.headers.get('oci-subject')]).toEqual([201, subject.digest]);
    }
    const all = await ask('GET', `/v2/web/referrers/${subject.digest}`);
    expect(all.headers.get('content-type')).toBe(mediaTypes.ociIndex);
    const { manifests } = (await all.json()) as { manifests: { artifactType: string; annotations: object }[] };
    expect(new Map(manifests.map(({ artifactType, annotations }) => [artifactType, annotations]))).toEqual(
      new Map([
        ['application/a', { for: 'application/a' }],
        ['application/b', { for: 'application/b' }],
      ]),
    );
    const some = await ask('GET', `/v2/web/referrers/${subject.digest}?artifactType=application/b`);
    expect(some.headers.get('oci-filters-applied')).toBe('artifactType');
    expect(((await some.json()) as { manifests: unknown[] }).manifests).toHaveLength(1);
    const none = await ask('GET', `/v2/web/referrers/${sha256('x')}`);
    expect([none.status, ((await none.json()) as { manifests: unknown[] }).manifests]).toEqual([200, []]);
  });

  test('a tag is taken away, and a digest with all of its tags', async () => {
    const manifest = manifestOf();
    for (const tag of ['1', '2']) await pushImage('web', tag, manifest);
    expect((await ask('DELETE', '/v2/web/manifests/1')).status).toBe(202);
    expect(await (await ask('GET', '/v2/web/tags/list')).json()).toMatchObject({ tags: ['2'] });
    expect((await ask('DELETE', `/v2/web/manifests/${manifest.digest}`)).status).toBe(202);
    expect((await ask('GET', '/v2/web/manifests/2')).status).toBe(404);
    expect((await ask('DELETE', '/v2/web/manifests/2')).status).toBe(404);
    expect((await ask('DELETE', `/v2/web/blobs/${layer.digest}`)).status, 'blobs go with the store').toBe(405);
  });
});

describe('who may', () => {
  let file: string;
  beforeAll(() => {
    file = join(mkdtempSync(join(tmpdir(), 'tsbuild-htpasswd-')), 'htpasswd');
    writeFileSync(file, `# users\nada:${hashSync('secret', 4)}\n`);
  });
  afterAll(() => rmSync(join(file, '..'), { recursive: true, force: true }));

  const basic = (pair: string): Record<string, string> => ({
    authorization: `Basic ${Buffer.from(pair).toString('base64')}`,
  });

  test('a read-only registry takes nothing', async () => {
    await pushImage('web', '1');
    await server[Symbol.asyncDispose]();
    server = await start(false);
    expect((await ask('GET', '/v2/web/manifests/1')).status).toBe(200);
    for (const [method, path] of [
      ['POST', '/v2/web/blobs/uploads/'],
      ['PUT', '/v2/web/manifests/1'],
      ['DELETE', '/v2/web/manifests/1'],
    ] as const) {
      const answer = await ask(method, path);
      expect([method, answer.status, await errorOf(answer)]).toEqual([method, 403, 'DENIED']);
    }
  });

  test('with passwords everybody has to give a right one, and a change of the file counts at once', async () => {
    await server[Symbol.asyncDispose]();
    server = await start(true, file);
    for (const headers of [{}, basic('ada:wrong'), basic('bob:secret'), basic('ada'), { authorization: 'Bearer x' }]) {
      const answer = await ask('GET', '/v2/', { headers });
      expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([
        401,
        expect.stringContaining('Basic realm=') as string,
      ]);
    }
    for (let times = 0; times < 2; times++)
      expect((await ask('GET', '/v2/', { headers: basic('ada:secret') })).status).toBe(200);
    writeFileSync(file, `ada:${hashSync('changed', 4)}\n`);
    expect((await ask('GET', '/v2/', { headers: basic('ada:secret') })).status).toBe(401);
    expect((await ask('GET', '/v2/', { headers: basic('ada:changed') })).status).toBe(200);
  });

  test('other hashes than bcrypt are refused with the line', () => {
    writeFileSync(file, `ada:{SHA}x\n`);
    expect(() => openAccess({ htpasswd: file, writable: true }, Date.now)).toThrow(
      expect.objectContaining({
        code: 'TSB_USAGE',
        message: expect.stringContaining('line 1') as string,
        hint: expect.stringContaining('htpasswd -B') as string,
      }),
    );
    expect(() => openAccess({ htpasswd: '/nonexistent', writable: true }, Date.now)).toThrow('/nonexistent');
  });

  test('web pages in a browser may nothing', async () => {
    await pushImage('web', '1');
    for (const headers of [{ origin: 'http://evil.example' }, { 'sec-fetch-site': 'cross-site' }]) {
      expect((await ask('GET', '/v2/web/manifests/1', { headers })).status).toBe(403);
      expect((await ask('POST', '/v2/web/blobs/uploads/', { headers })).status).toBe(403);
    }
  });
});
