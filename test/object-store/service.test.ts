import type { IncomingMessage, ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { download } from '../../src/object-store/download.ts';
import { Service, type ServiceRequest, type ServiceTraits } from '../../src/object-store/service.ts';
import type { TsbuildError } from '../../src/util/index.ts';
import { type CutConnections, cutConnections } from '../support/cut-connections.ts';
import { testTask } from '../support/task.ts';
import { WebServer } from '../support/web-server.ts';
import { patterned } from '../suites/object-store.ts';

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

let web: WebServer;
let answers: Answer[];
const services: Service[] = [];

const plain =
  (status: number, body = '', headers: Readonly<Record<string, string>> = {}): Answer =>
  (request, response) =>
    void request.resume().on('end', () => response.writeHead(status, headers).end(body));

beforeEach(async () => {
  answers = [];
  // The last answer is given again and again.
  web = await WebServer.start((request, response) => {
    const answer = answers.length > 1 ? answers.shift() : answers[0];
    answer?.(request, response);
  });
});
afterEach(async () => {
  for (const service of services.splice(0)) await service[Symbol.asyncDispose]();
  await web[Symbol.asyncDispose]();
});

function serviceOf(traits: Partial<ServiceTraits> = {}, limits: object = {}): Service {
  const service = new Service(
    { now: Date.now, limits: { backoffMs: 1, attempts: 3, maxRetryAfterMs: 2000, ...limits } },
    { secrets: () => [], hint: () => undefined, ...traits },
  );
  services.push(service);
  return service;
}

const get = (path = '/', base: string = web.url): ServiceRequest => ({
  method: 'GET',
  url: new URL(path, base),
  headers: {},
});

const failureOf = (doing: Promise<unknown>): Promise<TsbuildError> =>
  doing.then(
    (value) => {
      throw new Error(`It succeeded: ${String(value)}`);
    },
    (error: unknown) => error as TsbuildError,
  );

describe('a request to a service', () => {
  const tried = async (statuses: readonly number[], headers = {}): Promise<readonly [number, number]> => {
    answers = statuses.map((status) => plain(status, '', headers));
    const answer = await serviceOf().send(testTask(), 'Cannot ask', get);
    answer.discard();
    return [answer.status, web.seen.length];
  };

  test.each<[readonly number[], number, number]>([
    [[200], 200, 1],
    [[503, 200], 200, 2],
    [[429, 500, 200], 200, 3],
    [[503, 503, 503], 503, 3],
    [[404], 404, 1],
    [[403], 403, 1],
    [[307], 307, 1],
  ])('that is answered %j ends with %i after %i tries', async (statuses, status, tries) => {
    expect(await tried(statuses)).toEqual([status, tries]);
  });

  test('waits for as long as the service asks for, if that is not too long', async () => {
    const began = Date.now();
    expect(await tried([503, 200], { 'retry-after': '1' })).toEqual([200, 2]);
    expect(Date.now() - began).toBeGreaterThanOrEqual(990);
    answers = [];
    web.seen.length = 0;
    expect(await tried([503, 200], { 'retry-after': '3600' })).toEqual([503, 1]);
  });

  test('is made anew for each try, and each is told of before and after', async () => {
    answers = [plain(500), plain(429), plain(200, 'x')];
    const told: string[] = [];
    let made = 0;
    const service = serviceOf({
      beforeTry: (_task, doing, { url }) => Promise.resolve(void told.push(`${doing} ${url.pathname}`)),
      onAnswer: ({ url }, { status }) => void told.push(`${url.pathname} ${status}`),
    });
    const { body } = await service.exchange(testTask(), 'Cannot ask', () => Promise.resolve(get(`/${++made}`)));
    expect(body.toString()).toBe('x');
    expect(told).toEqual(['Cannot ask /1', '/1 500', 'Cannot ask /2', '/2 429', 'Cannot ask /3', '/3 200']);
  });

  test('that may not be tried any more fails with what says so, and is not sent', async () => {
    answers = [plain(200)];
    const service = serviceOf({ beforeTry: () => Promise.reject(new Error('too many')) });
    await expect(service.send(testTask(), 'Cannot ask', get)).rejects.toThrow('too many');
    expect(web.seen).toEqual([]);
  });

  test('is tried again for a status that the service means so', async () => {
    answers = [plain(409), plain(200)];
    const service = serviceOf({ isPassing: ({ status }) => status === 409 });
    const answer = await service.send(testTask(), 'Cannot ask', get);
    answer.discard();
    expect([answer.status, web.seen.length]).toEqual([200, 2]);
  });

  test('to a host that nobody answers at names it, and what was being done', async () => {
    const gone = await WebServer.start(() => undefined);
    await gone[Symbol.asyncDispose]();
    const error = await failureOf(serviceOf().send(testTask(), 'Cannot ask', () => get('/', gone.url)));
    expect(error.code).toBe('TSB_NETWORK');
    expect(error.message).toMatch(new RegExp(`^Cannot ask: .*127\\.0\\.0\\.1:${gone.port}`));
  });

  test('that is canceled ends with the reason: before it, while it runs, and while it waits for another try', async () => {
    const canceled = expect.objectContaining({ code: 'TSB_CANCELED', message: 'Canceled: Ctrl-C' });
    const reason = new Error('Ctrl-C');
    const before = testTask();
    before.controller.abort(reason);
    await expect(serviceOf().send(before, 'Cannot ask', get)).rejects.toThrow(canceled);
    expect(web.seen).toEqual([]);
    const during = testTask();
    answers = [() => during.controller.abort(reason)];
    await expect(serviceOf().send(during, 'Cannot ask', get)).rejects.toThrow(canceled);
    const waiting = testTask();
    answers = [
      (request, response) => {
        plain(503)(request, response);
        response.once('close', () => waiting.controller.abort(reason));
      },
    ];
    await expect(serviceOf({}, { backoffMs: 60_000 }).send(waiting, 'Cannot ask', get)).rejects.toThrow(canceled);
  });
});

describe('what a service refuses', () => {
  test('is told with its words, and never with a secret, ours or what was sent', async () => {
    answers = [plain(403, '{"code":"Forbidden","message":"key hush-hush, header Bearer tok-tok-tok"}')];
    const service = serviceOf({ secrets: () => ['hush-hush'], hint: ({ code }) => `about ${code}` });
    const answer = await service.send(testTask(), 'Cannot ask', () => ({
      ...get('/a/b?sig=secret'),
      authorization: 'Bearer tok-tok-tok',
    }));
    const error = (await service.failure('Cannot ask', answer)) as TsbuildError;
    expect(error.message).toMatch(
      new RegExp(
        `^Cannot ask: GET http://127\\.0\\.0\\.1:${web.port}/a/b answered 403 Forbidden: key \\*\\*\\*, header`,
      ),
    );
    expect(`${error.message} ${error.hint}`).not.toMatch(/hush|tok-tok|sig=/);
    expect(error.hint).toBe('about Forbidden');
  });

  test('is told without its words where these do not come', async () => {
    answers = [
      (request, response) => {
        request.resume();
        response.writeHead(400, { 'content-length': '1000' });
        response.write('{"code":', () => response.destroy());
      },
    ];
    const service = serviceOf();
    const { answer, body } = await service.exchange(testTask(), 'Cannot ask', get);
    expect([answer.status, body.length]).toEqual([400, 0]);
    expect((await service.failure('Cannot ask', answer, body)).message).toMatch(/ answered 400$/);
  });

  test('is read only so far', async () => {
    answers = [plain(400, 'x'.repeat(100_000))];
    const { answer, body } = await serviceOf().exchange(testTask(), 'Cannot ask', get);
    expect([answer.status, body.length]).toEqual([400, 0]);
  });
});

describe('a document', () => {
  test('whose connection breaks is asked for again', async () => {
    const half: Answer = (request, response) => {
      request.resume();
      response.writeHead(200, { 'content-length': '8' });
      response.write('half', () => response.destroy());
    };
    answers = [half, plain(200, 'complete')];
    expect((await serviceOf().exchange(testTask(), 'Cannot ask', get)).body.toString()).toBe('complete');
    answers = [half];
    web.seen.length = 0;
    expect((await failureOf(serviceOf().exchange(testTask(), 'Cannot ask', get))).code).toBe('TSB_NETWORK');
    expect(web.seen).toHaveLength(3);
  });

  test('that is too large is an error', async () => {
    answers = [(request, response) => void request.resume().on('end', () => response.end(Buffer.alloc((8 << 20) + 1)))];
    const { message } = await failureOf(serviceOf().exchange(testTask(), 'Cannot ask', get));
    expect(message).toMatch(/^Cannot use answer of .*8388608 bytes/);
    expect(web.seen).toHaveLength(1);
  });
});

describe('an object that is loaded', () => {
  const bytes = patterned(300_000);
  let cut: CutConnections;
  beforeEach(async () => {
    cut = await cutConnections(`127.0.0.1:${web.port}`);
  });
  afterEach(() => cut[Symbol.asyncDispose]());

  /** A server of one object that knows parts of it. */
  const serve =
    (content: Buffer = bytes, headers: Readonly<Record<string, string>> = { etag: '"1"' }): Answer =>
    (request, response) => {
      request.resume();
      const [, from = '', to = ''] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? [];
      if (from === '')
        return void response.writeHead(200, { ...headers, 'content-length': content.length }).end(content);
      const [start, end] = [Number(from), to === '' ? content.length - 1 : Math.min(Number(to), content.length - 1)];
      if (start >= content.length) return void response.writeHead(416, headers).end();
      const range = `bytes ${start}-${end}/${content.length}`;
      response.writeHead(206, { ...headers, 'content-range': range, 'content-length': end - start + 1 });
      return void response.end(content.subarray(start, end + 1));
    };

  async function load(
    options: { maxBytes?: number; range?: { start: number; length: number } } = {},
  ): Promise<Buffer | undefined> {
    const { maxBytes = 1 << 20, range } = options;
    const chunks = await download(testTask(), serviceOf(), {
      doing: 'Cannot read "x"',
      maxBytes,
      ...(range === undefined ? {} : { range }),
      make: (header) => ({ ...get('/', `http://${cut.host}`), headers: header === undefined ? {} : { range: header } }),
      isAbsent: ({ status }) => status === 404,
    });
    if (chunks === undefined) return undefined;
    const all: Uint8Array[] = [];
    for await (const chunk of chunks) all.push(Uint8Array.from(chunk));
    return Buffer.concat(all);
  }

  test('is undefined where there is none, and any other refusal is an error', async () => {
    answers = [plain(404)];
    expect(await load()).toBeUndefined();
    answers = [plain(403, '{"message":"no"}')];
    expect(await failureOf(load())).toMatchObject({
      code: 'TSB_REGISTRY',
      message: expect.stringMatching(/answered 403 no$/),
    });
  });

  test('arrives whole although its connections break, from where they broke', async () => {
    answers = [serve()];
    for (const after of [50_000, 120_000]) cut.cuts.push({ after, from: 'server' });
    expect((await load())?.equals(bytes)).toBe(true);
    expect(cut.broken).toBe(2);
    const ranges = web.seen.map(({ headers }) => headers.range);
    expect(ranges).toEqual([undefined, expect.stringMatching(/^bytes=\d+-$/), expect.stringMatching(/^bytes=\d+-$/)]);
  });

  test('so does a part of it', async () => {
    answers = [serve()];
    cut.cuts.push({ after: 30_000, from: 'server' });
    const range = { start: 1000, length: 100_000 };
    expect((await load({ range }))?.equals(bytes.subarray(1000, 101_000))).toBe(true);
    expect(web.seen.at(-1)?.headers.range).toMatch(/^bytes=\d+-100999$/);
  });

  test('gives up where nothing comes any more', async () => {
    answers = [serve()];
    for (let times = 0; times < 3; times++) cut.cuts.push({ after: 10_000, from: 'server' });
    expect(await failureOf(load())).toMatchObject({
      code: 'TSB_NETWORK',
      message: expect.stringMatching(/^Cannot read "x"/),
    });
  });

  test('that is replaced meanwhile is an error', async () => {
    answers = [serve(bytes, { etag: '"1"' }), serve(bytes, { etag: '"2"' })];
    cut.cuts.push({ after: 50_000, from: 'server' });
    expect(await failureOf(load())).toMatchObject({
      code: 'TSB_CHANGED',
      message: 'Cannot read "x": it was replaced while it was read',
    });
  });

  test('that has another size the second time is another one', async () => {
    answers = [serve(), serve(patterned(299_999))];
    cut.cuts.push({ after: 50_000, from: 'server' });
    expect((await failureOf(load())).message).toMatch(/another part of it than it was asked for$/);
  });

  test('is as long as was wanted at most, whether it is said before or not', async () => {
    answers = [serve()];
    expect((await load({ maxBytes: bytes.length }))?.length).toBe(bytes.length);
    const tooLong = 'Cannot read "x": it has more than the 299999 bytes that are expected at most';
    expect(await failureOf(load({ maxBytes: bytes.length - 1 }))).toMatchObject({
      code: 'TSB_DIGEST',
      message: tooLong,
    });
    answers = [(request, response) => void request.resume().on('end', () => response.end(bytes))];
    const chunked: Answer = (request, response) => {
      request.resume();
      response.write(bytes.subarray(0, 1000));
      response.end(bytes.subarray(1000));
    };
    answers = [chunked];
    expect((await load())?.equals(bytes)).toBe(true);
    expect((await failureOf(load({ maxBytes: bytes.length - 1 }))).message).toBe(tooLong);
  });

  const parts: readonly (readonly [string, Answer, RegExp])[] = [
    ['the whole instead', plain(200, 'whole'), /sends whole objects only, where a part was asked for$/],
    ['another beginning', plain(206, 'abcd', { 'content-range': 'bytes 11-14/100' }), /another part/],
    ['less than there should be', plain(206, 'abc', { 'content-range': 'bytes 10-12/13' }), /it ends early$/],
    ['more', plain(206, 'abcde', { 'content-range': 'bytes 10-14/100' }), /another part/],
    ['no word which', plain(206, 'abcd'), /another part/],
    ['nonsense', plain(206, 'abcd', { 'content-range': 'items x' }), /another part/],
    ['that there is none', plain(416), /it ends early$/],
  ];
  test.each(parts)('a part that is answered with %s is an error', async (_what, answer, message) => {
    answers = [answer];
    expect((await failureOf(load({ range: { start: 10, length: 4 } }))).message).toMatch(message);
  });
});
