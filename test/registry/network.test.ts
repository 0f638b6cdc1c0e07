import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer as createHttpServer, type Server } from 'node:http';
import { constants, createSecureServer, type Http2SecureServer, type ServerHttp2Stream } from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createRegistry, type RegistryOptions } from '../../src/registry/index.ts';
import { readCertificates } from '../../src/registry/http/certificates.ts';
import { parseReference } from '../../src/image/index.ts';
import { makeCertificates, type TestCertificates } from '../support/certificate.ts';
import { blobOf } from '../support/image.ts';
import { startProxy, type TestProxy } from '../support/proxy.ts';
import { startRegistry } from '../support/registry.ts';
import { testTask } from '../support/task.ts';

const limits = { attempts: 2, backoffMs: 1 };
const blob = blobOf('some bytes');
let dir: string;
let tls: TestCertificates;
let proxy: TestProxy;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'tsbuild-network-'));
  tls = makeCertificates(dir);
  proxy = await startProxy();
});
afterAll(async () => {
  await proxy[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true });
});

const clientWith = (options: Partial<RegistryOptions>) => createRegistry({ now: () => 0, limits, ...options });
const has = async (host: string, options: Partial<RegistryOptions>): Promise<boolean> => {
  await using client = clientWith(options);
  return await client.hasBlob(testTask(), parseReference(`${host}/some/app`), blob);
};
const through = () => ({ https: proxy.url, http: proxy.url });

/** A server that has every blob, on a port of this machine. */
async function listening(
  server: Server | Http2SecureServer,
  host = '127.0.0.1',
): Promise<{ readonly port: number } & AsyncDisposable> {
  await new Promise<void>((resolve) => server.listen(0, host, () => resolve()));
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.close();
      await Promise.resolve();
    },
  };
}
const keyAndCert = () => ({ key: readFileSync(tls.key), cert: readFileSync(tls.cert) });
/** `certs.d` with a folder for a host, and copies of these files in it. */
function certsFor(host: string, files: Readonly<Record<string, string>>): string {
  const top = mkdtempSync(join(dir, 'certs-'));
  mkdirSync(join(top, host));
  for (const [name, file] of Object.entries(files)) copyFileSync(file, join(top, host, name));
  return top;
}

describe('certificates of registries (certs.d)', () => {
  test('an authority is trusted for its host, and for no other', async () => {
    await using server = await listening(createHttpsServer(keyAndCert(), (_, response) => response.end('some bytes')));
    const host = `registry.test:${server.port}`;
    await expect(has(host, { proxy: through() })).rejects.toThrow(/certificate/);
    expect(await has(host, { proxy: through(), certificateDirs: [certsFor(host, { 'ca.crt': tls.ca })] })).toBe(true);
    const other = certsFor('other.test:5000', { 'ca.crt': tls.ca });
    await expect(has(host, { proxy: through(), certificateDirs: [other] })).rejects.toThrow(/certificate/);
    const named = [{ host, dir: join(certsFor(host, { 'ca.crt': tls.ca }), host) }];
    expect(await has(host, { proxy: through(), certificateDirs: named })).toBe(true);
  });

  test('a certificate of our own is shown to its host', async () => {
    const own = makeCertificates(dir, 'client');
    const options = { ...keyAndCert(), ca: readFileSync(own.ca), requestCert: true, rejectUnauthorized: false };
    const seen: boolean[] = [];
    await using server = await listening(
      createHttpsServer(options, (request, response) => {
        seen.push((request.socket as TLSSocket).authorized);
        response.end('some bytes');
      }),
    );
    const host = `registry.test:${server.port}`;
    const both = { 'ca.crt': tls.ca, 'client.cert': own.cert, 'client.key': own.key };
    expect(await has(host, { proxy: through(), certificateDirs: [certsFor(host, both)] })).toBe(true);
    expect(await has(host, { proxy: through(), certificateDirs: [certsFor(host, { 'ca.crt': tls.ca })] })).toBe(true);
    expect(seen).toEqual([true, false]);
  });

  test('one without its key, or a key without its certificate, is an error that says what is missing', () => {
    const [cert, key] = [{ 'a.cert': tls.cert }, { 'a.key': tls.key }];
    expect(() => readCertificates([certsFor('x', cert)], 'x')).toThrow(/a\.cert": there is no "a\.key"/);
    expect(() => readCertificates([certsFor('x', key)], 'x')).toThrow(/a\.key": there is no certificate/);
  });

  test('are those of the first directory that has any for the host; without a port, of 443 too', () => {
    const [first, second] = [
      certsFor('r.example:443', { 'a.crt': tls.ca }),
      certsFor('r.example', { 'b.crt': tls.cert }),
    ];
    const ca = readFileSync(tls.ca, 'utf8');
    expect(readCertificates(['/nonexistent', first, second], 'r.example')).toEqual({ ca: [ca], own: [] });
    expect(readCertificates([first], 'r.example:5000')).toBeUndefined();
    expect(readCertificates([], 'r.example')).toBeUndefined();
  });
});

describe('proxies of the environment', () => {
  test('are asked, but not for hosts that are left out, nor for this machine', async () => {
    await using server = await listening(createHttpServer((_, response) => response.end('some bytes')));
    const config = {
      unqualifiedSearchRegistries: [],
      registries: [],
      aliases: new Map(),
      credentialHelpers: [],
      insecureHosts: new Set([`registry.test:${server.port}`]),
    };
    proxy.tunnels.length = 0;
    expect(await has(`registry.test:${server.port}`, { config, proxy: through() })).toBe(true);
    expect(new Set(proxy.tunnels)).toEqual(new Set([`registry.test:${server.port}`]));
    proxy.tunnels.length = 0;
    const without = { ...through(), no: 'registry.test' };
    await expect(has(`registry.test:${server.port}`, { config, proxy: without })).rejects.toThrow(/host name/);
    expect(await has(`127.0.0.1:${server.port}`, { proxy: through() })).toBe(true);
    expect(proxy.tunnels).toEqual([]);
  });

  test('may be named without a scheme, as for curl', async () => {
    await using server = await listening(createHttpsServer(keyAndCert(), (_, response) => response.end('some bytes')));
    const host = `registry.test:${server.port}`;
    const certificateDirs = [certsFor(host, { 'ca.crt': tls.ca })];
    expect(await has(host, { proxy: { https: new URL(proxy.url).host }, certificateDirs })).toBe(true);
  });

  test('that cannot be reached are named, without their passwords', async () => {
    // Of a server that is gone: nobody listens there.
    const gone = await listening(createHttpServer());
    await gone[Symbol.asyncDispose]();
    const named = `127.0.0.1:${gone.port}`;
    for (const https of [`http://${named}`, `http://someone:geheim@${named}`, named])
      await expect(has('registry.test', { proxy: { https } })).rejects.toMatchObject({
        code: 'TSB_NETWORK',
        message: expect.stringMatching(
          new RegExp(`registry.test: the connection was refused, by way of the proxy http://${named} \\(HTTP`),
        ) as string,
      });
  });

  test('that say nothing are given up, and named', async () => {
    const silent = createTcpServer(() => undefined);
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', () => resolve()));
    const { port } = silent.address() as AddressInfo;
    const sockets = new Set<Socket>();
    silent.on('connection', (socket) => sockets.add(socket));
    try {
      const options = { proxy: { https: `127.0.0.1:${port}` }, limits: { ...limits, headersMs: 300 } };
      await expect(has('registry.test', options)).rejects.toThrow(
        `no answer in time, by way of the proxy http://127.0.0.1:${port}`,
      );
    } finally {
      for (const socket of sockets) socket.destroy();
      silent.close();
    }
  });

  test.each([
    ['http://', 'is not an address'],
    ['http://user:geheim@', 'is not an address'],
    ['a b', 'is not an address'],
    ['socks5://127.0.0.1:1', 'begins with socks5://'],
    ['ftp://user:geheim@127.0.0.1', 'begins with ftp://'],
  ])('%j is none', async (https, why) => {
    const failed: unknown = await has('registry.test', { proxy: { https } }).catch((error: unknown) => error);
    expect(failed).toMatchObject({
      code: 'TSB_NETWORK',
      message: `Cannot use the proxy of HTTP_PROXY or HTTPS_PROXY for registry.test: it ${why}`,
      hint: expect.stringContaining('NO_PROXY') as string,
    });
  });
});

describe('HTTP/2', () => {
  test('is spoken where TLS offers it', async () => {
    const versions: string[] = [];
    await using server = await listening(
      createSecureServer({ ...keyAndCert(), allowHTTP1: true }, (request, response) => {
        versions.push(request.httpVersion);
        response.end('some bytes');
      }),
    );
    expect(await has(`127.0.0.1:${server.port}`, {})).toBe(true);
    const host = `registry.test:${server.port}`;
    expect(await has(host, { proxy: through(), certificateDirs: [certsFor(host, { 'ca.crt': tls.ca })] })).toBe(true);
    expect(versions).toEqual(['2.0', '2.0']);
  });

  const breaks: Readonly<Record<string, (stream: ServerHttp2Stream) => void>> = {
    'a stream that is reset': (stream) => stream.close(constants.NGHTTP2_INTERNAL_ERROR),
    'a stream that is refused': (stream) => stream.close(constants.NGHTTP2_REFUSED_STREAM),
    'a session that says goodbye': (stream) => {
      stream.session?.goaway(constants.NGHTTP2_NO_ERROR);
      stream.close(constants.NGHTTP2_REFUSED_STREAM);
    },
    'a connection that is cut': (stream) => stream.session?.destroy(),
  };
  for (const [name, broken] of Object.entries(breaks)) {
    test(`survives ${name}, in an upload and in a download`, async () => {
      const sent = blobOf(Buffer.alloc(3_000_000, 7));
      let failures = 0;
      let received: Buffer | undefined;
      const fails = (): boolean => failures++ < 1;
      const server = createSecureServer({ ...keyAndCert(), allowHTTP1: true });
      server.on('sessionError', () => undefined);
      server.on('stream', (stream, headers) => {
        stream.on('error', () => undefined);
        const method = headers[':method'];
        if (method === 'POST') return stream.respond({ ':status': 202, location: '/upload/1' }, { endStream: true });
        if (method === 'HEAD') return stream.respond({ ':status': 404 }, { endStream: true });
        if (headers[':path']?.startsWith('/upload/1') && method === 'GET')
          return stream.respond({ ':status': 404 }, { endStream: true });
        if (method === 'GET') {
          const start = Number(/bytes=(\d+)-/.exec(headers.range ?? '')?.[1] ?? 0);
          const range = `bytes ${start}-${sent.size - 1}/${sent.size}`;
          stream.respond(start === 0 ? { ':status': 200 } : { ':status': 206, 'content-range': range });
          if (!fails()) return void stream.end(sent.bytes.subarray(start));
          stream.write(sent.bytes.subarray(0, 1_500_000), () => broken(stream));
          return;
        }
        const chunks: Buffer[] = [];
        stream.on('data', (chunk: Buffer) => {
          chunks.push(chunk);
          if (chunks.length === 1 && fails()) broken(stream);
        });
        stream.on('end', () => {
          if (stream.destroyed) return;
          received = Buffer.concat(chunks);
          stream.respond({ ':status': 201 }, { endStream: true });
        });
      });
      await using listener = await listening(server);
      await using client = clientWith({ limits: { attempts: 3, backoffMs: 1 } });
      const repository = parseReference(`127.0.0.1:${listener.port}/some/app`);
      const { digest, size, bytes } = sent;
      const open = (start: number) => [bytes.subarray(start, 1_000_000), bytes.subarray(Math.max(start, 1_000_000))];
      await client.pushBlob(testTask(), repository, { digest, size, open });
      expect(received?.equals(bytes)).toBe(true);
      failures = 0;
      const chunks: Uint8Array[] = [];
      for await (const chunk of client.blob(testTask(), repository, sent)) chunks.push(Uint8Array.from(chunk));
      expect(Buffer.concat(chunks).equals(bytes)).toBe(true);
    });
  }

  test('carries several large uploads at a time to a real registry, and back', async () => {
    await using registry = await startRegistry({ tls });
    await using client = clientWith({});
    const repository = parseReference(`${registry.host}/some/app`);
    const blobs = [1, 2, 3, 4, 5].map((number) => blobOf(Buffer.alloc(8_000_000 + number, number)));
    await Promise.all(
      blobs.map(({ digest, size, bytes }) =>
        client.pushBlob(testTask(), repository, {
          digest,
          size,
          *open(start) {
            for (let at = start; at < size; at += 100_000) yield bytes.subarray(at, at + 100_000);
          },
        }),
      ),
    );
    for (const one of blobs) {
      const chunks: Uint8Array[] = [];
      for await (const chunk of client.blob(testTask(), repository, one)) chunks.push(Uint8Array.from(chunk));
      expect(Buffer.concat(chunks).equals(one.bytes)).toBe(true);
    }
  });
});

test('a registry may be an IPv6 address', async () => {
  await using server = await listening(
    createHttpServer((_, response) => response.end('some bytes')),
    '::1',
  );
  expect(await has(`[::1]:${server.port}`, {})).toBe(true);
});

test('connections to a host are few, and are used again', async () => {
  const sockets = new Set<unknown>();
  let [open, most] = [0, 0];
  const http = createHttpServer((request, response) => {
    sockets.add(request.socket);
    most = Math.max(most, ++open);
    setTimeout(() => {
      open--;
      response.end('some bytes');
    }, 20);
  });
  await using server = await listening(http);
  await using client = clientWith({ limits: { ...limits, connectionsPerHost: 3 } });
  const repository = parseReference(`127.0.0.1:${server.port}/some/app`);
  // The first finds out that there is no TLS.
  await client.hasBlob(testTask(), repository, blob);
  await Promise.all(Array.from({ length: 20 }, () => client.hasBlob(testTask(), repository, blob)));
  expect(most).toBe(3);
  expect(sockets.size).toBeLessThanOrEqual(4);
});
