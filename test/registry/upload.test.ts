import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  createRegistry,
  type Registry,
  registryContent,
  RepositoryWriter,
  sendImage,
} from '../../src/registry/index.ts';
import { mediaTypes, parseReference } from '../../src/image/index.ts';
import { blobOf, type TestBlob, testImage } from '../support/image.ts';
import { memoryContent } from '../support/memory-content.ts';
import { startScriptedRegistry } from '../support/registry-script.ts';
import { type Fault, startUploadRegistry, type UploadRegistry } from '../support/upload-registry.ts';
import { testTask } from '../support/task.ts';

const MIB = 1 << 20;
const big = blobOf(Buffer.from(Array.from({ length: 6 * MIB }, (_, index) => index % 251)));
const small = blobOf('some bytes');
const limits = { attempts: 3, backoffMs: 1, maxRetryAfterMs: 500 };

let server: UploadRegistry;
let client: Registry;
beforeEach(async () => {
  server = await startUploadRegistry();
  client = createRegistry({ now: () => 0, limits });
});
afterEach(async () => {
  await client[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

const repository = () => parseReference(`${server.host}/some/app`);
const source = ({ digest, size, bytes }: TestBlob) => ({
  digest,
  size,
  *open(start: number) {
    for (let at = start; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536);
  },
});
const push = (blob: TestBlob, sent?: number[]) =>
  client.pushBlob(testTask(), repository(), source(blob), { onProgress: (bytes) => void sent?.push(bytes) });
const methods = () => server.requests.map(({ method }) => method);
const stored = (blob: TestBlob) => server.blobs.get(`some/app@${blob.digest}`)?.equals(blob.bytes) ?? false;
/** The fault for the first request of a method, or the first so many. */
const first = (method: string, fault: Fault, times = 1): void => {
  server.fault = (request, all) =>
    request.method === method && all.filter((one) => one.method === method).length <= times ? fault : undefined;
};

describe('an upload that goes wrong (REL-18, REL-19)', () => {
  test('goes on where the connection was cut, and sends nothing twice', async () => {
    first('PUT', { cutAfter: 4 * MIB });
    await push(big);
    expect(stored(big)).toBe(true);
    expect(methods()).toEqual(['POST', 'PUT', 'GET', 'PATCH', 'PUT']);
    expect(server.requests.map(({ bytes }) => bytes)).toEqual([0, 4 * MIB, 0, 2 * MIB, 0]);
    expect(server.requests[3]?.headers['content-range']).toBe(`${4 * MIB}-${6 * MIB - 1}`);
  });

  test('begins anew when the registry has forgotten what it had', async () => {
    server.fault = ({ method }, all) => {
      if (method === 'PUT' && all.length === 2) return { cutAfter: 4 * MIB };
      return method === 'GET' ? 'forget' : undefined;
    };
    await push(big);
    expect(stored(big)).toBe(true);
    expect(methods()).toEqual(['POST', 'PUT', 'GET', 'HEAD', 'POST', 'PUT']);
  });

  test('is done when only the answer was lost', async () => {
    first('PUT', 'lost');
    expect(await push(small)).toBe('sent');
    expect(methods()).toEqual(['POST', 'PUT', 'GET', 'HEAD']);
  });

  test('is done when somebody else has brought the blob meanwhile', async () => {
    server.fault = ({ method }) => {
      if (method !== 'PUT') return undefined;
      server.blobs.set(`some/app@${small.digest}`, small.bytes);
      return 'forget';
    };
    await push(small);
    expect(methods().filter((method) => method === 'PUT')).toHaveLength(1);
  });

  test('asks where it is when a part does not fit', async () => {
    server.fault = ({ method }, all) => {
      if (method === 'PUT' && all.length === 2) return { cutAfter: 3 * MIB };
      return method === 'PATCH' && all.filter((one) => one.method === 'PATCH').length === 1
        ? { status: 416, headers: { range: '0-9' } }
        : undefined;
    };
    await push(big);
    expect(stored(big)).toBe(true);
    expect(methods()).toEqual(['POST', 'PUT', 'GET', 'PATCH', 'GET', 'PATCH', 'PUT']);
  });

  test('is repeated once when the bytes arrive wrong, and given up when they do so again', async () => {
    const wrong = { status: 400, body: '{"errors":[{"code":"DIGEST_INVALID","message":"it is another one"}]}' };
    first('PUT', wrong);
    await push(small);
    expect(stored(small)).toBe(true);
    first('PUT', wrong, 99);
    server.requests.length = 0;
    await expect(push(blobOf('other'))).rejects.toThrow(/Cannot push blob sha256:.*some\/app.*it is another one/);
    expect(methods().filter((method) => method === 'PUT')).toHaveLength(2);
  });

  const passing: Readonly<Record<string, Fault>> = {
    '500': { status: 500 },
    '502': { status: 502 },
    '503 with Retry-After': { status: 503, headers: { 'retry-after': '0' } },
    '504': { status: 504 },
    '429': { status: 429, headers: { 'retry-after': '0' } },
    '408': { status: 408 },
    'a reset': 'reset',
    'a lost answer': 'lost',
  };
  for (const [name, fault] of Object.entries(passing)) {
    for (const method of ['HEAD', 'POST', 'PUT']) {
      test(`survives ${name} of one ${method}`, async () => {
        first(method, fault);
        const writer = new RepositoryWriter(client, repository());
        await writer.blob(testTask(), source(small));
        expect(stored(small)).toBe(true);
      });

      test(`is given up after three of ${name} for ${method}, naming the place and no credentials`, async () => {
        await using known = createRegistry({
          now: () => 0,
          limits,
          credentials: { get: () => Promise.resolve({ username: 'me', password: 'hunter2' }) },
        });
        const challenge = { status: 401, headers: { 'www-authenticate': 'Basic realm="r"' } };
        server.fault = (request) => {
          if (request.headers.authorization === undefined) return challenge;
          return request.method === method ? fault : undefined;
        };
        const writer = new RepositoryWriter(known, repository());
        const outcome = writer.blob(testTask(), source(small));
        // Bytes that arrived are there, whether we were told or not.
        if (fault === 'lost' && method === 'PUT') return expect(await outcome).toBe('sent');
        const error = await outcome.then(
          () => undefined,
          (thrown: unknown) => thrown as Error,
        );
        expect(error?.message).toContain(server.host);
        expect(error?.message).toContain('some/app');
        expect(JSON.stringify(error, Object.getOwnPropertyNames(error ?? {}))).not.toMatch(/hunter2|Basic/);
        const tries = server.requests.filter((one) => one.method === method && one.headers.authorization !== undefined);
        expect(tries.length).toBeGreaterThanOrEqual(1);
        expect(tries.length).toBeLessThanOrEqual(method === 'HEAD' ? 3 : 9);
      });
    }
  }

  test('does not wait for longer than is bearable', async () => {
    server.fault = ({ method }) => (method === 'PUT' ? { status: 429, headers: { 'retry-after': '3600' } } : undefined);
    await expect(push(small)).rejects.toThrow(/limits requests/);
    expect(methods()).toEqual(['POST', 'PUT']);
  });

  test('progress buys new tries, however often a long blob is cut', async () => {
    server.fault = ({ method }, all) => {
      const bodies = all.filter((one) => one.method === 'PUT' || one.method === 'PATCH').length;
      return (method === 'PUT' || method === 'PATCH') && bodies <= 5 ? { cutAfter: MIB } : undefined;
    };
    await push(big);
    expect(stored(big)).toBe(true);
    const received = server.requests.reduce((sum, { bytes }) => sum + bytes, 0);
    expect(received).toBe(big.size);
  });

  test('but bytes that are lost again and again do not', async () => {
    server.fault = ({ method, path }) => {
      if (method === 'PUT') return { cutAfter: 3 * MIB };
      return method === 'GET' && path.includes('uploads') ? 'forget' : undefined;
    };
    await expect(push(big)).rejects.toThrow(/the connection was cut/);
    expect(methods().filter((method) => method === 'PUT')).toHaveLength(3);
  });
});

describe('a registry that takes no requests so large', () => {
  test('gets parts', async () => {
    server.maxBody = 2 * MIB;
    const sent: number[] = [];
    await push(big, sent);
    expect(stored(big)).toBe(true);
    const parts = server.requests.filter(({ method }) => method === 'PATCH' || method === 'PUT').slice(1);
    expect(Math.max(...parts.slice(1).map(({ bytes }) => bytes))).toBeLessThanOrEqual(3 * MIB);
    expect(sent.at(-1)).toBe(big.size);
  });

  test('gets parts of the least length that it names', async () => {
    server.maxBody = 5 * MIB;
    server.minChunk = 4 * MIB;
    await push(big);
    expect(stored(big)).toBe(true);
    const parts = server.requests.filter(({ method }) => method === 'PATCH').map(({ bytes }) => bytes);
    expect(parts).toEqual([4 * MIB, 2 * MIB]);
  });

  test('that takes a byte of each part is not served for ever', async () => {
    server.maxBody = 4 * MIB;
    let had = 0;
    server.fault = ({ method }) =>
      method === 'PATCH'
        ? { status: 202, headers: { range: `0-${++had}`, location: '/v2/some/app/blobs/uploads/1' } }
        : undefined;
    await expect(push(big)).rejects.toThrow(/Cannot push blob/);
    expect(server.requests.length).toBeLessThan(10);
  });

  test('is told about when parts do not help either', async () => {
    server.maxBody = 1000;
    await expect(push(big)).rejects.toThrow(/413 Content Too Large/);
    expect(methods().length).toBeLessThan(12);
  });
});

describe('a mount', () => {
  const from = () => [parseReference(`${server.host}/other/app`)];
  const mount = () => client.pushBlob(testTask(), repository(), source(small), { mountFrom: from() });

  test('takes the place of an upload', async () => {
    server.blobs.set(`other/app@${small.digest}`, small.bytes);
    expect(await mount()).toBe('mounted');
    expect(server.requests.map(({ bytes }) => bytes)).toEqual([0]);
    expect(server.requests[0]?.query.get('from')).toBe('other/app');
  });

  test('that is refused with an upload goes on there', async () => {
    expect(await mount()).toBe('sent');
    expect(methods()).toEqual(['POST', 'PUT']);
  });

  for (const status of [401, 403, 404, 500]) {
    test(`that is refused with ${status} is an upload instead`, async () => {
      first('POST', { status }, status === 500 ? 3 : 1);
      expect(await mount()).toBe('sent');
      expect(stored(small)).toBe(true);
    });
  }

  test('that no token is given for is an upload instead', async () => {
    await using token = await startScriptedRegistry();
    await using known = createRegistry({ now: () => 0, limits });
    token.on('/token', (request, response) => {
      const both = (request.url ?? '').includes('other%2Fapp');
      response.writeHead(both ? 403 : 200).end(both ? '' : '{"token":"abc"}');
    });
    const challenge = { 'www-authenticate': `Bearer realm="http://${token.host}/token",service="s"` };
    server.fault = ({ headers }) =>
      headers.authorization === undefined ? { status: 401, headers: challenge } : undefined;
    expect(await known.pushBlob(testTask(), repository(), source(small), { mountFrom: from() })).toBe('sent');
    expect(stored(small)).toBe(true);
  });

  test('is not asked of another registry, or of the repository itself', async () => {
    const elsewhere = [parseReference('registry.test/other/app'), repository()];
    await client.pushBlob(testTask(), repository(), source(small), { mountFrom: elsewhere });
    expect(server.requests.map(({ query }) => query.get('mount'))).toEqual([null, null]);
  });
});

describe('an image that is sent', () => {
  const image = testImage({ layers: [[{ name: 'a', content: 'a' }], [{ name: 'b', content: 'b' }]] });
  const root = { mediaType: mediaTypes.ociManifest, digest: image.manifest.digest, size: image.manifest.size };
  const send = (tags = ['1', '2']) =>
    sendImage(testTask(), new RepositoryWriter(client, repository()), {
      content: memoryContent(...image.blobs),
      root,
      tags,
      what: 'image "app"',
    });

  test('has its tags last, and costs one question and the tag the second time', async () => {
    await send();
    expect(methods().slice(-2)).toEqual(['PUT', 'PUT']);
    expect(server.manifests.get('some/app:2')?.bytes.equals(image.manifest.bytes)).toBe(true);
    server.requests.length = 0;
    const sent = await send(['1']);
    expect(sent).toMatchObject({ mounted: [], sent: [] });
    expect(sent.there).toHaveLength(3);
    expect(methods()).toEqual(['HEAD', 'PUT']);
    expect(server.requests[0]?.path).toBe(`/v2/some/app/manifests/${root.digest}`);
  });

  test('of which the registry lost a blob since is made whole', async () => {
    await send(['1']);
    const [lost] = image.layers;
    server.blobs.delete(`some/app@${lost?.digest}`);
    server.requests.length = 0;
    const sent = await send(['1']);
    expect(sent.sent).toEqual([expect.objectContaining({ digest: lost?.digest })]);
    expect(sent.there).toHaveLength(2);
    // Asked and refused at first; then each blob, the one that is missing, and the manifest again.
    expect(methods().filter((method) => method === 'PUT')).toHaveLength(3);
    expect(stored(image.layers[0] as TestBlob)).toBe(true);
  });

  test('after its blobs were handed in is not asked for', async () => {
    await send(['1']);
    server.requests.length = 0;
    const writer = new RepositoryWriter(client, repository());
    for (const layer of image.layers) expect(await writer.blobAhead(testTask(), source(layer))).toBe(true);
    const content = memoryContent(...image.blobs);
    await sendImage(testTask(), writer, { content, root, tags: ['1'], what: 'image "app"' });
    expect(methods().sort()).toEqual(['HEAD', 'HEAD', 'HEAD', 'PUT']);
    expect(server.requests.filter(({ path }) => path.includes('/manifests/')).map(({ method }) => method)).toEqual([
      'PUT',
    ]);
  });

  test('that failed midway is completed with what is missing', async () => {
    let left = 2;
    server.fault = ({ method, path }) =>
      method === 'PUT' && path.includes('/uploads/') && left-- <= 0 ? { status: 403 } : undefined;
    await expect(send()).rejects.toThrow(/access denied/);
    expect(server.manifests.size).toBe(0);
    const had = server.blobs.size;
    expect(had).toBeGreaterThan(0);
    server.fault = () => undefined;
    server.requests.length = 0;
    expect((await send()).sent).toHaveLength(3 - had);
    expect(server.manifests.get('some/app:1')?.bytes.equals(image.manifest.bytes)).toBe(true);
  });

  test('survives a manifest that is answered with 429', async () => {
    server.fault = ({ method, path }, all) =>
      method === 'PUT' && path.includes('/manifests/') && all.filter((one) => one.path === path).length === 1
        ? { status: 429, headers: { 'retry-after': '0' } }
        : undefined;
    await send();
    expect(server.manifests.has('some/app:2')).toBe(true);
  });

  test('under a tag that cannot be moved is as good as done when the tag is it', async () => {
    await send(['1']);
    const immutable = { status: 400, body: '{"errors":[{"code":"TAG_INVALID","message":"the tag 1 is immutable"}]}' };
    server.fault = ({ method, path }) => (method === 'PUT' && path.endsWith('/manifests/1') ? immutable : undefined);
    await send(['1']);
    server.manifests.delete('some/app:1');
    await expect(send(['1'])).rejects.toMatchObject({
      message: expect.stringMatching(/Cannot push manifest of ".*some\/app:1".*the tag 1 is immutable/),
      hint: expect.stringContaining('another tag'),
    });
  });

  test('goes from registry to registry through memory, in whatever pieces it comes', async () => {
    await using other = await startUploadRegistry();
    const large = testImage({ layers: [[{ name: 'a', content: randomBytes(3 * MIB) }]] });
    const target = { mediaType: mediaTypes.ociManifest, digest: large.manifest.digest, size: large.manifest.size };
    const writer = (host: string) => new RepositoryWriter(client, { host, path: 'some/app' });
    const common = { root: target, tags: ['1'], what: 'image' };
    await sendImage(testTask(), writer(server.host), { ...common, content: memoryContent(...large.blobs) });
    const content = registryContent(client, testTask(), repository());
    await sendImage(testTask(), writer(other.host), { ...common, content });
    for (const { digest, bytes } of [...large.layers, large.config])
      expect(other.blobs.get(`some/app@${digest}`)?.equals(bytes)).toBe(true);
  });

  test('may have an empty blob', async () => {
    const empty = blobOf('');
    await client.pushBlob(testTask(), repository(), { ...empty, open: () => [] });
    expect(stored(empty)).toBe(true);
  });

  test('is refused as a whole when a part of it is missing', async () => {
    const content = memoryContent(...image.blobs.filter((blob) => blob !== image.config));
    const writer = new RepositoryWriter(client, repository());
    await expect(sendImage(testTask(), writer, { content, root, tags: [], what: 'image "app"' })).rejects.toThrow(
      /Cannot use image "app": sha256:\w+ is missing/,
    );
    expect(server.requests).toEqual([]);
  });

  test('with layers that are not to be sent leaves them where their addresses say (REG-12)', async () => {
    const urls = [`http://${server.host}/elsewhere`];
    const type = 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip';
    const document = JSON.parse(image.manifest.bytes.toString()) as { layers: Record<string, unknown>[] };
    document.layers[0] = { ...document.layers[0], mediaType: type, urls };
    // Addresses of any other layer mean nothing.
    document.layers[1] = { ...document.layers[1], urls };
    const manifest = blobOf(document);
    await sendImage(testTask(), new RepositoryWriter(client, repository()), {
      content: memoryContent(...image.blobs, manifest),
      root: { mediaType: mediaTypes.ociManifest, digest: manifest.digest, size: manifest.size },
      tags: ['1'],
      what: 'image',
    });
    expect(server.requests.map(({ path }) => path).filter((path) => path.includes('elsewhere'))).toEqual([]);
    expect([...server.blobs.keys()].sort()).toEqual(
      [image.layers[1], image.config].map((blob) => `some/app@${blob?.digest}`).sort(),
    );
  });
});

describe('what refers to an image', () => {
  const image = testImage();
  const subject = { mediaType: mediaTypes.ociManifest, digest: image.manifest.digest, size: image.manifest.size };
  const empty = blobOf('{}');
  const artifact = (artifactType: string) =>
    blobOf({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      artifactType,
      config: { mediaType: 'application/vnd.oci.empty.v1+json', digest: empty.digest, size: empty.size },
      layers: [],
      subject,
    });
  const attach = async (type: string) => {
    const { bytes, digest, size } = artifact(type);
    const content = memoryContent(empty, artifact(type));
    const root = { mediaType: mediaTypes.ociManifest, digest, size };
    await sendImage(testTask(), new RepositoryWriter(client, repository()), {
      content,
      root,
      tags: [],
      what: 'artifact',
    });
    return bytes;
  };

  for (const api of [true, false]) {
    test(`is listed by ${api ? 'the API' : 'the tag that stands in for it'}`, async () => {
      server.referrers = api;
      expect(await client.referrers(testTask(), repository(), subject.digest)).toEqual([]);
      await attach('application/x-a');
      await attach('application/x-b');
      await attach('application/x-b');
      const all = await client.referrers(testTask(), repository(), subject.digest);
      expect(all.map(({ artifactType }) => artifactType).toSorted((a = '', b = '') => a.localeCompare(b))).toEqual([
        'application/x-a',
        'application/x-b',
      ]);
      const some = await client.referrers(testTask(), repository(), subject.digest, 'application/x-a');
      expect(some.map(({ digest }) => digest)).toEqual([artifact('application/x-a').digest]);
      expect(server.manifests.has(`some/app:${subject.digest.replace(':', '-')}`)).toBe(!api);
    });
  }
});
