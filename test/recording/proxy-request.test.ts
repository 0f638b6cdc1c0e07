import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BadRequest, type ProxyRequest, readRequest, type Tunnel } from '../../src/recording/proxy-request.ts';
import { sendBlob } from '../../src/recording/send.ts';
import { openStore, type TestStore } from '../store/support.ts';
import { sha256 } from '../../src/util/index.ts';

type Handler = (message: IncomingMessage, response: ServerResponse) => Promise<void>;

let server: Server;
let handle: Handler;
beforeAll(async () => {
  server = createServer((message, response) => void handle(message, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

/** What a server says to bytes that come over a connection of their own. */
async function talk(text: string): Promise<string> {
  const { port } = server.address() as AddressInfo;
  return new Promise((resolve, reject) => {
    let said = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(text, 'latin1'));
    socket.setEncoding('latin1');
    socket.on('data', (data: string) => (said += data));
    socket.on('error', reject);
    socket.on('close', () => resolve(said));
  });
}

/** What is understood of a request, or the status and the words that it is refused with. */
async function read(
  lines: readonly string[],
  { tunnel, body = '' }: { tunnel?: Tunnel; body?: string } = {},
): Promise<ProxyRequest | string> {
  const result = Promise.withResolvers<ProxyRequest | string>();
  handle = async (message, response) => {
    try {
      result.resolve(await readRequest(message, tunnel));
    } catch (error) {
      if (error instanceof BadRequest) result.resolve(`${error.status} ${error.message}`);
      else result.reject(error);
    }
    response.writeHead(204, { connection: 'close' }).end();
  };
  void talk(`${lines.join('\r\n')}\r\nconnection: close\r\n\r\n${body}`).then(
    (said) => result.resolve(said.split('\r\n', 1)[0] ?? ''),
    result.reject,
  );
  return result.promise;
}

const understood = async (...args: Parameters<typeof read>): Promise<ProxyRequest> => {
  const got = await read(...args);
  if (typeof got === 'string') throw new Error(got);
  return got;
};

const secure: Tunnel = { host: 'a.test', port: 443, secure: true };

describe('a request to the proxy', () => {
  test('is for the address that it has, without user information and fragment', async () => {
    const { url, written, authorized, headers, method } = await understood([
      'GET http://me:h%2Fsh@A.test:80/b?c=d HTTP/1.1',
      'host: other.test',
      'user-agent: curl',
    ]);
    expect([method, url.href, written, authorized]).toEqual([
      'GET',
      'http://a.test/b?c=d',
      'http://a.test/b?c=d',
      true,
    ]);
    expect(headers).toEqual({
      'user-agent': 'curl',
      authorization: `Basic ${Buffer.from('me:h/sh').toString('base64')}`,
    });
  });

  const bad: readonly (readonly [string, string])[] = [
    ['GET /path HTTP/1.1', '400 this is a proxy, and no web server'],
    ['GET ftp://a.test/ HTTP/1.1', '501 ftp:// is not recorded, only http and https'],
    ['GET http:// HTTP/1.1', '400 its address cannot be understood'],
    ['GET http://a.test:99999/ HTTP/1.1', '400 its address cannot be understood'],
    ['GET http://%zz@a.test/ HTTP/1.1', '400 its user information cannot be understood'],
    ['OPTIONS http://a.test/ HTTP/1.1', '501 there is no OPTIONS here'],
    ['TRACE http://a.test/ HTTP/1.1', '501 there is no TRACE here'],
  ];
  test.each(bad)('%s is refused: %s', async (line, why) => {
    expect(await read([line, 'host: a.test'])).toBe(why);
  });

  test('that only asks has no body', async () => {
    expect(await read(['GET http://a.test/ HTTP/1.1', 'host: a', 'content-length: 1'], { body: 'x' })).toBe(
      '400 GET with a body',
    );
    expect(await read(['GET http://a.test/ HTTP/1.1', 'host: a', 'content-length: 0'])).toMatchObject({
      method: 'GET',
    });
  });

  test('that sends something is known by its digest, however it comes', async () => {
    const line = 'POST http://a.test/ HTTP/1.1';
    const plain = await understood([line, 'host: a', 'content-length: 5'], { body: 'hello' });
    const chunked = await understood([line, 'host: a', 'transfer-encoding: chunked'], {
      body: '2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n',
    });
    const none = await understood([line, 'host: a']);
    expect([plain.sent, chunked.sent, none.sent]).toEqual([sha256('hello'), sha256('hello'), sha256('')]);
    expect(Buffer.from(chunked.body ?? []).toString()).toBe('hello');
    expect((await understood(['GET http://a.test/ HTTP/1.1', 'host: a'])).sent).toBeUndefined();
  });

  test('goes on with what is for the server, and without what is between client and proxy', async () => {
    const { headers, range, ifNoneMatch, ifModifiedSince, ifRange, authorized } = await understood([
      'GET http://a.test/ HTTP/1.1',
      'host: a.test',
      'accept: text/html',
      'accept: text/plain',
      'accept-encoding: gzip',
      'cookie: a=1',
      'cookie: b=2',
      'proxy-authorization: Basic x',
      'te: trailers',
      'x-own: 1',
      'connection: X-Own, keep-alive',
      'x-forwarded-for: 10.0.0.1',
      'range: bytes=0-1',
      'if-none-match: "1"',
      'if-modified-since: then',
      'if-range: "2"',
      'sec-websocket-key: x',
    ]);
    expect(headers).toEqual({ accept: 'text/html, text/plain', cookie: 'a=1; b=2' });
    expect([range, ifNoneMatch, ifModifiedSince, ifRange]).toEqual(['bytes=0-1', '"1"', 'then', '"2"']);
    expect(authorized, 'a cookie is a credential').toBe(true);
  });
});

describe('a request in a tunnel', () => {
  test('is for its host, and for nobody else', async () => {
    const got = await understood(['GET /b?c HTTP/1.1', 'host: A.test'], { tunnel: secure });
    expect(got.written).toBe('https://a.test/b?c');
    expect(await read(['GET / HTTP/1.1', 'host: other.test'], { tunnel: secure })).toBe(
      '421 it is for another host than the tunnel to a.test',
    );
    expect(await read(['GET / HTTP/1.1', 'host: a.test:8443'], { tunnel: secure })).toMatch(/^421 /);
    expect(await read(['GET / HTTP/1.1', 'host: a b'], { tunnel: secure })).toMatch(/^4/);
    expect(await understood(['GET / HTTP/1.1', 'host: a.test:443'], { tunnel: secure })).toMatchObject({
      written: 'https://a.test/',
    });
  });

  test('has a path that cannot lead elsewhere', async () => {
    for (const [path, written] of [
      ['//evil.test/x', 'https://a.test//evil.test/x'],
      ['/@evil.test/', 'https://a.test/@evil.test/'],
      ['/../..', 'https://a.test/'],
    ])
      expect(await understood([`GET ${path} HTTP/1.1`, 'host: a.test'], { tunnel: secure })).toMatchObject({ written });
    for (const target of ['http://evil.test/', '*', 'evil.test:443'])
      expect(await read([`GET ${target} HTTP/1.1`, 'host: a.test'], { tunnel: secure })).toMatch(
        // What Node refuses does not come here.
        /^(?:400 its path cannot be understood|HTTP\/1\.1 400 Bad Request)$/,
      );
  });

  test('to an IPv6 address, without TLS', async () => {
    const tunnel = { host: '2001:db8::1', port: 8080, secure: false };
    const got = await understood(['GET / HTTP/1.1', 'host: [2001:db8::1]:8080'], { tunnel });
    expect(got.written).toBe('http://[2001:db8::1]:8080/');
  });
});

describe('a recorded body is sent as a server with this very file would (RFC 9110)', () => {
  let opened: TestStore;
  const body = '0123456789';
  const stamps = { etag: '"1"', 'last-modified': 'Wed, 21 Oct 2026 07:28:00 GMT', 'content-type': 'text/plain' };
  beforeAll(() => {
    opened = openStore();
    opened.store.blobs.put(body);
    opened.store.blobs.put('');
  });
  afterAll(() => opened[Symbol.dispose]());

  /** Status, body and a header of the answer. */
  async function sent(
    headers: Readonly<Record<string, string>>,
    known: { status?: number; headers?: Readonly<Record<string, string>>; text?: string } = {},
  ): Promise<Response & { said: string }> {
    const { text = body } = known;
    handle = async (message, response) => {
      const request = await readRequest(message, {
        host: '127.0.0.1',
        port: (server.address() as AddressInfo).port,
        secure: false,
      });
      const record = {
        method: 'GET',
        url: request.written,
        status: 200,
        headers: stamps,
        steps: [],
        ...known,
        digest: sha256(text),
      };
      await sendBlob(opened.store.blobs, request, record, response);
    };
    const answer = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`, { headers });
    return Object.assign(answer, { said: await answer.text() });
  }

  const cases: readonly (readonly [Readonly<Record<string, string>>, number, string, string | null])[] = [
    [{}, 200, body, null],
    [{ range: 'bytes=0-0' }, 206, '0', 'bytes 0-0/10'],
    [{ range: 'bytes=3-' }, 206, '3456789', 'bytes 3-9/10'],
    [{ range: 'bytes=-3' }, 206, '789', 'bytes 7-9/10'],
    [{ range: 'bytes=5-99' }, 206, '56789', 'bytes 5-9/10'],
    [{ range: 'bytes=10-' }, 416, '', 'bytes */10'],
    [{ range: 'bytes=0-0,2-2' }, 200, body, null],
    [{ 'if-none-match': '"1"' }, 304, '', null],
    [{ 'if-none-match': 'W/"1"' }, 304, '', null],
    [{ 'if-none-match': '"0", "1"' }, 304, '', null],
    [{ 'if-none-match': '*' }, 304, '', null],
    [{ 'if-none-match': '"2"' }, 200, body, null],
    [{ 'if-modified-since': 'Wed, 21 Oct 2026 07:28:00 GMT' }, 304, '', null],
    [{ 'if-modified-since': 'Wed, 21 Oct 2026 07:27:59 GMT' }, 200, body, null],
    [{ 'if-modified-since': 'whenever' }, 200, body, null],
    [{ 'if-none-match': '"2"', 'if-modified-since': 'Wed, 21 Oct 2026 07:28:00 GMT' }, 200, body, null],
    [{ range: 'bytes=0-1', 'if-range': '"1"' }, 206, '01', 'bytes 0-1/10'],
    [{ range: 'bytes=0-1', 'if-range': '"2"' }, 200, body, null],
    [{ range: 'bytes=0-1', 'if-range': 'W/"1"' }, 200, body, null],
    [{ range: 'bytes=0-1', 'if-range': 'Wed, 21 Oct 2026 07:28:00 GMT' }, 206, '01', 'bytes 0-1/10'],
  ];
  test.each(cases)('%j: %i', async (headers, status, said, range) => {
    const answer = await sent(headers);
    expect([answer.status, answer.said, answer.headers.get('content-range')]).toEqual([status, said, range]);
    expect(answer.headers.get('etag')).toBe('"1"');
  });

  test('what is not the file itself has no parts and is never unchanged', async () => {
    const answer = await sent({ range: 'bytes=0-0', 'if-none-match': '"1"' }, { status: 404 });
    expect([answer.status, answer.said, answer.headers.get('accept-ranges')]).toEqual([404, body, null]);
  });

  test('an empty one is empty, and has no first byte', async () => {
    expect([(await sent({}, { text: '' })).said, (await sent({}, { text: '' })).headers.get('content-length')]).toEqual(
      ['', '0'],
    );
    expect((await sent({ range: 'bytes=0-' }, { text: '' })).status).toBe(416);
  });
});
