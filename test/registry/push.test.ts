import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createRegistry, type Credentials, type Registry } from '../../src/registry/index.ts';
import { parseReference, mediaTypes } from '../../src/image/index.ts';
import { blobOf, type TestBlob, testImage } from '../support/image.ts';
import { startRegistry, type TestRegistry } from '../support/registry.ts';
import { startScriptedRegistry } from '../support/registry-script.ts';
import { sha256 } from '../../src/util/index.ts';
import { testTask } from '../support/task.ts';

const image = testImage({ layers: [[{ name: 'a', content: 'a'.repeat(3_000_000) }]] });
const blob = blobOf('some bytes');
const source = ({ digest, size, bytes }: TestBlob) => ({
  digest,
  size,
  *open(start: number) {
    for (let at = start; at < bytes.length; at += 1000) yield bytes.subarray(at, at + 1000);
  },
});
const limits = { attempts: 3, backoffMs: 1 };

describe('pushing to a real registry', () => {
  let server: TestRegistry;
  let client: Registry;
  beforeAll(async () => {
    server = await startRegistry();
    client = createRegistry({ now: () => 0, limits });
  });
  afterAll(async () => {
    await client[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  test('what was pushed can be pulled', async () => {
    const repository = parseReference(`${server.host}/some/app`);
    const sent: number[] = [];
    for (const one of [...image.layers, image.config]) {
      expect(await client.hasBlob(testTask(), repository, one)).toBe(false);
      await client.pushBlob(testTask(), repository, source(one), { onProgress: (bytes) => sent.push(bytes) });
      expect(sent.at(-1)).toBe(one.size);
      expect(await client.hasBlob(testTask(), repository, one)).toBe(true);
    }
    const tagged = parseReference(`${server.host}/some/app:1`);
    const pushed = await client.pushManifest(testTask(), tagged, mediaTypes.ociManifest, image.manifest.bytes);
    expect(pushed).toEqual({
      mediaType: mediaTypes.ociManifest,
      digest: image.manifest.digest,
      size: image.manifest.size,
    });
    expect(await client.hasManifest(testTask(), tagged, pushed)).toBe(true);
    const { bytes } = await client.manifest(testTask(), tagged);
    expect(Buffer.from(bytes)).toEqual(image.manifest.bytes);
  });

  test('a blob of a neighbouring repository is mounted, not sent', async () => {
    const from = parseReference(`${server.host}/some/source`);
    await client.pushBlob(testTask(), from, source(blob));
    const to = parseReference(`${server.host}/some/other`);
    const unread = {
      ...blob,
      open: (): never => {
        throw new Error('it was read');
      },
    };
    await client.pushBlob(testTask(), to, unread, { mountFrom: [from] });
    expect(await client.hasBlob(testTask(), to, blob)).toBe(true);
  });

  test('a blob that its neighbour does not have is sent', async () => {
    const to = parseReference(`${server.host}/some/third`);
    const other = blobOf('other bytes');
    await client.pushBlob(testTask(), to, source(other), { mountFrom: [parseReference(`${server.host}/no/where`)] });
    expect(await client.hasBlob(testTask(), to, other)).toBe(true);
  });

  test('a registry that finds other bytes than the digest says refuses them', async () => {
    const wrong = { ...source(blobOf('wrong bytes')), digest: blobOf('right bytes').digest };
    await expect(client.pushBlob(testTask(), parseReference(`${server.host}/some/app`), wrong)).rejects.toThrow(
      /Cannot push blob sha256:.* digest/,
    );
  });
});

describe('pushing to a registry with a will of its own', () => {
  const uploads = '/v2/some/app/blobs/uploads/';

  test('an upload that broke off begins anew', async () => {
    await using registry = await startScriptedRegistry();
    await using client = createRegistry({ now: () => 0, limits });
    registry.on(`POST ${uploads}`, { status: 202, headers: { location: '/upload/1?state=x%3D' } });
    registry.on('PUT /upload/1', (request) => void request.socket.destroy(), { status: 503 }, { status: 201 });
    await client.pushBlob(testTask(), parseReference(`${registry.host}/some/app`), source(blob));
    const [last] = registry.requests.filter(({ method }) => method === 'PUT').slice(-1);
    expect(last?.body).toBe('some bytes');
    expect(new URL(last?.url ?? '', 'http://x').searchParams.get('digest')).toBe(blob.digest);
    expect(new URL(last?.url ?? '', 'http://x').searchParams.get('state')).toBe('x=');
    // After each failure it asks what arrived, which this registry cannot say, and whether all is there.
    const begin = ['POST', 'PUT'];
    expect(registry.requests.map(({ method }) => method)).toEqual(
      [begin, begin, begin].flatMap((one, at) => (at === 0 ? one : ['GET', 'HEAD', ...one])),
    );
  });

  test('a refusal is final and says what the registry said', async () => {
    await using registry = await startScriptedRegistry();
    await using client = createRegistry({ now: () => 0, limits });
    registry.on(`POST ${uploads}`, {
      status: 403,
      body: '{"errors":[{"code":"DENIED","message":"the quota is used up"}]}',
    });
    await expect(
      client.pushBlob(testTask(), parseReference(`${registry.host}/some/app`), source(blob)),
    ).rejects.toThrow(/access denied.*the quota is used up/);
    expect(registry.requests).toHaveLength(1);
  });

  test('a token for pushing is asked for, with the credentials of the user', async () => {
    await using registry = await startScriptedRegistry();
    const credentials: Credentials = { get: () => Promise.resolve({ username: 'me', password: 'secret' }) };
    await using client = createRegistry({ now: () => 0, limits, credentials });
    const challenge = `Bearer realm="http://${registry.host}/token",service="s"`;
    registry.on(
      `HEAD /v2/some/app/blobs/${blob.digest}`,
      { status: 401, headers: { 'www-authenticate': challenge } },
      { status: 200, headers: { 'content-length': String(blob.size) } },
    );
    registry.on('/token', { body: '{"token":"abc"}' });
    expect(await client.hasBlob(testTask(), parseReference(`${registry.host}/some/app`), blob)).toBe(true);
    const asked = registry.requests.find(({ url }) => url.startsWith('/token'));
    expect(new URL(asked?.url ?? '', 'http://x').searchParams.get('scope')).toBe('repository:some/app:pull,push');
    expect(asked?.headers.authorization).toBe(`Basic ${Buffer.from('me:secret').toString('base64')}`);
    expect(registry.requests.at(-1)?.headers.authorization).toBe('Bearer abc');
  });

  test('of many requests at once only the first is turned down, and one token is for all', async () => {
    await using registry = await startScriptedRegistry();
    const credentials: Credentials = { get: () => Promise.resolve({ username: 'me', password: 'secret' }) };
    await using client = createRegistry({ now: () => 0, limits, credentials });
    const challenge = `Bearer realm="http://${registry.host}/token",service="s"`;
    const blobs = Array.from({ length: 20 }, (_, at) => blobOf(`blob ${at}`));
    for (const { digest, size } of blobs)
      registry.on(`HEAD /v2/some/app/blobs/${digest}`, (request, response) => {
        const known = request.headers.authorization === 'Bearer abc';
        response.writeHead(known ? 200 : 401, known ? { 'content-length': size } : { 'www-authenticate': challenge });
        response.end();
      });
    registry.on('/token', { body: '{"token":"abc"}' });
    const reference = parseReference(`${registry.host}/some/app`);
    const there = await Promise.all(blobs.map((one) => client.hasBlob(testTask(), reference, one)));
    expect(there.every(Boolean)).toBe(true);
    expect(registry.requests.filter(({ url }) => url.startsWith('/token'))).toHaveLength(1);
    expect(registry.requests).toHaveLength(blobs.length + 2);
  });

  test('a first request that is called off, or fails, holds up no other', async () => {
    await using registry = await startScriptedRegistry();
    await using client = createRegistry({ now: () => 0, limits });
    const [silent, other] = [blobOf('silent'), blobOf('other')];
    const asked = Promise.withResolvers<void>();
    registry.on(`HEAD /v2/some/app/blobs/${silent.digest}`, () => asked.resolve());
    registry.on(`HEAD /v2/some/app/blobs/${other.digest}`, {
      status: 200,
      headers: { 'content-length': String(other.size) },
    });
    const reference = parseReference(`${registry.host}/some/app`);
    const stop = new AbortController();
    const first = client.hasBlob({ ...testTask(), signal: stop.signal }, reference, silent);
    await asked.promise;
    const impatient = new AbortController();
    const waiting = client.hasBlob({ ...testTask(), signal: impatient.signal }, reference, other);
    impatient.abort(new Error('impatient'));
    await expect(waiting).rejects.toThrow();
    const second = client.hasBlob(testTask(), reference, other);
    stop.abort(new Error('enough'));
    await expect(first).rejects.toThrow();
    expect(await second).toBe(true);
  });

  describe('the place of an upload (REG-11)', () => {
    const credentials: Credentials = { get: () => Promise.resolve({ username: 'me', password: 'secret' }) };
    const challenge = { status: 401, headers: { 'www-authenticate': 'Basic realm="r"' } };

    const refused: Readonly<Record<string, readonly [location: string | undefined, why: RegExp]>> = {
      'of the cloud': ['http://169.254.169.254/latest', /not acceptable/],
      'of another scheme': ['ftp://example.com/', /not acceptable/],
      'with user information': ['http://me:pw@127.0.0.1/', /user information/],
      'that is a file': ['file:///etc/passwd', /not acceptable/],
      'that is none': ['http://[', /is not a URL/],
      'that is missing': [undefined, /is missing/],
      'on an unspecified address': ['//0.0.0.0/upload', /not acceptable/],
    };
    for (const [name, [location, why]] of Object.entries(refused)) {
      test(`${name} is refused`, async () => {
        await using registry = await startScriptedRegistry();
        await using client = createRegistry({ now: () => 0, limits, credentials });
        registry.on(`POST ${uploads}`, { status: 202, ...(location === undefined ? {} : { headers: { location } }) });
        const pushing = client.pushBlob(testTask(), parseReference(`${registry.host}/some/app`), source(blob));
        await expect(pushing).rejects.toThrow(/the place for the upload/);
        await expect(pushing).rejects.toThrow(why);
        await expect(pushing).rejects.not.toThrow(/pw@/);
        expect(registry.requests.map(({ method }) => method)).toEqual(['POST']);
      });
    }

    const accepted: Readonly<Record<string, (host: string) => string>> = {
      'as a path': () => '/upload/1?state=a%2Fb~c',
      'relative to the request': () => '../../../../../upload/1?state=a%2Fb~c',
      'as a URL': (host) => `http://${host}/upload/1?state=a%2Fb~c`,
      'without a scheme': (host) => `//${host}/upload/1?state=a%2Fb~c#fragment`,
    };
    for (const [name, location] of Object.entries(accepted)) {
      test(`${name} is resolved, its query kept to the letter`, async () => {
        await using registry = await startScriptedRegistry();
        await using client = createRegistry({ now: () => 0, limits, credentials });
        registry.on(`POST ${uploads}`, challenge, { status: 202, headers: { location: location(registry.host) } });
        registry.on('PUT /upload/1', { status: 201 });
        await client.pushBlob(testTask(), parseReference(`${registry.host}/some/app`), source(blob));
        const last = registry.requests.at(-1);
        expect(last?.url).toBe(`/upload/1?state=a%2Fb~c&digest=${encodeURIComponent(blob.digest)}`);
        expect(last?.headers.authorization).toBeDefined();
      });
    }

    test('on another host gets no credentials', async () => {
      await using registry = await startScriptedRegistry();
      await using storage = await startScriptedRegistry();
      await using client = createRegistry({ now: () => 0, limits, credentials });
      registry.on(`POST ${uploads}`, challenge, { status: 202, headers: { location: `http://${storage.host}/put` } });
      storage.on('PUT /put', { status: 201 });
      await client.pushBlob(testTask(), parseReference(`${registry.host}/some/app`), source(blob));
      expect(registry.requests.at(-1)?.headers.authorization).toBeDefined();
      expect(storage.requests.map(({ headers }) => headers.authorization)).toEqual([undefined]);
    });

    test('on another host that wants credentials gets none either', async () => {
      await using registry = await startScriptedRegistry();
      await using storage = await startScriptedRegistry();
      await using client = createRegistry({ now: () => 0, limits, credentials });
      registry.on(`POST ${uploads}`, { status: 202, headers: { location: `http://${storage.host}/put` } });
      storage.on('PUT /put', challenge);
      await expect(
        client.pushBlob(testTask(), parseReference(`${registry.host}/some/app`), source(blob)),
      ).rejects.toThrow(/401/);
      expect(storage.requests.map(({ headers }) => headers.authorization)).toEqual([undefined]);
    });
  });

  test('a registry that stored something else is not believed', async () => {
    await using registry = await startScriptedRegistry();
    await using client = createRegistry({ now: () => 0, limits });
    const other = { 'docker-content-digest': `sha256:${'0'.repeat(64)}` };
    registry.on(`POST ${uploads}`, { status: 202, headers: { location: '/upload/1' } });
    registry.on('PUT /upload/1', { status: 201, headers: other });
    registry.on('PUT /v2/some/app/manifests/1', { status: 201, headers: other });
    const tagged = parseReference(`${registry.host}/some/app:1`);
    await expect(client.pushBlob(testTask(), tagged, source(blob))).rejects.toMatchObject({ code: 'TSB_DIGEST' });
    await expect(
      client.pushManifest(testTask(), tagged, mediaTypes.ociManifest, image.manifest.bytes),
    ).rejects.toMatchObject({ code: 'TSB_DIGEST' });
  });

  test('a registry that reads a blob’s link while somebody writes it is asked again, and not for ever', async () => {
    await using registry = await startScriptedRegistry();
    await using client = createRegistry({ now: () => 0, limits });
    const message = 'provided digest did not match uploaded content';
    const refusal = { status: 400, body: JSON.stringify({ errors: [{ code: 'DIGEST_INVALID', message }] }) };
    const push = (tag: string) => {
      const reference = parseReference(`${registry.host}/some/app:${tag}`);
      return client.pushManifest(testTask(), reference, mediaTypes.ociManifest, image.manifest.bytes);
    };
    registry.on('PUT /v2/some/app/manifests/1', refusal, refusal, { status: 201 });
    expect(await push('1')).toMatchObject({ digest: image.manifest.digest });
    registry.on('PUT /v2/some/app/manifests/2', refusal);
    await expect(push('2')).rejects.toThrow(message);
    expect(registry.requests.filter(({ url }) => url.endsWith('/2') && url.includes('manifests')).length).toBeLessThan(
      9,
    );
  });

  const refusals: Readonly<Record<string, readonly [status: number, said: string, hint: RegExp]>> = {
    'that denies it': [403, 'DENIED: requested access to the resource is denied', /tsbuild login/],
    'that knows nobody': [401, 'UNAUTHORIZED: authentication required', /tsbuild login/],
    'without room': [403, 'DENIED: quota exceeded for project', /quota/],
    'with full disks': [507, 'no space left', /no room/],
    'whose tags stay': [412, 'PRECONDITION: tag 1 is immutable', /another tag/],
    'that is read-only': [405, 'UNSUPPORTED: The operation is unsupported.', /read-only/],
  };
  test.each([404, 400])('a registry that lost a blob (%s) is quoted, and the hint says what to do', async (status) => {
    await using registry = await startScriptedRegistry();
    await using client = createRegistry({ now: () => 0, limits });
    const digest = sha256('a layer');
    const body = JSON.stringify({
      errors: [{ code: 'MANIFEST_BLOB_UNKNOWN', message: 'blob unknown to registry', detail: { digest } }],
    });
    registry.on('PUT /v2/some/app/manifests/1', { status, body });
    const tagged = parseReference(`${registry.host}/some/app:1`);
    await expect(
      client.pushManifest(testTask(), tagged, mediaTypes.ociManifest, image.manifest.bytes),
    ).rejects.toMatchObject({
      message: expect.stringContaining('blob unknown to registry') as string,
      hint: expect.stringMatching(new RegExp(`does not have blob ${digest} any more.*push again`)) as string,
    });
  });

  for (const [name, [status, message, hint]] of Object.entries(refusals)) {
    test(`a registry ${name} is quoted, with a hint`, async () => {
      await using registry = await startScriptedRegistry();
      await using client = createRegistry({ now: () => 0, limits });
      const body = JSON.stringify({ errors: [{ code: 'X', message }] });
      registry.on('PUT /v2/some/app/manifests/1', { status, body });
      const tagged = parseReference(`${registry.host}/some/app:1`);
      await expect(
        client.pushManifest(testTask(), tagged, mediaTypes.ociManifest, image.manifest.bytes),
      ).rejects.toMatchObject({
        message: expect.stringMatching(new RegExp(`${registry.host}/some/app:1.*${message}`)),
        hint: expect.stringMatching(hint),
      });
    });
  }
});
