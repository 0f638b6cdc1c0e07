import { mkdtempSync, rmSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type S3Options, S3Store } from '../../src/object-store/s3-store.ts';
import type { Surroundings } from '../../src/object-store/service.ts';
import type { TsbuildError } from '../../src/util/index.ts';
import { bytesOf, contentOf, patterned } from '../suites/object-store.ts';
import { cutConnections } from '../support/cut-connections.ts';
import { S3_BUCKET, S3_KEY, type S3Server, startS3Server } from '../support/s3-server.ts';
import { testTask } from '../support/task.ts';
import { WebServer } from '../support/web-server.ts';
import { s3Options, s3Surroundings } from './support.ts';

let server: S3Server;
const stores: S3Store[] = [];
beforeEach(async () => {
  server = await startS3Server();
});
afterEach(async () => {
  for (const store of stores.splice(0)) await store[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

function storeOf(over: Partial<S3Options> = {}, surroundings: Partial<Surroundings> = {}): S3Store {
  const store = new S3Store(s3Options(server, over), s3Surroundings(surroundings));
  stores.push(store);
  return store;
}

const put = (store: S3Store, name: string, bytes: Uint8Array | string): Promise<void> =>
  store.put(testTask(), name, contentOf(Buffer.from(bytes as string)));
const failureOf = (doing: Promise<unknown>): Promise<TsbuildError> =>
  doing.then(
    () => {
      throw new Error('It succeeded');
    },
    (error: unknown) => error as TsbuildError,
  );
const errorBody = (code: string, message: string, more = ''): string =>
  `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>${message}</Message>${more}</Error>`;

/** Answers some requests with an error. */
function answer(
  status: number,
  body: string,
  headers: Record<string, string> = {},
  times = Number.POSITIVE_INFINITY,
): void {
  let left = times;
  server.interfere = (request: IncomingMessage, response: ServerResponse): boolean => {
    if (left-- <= 0) return false;
    request.resume().on('end', () => response.writeHead(status, headers).end(body));
    return true;
  };
}

describe('what is sent', () => {
  test("is where the prefixes say, BuildKit's or others", async () => {
    const store = storeOf({ prefix: 'a b/ü/', blobsPrefix: 'layers/', manifestsPrefix: 'm/' });
    await put(store, 'blobs/sha256/aa', 'blob');
    await put(store, 'records/main/1', 'record');
    const paths = server.requests.map(({ url }) => decodeURIComponent(url));
    expect(paths).toEqual([`/${S3_BUCKET}/a b/ü/layers/sha256/aa`, `/${S3_BUCKET}/a b/ü/m/records/main/1`]);
    const found: string[] = [];
    for await (const { name } of store.list(testTask(), '')) found.push(name);
    expect(found.toSorted()).toEqual(['blobs/sha256/aa', 'records/main/1']);
  });

  test('the bucket is in the host, but where that cannot be', async () => {
    const proxied: string[] = [];
    await using proxy = await WebServer.start((request, response) => {
      proxied.push(request.url ?? '');
      response.writeHead(404).end();
    });
    const urlOf = async (over: Partial<S3Options>): Promise<string> => {
      const store = storeOf({ prefix: '', ...over }, { proxy: { http: proxy.url } });
      await store.head(testTask(), 'blobs/a');
      return proxied.pop() ?? '';
    };
    expect(await urlOf({ endpointUrl: 'http://s3.test:9000', usePathStyle: false })).toBe(
      'http://cache-bucket.s3.test:9000/blobs/a',
    );
    expect(await urlOf({ endpointUrl: 'http://s3.test:9000/base', usePathStyle: true })).toBe(
      'http://s3.test:9000/base/cache-bucket/blobs/a',
    );
    expect(await urlOf({ endpointUrl: 'http://192.0.2.1', usePathStyle: false })).toBe(
      'http://192.0.2.1/cache-bucket/blobs/a',
    );
    expect(await urlOf({ endpointUrl: 'http://s3.test', usePathStyle: false, bucket: 'a.b' })).toBe(
      'http://s3.test/a.b/blobs/a',
    );
  });

  test('a session token is signed with it', async () => {
    await put(
      storeOf({ keys: { given: { ...S3_KEY, sessionToken: 'session/token==' }, env: {}, home: '/' } }),
      'a',
      'x',
    );
    expect(server.requests[0]?.headers['x-amz-security-token']).toBe('session/token==');
    expect(server.requests[0]?.headers.authorization).toContain('x-amz-security-token');
    expect(server.requests[0]?.status).toBe(200);
  });

  test('bytes that change on the way are refused by their digest', async () => {
    const store = storeOf();
    server.interfere = (request) => {
      const push = request.push.bind(request);
      request.push = (chunk: Buffer | null) => push(chunk === null ? null : Buffer.from(chunk).fill(0));
      return false;
    };
    expect((await failureOf(put(store, 'a', 'bytes'))).message).toContain('XAmzContentSHA256Mismatch');
  });
});

describe('large objects', () => {
  test('are sent in parts, some at a time, and thrown away when one fails', async () => {
    const store = storeOf({ uploadParallelism: 2 });
    let active = 0;
    let most = 0;
    server.interfere = (request, response) => {
      if (request.method !== 'PUT') return false;
      most = Math.max(most, ++active);
      response.on('finish', () => active--);
      if (!request.url?.includes('partNumber=3')) return false;
      request.resume().on('end', () => response.writeHead(403).end(errorBody('AccessDenied', 'no')));
      return true;
    };
    const error = await failureOf(put(store, 'blobs/large', patterned(33 << 20)));
    expect(error.message).toContain('403 AccessDenied');
    expect(most).toBe(2);
    // s3rver does not know it, which real services do.
    expect(server.requests.filter(({ method, url }) => method === 'DELETE' && url.includes('uploadId=')).length).toBe(
      1,
    );
    expect(server.requests.some(({ method, url }) => method === 'POST' && url.includes('uploadId='))).toBe(false);
    server.interfere = () => false;
    expect(await store.head(testTask(), 'blobs/large')).toBeUndefined();
  });

  test('an answer that begins well and ends badly is an error', async () => {
    const store = storeOf();
    server.interfere = (request, response) => {
      if (request.method !== 'POST' || !request.url?.includes('uploadId=')) return false;
      request.resume().on('end', () => response.writeHead(200).end(`\n  ${errorBody('InternalError', 'try again')}`));
      return true;
    };
    expect((await failureOf(put(store, 'blobs/large', patterned(9 << 20)))).message).toContain(
      'InternalError: try again',
    );
  });

  test('one that is there is not sent again', async () => {
    const store = storeOf();
    await put(store, 'blobs/large', patterned(9 << 20));
    server.requests.length = 0;
    await store.put(testTask(), 'blobs/large', contentOf(patterned(9 << 20)), { ifAbsent: true });
    expect(server.requests.map(({ method }) => method)).toEqual(['HEAD']);
  });
});

describe('a service in trouble', () => {
  test.each([500, 503, 429, 408])('%i is tried again', async (status) => {
    const store = storeOf();
    answer(status, errorBody('SlowDown', 'reduce your request rate'), {}, 2);
    await put(store, 'a', 'x');
    answer(status, '', {}, 2);
    expect((await bytesOf(store, 'a'))?.toString()).toBe('x');
    answer(status, errorBody('SlowDown', 'reduce your request rate'));
    const error = await failureOf(put(store, 'a', 'x'));
    expect(error.message).toContain(`answered ${status} SlowDown: reduce your request rate`);
    expect(server.requests.length).toBe(9);
  });

  test('a connection that breaks within an object goes on where it was', async () => {
    const bytes = patterned(6 << 20);
    await put(storeOf(), 'blobs/a', bytes);
    await using relay = await cutConnections(server.url.replace('http://', ''));
    relay.cuts.push({ from: 'server', after: 2 << 20 }, { from: 'server', after: 3 << 20 });
    server.requests.length = 0;
    // Signed for the relay's address, which is what the server sees in Host.
    const store = storeOf({ endpointUrl: `http://${relay.host}` });
    expect((await bytesOf(store, 'blobs/a'))?.equals(bytes)).toBe(true);
    expect(relay.broken).toBe(2);
    expect(server.requests.map(({ headers }) => headers.range)).toEqual([
      undefined,
      expect.stringMatching(/^bytes=\d{6,7}-$/),
      expect.stringMatching(/^bytes=\d{7}-$/),
    ]);
  });

  test('nobody there, and nobody who answers', async () => {
    const gone = await failureOf(bytesOf(storeOf({ endpointUrl: 'http://127.0.0.1:1' }), 'a'));
    expect(gone).toMatchObject({
      code: 'TSB_NETWORK',
      message: expect.stringContaining('127.0.0.1:1: the connection was refused'),
    });
    server.interfere = () => true;
    const limits = { attempts: 2, backoffMs: 1, headersMs: 150 };
    const silent = await failureOf(bytesOf(storeOf({}, { limits }), 'a'));
    expect(silent).toMatchObject({ code: 'TSB_NETWORK', message: expect.stringContaining('no answer in time') });
    expect(server.requests.length).toBe(2);
  });

  test('bodies without end, and those that crawl', async () => {
    const endless = (request: IncomingMessage, response: ServerResponse, chunk: Buffer, ms: number): boolean => {
      request.resume();
      const [, start] = /^bytes=(\d+)-/.exec(request.headers.range ?? '') ?? [];
      if (start === undefined) response.writeHead(200);
      else response.writeHead(206, { 'content-range': `bytes ${start}-9999999/10000000` });
      const timer = setInterval(() => response.write(chunk), ms);
      response.on('close', () => clearInterval(timer));
      return true;
    };
    server.interfere = (request, response) => endless(request, response, Buffer.alloc(1 << 20), 1);
    expect(await failureOf(bytesOf(storeOf(), 'a', { maxBytes: 5 << 20 }))).toMatchObject({ code: 'TSB_DIGEST' });
    const listing = async (): Promise<void> => {
      for await (const _ of storeOf().list(testTask(), '')) throw new Error('There is nothing');
    };
    expect((await failureOf(listing())).message).toMatch(/it has more than \d+ bytes/);
    server.interfere = (request, response) => endless(request, response, Buffer.from('.'), 20);
    const limits = { attempts: 2, backoffMs: 1, windowMs: 100, minBytesPerWindow: 1000 };
    expect(await failureOf(bytesOf(storeOf({}, { limits }), 'a'))).toMatchObject({ code: 'TSB_NETWORK' });
  });

  test.each([
    ['another part', { status: 206, range: 'bytes 5-9/10', body: 'xxxxx' }],
    ['all of it', { status: 200, range: undefined, body: 'x'.repeat(100) }],
    ['no range', { status: 206, range: undefined, body: 'xxxxx' }],
    ['more', { status: 206, range: 'bytes 0-9/10', body: 'xxxxxxxxxx' }],
  ])('a part was asked for, and %s comes', async (_, { status, range, body }) => {
    answer(status, body, range === undefined ? {} : { 'content-range': range });
    const error = await failureOf(bytesOf(storeOf(), 'a', { maxBytes: 5, range: { start: 0, length: 5 } }));
    expect(error.code).toBe('TSB_REGISTRY');
  });

  test('an object whose length is not told is read to its end', async () => {
    server.interfere = (request, response) => {
      request.resume();
      response.write('one ');
      setTimeout(() => response.end('two'), 20);
      return true;
    };
    expect((await bytesOf(storeOf(), 'a', { maxBytes: 7 }))?.toString()).toBe('one two');
    expect(await failureOf(bytesOf(storeOf(), 'a', { maxBytes: 6 }))).toMatchObject({ code: 'TSB_DIGEST' });
  });

  test('a list that goes round in circles ends', async () => {
    answer(
      200,
      '<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>again</NextContinuationToken></ListBucketResult>',
    );
    const listing = async (): Promise<void> => {
      for await (const _ of storeOf().list(testTask(), '')) throw new Error('There is nothing');
    };
    expect((await failureOf(listing())).message).toBe('Cannot list s3://cache-bucket/team a: the list does not end');
    expect(server.requests.length).toBe(2);
  });
});

describe('a service that is not to be trusted', () => {
  test('redirects are not followed, and nobody else is asked', async () => {
    await using other = await WebServer.start((_, response) => response.end('x'));
    for (const status of [301, 302, 307, 308]) {
      answer(status, errorBody('PermanentRedirect', 'go there'), {
        location: `${other.url}/x`,
        'x-amz-bucket-region': 'us-west-2',
      });
      const error = await failureOf(bytesOf(storeOf(), 'a'));
      expect(error.message).toContain(`answered ${status} PermanentRedirect: go there`);
      expect(error.hint).toBe('the bucket is in another region: give region=us-west-2');
    }
    expect(other.seen).toEqual([]);
  });

  test('what it repeats of a key is not shown', async () => {
    const given = { ...S3_KEY, sessionToken: 'the-session-token' };
    const repeated = `${given.secretAccessKey} and ${given.sessionToken}\u001b[2J`;
    answer(403, errorBody('AccessDenied', repeated));
    const error = await failureOf(put(storeOf({ keys: { given, env: {}, home: '/' } }), 'a', 'x'));
    expect(error.message).toContain('*** and ***^[[2J');
    expect(`${error.message} ${error.hint}`).not.toContain(given.secretAccessKey);
    server.interfere = (request, response) => {
      request
        .resume()
        .on('end', () => response.writeHead(400).end(errorBody('Odd', `you sent ${request.headers.authorization}`)));
      return true;
    };
    expect((await failureOf(put(storeOf(), 'a', 'x'))).message).toMatch(/400 Odd: you sent AWS4-HMAC-SHA256 \*\*\*$/);
  });
});

describe('hints', () => {
  test.each([
    [
      403,
      'AccessDenied',
      'the request was signed with key AKIATESTTESTTEST from the attributes access_key_id and secret_access_key: it needs s3:GetObject, s3:PutObject and s3:ListBucket on the bucket',
    ],
    [403, 'RequestTimeTooSkewed', 'the clock of this machine is wrong: set it'],
    [400, 'ExpiredToken', /AKIATESTTESTTEST .*, which has expired: get a new one/],
    [404, 'NoSuchBucket', /there is no bucket "cache-bucket" there/],
    [400, 'AuthorizationHeaderMalformed', 'the bucket is in another region: give region=ap-south-1'],
  ])('%i %s', async (status, code, hint) => {
    answer(status, errorBody(code, 'said', '<Region>ap-south-1</Region>'));
    const error = await failureOf(put(storeOf(), 'a', 'x'));
    expect(error.hint).toEqual(typeof hint === 'string' ? hint : expect.stringMatching(hint));
  });

  test('a wrong secret and an unknown key, where nothing but HEAD was asked', async () => {
    const secret = storeOf({ keys: { given: { ...S3_KEY, secretAccessKey: 'wrong' }, env: {}, home: '/' } });
    const wrong = await failureOf(secret.head(testTask(), 'a'));
    expect(wrong.message).toContain('SignatureDoesNotMatch');
    expect(wrong.hint).toContain('its secret is another one');
    const unknown = storeOf({ keys: { given: { ...S3_KEY, accessKeyId: 'AKIAUNKNOWN' }, env: {}, home: '/' } });
    expect((await failureOf(unknown.head(testTask(), 'a'))).hint).toContain(
      'AKIAUNKNOWN from the attributes access_key_id and secret_access_key, which is not known there',
    );
  });

  test('a bucket, endpoint or region that cannot be', () => {
    for (const over of [
      { bucket: 'x' },
      { bucket: 'a/b' },
      { bucket: 'a..b' },
      { region: 'no region' },
      { endpointUrl: 'minio:9000' },
      { endpointUrl: 'http://user:pass@minio' },
    ])
      expect(() => storeOf(over)).toThrow(expect.objectContaining({ code: 'TSB_USAGE' }));
  });
});

test('only what is old is touched, without its bytes', async () => {
  const store = storeOf({ prefix: 'cache/' });
  await put(store, 'blobs/a', 'x');
  server.requests.length = 0;
  await store.touch(testTask(), 'blobs/a');
  expect(server.requests.map(({ method }) => method)).toEqual(['HEAD']);
  const later = storeOf({ prefix: 'cache/', touchRefreshMs: 0 });
  await later.touch(testTask(), 'blobs/a');
  expect(server.requests.at(-1)).toMatchObject({ method: 'PUT', status: 200 });
  expect(server.requests.at(-1)?.headers['x-amz-copy-source']).toBe('/cache-bucket/cache/blobs/a');
  expect((await bytesOf(store, 'blobs/a'))?.toString()).toBe('x');
});

test('what is touched is named by its key, whatever characters that has', async () => {
  const prefix = 'team a/łąka 100%/';
  const store = storeOf({ prefix, touchRefreshMs: 0 });
  await put(store, 'blobs/a', 'x');
  await store.touch(testTask(), 'blobs/a');
  expect(server.requests.at(-1)).toMatchObject({ method: 'PUT', status: 200 });
  expect(server.requests.at(-1)?.headers['x-amz-copy-source']).toBe(
    '/cache-bucket/team%20a/%C5%82%C4%85ka%20100%25/blobs/a',
  );
  expect((await bytesOf(store, 'blobs/a'))?.toString()).toBe('x');
});

test('a proxy of the environment is used, but not for this machine', async () => {
  await using proxy = await WebServer.start((_, response) => response.writeHead(502).end());
  await put(storeOf({}, { proxy: { http: proxy.url } }), 'a', 'x');
  expect(proxy.seen).toEqual([]);
});

test('keys of a profile that does not exist are said to be missing', async () => {
  const home = mkdtempSync(`${tmpdir()}/tsbuild-home-`);
  const store = storeOf({ keys: { env: { AWS_PROFILE: 'ci', AWS_EC2_METADATA_DISABLED: 'true' }, home } });
  expect(await failureOf(bytesOf(store, 'a'))).toMatchObject({
    code: 'TSB_USAGE',
    message: expect.stringContaining('profile "ci" does not exist'),
  });
  rmSync(home, { recursive: true });
});
