import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, test } from 'vitest';
import { HttpClient } from '../../src/registry/index.ts';
import { downloadName, type FactStore, HttpSource } from '../../src/source/index.ts';
import { sha256 } from '../../src/util/index.ts';
import { testTask } from '../support/task.ts';
import { WebServer } from '../support/web-server.ts';

const vertex = sha256('vertex');
const toDispose: (() => unknown)[] = [];
afterEach(async () => {
  for (const dispose of toDispose.splice(0).toReversed()) await dispose();
});

async function serve(listener: RequestListener, host?: string): Promise<WebServer> {
  const server = await WebServer.start(listener, host);
  toDispose.push(() => server[Symbol.asyncDispose]());
  return server;
}

function memoryFacts(): FactStore & { readonly all: Map<string, unknown> } {
  const all = new Map<string, unknown>();
  return {
    all,
    get: (kind, key) => (all.has(kind + key) ? { value: all.get(kind + key) } : undefined),
    put: (kind, key, value) => void all.set(kind + key, value),
  };
}

function open(
  facts: FactStore = memoryFacts(),
  maxBytes?: number,
): { readonly source: HttpSource; readonly dir: string } {
  const dir = mkdtempSync(join(tmpdir(), 'tsbuild-http-'));
  const client = new HttpClient({ limits: { backoffMs: 1, attempts: 3, connectMs: 2000 } });
  toDispose.push(
    () => client[Symbol.asyncDispose](),
    () => rmSync(dir, { recursive: true }),
  );
  const source = new HttpSource({
    client,
    facts,
    temporary: () => mkdtempSync(join(dir, 'x')),
    now: () => 1_700_000_000_000,
    ...(maxBytes === undefined ? {} : { maxBytes }),
  });
  return { source, dir };
}

const at = (url: string): { url: string; headers: Record<string, string> } => ({ url, headers: {} });

describe('downloads', () => {
  test('bytes, digest and date; progress in bytes; asked for once', async () => {
    const server = await serve((_request, response) => {
      response.setHeader('last-modified', 'Sun, 13 Sep 2020 12:26:40 GMT');
      response.end('content');
    });
    const { source } = open();
    const task = testTask();
    const resource = at(`${server.url}/file`);
    const content = await source.content(task, vertex, resource);
    expect(content).toMatchObject({ digest: sha256('content'), size: 7, lastModified: 1_600_000_000 });
    const [one, two] = await Promise.all([
      source.file(task, vertex, resource, content.digest),
      source.file(task, vertex, resource, undefined),
    ]);
    expect(readFileSync(one.path, 'utf8')).toBe('content');
    expect(two).toEqual(one);
    expect(server.seen).toHaveLength(1);
    expect(task.seen.at(-1)).toMatchObject({
      type: 'status',
      vertex,
      current: 7,
      total: 7,
      unit: 'bytes',
      completed: true,
    });
  });

  test('a gzip encoding is taken off, and bombs and lies about length are refused', async () => {
    const server = await serve((request, response) => {
      if (request.url === '/encoded') response.setHeader('content-encoding', 'gzip').end(gzipSync('plain'));
      else if (request.url === '/bomb')
        response.setHeader('content-encoding', 'gzip').end(gzipSync(Buffer.alloc(2_000_000)));
      else if (request.url === '/damaged') response.setHeader('content-encoding', 'gzip').end('not gzip at all');
      else if (request.url === '/long') response.setHeader('content-length', '5000000').write('x');
      else {
        response.setHeader('content-length', '100').write('short');
        response.destroy();
      }
    });
    const { source, dir } = open(memoryFacts(), 1_000_000);
    const get = (path: string): Promise<unknown> => source.content(testTask(), vertex, at(server.url + path));
    await expect(get('/encoded')).resolves.toMatchObject({ digest: sha256('plain'), size: 5 });
    await expect(get('/bomb')).rejects.toMatchObject({
      code: 'TSB_NETWORK',
      message: expect.stringContaining('more than 1000000 bytes'),
    });
    await expect(get('/damaged')).rejects.toMatchObject({ code: 'TSB_ARCHIVE' });
    await expect(get('/long')).rejects.toMatchObject({ code: 'TSB_NETWORK' });
    await expect(get('/short')).rejects.toMatchObject({ code: 'TSB_NETWORK' });
    expect(readdirSync(dir)).toHaveLength(1);
  });

  test('what passes is tried again, the rest is told', async () => {
    let tries = 0;
    const server = await serve((request, response) => {
      response.statusCode =
        request.url === '/flaky' && ++tries === 3
          ? 200
          : request.url === '/flaky'
            ? 503
            : Number(request.url?.slice(1));
      response.end('x');
    });
    const { source } = open();
    const get = (path: string): Promise<unknown> => source.content(testTask(), vertex, at(server.url + path));
    await expect(get('/flaky')).resolves.toMatchObject({ size: 1 });
    await expect(get('/404')).rejects.toMatchObject({
      code: 'TSB_NOT_FOUND',
      message: expect.stringContaining('invalid response status 404'),
    });
    await expect(get('/403')).rejects.toMatchObject({
      code: 'TSB_NETWORK',
      hint: expect.stringContaining('HTTP_AUTH_TOKEN_127.0.0.1'),
    });
    await server[Symbol.asyncDispose]();
    await expect(get('/gone')).rejects.toMatchObject({
      code: 'TSB_NETWORK',
      message: expect.stringContaining('refused'),
      hint: expect.stringContaining('online'),
    });
  });

  test('another content than the checksum names', async () => {
    const server = await serve((_request, response) => response.end('other'));
    const { source } = open();
    await expect(source.file(testTask(), vertex, at(server.url), sha256('wanted'))).rejects.toMatchObject({
      code: 'TSB_DIGEST',
      message: expect.stringContaining(`digest mismatch ${sha256('other')}: ${sha256('wanted')}`),
    });
  });

  test('a canceled download ends, and others go on', async () => {
    const server = await serve((_request, response) => {
      setTimeout(() => response.end('late'), 100);
    });
    const { source } = open();
    const first = testTask();
    const canceled = source.content(first, vertex, at(server.url));
    const waiting = source.content(testTask(), vertex, at(server.url));
    first.controller.abort();
    await expect(canceled).rejects.toMatchObject({ code: 'TSB_CANCELED' });
    await expect(waiting).resolves.toMatchObject({ digest: sha256('late') });
  });
});

describe('what was had before', () => {
  test('is asked for by ETag, and not transferred again', async () => {
    let body = 'one';
    const server = await serve((request, response) => {
      const tag = `W/"${body}"`;
      response.setHeader('etag', tag);
      response.statusCode = request.headers['if-none-match'] === tag && request.url === '/good' ? 304 : 200;
      response.end(response.statusCode === 304 ? undefined : body);
    });
    const facts = memoryFacts();
    for (const path of ['/good', '/deaf']) {
      body = 'one';
      await open(facts).source.content(testTask(), vertex, at(server.url + path));
      const again = open(facts);
      await expect(again.source.content(testTask(), vertex, at(server.url + path))).resolves.toMatchObject({
        digest: sha256('one'),
      });
      expect(readdirSync(again.dir)).toEqual([]);
      const file = await again.source.file(testTask(), vertex, at(server.url + path), sha256('one'));
      expect(readFileSync(file.path, 'utf8')).toBe('one');
      body = 'two';
      await expect(open(facts).source.content(testTask(), vertex, at(server.url + path))).resolves.toMatchObject({
        digest: sha256('two'),
      });
    }
  });

  test('with another ETag, or none, is what its bytes are (CAC-06)', async () => {
    let [body, tag] = ['one', '"1"'];
    const server = await serve((_request, response) => {
      if (tag !== '') response.setHeader('etag', tag);
      response.end(body);
    });
    const facts = memoryFacts();
    for (const [text, name] of [
      ['one', '"1"'],
      ['one', '"2"'],
      ['two', '"3"'],
      ['three', ''],
      ['four', ''],
    ] as const) {
      [body, tag] = [text, name];
      const { source } = open(facts);
      await expect(source.content(testTask(), vertex, at(server.url))).resolves.toMatchObject({ digest: sha256(text) });
    }
  });

  test('has no date that is none, or that lock files and archives cannot have', async () => {
    const dates = ['Thu, 01 Jan 1970 00:00:00 GMT', 'Fri, 31 Dec 9999 23:59:59 GMT', 'Sat, 01 Jan 10000 00:00:00 GMT', 'Mon, 01 Jan 1900 00:00:00 GMT', 'yesterday', '1']; // oxfmt-ignore
    const server = await serve((request, response) => {
      response.setHeader('last-modified', dates[Number((request.url ?? '').slice(1))] ?? '').end('x');
    });
    const times: unknown[] = [];
    for (const [index] of dates.entries()) {
      const content = await open().source.content(testTask(), vertex, at(`${server.url}/${index}`));
      times.push(content.lastModified);
    }
    expect(times).toEqual([0, 253_402_300_799, undefined, undefined, undefined, undefined]);
  });

  test('is asked for by date only when the date is old enough to tell', async () => {
    const server = await serve((request, response) => {
      response.setHeader(
        'last-modified',
        request.url === '/old' ? 'Sun, 13 Sep 2020 12:26:40 GMT' : new Date().toUTCString(),
      );
      response.end('x');
    });
    const facts = memoryFacts();
    for (const path of ['/old', '/new', '/old', '/new'])
      await open(facts).source.content(testTask(), vertex, at(server.url + path));
    expect(server.seen.map(({ headers }) => headers['if-modified-since'])).toEqual([
      undefined,
      undefined,
      'Sun, 13 Sep 2020 12:26:40 GMT',
      undefined,
    ]);
  });

  test('damaged facts and other credentials are as if there was nothing', async () => {
    const server = await serve((_request, response) => response.setHeader('etag', '"1"').end('x'));
    const facts = memoryFacts();
    await open(facts).source.content(testTask(), vertex, at(server.url));
    await open(facts).source.content(testTask(), vertex, {
      ...at(server.url),
      authorization: 'Bearer x',
      authName: 'token',
    });
    for (const key of facts.all.keys()) facts.all.set(key, { digest: 'sha256:../../x', size: 1, etag: '"1"' });
    await open(facts).source.content(testTask(), vertex, at(server.url));
    expect(server.seen.map(({ headers }) => headers['if-none-match'])).toEqual([undefined, undefined, undefined]);
    expect([...facts.all.keys()].join()).not.toContain('token');
  });
});

describe('redirects', () => {
  test('go elsewhere without credentials, also when they come back', async () => {
    const other = await serve((request, response) => {
      if (request.url === '/end') response.end('end');
      else response.writeHead(302, { location: `${first.url}/back` }).end();
    }, 'localhost');
    const first: WebServer = await serve((request, response) => {
      const location = { '/start': '/same', '/same': `${other.url}/away`, '/back': `${other.url}/end` }[
        request.url ?? ''
      ];
      response.writeHead(307, { location }).end();
    });
    const { source } = open();
    const resource = { ...at(`${first.url}/start`), authorization: 'Bearer secret', authName: 'token' };
    await expect(source.content(testTask(), vertex, resource)).resolves.toMatchObject({ digest: sha256('end') });
    expect(first.seen.map(({ path, headers }) => [path, headers.authorization])).toEqual([
      ['/start', 'Bearer secret'],
      ['/same', 'Bearer secret'],
      ['/back', undefined],
    ]);
    expect(other.seen.map(({ headers }) => headers.authorization)).toEqual([undefined, undefined]);
  });

  test.each([
    'file:///etc/passwd',
    'ftp://127.0.0.1/x',
    'http://169.254.169.254/latest',
    'http://u:p@127.0.0.1/',
    '/loop',
    'http://[',
  ])('not to %s', async (location) => {
    const server = await serve((_request, response) => response.writeHead(302, { location }).end());
    const { source } = open();
    await expect(source.content(testTask(), vertex, at(server.url))).rejects.toMatchObject({
      code: 'TSB_NETWORK',
      message: expect.stringContaining('Cannot follow redirect'),
    });
    expect(server.seen.length).toBeLessThan(15);
  });
});

describe('addresses', () => {
  test('credentials in them become a header and are never shown', async () => {
    const server = await serve((request, response) => {
      response.statusCode = request.url === '/ok' ? 200 : 404;
      response.end('x');
    });
    const { source } = open();
    const withUser = server.url.replace('//', '//user:p%40ss@');
    const task = testTask();
    await source.content(task, vertex, at(`${withUser}/ok`));
    expect(server.seen[0]?.headers.authorization).toBe(`Basic ${Buffer.from('user:p@ss').toString('base64')}`);
    const failure = await source.content(task, vertex, at(`${withUser}/no`)).catch((error: unknown) => String(error));
    expect(failure).toContain('xxxxx:xxxxx@');
    expect(JSON.stringify([task.seen, failure])).not.toContain('p%40ss');
  });

  test.each(['https://u:S@[bad', 'file:///etc/passwd', 'ftp://x/y', 'nonsense'])(
    '%s is refused, its credentials unseen',
    async (url) => {
      const error = await open()
        .source.content(testTask(), vertex, at(url))
        .catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: 'TSB_CONTEXT' });
      expect(String(error)).not.toContain('u:S@');
    },
  );

  test.each([
    ['http://h/a/b.txt', undefined, undefined, 'b.txt'],
    ['http://h/a/b.txt?x=/y', undefined, undefined, 'b.txt'],
    ['http://h/', undefined, undefined, 'download'],
    ['http://h/..', undefined, undefined, 'download'],
    ['http://h/a%2f..%2fb', undefined, undefined, 'b'],
    ['http://h/a%2f..', undefined, undefined, 'download'],
    ['http://h/a%00b', undefined, undefined, 'download'],
    ['http://h/b', '../../etc/passwd', undefined, 'passwd'],
    ['http://h/b', '..', undefined, 'download'],
    ['http://h/b', undefined, 'attachment; filename="../x y"', 'x y'],
    ['http://h/b', undefined, 'attachment; filename=..', 'download'],
    ['http://h/b', undefined, 'attachment; filename="x/"', 'b'],
    ['http://h/b', undefined, 'attachment; filename="a\\"b"', 'a"b'],
    ['http://h/b', undefined, "attachment; filename*=UTF-8''%e2%82%ac; filename=x", '€'],
    ['http://h/b', undefined, 'attachment; filename=""', 'b'],
    ['http://h/a%0ab', undefined, undefined, 'download'],
    ['http://h/b', undefined, "attachment; filename*=UTF-8''a%0ab", 'download'],
    ['http://h/b', undefined, "attachment; filename*=UTF-8''a%00b", 'download'],
    ['http://h/b', undefined, "attachment; filename*=UTF-8''..%2F..%2Fetc%2Fpasswd", 'passwd'],
    ['http://h/b', undefined, 'attachment; filename=.', 'download'],
    ['http://h/b', 'given', 'attachment; filename=other', 'given'],
    // What stands in quotes is nobody's name (RFC 6266, 4.1).
    ['http://h/b', undefined, 'attachment; title="; filename=evil"; filename=good', 'good'],
    ['http://h/b', undefined, 'attachment; title="a\\"; filename=evil;"; filename="good"', 'good'],
    ['http://h/b', undefined, 'filename=evil', 'b'],
    ['http://h/b', undefined, 'attachment;FileName = "a;b c"', 'a;b c'],
    ['http://h/b', undefined, 'attachment; filename=one; filename=two', 'one'],
    ['http://h/b', undefined, "attachment; filename*=iso-8859-1''%A3; filename=x", 'x'],
    ['http://h/b', undefined, 'attachment; filename="never ends', 'b'],
    ['http://h/b', undefined, ';', 'b'],
  ])('%s as %s, offered as %s, is stored as %s (CTX-07)', (url, wanted, disposition, name) => {
    expect(downloadName(url, wanted, disposition)).toBe(name);
  });
});
