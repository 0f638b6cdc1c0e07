import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer as createHttpServer, get } from 'node:http';
import { connect, createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createRegistry, parseRegistriesConf, type Registry, type RegistryOptions } from '../../src/registry/index.ts';
import { parseReference, mediaTypes } from '../../src/image/index.ts';
import { HttpClient } from '../../src/registry/http/http.ts';
import { parseChallenges } from '../../src/registry/challenge.ts';
import { isAcceptableRedirect, mayHaveCredentials, validateRealm } from '../../src/registry/http/realm.ts';
import { parseRetryAfter } from '../../src/registry/http/retry.ts';
import { type Digest, sha256 } from '../../src/util/index.ts';
import { blobOf, testImage } from '../support/image.ts';
import { type Reply, type ScriptedRegistry, startScriptedRegistry } from '../support/registry-script.ts';
import { testTask } from '../support/task.ts';
import { processorTime } from '../support/processor-time.ts';

const image = testImage();
const OCI = { 'content-type': mediaTypes.ociManifest };
const limits = { attempts: 3, backoffMs: 1, maxRetryAfterMs: 2000 };
/** For servers that do not answer; everybody else may be slow on a busy machine. */
const impatient = {
  attempts: 2,
  backoffMs: 1,
  connectMs: 300,
  headersMs: 400,
  idleMs: 400,
  smallBodyMs: 600,
  windowMs: 150,
  minBytesPerWindow: 1000,
};

let server: ScriptedRegistry;
let other: ScriptedRegistry;
let client: Registry;
const clientWith = (options: Partial<RegistryOptions>): Registry =>
  createRegistry({ now: () => 0, limits, ...options });
beforeEach(async () => {
  server = await startScriptedRegistry();
  other = await startScriptedRegistry();
  client = clientWith({});
});
afterEach(async () => {
  await client[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
  await other[Symbol.asyncDispose]();
});

const manifest = async (suffix = ':1') => client.manifest(testTask(), parseReference(`${server.host}/x${suffix}`));
const resolve = async (suffix = ':1') => client.resolve(testTask(), parseReference(`${server.host}/x${suffix}`));
async function blob(wanted: { digest: Digest; size: number }): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of client.blob(testTask(), parseReference(`${server.host}/x`), wanted)) chunks.push(chunk);
  return Buffer.concat(chunks);
}
const code = (name: string) => expect.objectContaining({ code: name });

describe('wrong bytes (REG-01, 02, 17)', () => {
  test('a manifest by digest with other bytes is refused with both digests', async () => {
    const lie = blobOf({ ...JSON.parse(image.manifest.bytes.toString()), annotations: { a: 'b' } });
    server.on(`/v2/x/manifests/${image.manifest.digest}`, { headers: OCI, body: lie.bytes });
    for (const suffix of [`@${image.manifest.digest}`, `:1@${image.manifest.digest}`]) {
      const error = await manifest(suffix).catch((error: unknown) => error);
      expect(error).toEqual(code('TSB_DIGEST'));
      expect(String(error)).toContain(image.manifest.digest);
      expect(String(error)).toContain(lie.digest);
    }
  });

  test('the digest header does not count, the bytes do', async () => {
    server.on('/v2/x/manifests/1', {
      headers: { ...OCI, 'docker-content-digest': sha256('lie') },
      body: image.manifest.bytes,
    });
    expect((await manifest()).descriptor.digest).toBe(image.manifest.digest);
  });

  test('a HEAD that contradicts the wanted digest is an error', async () => {
    server.on(`/v2/x/manifests/${image.manifest.digest}`, {
      headers: { ...OCI, 'docker-content-digest': sha256('b') },
      body: 'x',
    });
    await expect(resolve(`:1@${image.manifest.digest}`)).rejects.toThrow(code('TSB_DIGEST'));
  });

  test.each<[string, Reply]>([
    ['no digest header', { headers: OCI, body: image.manifest.bytes }],
    [
      'a malformed digest header',
      { headers: { ...OCI, 'docker-content-digest': 'sha256:../../x' }, body: image.manifest.bytes },
    ],
    ['405', { status: 405 }],
    [
      'a length of nothing',
      { headers: { ...OCI, 'docker-content-digest': image.manifest.digest, 'content-length': '0' } },
    ],
  ])('HEAD with %s: the document itself is asked for', async (_, head) => {
    server.on('HEAD /v2/x/manifests/1', head);
    server.on('GET /v2/x/manifests/1', { headers: OCI, body: image.manifest.bytes });
    expect(await resolve()).toEqual({
      mediaType: mediaTypes.ociManifest,
      digest: image.manifest.digest,
      size: image.manifest.size,
    });
  });
});

describe('ambiguous documents (REG-06)', () => {
  const descriptor = { mediaType: mediaTypes.ociConfig, digest: sha256('c'), size: 1 };
  const valid = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config: descriptor, layers: [] };
  test.each<[string, object | string, string]>([
    ['manifests and layers', { ...valid, manifests: [] }, mediaTypes.ociManifest],
    ['own type differs from Content-Type', valid, mediaTypes.ociIndex],
    ['own type is index, keys are manifest', { ...valid, mediaType: mediaTypes.ociIndex }, mediaTypes.ociIndex],
    ['schema 1', { schemaVersion: 1, fsLayers: [] }, 'application/vnd.docker.distribution.manifest.v1+json'],
    ['docker type without mediaType', { ...valid, mediaType: undefined }, mediaTypes.dockerManifest],
    ['duplicate key', '{"schemaVersion":2,"layers":[],"layers":[]}', mediaTypes.ociManifest],
    ['key in other case', { ...valid, Layers: [] }, mediaTypes.ociManifest],
    ['HTML', '<html>login</html>', 'text/html'],
    ['an array', '[]', mediaTypes.ociManifest],
    ['byte order mark', `\ufeff${JSON.stringify(valid)}`, mediaTypes.ociManifest],
    ['depth', `{"schemaVersion":2,"layers":${'['.repeat(5000)}${']'.repeat(5000)}}`, mediaTypes.ociManifest],
  ])('%s is refused', async (_, body, type) => {
    server.on('/v2/x/manifests/1', {
      headers: { 'content-type': type },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });
    await expect(manifest()).rejects.toThrow(code('TSB_IMAGE'));
  });

  test('a generic Content-Type leaves it to the document', async () => {
    server.on('/v2/x/manifests/1', {
      headers: { 'content-type': 'application/json; charset=utf-8' },
      body: image.manifest.bytes,
    });
    expect((await manifest()).descriptor.mediaType).toBe(mediaTypes.ociManifest);
  });
});

describe('sizes (REG-03, 04, 08, 23)', () => {
  const content = Buffer.from('0123456789'.repeat(1000));
  const wanted = { digest: sha256(content), size: content.length };
  const path = `/v2/x/blobs/${wanted.digest}`;

  test.each<[string, Reply]>([
    ['one flipped byte', { body: Buffer.concat([Buffer.from('X'), content.subarray(1)]) }],
    ['truncated', { body: content.subarray(1) }],
    ['an extra byte', { body: Buffer.concat([content, Buffer.from('X')]) }],
    ['empty', { body: '' }],
    ['HTML with status 200', { headers: { 'content-type': 'text/html' }, body: '<html>' }],
  ])('a blob that is %s is refused', async (_, reply) => {
    server.on(path, reply);
    await expect(blob(wanted)).rejects.toThrow(code('TSB_DIGEST'));
    expect(server.requests.length).toBeLessThanOrEqual(6);
  });

  test('a chunked body without length is fine when it is right', async () => {
    server.on(path, (_, response) => {
      response.write(content.subarray(0, 5000));
      response.end(content.subarray(5000));
    });
    expect(await blob(wanted)).toEqual(content);
  });

  test('reading stops when a blob is longer than it should be', async () => {
    let sent = 0;
    server.on(path, (_, response) => {
      const more = (): void => {
        while (!response.destroyed && sent < 1e9 && response.write(Buffer.alloc(65_536))) sent += 65_536;
        if (!response.destroyed) response.once('drain', more);
      };
      more();
    });
    await expect(blob(wanted)).rejects.toThrow('longer than the 10000 bytes');
    expect(sent).toBeLessThan(50e6);
  });

  test('content encoding is not undone: bytes count as they are sent', async () => {
    const packed = gzipSync(content);
    const packedBlob = { digest: sha256(packed), size: packed.length };
    server.on(`/v2/x/blobs/${packedBlob.digest}`, { headers: { 'content-encoding': 'gzip' }, body: packed });
    expect(await blob(packedBlob)).toEqual(packed);
  });

  test('manifests beyond 4 MiB, announced or endless, are refused', async () => {
    server.on('/v2/x/manifests/1', { headers: OCI, body: Buffer.alloc(4 * 1024 * 1024 + 1, 32) });
    await expect(manifest()).rejects.toThrow('limit of 4194304');
    server.on('/v2/x/manifests/1', (_, response) => {
      response.writeHead(200, OCI);
      const more = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536, 32)));
        if (!response.destroyed) response.once('drain', more);
      };
      more();
    });
    await expect(manifest()).rejects.toThrow('more than 4194304 bytes');
  });

  test('error bodies are bounded and made safe to show', async () => {
    server.on('/v2/x/manifests/1', {
      status: 400,
      body: JSON.stringify({ errors: [{ message: `\u001b[31mbad\n${'x'.repeat(500)}` }] }),
    });
    const error = await manifest().catch((error: unknown) => String(error));
    expect(error).toContain('400 Bad Request: ^[[31mbad xxx');
    expect(error).not.toMatch(/\u001b|\n/);
    server.on('/v2/x/manifests/1', { status: 400, body: Buffer.alloc(10e6, 'x') });
    await expect(manifest()).rejects.toThrow('answered 400 Bad Request');
  });

  test('endless headers are refused', async () => {
    server.on('/v2/x/manifests/1', (request) => {
      request.socket.write('HTTP/1.1 200 OK\r\n');
      for (let line = 0; line < 20_000; line++) request.socket.write(`x-${line}: ${'y'.repeat(50)}\r\n`);
    });
    await expect(manifest()).rejects.toThrow(code('TSB_NETWORK'));
  });
});

describe('slow and broken connections (REG-21, 22, 24)', () => {
  const content = Buffer.from('abcdefghij'.repeat(10_000));
  const wanted = { digest: sha256(content), size: content.length };
  const path = `/v2/x/blobs/${wanted.digest}`;
  const cutAt =
    (at: number): Reply =>
    (_, response) => {
      response.writeHead(200, { 'content-length': String(content.length) });
      response.write(content.subarray(0, at), () => response.destroy());
    };
  const range = (request: { headers: { range?: string } }): number =>
    Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1]);
  const rest: Reply = (request, response) => {
    const from = range(request as never);
    response.writeHead(206, { 'content-range': `bytes ${from}-${content.length - 1}/${content.length}` });
    response.end(content.subarray(from));
  };

  test('a cut blob is resumed where it broke', async () => {
    server.on(path, cutAt(40_000), rest);
    expect(await blob(wanted)).toEqual(content);
    expect(server.requests.filter(({ url }) => url === path)[1]?.headers.range).toMatch(/^bytes=[1-9]\d*-$/);
  });

  test.each<[string, Reply[]]>([
    ['ignored', [{ body: content }]],
    ['answered with 416', [{ status: 416 }, { body: content }]],
    [
      'answered with another range',
      [
        (_, response) => {
          response.writeHead(206, { 'content-range': `bytes 0-${content.length - 1}/${content.length}` });
          response.end(content);
        },
        { body: content },
      ],
    ],
  ])('a range that is %s never leads to concatenation', async (_, replies) => {
    server.on(path, cutAt(40_000), ...replies);
    expect(await blob(wanted)).toEqual(content);
  });

  test('a blob that changed between two parts is refused', async () => {
    server.on(path, cutAt(40_000), (request, response) => {
      const from = range(request as never);
      response.writeHead(206, { 'content-range': `bytes ${from}-${content.length - 1}/${content.length}` });
      response.end(Buffer.alloc(content.length - from, 'z'));
    });
    await expect(blob(wanted)).rejects.toThrow(code('TSB_DIGEST'));
  });

  test('tries end', async () => {
    server.on(path, (_, response) => response.destroy());
    await expect(blob(wanted)).rejects.toThrow(code('TSB_NETWORK'));
    expect(server.requests.length).toBeLessThanOrEqual(2 * limits.attempts);
  });

  test('a body that stalls or crawls is given up', async () => {
    client = clientWith({ limits: impatient });
    server.on(path, (_, response) => {
      response.writeHead(200, { 'content-length': String(content.length) });
      const timer = setInterval(() => response.write('x'), 50);
      response.on('close', () => clearInterval(timer));
    });
    await expect(blob(wanted)).rejects.toThrow('the body arrives too slowly');
    server.on('/v2/x/manifests/1', (_, response) => {
      response.writeHead(200, OCI);
      const timer = setInterval(() => response.write(' '), 100);
      response.on('close', () => clearInterval(timer));
    });
    await expect(manifest()).rejects.toThrow('the body did not end in time');
  });

  test('interim responses without end do not hold us', async () => {
    client = clientWith({ limits: impatient });
    server.on('/v2/x/manifests/1', (_, response) => {
      const timer = setInterval(() => response.writeProcessing(), 20);
      response.on('close', () => clearInterval(timer));
    });
    await expect(manifest()).rejects.toThrow(/no answer in time|connection was cut/);
  });

  test('a server that never answers the handshake is given up', async () => {
    client = clientWith({ limits: impatient });
    const silent = createTcpServer(() => {});
    await new Promise<void>((done) => silent.listen(0, '127.0.0.1', done));
    const { port } = silent.address() as { port: number };
    await expect(client.resolve(testTask(), parseReference(`127.0.0.1:${port}/x`))).rejects.toThrow(
      code('TSB_NETWORK'),
    );
    silent.close();
  });

  test.each([429, 500, 502, 503])('%d is tried again', async (status) => {
    server.on(
      '/v2/x/manifests/1',
      { status, headers: { 'retry-after': '0' } },
      { headers: OCI, body: image.manifest.bytes },
    );
    expect((await manifest()).descriptor.digest).toBe(image.manifest.digest);
  });

  test('Retry-After is obeyed', async () => {
    server.on(
      '/v2/x/manifests/1',
      { status: 429, headers: { 'retry-after': '1' } },
      { headers: OCI, body: image.manifest.bytes },
    );
    const start = performance.now();
    await manifest();
    expect(performance.now() - start).toBeGreaterThan(950);
  });

  test('an absurd Retry-After ends it at once', async () => {
    server.on('/v2/x/manifests/1', { status: 429, headers: { 'retry-after': '1000000000' } });
    await expect(manifest()).rejects.toThrow('the registry limits requests');
    expect(server.requests.filter(({ method }) => method === 'GET')).toHaveLength(1);
  });

  test.each([
    ['5', 5000],
    ['Thu, 01 Jan 1970 00:00:10 GMT', 9000],
    ['Wed, 31 Dec 1969 00:00:00 GMT', 0],
    // The two forms of old of RFC 9110, 5.6.7, which clients have to take, too.
    ['Thursday, 01-Jan-70 00:00:10 GMT', 9000],
    ['Thu Jan  1 00:00:10 1970', 9000],
    ['Sunday, 06-Nov-94 08:49:37 GMT', 784_111_777_000 - 1000],
    ['Sun Nov  6 08:49:37 1994', 784_111_777_000 - 1000],
    ['Thursday, 01-Jan-21 00:00:10 GMT', 0],
    ['Thu Jan 41 00:00:10 1970', undefined],
    ['Thursday, 01-Foo-70 00:00:10 GMT', undefined],
    ['-1', undefined],
    ['soon', undefined],
  ])('Retry-After %j', (header, expected) => {
    expect(parseRetryAfter(header, () => 1000)).toBe(expected);
  });

  test('404, 400 and a refused connection are final', async () => {
    server.on('/v2/x/manifests/1', { status: 404 });
    await expect(manifest()).rejects.toThrow(code('TSB_NOT_FOUND'));
    expect(server.requests).toHaveLength(1);
    await expect(client.resolve(testTask(), parseReference('127.0.0.1:1/x'))).rejects.toThrow(
      'the connection was refused',
    );
  });
});

describe('tokens (REG-09, 13)', () => {
  const challenge = (realm: string): Reply => ({
    status: 401,
    headers: { 'www-authenticate': `Bearer realm="${realm}",service="svc",scope="repository:secret:pull,push"` },
  });
  const guardedBy =
    (tokens: () => string): Reply =>
    (request, response) => {
      if (request.headers.authorization === 'Bearer good') {
        response.writeHead(200, OCI);
        response.end(image.manifest.bytes);
      } else {
        response.writeHead(401, {
          'www-authenticate': `Bearer realm="http://${tokens()}/token",service="svc",scope="a"`,
        });
        response.end();
      }
    };
  const guarded = guardedBy(() => other.host);
  const guardedByItself = guardedBy(() => server.host);

  test('an anonymous token is fetched for our own scope and reused', async () => {
    server.on('/v2/x/manifests/1', guarded);
    other.on('/token', { body: '{"token":"good"}' });
    await manifest();
    await manifest();
    expect(other.requests).toHaveLength(1);
    const asked = new URL(other.requests[0]?.url ?? '', 'http://x');
    expect(asked.searchParams.get('scope')).toBe('repository:x:pull');
    expect(asked.searchParams.get('service')).toBe('svc');
    expect(other.requests[0]?.headers.authorization).toBeUndefined();
  });

  test('a token that expired is replaced once', async () => {
    server.on('/v2/x/manifests/1', guarded);
    other.on('/token', { body: '{"access_token":"stale"}' }, { body: '{"access_token":"good"}' });
    await manifest();
    expect(other.requests).toHaveLength(2);
  });

  test('a registry that refuses every token is an error, not a loop', async () => {
    server.on('/v2/x/manifests/1', challenge(`http://${other.host}/token`));
    other.on('/token', { body: '{"token":"t"}' });
    await expect(manifest()).rejects.toThrow(
      'access denied, the repository does not exist or may require authorization',
    );
    expect(server.requests.length).toBeLessThanOrEqual(4);
  });

  test('credentials go to the token server only', async () => {
    client = clientWith({ credentials: { get: async () => ({ username: 'u', password: 'p' }) } });
    server.on('/v2/x/manifests/1', guardedByItself);
    server.on('/token', { body: '{"token":"good"}' });
    await manifest();
    for (const { url, headers } of server.requests)
      expect((headers.authorization ?? '').startsWith('Basic'), url).toBe(url.startsWith('/token'));
  });

  test('what was sent to know the user by is in no message, whoever repeats it (SEC-08)', async () => {
    const [password, token, refresh] = ['open-sesame', 'token-of-the-day', 'refresh-for-ever'];
    const repeat =
      (headers: Record<string, string>): Reply =>
      (request, response) =>
        void response.writeHead(401, headers).end(
          JSON.stringify({
            errors: [
              {
                message: `seen ${request.headers.authorization ?? ''} ${server.requests.at(-1)?.body ?? ''} for u:${password}`,
              },
            ],
          }),
        );
    const said = () => manifest().catch((error: unknown) => String(error));
    client = clientWith({ credentials: { get: async () => ({ username: 'u', password }) } });
    server.on('/v2/x/manifests/1', repeat({ 'www-authenticate': 'Basic realm="r"' }));
    expect(await said()).toContain('401 Unauthorized: seen Basic ***  for ***');
    // A server knows more than it was sent for this request; what it was sent is hidden.
    server.on('/v2/x/manifests/1', repeat({ 'www-authenticate': `Bearer realm="http://${server.host}/token"` }));
    server.on('/token', { body: JSON.stringify({ token }) });
    client = clientWith({ credentials: { get: async () => ({ username: 'u', password }) } });
    expect(await said()).toContain('401 Unauthorized: seen Bearer ***');
    server.on('/token', repeat({}));
    client = clientWith({ credentials: { get: async () => ({ username: 'u', password }) } });
    expect(await said()).toContain('refused your credentials (401: seen Basic ***  for ***)');
    client = clientWith({ credentials: { get: async () => ({ identityToken: refresh }) } });
    const exchanged = await said();
    expect(exchanged).toContain('refresh_token=***');
    expect(exchanged).not.toContain(refresh);
  });

  test('an identity token is exchanged by POST', async () => {
    client = clientWith({ credentials: { get: async () => ({ identityToken: 'refresh' }) } });
    server.on('/v2/x/manifests/1', guardedByItself);
    server.on('/token', { body: '{"access_token":"good"}' });
    await manifest();
    const asked = server.requests.find(({ url }) => url.startsWith('/token'));
    expect(asked?.method).toBe('POST');
    expect(new URLSearchParams(asked?.body).get('refresh_token')).toBe('refresh');
  });

  test.each([
    ['a password', { username: 'u', password: 'secret-p' }],
    ['an identity token', { identityToken: 'secret-p' }],
  ])('%s does not go to another port that a registry names without TLS', async (_, credential) => {
    client = clientWith({ credentials: { get: async () => credential } });
    server.on('/v2/x/manifests/1', guarded);
    other.on('/token', { body: '{"token":"good"}' });
    // What everybody gets still works.
    await manifest();
    other.on('/token', { status: 401 });
    client = clientWith({ credentials: { get: async () => credential } });
    await expect(manifest()).rejects.toThrow(/credentials were not sent to it, since http:\S+ named it without TLS/);
    const secret = Buffer.from('u:secret-p').toString('base64');
    for (const request of other.requests) expect(JSON.stringify(request)).not.toMatch(new RegExp(`secret-p|${secret}`));
  });

  test.each([
    ['https://auth.docker.io/token', 'https://registry-1.docker.io', false, true],
    ['https://r.example:5001/auth', 'https://r.example:5000', false, true],
    ['https://r.example:5001/auth', 'https://r.example:5000', true, false],
    ['https://r.example/auth', 'http://r.example', false, false],
    ['http://r.example:5001/auth', 'http://r.example:5000', false, false],
    ['http://r.example:5000/auth', 'http://r.example:5000', false, true],
    ['https://evil.example/auth', 'http://r.example', false, false],
  ])('credentials for realm %s of %s (certificate unchecked: %s): %s', (realm, registry, insecure, may) => {
    expect(mayHaveCredentials(new URL(realm), new URL(registry), { insecure })).toBe(may);
  });

  test.each<[string, Reply]>([
    ['429', { status: 429, headers: { 'retry-after': '0' } }],
    ['503', { status: 503 }],
    ['a cut connection', (request) => request.socket.destroy()],
    [
      'a cut answer',
      (request, response) =>
        response.writeHead(200, { 'content-length': '99' }).write('{', () => request.socket.destroy()),
    ],
  ])('a token server that answers with %s is asked again', async (_, reply) => {
    server.on('/v2/x/manifests/1', guarded);
    other.on('/token', reply, { body: '{"token":"good"}' });
    await manifest();
    expect(other.requests).toHaveLength(2);
  });

  test.each<[string, Reply, number, RegExp]>([
    ['503 for good', { status: 503 }, 3, /Cannot get a token for .* answered 503/],
    ['401', { status: 401 }, 1, /Cannot get a token for .* answered 401/],
    ['an absurd Retry-After', { status: 429, headers: { 'retry-after': '99999' } }, 1, /Cannot get a token for .*429/],
  ])('a token server that answers with %s is given up', async (_, reply, times, error) => {
    server.on('/v2/x/manifests/1', guarded);
    other.on('/token', reply);
    await expect(manifest()).rejects.toThrow(error);
    expect(other.requests).toHaveLength(times);
  });

  test('a token that expired under many requests is fetched anew once', async () => {
    let good = 'first';
    const of =
      (answer: string | Uint8Array): Reply =>
      (request, response) => {
        const isGood = request.headers.authorization === `Bearer ${good}`;
        response.writeHead(isGood ? 200 : 401, {
          'www-authenticate': `Bearer realm="http://${other.host}/token",service="svc"`,
          ...OCI,
        });
        response.end(isGood ? answer : '');
      };
    const blobs = Array.from({ length: 8 }, (_, at) => Buffer.from(`blob ${at}`));
    for (const bytes of blobs) server.on(`/v2/x/blobs/${sha256(bytes)}`, of(bytes));
    other.on('/token', (_, response) => setTimeout(() => response.end(JSON.stringify({ token: good })), 50));
    const all = () => Promise.all(blobs.map((bytes) => blob({ digest: sha256(bytes), size: bytes.length })));
    expect(await all()).toEqual(blobs);
    good = 'second';
    expect(await all()).toEqual(blobs);
    expect(other.requests).toHaveLength(2);
  });

  test('a token server that redirects gets no second chance', async () => {
    client = clientWith({ credentials: { get: async () => ({ username: 'u', password: 'p' }) } });
    server.on('/v2/x/manifests/1', guardedByItself);
    server.on('/token', { status: 302, headers: { location: `http://${other.host}/steal` } });
    await expect(manifest()).rejects.toThrow('answered 302');
    expect(other.requests).toEqual([]);
  });

  test.each([
    ['endless', Buffer.alloc(100_000, 32)],
    ['not JSON', 'x'],
    ['with line breaks', JSON.stringify({ token: 'a\r\nHost: evil' })],
    ['without token', '{}'],
    ['null', 'null'],
  ])('a token answer %s is refused', async (_, body) => {
    server.on('/v2/x/manifests/1', guarded);
    other.on('/token', { body });
    await expect(manifest()).rejects.toThrow(/TsbuildError|Cannot/);
  });

  test('basic authentication is answered with credentials, and without them with an error', async () => {
    const reply: Reply = (request, response) => {
      const ok = request.headers.authorization === `Basic ${Buffer.from('u:p').toString('base64')}`;
      response.writeHead(ok ? 200 : 401, ok ? OCI : { 'www-authenticate': 'Basic realm="x"' });
      response.end(ok ? image.manifest.bytes : '');
    };
    server.on('/v2/x/manifests/1', reply);
    await expect(manifest()).rejects.toThrow('may require authorization');
    client = clientWith({ credentials: { get: async () => ({ username: 'u', password: 'p' }) } });
    await manifest();
  });

  test.each([
    ['http://auth.example/token', 'https://r.example'],
    ['file:///etc/passwd', 'https://r.example'],
    ['//auth.example', 'https://r.example'],
    ['https://u:p@auth.example/', 'https://r.example'],
    ['https://127.0.0.1/', 'https://r.example'],
    ['https://localhost/', 'https://r.example'],
    ['https://localhost./', 'https://r.example'],
    ['https://a.localhost./', 'https://r.example'],
    ['https://169.254.169.254/latest', 'https://r.example'],
    ['https://2852039166/', 'https://r.example'],
    ['https://0.0.0.0/', 'https://r.example'],
    ['https://10.1.2.3/', 'https://r.example'],
    ['https://[::1]/', 'https://r.example'],
    ['https://[::ffff:10.0.0.1]/', 'https://r.example'],
    ['https://[fe80::1]/', 'https://r.example'],
    ['https://[fd00::1]/', 'https://r.example'],
    ['https://169.254.169.254/', 'https://127.0.0.1:5000'],
    ['https://[fd00:ec2::254]/latest', 'https://r.example'],
    ['https://[fd00:ec2::254]/latest', 'https://[fd00::1]'],
    ['https://[fd00:0ec2:0:0::254]/latest', 'https://10.0.0.1'],
    ['https://100.100.100.200/latest', 'https://100.64.0.1'],
    ['https://[::ffff:100.100.100.200]/latest', 'https://10.0.0.1'],
  ])('realm %s of %s is refused', (realm, registry) => {
    expect(() => validateRealm(realm, new URL(registry))).toThrow(code('TSB_REGISTRY'));
  });

  test('no redirect leaves TLS, nor HTTP (CTX-08)', () => {
    const from = new URL('https://files.example/x');
    for (const target of [
      'http://files.example/x',
      'http://other.example/',
      'file:///etc/passwd',
      'ftp://files.example/',
    ])
      expect(isAcceptableRedirect(new URL(target), from)).toBe(false);
    expect(isAcceptableRedirect(new URL('https://other.example/x'), from)).toBe(true);
  });

  test.each(['169.254.169.254', '100.100.100.200', '[fd00:ec2::254]', '[::ffff:169.254.169.254]'])(
    'no redirect leads to the metadata service at %s',
    (host) => {
      for (const registry of ['https://r.example', 'https://10.0.0.1', 'https://[fd00::1]'])
        expect(isAcceptableRedirect(new URL(`https://${host}/latest`), new URL(registry))).toBe(false);
    },
  );

  test.each([
    ['https://auth.docker.io/token', 'https://registry-1.docker.io'],
    ['https://8.8.8.8/token', 'https://r.example'],
    ['https://10.1.2.3/token', 'https://10.1.2.3'],
    ['http://127.0.0.1:5001/auth', 'http://127.0.0.1:5000'],
  ])('realm %s of %s is fine', (realm, registry) => {
    expect(validateRealm(realm, new URL(registry)).href).toBe(realm);
  });

  test('malformed challenges are read in linear time', async () => {
    for (const header of [
      `Bearer ${'a="b",'.repeat(100_000)}`,
      `Bearer realm="${'\\'.repeat(100_000)}`,
      ','.repeat(100_000),
      '"'.repeat(100_000),
    ]) {
      expect(await processorTime(() => parseChallenges(header))).toBeLessThan(1250);
    }
    expect(parseChallenges('Basic realm="a, b", Bearer realm="https://x/\\"y",service=z')).toEqual([
      { scheme: 'basic', parameters: new Map([['realm', 'a, b']]) },
      {
        scheme: 'bearer',
        parameters: new Map([
          ['realm', 'https://x/"y'],
          ['service', 'z'],
        ]),
      },
    ]);
  });
});

describe('redirects (REG-10)', () => {
  const content = Buffer.from('layer');
  const wanted = { digest: sha256(content), size: content.length };
  const path = `/v2/x/blobs/${wanted.digest}`;
  const redirect = (location: string, status = 307): Reply => ({ status, headers: { location } });
  const guarded =
    (reply: Reply): Reply =>
    (request, response) => {
      if (request.headers.authorization === undefined) {
        response.writeHead(401, { 'www-authenticate': `Bearer realm="http://${server.host}/token"` });
        response.end();
      } else if (typeof reply === 'function') reply(request, response);
      else response.writeHead(reply.status ?? 200, reply.headers).end(reply.body);
    };
  beforeEach(() => server.on('/token', { body: '{"token":"secret"}' }));

  test('another origin gets no Authorization, and it is not attached again on the way back', async () => {
    server.on(path, guarded(redirect(`http://${other.host}/cdn?signature=abc`)));
    other.on('/cdn', redirect(`http://${server.host}/back`));
    server.on('/back', { body: content });
    expect(await blob(wanted)).toEqual(content);
    expect(other.requests[0]?.headers.authorization).toBeUndefined();
    expect(server.requests.at(-1)?.url).toBe('/back');
    expect(server.requests.at(-1)?.headers.authorization).toBeUndefined();
  });

  test('the same origin keeps it, for relative targets too', async () => {
    server.on(path, guarded(redirect('/elsewhere')));
    server.on('/elsewhere', guarded({ body: content }));
    expect(await blob(wanted)).toEqual(content);
  });

  test('a 401 at the target brings out no credentials', async () => {
    client = clientWith({ credentials: { get: async () => ({ username: 'u', password: 'p' }) } });
    server.on(path, redirect(`http://${other.host}/cdn`));
    other.on('/cdn', { status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } });
    await expect(blob(wanted)).rejects.toThrow('401 Unauthorized');
    expect(other.requests).toHaveLength(1);
    expect(other.requests[0]?.headers.authorization).toBeUndefined();
  });

  test.each([
    ['http://169.254.169.254/latest/meta-data', 'is not acceptable'],
    ['http://0.0.0.0/', 'is not acceptable'],
    ['http://[fe80::1]/', 'is not acceptable'],
    ['file:///etc/passwd', 'is not acceptable'],
    ['http://u:p@127.0.0.1/', 'user information'],
    ['http://[', 'not a URL'],
  ])('a redirect to %s is refused', async (location, message) => {
    server.on(path, redirect(location));
    await expect(blob(wanted)).rejects.toThrow(message);
  });

  test('circles end', async () => {
    server.on(path, redirect(path));
    await expect(blob(wanted)).rejects.toThrow('more than 10');
  });

  test('signatures in URLs stay out of messages', async () => {
    server.on(path, redirect(`http://${other.host}/cdn?signature=abc`));
    other.on('/cdn', { status: 403 });
    const error = await blob(wanted).catch((error: unknown) => String(error));
    expect(error).toContain(`http://${other.host}/cdn answered 403`);
    expect(error).not.toContain('signature');
  });
});

describe('TLS (REG-14)', () => {
  test('a certificate that nobody vouches for is accepted only where the host is insecure', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tsbuild-tls-'));
    execFileSync(
      'openssl',
      [
        'req',
        '-x509',
        '-newkey',
        'rsa:2048',
        '-nodes',
        '-subj',
        '/CN=wrong.example',
        '-keyout',
        `${folder}/key`,
        '-out',
        `${folder}/cert`,
      ],
      { stdio: 'ignore' },
    );
    const tls = { key: readFileSync(`${folder}/key`, 'utf8'), cert: readFileSync(`${folder}/cert`, 'utf8') };
    rmSync(folder, { recursive: true });
    await using secure = await startScriptedRegistry(tls);
    secure.on('/v2/x/manifests/1', { headers: OCI, body: image.manifest.bytes });

    await using http = new HttpClient({ now: () => 0, limits });
    const request = {
      method: 'GET',
      url: new URL(`https://${secure.host}/v2/x/manifests/1`),
      headers: {},
      redirects: 'follow',
    } as const;
    await expect(http.send(testTask(), { ...request, insecure: false })).rejects.toThrow(/self-signed certificate/);
    expect(secure.requests).toHaveLength(0);
    expect((await http.send(testTask(), { ...request, insecure: true })).status).toBe(200);
    // Through the client: this machine is insecure by rule, and HTTPS is tried first.
    const { descriptor } = await client.manifest(testTask(), parseReference(`${secure.host}/x:1`));
    expect(descriptor.digest).toBe(image.manifest.digest);
  });

  test('plain HTTP is not used for a host that is not insecure', async () => {
    await using http = new HttpClient({ now: () => 0, limits });
    const request = {
      method: 'GET',
      url: new URL(`https://${server.host}/v2/`),
      headers: {},
      redirects: 'follow',
      insecure: false,
    } as const;
    await expect(http.send(testTask(), request)).rejects.toThrow();
    expect(server.requests).toHaveLength(0);
  });
});

describe('mirrors (REG-15)', () => {
  const config = async () =>
    parseRegistriesConf(
      `[[registry]]\nprefix = "${server.host}"\n[[registry.mirror]]\nlocation = "${other.host}/m"\ninsecure = true`,
      'test',
    );

  test('a mirror is asked first, and its failure is a warning', async () => {
    const warnings: string[] = [];
    client = clientWith({ config: await config(), onWarning: (message) => warnings.push(message) });
    server.on('/v2/x/manifests/1', { headers: OCI, body: image.manifest.bytes });
    await manifest();
    expect(other.requests[0]?.url).toBe('/v2/m/x/manifests/1');
    expect(warnings).toHaveLength(1);
    other.on('/v2/m/x/manifests/1', { headers: OCI, body: image.manifest.bytes });
    const before = server.requests.length;
    await manifest();
    expect(server.requests).toHaveLength(before);
  });

  test("the origin's credentials do not go to a mirror", async () => {
    const hosts: string[] = [];
    client = clientWith({
      config: await config(),
      credentials: {
        get: async (_, host) => {
          hosts.push(host);
          return host === server.host ? { username: 'u', password: 'p' } : undefined;
        },
      },
    });
    other.on('/v2/m/x/manifests/1', { status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } });
    server.on('/v2/x/manifests/1', { headers: OCI, body: image.manifest.bytes });
    await manifest();
    expect(hosts).toEqual([other.host]);
    expect(other.requests.every(({ headers }) => headers.authorization === undefined)).toBe(true);
  });

  test('a mirror that lies about a digest is passed over', async () => {
    client = clientWith({ config: await config() });
    const path = `/v2/x/manifests/${image.manifest.digest}`;
    other.on(path.replace('/x/', '/m/x/'), { headers: OCI, body: blobOf({ schemaVersion: 2, layers: [] }).bytes });
    server.on(path, { headers: OCI, body: image.manifest.bytes });
    expect((await manifest(`@${image.manifest.digest}`)).descriptor.digest).toBe(image.manifest.digest);
  });
});

describe('proxies', () => {
  test('hosts other than this machine are reached through the proxy', async () => {
    const asked: string[] = [];
    const proxy = createHttpServer((request, response) => {
      const url = new URL(request.url ?? '');
      asked.push(url.host);
      get({ port: server.port, path: url.pathname, headers: request.headers }, (answer) => {
        response.writeHead(answer.statusCode ?? 500, answer.headers);
        answer.pipe(response);
      });
    });
    proxy.on('connect', (request, socket) => {
      asked.push(request.url ?? '');
      const upstream = connect(server.port, '127.0.0.1', () => socket.write('HTTP/1.1 200 OK\r\n\r\n'));
      upstream.pipe(socket).pipe(upstream);
      for (const end of [socket, upstream]) end.on('error', () => {});
    });
    await new Promise<void>((done) => proxy.listen(0, '127.0.0.1', done));
    const { port } = proxy.address() as { port: number };
    await using proxied = clientWith({
      config: await parseRegistriesConf('[[registry]]\nlocation = "registry.test:5000"\ninsecure = true', 'test'),
      proxy: { http: `http://127.0.0.1:${port}`, https: `http://127.0.0.1:${port}`, no: 'direct.test' },
    });
    server.on('/v2/x/manifests/1', { headers: OCI, body: image.manifest.bytes });
    const { descriptor } = await proxied.manifest(testTask(), parseReference('registry.test:5000/x:1'));
    expect(descriptor.digest).toBe(image.manifest.digest);
    expect(new Set(asked)).toEqual(new Set(['registry.test:5000']));
    await proxied.manifest(testTask(), parseReference(`${server.host}/x:1`));
    expect(asked).not.toContain(server.host);
    await expect(proxied.manifest(testTask(), parseReference('direct.test:1/x'))).rejects.toThrow(
      'host name is not known',
    );
    proxy.closeAllConnections();
    proxy.close();
  });
});
