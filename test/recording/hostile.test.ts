import { execFile } from 'node:child_process';
import { type AddressInfo, connect as connectTcp } from 'node:net';
import { copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import { createServer as createTlsServer } from 'node:https';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { makeCertificates } from '../support/certificate.ts';
import { startProxy } from '../support/proxy.ts';
import { RecordingBench, TestStep } from '../support/recorded-step.ts';
import { WebServer } from '../support/web-server.ts';

let bench: RecordingBench;
let web: WebServer;
beforeEach(async () => {
  bench = new RecordingBench();
  web = await WebServer.start((request, response) => response.end(`${request.headers.host} ${request.url}`));
});
afterEach(async () => {
  await bench[Symbol.asyncDispose]();
  await web[Symbol.asyncDispose]();
});

/** A server with TLS, and the directory with its authority as users have it. */
async function startTls(): Promise<{ port: number; certificates: string; [Symbol.asyncDispose](): Promise<void> }> {
  const [dir, certificates] = [join(bench.dir, 'tls'), join(bench.dir, 'certs')];
  for (const path of [dir, certificates]) mkdirSync(path);
  const { ca, cert, key } = makeCertificates(dir);
  copyFileSync(ca, join(certificates, 'ca.crt'));
  const server = createTlsServer({ cert: readFileSync(cert), key: readFileSync(key) }, (request, response) => {
    response.end(`${request.headers.host} ${request.url}`);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    certificates,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

describe('a step in a recorded network', () => {
  test('finds the proxy and the authority by what programs look for, and no other proxy', async () => {
    const { spec, certificate } = await bench.step(bench.build(), 'record');
    expect(spec.network).toBe('proxied');
    expect(spec.env).toEqual(
      expect.arrayContaining([
        'A=1',
        'http_proxy=http://127.0.0.1:61080',
        'HTTPS_PROXY=http://127.0.0.1:61080',
        'NO_PROXY=localhost,127.0.0.1,::1',
        ...[
          'SSL_CERT_FILE',
          'NODE_EXTRA_CA_CERTS',
          'PIP_CERT',
          'REQUESTS_CA_BUNDLE',
          'CURL_CA_BUNDLE',
          'GIT_SSL_CAINFO',
        ].map((name) => `${name}=/dev/tsbuild-ca.crt`),
        'NPM_CONFIG_CAFILE=/dev/tsbuild-ca.crt',
      ]),
    );
    expect(spec.env.join(' ')).not.toMatch(/other|socks/);
    const bundle = spec.mounts?.find(({ target }) => target === '/etc/ssl/certs/ca-certificates.crt');
    expect(bundle?.type === 'file' && Buffer.from(bundle.data).toString()).toBe(`theirs\n\n${certificate}`);
  });

  test('speaks TLS with a certificate for the host that it wanted, and the proxy with the server’s own', async () => {
    await using tls = await startTls();
    const host = `localhost:${tls.port}`;
    const build = bench.build({ certificates: { host, dir: tls.certificates } });
    const step = await bench.step(build, 'record');
    const said = await TestStep.talk(
      await step.tls(host),
      `GET /a HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`,
    );
    expect(said).toMatch(new RegExp(`^HTTP/1.1 200 OK\\r\\n[^]*\\r\\n\\r\\n${host} /a$`));
    expect(build.toWrite()).toMatchObject([{ url: `https://${host}/a` }]);
    // Whom this machine does not trust, a step cannot either.
    const other = await bench.step(bench.build(), 'record');
    const refused = await TestStep.talk(
      await other.tls(host),
      `GET /a HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`,
    );
    expect(refused).toMatch(/^HTTP\/1.1 502 tsbuild: .*certificate/);
  });

  test('is told when a client does not believe the authority', async () => {
    const step = await bench.step(bench.build(), 'record');
    // As OpenSSL has it for all but Node: with an alert.
    const script = `import socket, ssl, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(b"CONNECT far.test:443 HTTP/1.1\\r\\nhost: far.test:443\\r\\n\\r\\n")
s.recv(1000)
ssl.create_default_context().wrap_socket(s, server_hostname="far.test")`;
    const failed = promisify(execFile)('python3', ['-c', script, step.socket]);
    await expect(failed).rejects.toThrow(/CERTIFICATE_VERIFY_FAILED/);
    await vi.waitFor(async () =>
      expect(await step.recording.finish()).toMatch(
        /https:\/\/far.test:443 was given up by a client that does not believe/,
      ),
    );
  });

  test('goes through a tunnel without TLS too, and nowhere else than where the tunnel leads', async () => {
    const step = await bench.step(bench.build(), 'record');
    const host = new URL(web.url).host;
    const end = 'connection: close\r\n\r\n';
    expect(await TestStep.talk(await step.tunnel(host), `GET /a HTTP/1.1\r\nhost: ${host}\r\n${end}`)).toMatch(/\/a$/);
    expect(await TestStep.talk(await step.tunnel(host), `GET /a HTTP/1.1\r\nhost: other.test\r\n${end}`)).toMatch(
      /^HTTP\/1.1 421 /,
    );
    expect(
      await TestStep.talk(await step.tunnel(host), `GET http://other.test/ HTTP/1.1\r\nhost: ${host}\r\n${end}`),
    ).toMatch(/^HTTP\/1.1 400 /);
    expect(await TestStep.talk(await step.tunnel(host), '\x00\x01binary')).toBe('');
    expect(await step.recording.finish()).toMatch(/speaks neither TLS nor HTTP/);
    expect(web.seen).toHaveLength(1);
    for (const bad of ['far.test', 'far.test:0', 'far.test:99999', 'a b:443', '[::1]x:443', 'a/b:443'])
      expect(await step.raw(`CONNECT ${bad} HTTP/1.1\r\nhost: x\r\n\r\n`), bad).toMatch(/^HTTP\/1.1 400 /);
  });

  test('reaches neither this machine nor metadata services unless that is allowed, by whatever name', async () => {
    const { port } = web;
    const hosts = [
      { host: 'inner.test', ip: '127.0.0.1' },
      { host: 'meta.test', ip: '169.254.169.254' },
    ];
    const step = await bench.step(bench.build({ allowOwn: false, hosts }), 'record');
    for (const host of [
      '127.0.0.1',
      'localhost',
      '[::1]',
      '2130706433',
      '0.0.0.0',
      '[::ffff:127.0.0.1]',
      'inner.test',
      'meta.test',
      '169.254.169.254',
      '100.100.100.200',
      '[fe80::1]',
    ]) /* oxfmt-ignore */ {
      const got = await step.get(`http://${host}:${port}/`);
      expect([got.status, got.reason], host).toEqual([
        403,
        expect.stringMatching(/this machine itself or a metadata service/),
      ]);
    }
    expect(web.seen).toEqual([]);
    expect(step.recording.explain(new Error('x'))).toBeInstanceOf(Error);
    const allowed = await bench.step(bench.build({ hosts }), 'record');
    expect((await allowed.get(`http://inner.test:${port}/`)).body).toBe(`inner.test:${port} /`);
  });

  test('gets nothing for what is malformed, too long or ambiguous', async () => {
    const step = await bench.step(bench.build(), 'record');
    const host = new URL(web.url).host;
    const refused = async (text: string, status: RegExp): Promise<void> => {
      expect(await step.raw(text), text.slice(0, 80)).toMatch(status);
    };
    await refused(`GET / HTTP/1.1\r\nhost: ${host}\r\n\r\n`, /^HTTP\/1.1 400 /);
    await refused(
      `GET ftp://far.test/ HTTP/1.1\r\nhost: far.test\r\n\r\n`,
      /^HTTP\/1.1 501 tsbuild: ftp:\/\/ is not recorded/,
    );
    await refused(`TRACE ${web.url}/ HTTP/1.1\r\nhost: ${host}\r\n\r\n`, /^HTTP\/1.1 501 /);
    await refused(`GET ${web.url}/ HTTP/1.1\r\nhost: ${host}\r\nx: ${'a'.repeat(40_000)}\r\n\r\n`, /^HTTP\/1.1 431 /);
    // Two lengths of one body are how a second request is smuggled past whoever believes the first.
    const both = 'content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n';
    await refused(`POST ${web.url}/ HTTP/1.1\r\nhost: ${host}\r\n${both}`, /^HTTP\/1.1 400 /);
    await refused(`GET ${web.url}/ HTTP/1.1\r\nhost: ${host}\r\ncontent-length: 4\r\n\r\nGET `, /^HTTP\/1.1 400 /);
    await refused(
      `GET ${web.url}/ HTTP/1.1\r\nhost: ${host}\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n`,
      /^HTTP\/1.1 400 /,
    );
    await refused(`GET ${web.url}/ HTTP/1.1\nhost : ${host}\r\n\r\n`, /^HTTP\/1.1 400 /);
    await refused('\x16\x03\x01 no HTTP\r\n\r\n', /^HTTP\/1.1 400 /);
    expect(web.seen).toEqual([]);
    // It is there for the next one.
    expect((await step.get(`${web.url}/a`)).status).toBe(200);
  });

  test('sends no headers on that are between it and the proxy', async () => {
    const step = await bench.step(bench.build(), 'record');
    await step.get(`${web.url}/`, {
      'proxy-authorization': 'Basic eA==',
      connection: 'x-hop',
      'x-hop': '1',
      'x-kept': '2',
      'if-none-match': '"a"',
      'accept-encoding': 'br',
      host: 'other.test',
    });
    const [{ headers } = { headers: {} }] = web.seen;
    expect(headers).toMatchObject({ host: new URL(web.url).host, 'x-kept': '2', 'accept-encoding': 'identity' });
    expect(Object.keys(headers)).not.toEqual(expect.arrayContaining(['x-hop']));
    expect(headers).not.toHaveProperty('proxy-authorization');
    expect(headers).not.toHaveProperty('if-none-match');
  });

  test('cannot put a line of its own into an answer by what a server says', async () => {
    const raw = await new Promise<import('node:net').Server>((resolve) => {
      void import('node:net').then(({ createServer }) => {
        const server = createServer((socket) => {
          socket.on('error', () => undefined);
          socket.once('data', () =>
            socket.end(`HTTP/1.1 200 OK\r\ncontent-length: 1\r\nx: ${'y'.repeat(100_000)}\r\n\r\nz`),
          );
        }).listen(0, '127.0.0.1', () => resolve(server));
      });
    });
    const step = await bench.step(bench.build(), 'record');
    const got = await step.get(`http://127.0.0.1:${(raw.address() as AddressInfo).port}/`);
    expect([got.status, got.reason]).toEqual([502, expect.stringMatching(/headers of the answer are too long/)]);
    await new Promise((resolve) => raw.close(resolve));
  });

  test('comes to servers by the proxy of the environment', async () => {
    await using proxy = await startProxy(['far.test']);
    const step = await bench.step(bench.build({ proxy: { http: proxy.url }, allowOwn: false }), 'record');
    expect((await step.get(`http://far.test:${web.port}/a`)).body).toBe(`far.test:${web.port} /a`);
    expect(proxy.tunnels).toEqual([`far.test:${web.port}`]);
  });

  test('may leave connections open: they end with it', async () => {
    const build = bench.build();
    const step = await bench.step(build, 'record');
    const socket = connectTcp(step.socket);
    await new Promise((resolve) => socket.once('connect', resolve));
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.on('error', () => undefined);
    await step.recording[Symbol.asyncDispose]();
    await closed;
  });
});
