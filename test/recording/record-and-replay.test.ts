import { once } from 'node:events';
import { chmodSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { formatLock, parseLock, type RecordedAnswer } from '../../src/pins/index.ts';
import { sha256, TsbuildError } from '../../src/util/index.ts';
import { RecordingBench } from '../support/recorded-step.ts';
import { WebServer } from '../support/web-server.ts';

let bench: RecordingBench;
const servers: WebServer[] = [];
beforeEach(() => {
  bench = new RecordingBench();
});
afterEach(async () => {
  await bench[Symbol.asyncDispose]();
  for (const server of servers.splice(0)) await server[Symbol.asyncDispose]();
});

async function serve(...args: Parameters<typeof WebServer.start>): Promise<WebServer> {
  const server = await WebServer.start(...args);
  servers.push(server);
  return server;
}

/** What a lock file would say, as the next build reads it. */
function locked(answers: readonly RecordedAnswer[]): readonly RecordedAnswer[] {
  return parseLock(formatLock({ sources: [], network: answers }), 'tsbuild.lock').network;
}

const failure = new TsbuildError('TSB_STEP', 'process "x" did not complete successfully: exit code: 1');

describe('a recorded network', () => {
  test('gives again what it has written down, without the server', async () => {
    const web = await serve((request, response) => {
      response.setHeader('content-type', 'text/plain').setHeader('etag', '"1"').setHeader('set-cookie', 'id=secret');
      response.setHeader('date', 'Sun, 13 Sep 2020 12:26:40 GMT').setHeader('x-request-id', 'random');
      if (request.url === '/gone') response.writeHead(404).end('no');
      else response.end(`body of ${request.url}`);
    });
    const recorded = bench.build();
    const step = await bench.step(recorded, 'record');
    const first = await step.get(`${web.url}/a?b=c`);
    expect([first.status, first.body, first.headers.etag]).toEqual([200, 'body of /a?b=c', '"1"']);
    expect(Object.keys(first.headers)).not.toEqual(expect.arrayContaining(['date']));
    expect((await step.get(`${web.url}/gone`)).status).toBe(404);
    expect(await step.recording.finish()).toBeUndefined();
    const answers = recorded.toWrite();
    expect(answers).toEqual([
      {
        method: 'GET',
        url: `${web.url}/a?b=c`,
        status: 200,
        headers: { 'content-type': 'text/plain', etag: '"1"' },
        digest: sha256('body of /a?b=c'),
        size: 14,
        steps: ['RUN x'],
      },
      expect.objectContaining({ url: `${web.url}/gone`, status: 404, digest: sha256('no') }),
    ]);
    await web[Symbol.asyncDispose]();

    const replay = await bench.step(bench.build({ known: locked(answers), offline: true }), 'locked');
    const again = await replay.get(`${web.url}/a?b=c`);
    expect([again.status, again.body, again.headers.etag]).toEqual([200, 'body of /a?b=c', '"1"']);
    expect((await replay.get(`${web.url}/gone`)).body).toBe('no');
    expect(await replay.recording.finish()).toBeUndefined();
    expect(replay.recording.explain(failure)).toBe(failure);
  });

  test('refuses anything else when it is locked, and says what and what to type', async () => {
    const web = await serve((_request, response) => response.end('x'));
    const recorded = bench.build();
    await (await bench.step(recorded, 'record')).get(`${web.url}/a`);
    const build = bench.build({ known: locked(recorded.toWrite()) });
    const step = await bench.step(build, 'locked');
    const refused = await step.get(`${web.url}/b?token=hush`);
    expect([refused.status, refused.reason]).toEqual([
      403,
      expect.stringContaining('/b?token=REDACTED is not in tsbuild.lock'),
    ]);
    expect(await step.recording.finish()).toMatch(
      /\/b\?token=REDACTED is not in tsbuild.lock; the step went on without/,
    );
    expect(step.recording.explain(failure)).toMatchObject({
      code: 'TSB_STEP',
      message: `${failure.message}: GET ${web.url}/b?token=REDACTED is not in tsbuild.lock`,
      hint: 'build with --network=record, and look at what it adds to tsbuild.lock',
    });
    // What is another step's is not this one's: its key would not show it.
    const other = await bench.step(build, 'locked', '[2/2] RUN y');
    expect((await other.get(`${web.url}/a`)).status).toBe(403);
    expect(await other.recording.finish()).toMatch(/is not what tsbuild.lock has for this step/);
    expect(web.seen).toHaveLength(1);
  });

  test('sees one state of each address in a build, and the next ones the same until it is looked at again', async () => {
    let count = 0;
    const web = await serve((_request, response) => response.end(`answer ${++count}`));
    const build = bench.build();
    const step = await bench.step(build, 'record');
    const both = await Promise.all([step.get(`${web.url}/a`), step.get(`${web.url}/a`)]);
    expect(both.map(({ body }) => body)).toEqual(['answer 1', 'answer 1']);
    const known = locked(build.toWrite());
    expect((await (await bench.step(bench.build({ known }), 'record')).get(`${web.url}/a`)).body).toBe('answer 1');
    const fresh = bench.build({ known, fresh: true });
    expect((await (await bench.step(fresh, 'record')).get(`${web.url}/a`)).body).toBe('answer 2');
    expect(fresh.toWrite()).toMatchObject([{ digest: sha256('answer 2') }]);
  });

  test('forgets what a step does not ask for any more, and not what other steps of other builds did', async () => {
    const web = await serve((request, response) => response.end(request.url));
    const first = bench.build();
    const [x, y] = [await bench.step(first, 'record', 'RUN x'), await bench.step(first, 'record', '[a 2/3] RUN y')];
    await Promise.all([x.get(`${web.url}/1`), x.get(`${web.url}/2`), y.get(`${web.url}/2`), y.get(`${web.url}/3`)]);
    const second = bench.build({ known: locked(first.toWrite()) });
    await (await bench.step(second, 'record', 'RUN x')).get(`${web.url}/1`);
    expect(second.toWrite().map(({ url, steps }) => [new URL(url).pathname, steps])).toEqual([
      ['/1', ['RUN x']],
      ['/2', ['RUN y']],
      ['/3', ['RUN y']],
    ]);
    expect(web.seen).toHaveLength(3);
  });

  test('is a part of a step’s key by what it can give, and one that records is like no other', async () => {
    const web = await serve((request, response) => response.end(request.url));
    const build = bench.build();
    await (await bench.step(build, 'record', 'RUN x')).get(`${web.url}/1`);
    const known = locked(build.toWrite());
    const key = (answers: readonly RecordedAnswer[], name: string): readonly string[] =>
      bench.build({ known: answers }).key('locked', name);
    expect(key(known, '[1/2] RUN x')).toEqual(key(known, '[linux/arm64 a 3/9] RUN x'));
    expect(key(known, 'RUN x')).not.toEqual(key([], 'RUN x'));
    expect(key(known, 'RUN y')).toEqual(key([], 'RUN y'));
    expect(bench.build().key('record', 'RUN x')).not.toEqual(bench.build().key('record', 'RUN x'));
  });

  test('fetches what the store has no longer, and takes nothing else for it', async () => {
    let body = 'first';
    const web = await serve((_request, response) => response.end(body));
    const build = bench.build();
    await (await bench.step(build, 'record')).get(`${web.url}/a`);
    const known = locked(build.toWrite());
    bench.store.blobs.remove(sha256('first'));
    const offline = await bench.step(bench.build({ known, offline: true }), 'locked');
    expect((await offline.get(`${web.url}/a`)).status).toBe(403);
    expect(await offline.recording.finish()).toMatch(/could not be had: what http\S+ gave is not in the store/);
    const same = await bench.step(bench.build({ known }), 'locked');
    const all = await Promise.all([1, 2, 3].map(() => same.get(`${web.url}/a`)));
    expect(all.map((got) => got.body)).toEqual(['first', 'first', 'first']);
    expect(web.seen).toHaveLength(2);
    bench.store.blobs.remove(sha256('first'));
    body = 'other';
    const changed = await bench.step(bench.build({ known }), 'locked');
    expect((await changed.get(`${web.url}/a`)).status).toBe(502);
    // Whatever the step makes of it.
    await expect(changed.recording.finish()).rejects.toMatchObject({
      code: 'TSB_LOCK',
      message: expect.stringMatching(
        new RegExp(
          `^Cannot use GET ${web.url}/a as tsbuild.lock has it \\(${sha256('first')}\\): .*${sha256('other')}`,
        ),
      ) as string,
      hint: 'see what it is now with --network=record --update-lock',
    });
  });

  test('gives no body that was changed in the store: it is fetched again, and offline it is not there', async () => {
    const web = await serve((_request, response) => response.end('first'));
    const build = bench.build();
    await (await bench.step(build, 'record')).get(`${web.url}/a`);
    const known = locked(build.toWrite());
    const spoil = (): void => {
      const path = bench.store.blobs.path(sha256('first'));
      chmodSync(path, 0o600);
      writeFileSync(path, 'forge');
    };
    spoil();
    const again = await bench.step(bench.build({ known }), 'locked');
    const all = await Promise.all([1, 2, 3].map(() => again.get(`${web.url}/a`)));
    expect(all.map(({ body }) => body)).toEqual(['first', 'first', 'first']);
    expect(web.seen).toHaveLength(2);
    spoil();
    const offline = await bench.step(bench.build({ known, offline: true }), 'locked');
    const got = await offline.get(`${web.url}/a`);
    expect([got.status, got.body]).toEqual([403, expect.not.stringContaining('forge')]);
    expect(web.seen).toHaveLength(2);
  });

  test('writes down no credentials, and gives the answer for them without', async () => {
    const web = await serve((request, response) => {
      if (request.headers.authorization === undefined)
        response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end();
      else if (request.url === '/go')
        response.writeHead(302, { location: '/signed?x-amz-signature=hush&x-amz-date=1&id=7' }).end();
      else response.end(`for ${request.url}`);
    });
    const build = bench.build();
    const step = await bench.step(build, 'record');
    const authorization = `Basic ${Buffer.from('me:hush').toString('base64')}`;
    expect((await step.get(`${web.url}/a`)).status).toBe(401);
    expect((await step.get(`${web.url}/a`, { authorization, cookie: 'c=hush' })).body).toBe('for /a');
    expect((await step.get(`http://me:hush@${new URL(web.url).host}/b?access_token=hush&x=1`)).body).toMatch(/^for/);
    const go = await step.get(`${web.url}/go`, { authorization });
    expect(go.headers.location).toContain('hush');
    expect((await step.get(new URL(go.headers.location ?? '', web.url).href, { authorization })).body).toMatch(/^for/);
    const text = formatLock({ sources: [], network: build.toWrite() });
    expect(text).not.toMatch(/hush|bWU6/);
    const known = locked(build.toWrite());
    expect(known.find(({ url }) => url.includes('signed'))).toMatchObject({
      url: `${web.url}/signed?x-amz-signature=REDACTED&x-amz-date=REDACTED&id=7`,
      via: `${web.url}/go`,
    });
    const replay = await bench.step(bench.build({ known, offline: true }), 'locked');
    expect((await replay.get(`${web.url}/a`)).status).toBe(401);
    expect((await replay.get(`${web.url}/a`, { authorization: 'Basic b3RoZXI=' })).body).toBe('for /a');
    expect((await replay.get(`${web.url}/b?access_token=other&x=1`)).body).toMatch(/^for/);
    expect((await replay.get(`${web.url}/signed?x-amz-signature=new&x-amz-date=2&id=7`)).body).toMatch(/^for/);
  });

  test('gives what is asked for of a body: parts, and nothing when the client has it', async () => {
    const web = await serve((_request, response) =>
      response.setHeader('etag', '"e"').setHeader('last-modified', 'Sun, 13 Sep 2020 12:26:40 GMT').end('0123456789'),
    );
    const step = await bench.step(bench.build(), 'record');
    const url = `${web.url}/a`;
    const part = await step.get(url, { range: 'bytes=2-4' });
    expect([part.status, part.body, part.headers['content-range']]).toEqual([206, '234', 'bytes 2-4/10']);
    expect(web.seen[0]?.headers.range).toBeUndefined();
    expect((await step.get(url, { range: 'bytes=-3' })).body).toBe('789');
    expect((await step.get(url, { range: 'bytes=8-' })).body).toBe('89');
    expect((await step.get(url, { range: 'bytes=10-' })).status).toBe(416);
    expect((await step.get(url, { range: 'bytes=1-2,4-5' })).body).toBe('0123456789');
    expect((await step.get(url, { range: 'bytes=1-2', 'if-range': '"other"' })).status).toBe(200);
    expect((await step.get(url, { 'if-none-match': '"x", W/"e"' })).status).toBe(304);
    expect((await step.get(url, { 'if-none-match': '"x"' })).status).toBe(200);
    expect((await step.get(url, { 'if-modified-since': 'Sun, 13 Sep 2020 12:26:40 GMT' })).status).toBe(304);
    const head = await step.ask('HEAD', url);
    expect([head.status, head.headers['content-length'], head.body]).toEqual([200, '10', '']);
    expect(web.seen).toHaveLength(1);
  });

  test('tells answers apart by the headers that they depend on', async () => {
    const web = await serve((request, response) =>
      response.setHeader('vary', 'Accept, Accept-Encoding').end(request.headers.accept),
    );
    const build = bench.build();
    const step = await bench.step(build, 'record');
    expect((await step.get(web.url, { accept: 'a/b' })).body).toBe('a/b');
    expect((await step.get(web.url, { accept: 'c/d' })).body).toBe('c/d');
    const replay = await bench.step(bench.build({ known: locked(build.toWrite()), offline: true }), 'locked');
    expect((await replay.get(web.url, { accept: 'c/d' })).body).toBe('c/d');
    expect((await replay.get(web.url, { accept: 'a/b' })).body).toBe('a/b');
    expect((await replay.get(web.url, { accept: 'e/f' })).status).toBe(403);
  });

  test('sends what may change something with a permission only, and then knows it by its body', async () => {
    const web = await serve((request, response) => {
      request.on('data', (data: Buffer) => response.write(data.toString().toUpperCase()));
      request.on('end', () => response.end());
    });
    const step = await bench.step(bench.build(), 'record');
    expect((await step.ask('POST', web.url, {}, 'one')).status).toBe(403);
    expect(step.recording.explain(failure)).toMatchObject({
      message: expect.stringContaining(`POST ${web.url}/ may change something on its server`) as string,
      hint: 'if it only asks, build with --allow network.post',
    });
    expect(web.seen).toHaveLength(0);
    const build = bench.build({ allowOther: true });
    const allowed = await bench.step(build, 'record');
    expect((await allowed.ask('POST', web.url, {}, 'one')).body).toBe('ONE');
    expect((await allowed.ask('POST', web.url, {}, 'two')).body).toBe('TWO');
    const replay = await bench.step(bench.build({ known: locked(build.toWrite()), offline: true }), 'locked');
    expect((await replay.ask('POST', web.url, {}, 'two')).body).toBe('TWO');
    expect((await replay.ask('POST', web.url, {}, 'three')).status).toBe(403);
  });

  test('does not write down what passes by itself', async () => {
    let status = 503;
    const web = await serve((_request, response) => response.writeHead(status, { 'retry-after': '0' }).end('later'));
    const build = bench.build();
    const step = await bench.step(build, 'record');
    expect((await step.get(web.url)).status).toBe(503);
    status = 429;
    expect((await step.get(web.url)).status).toBe(429);
    expect(build.toWrite()).toEqual([]);
    status = 200;
    expect((await step.get(web.url)).status).toBe(200);
    expect(build.toWrite()).toHaveLength(1);
  });

  test('writes down the whole answer of which the client wanted the beginning', async () => {
    const big = Buffer.alloc(3 << 20, 'x');
    const web = await serve((_request, response) => response.end(big));
    const build = bench.build();
    const step = await bench.step(build, 'record');
    const { connect } = await import('node:net');
    const socket = connect(step.socket);
    socket.write(`GET ${web.url}/ HTTP/1.1\r\nhost: x\r\n\r\n`);
    await once(socket, 'data');
    socket.destroy();
    expect(await step.recording.finish()).toBeUndefined();
    expect(build.toWrite()).toMatchObject([{ size: big.length, digest: sha256(big) }]);
  });

  test('ends an answer that was cut as one that was cut, and does not write it down', async () => {
    const web = await serve((_request, response) => {
      response.writeHead(200, { 'content-length': '100000' });
      response.write('x'.repeat(50_000), () => response.destroy());
    });
    const build = bench.build();
    const step = await bench.step(build, 'record');
    await expect(step.get(web.url)).rejects.toThrow();
    expect(build.toWrite()).toEqual([]);
    expect(await step.recording.finish()).toMatch(/could not be had: .*the connection was cut/);
  });
});
