import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { GhaService } from '../../src/object-store/gha-service.ts';
import type { PackedStore } from '../../src/object-store/packed-store.ts';
import { RequestWindow } from '../../src/object-store/request-window.ts';
import type { Surroundings } from '../../src/object-store/service.ts';
import type { TsbuildError } from '../../src/util/index.ts';
import { bytesOf, contentOf, patterned } from '../suites/object-store.ts';
import { type ActionsCache, DEFAULT_BRANCH, startActionsCache } from '../support/actions-cache.ts';
import { testTask } from '../support/task.ts';
import { WebServer } from '../support/web-server.ts';
import { ghaStore, s3Surroundings } from './support.ts';

let server: ActionsCache;
const open: AsyncDisposable[] = [];
beforeEach(async () => {
  server = await startActionsCache();
});
afterEach(async () => {
  for (const one of open.splice(0)) await one[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

/** A job with the cache. */
function job(branch: string = DEFAULT_BRANCH, over: Partial<Surroundings> = {}): PackedStore {
  const store = ghaStore(server, branch, over);
  open.push(store);
  return store;
}
const put = (store: PackedStore, name: string, bytes: Uint8Array | string): Promise<void> =>
  store.put(testTask(), name, contentOf(Buffer.from(bytes as string)), { ifAbsent: true });
const text = async (store: PackedStore, name: string): Promise<string | undefined> =>
  (await bytesOf(store, name))?.toString();
const twirps = (): string[] => server.requests.filter((line) => !line.includes(' blob '));
const failureOf = (doing: Promise<unknown>): Promise<TsbuildError> =>
  doing.then(
    () => {
      throw new Error('It succeeded');
    },
    (error: unknown) => error as TsbuildError,
  );

describe('few requests', () => {
  test('two hundred small objects and three layers are four entries, and one question reads all that is small', async () => {
    const one = job();
    for (let at = 0; at < 200; at++) await put(one, `records/main/${at}`, `record ${at}`);
    for (const layer of ['a', 'b', 'c']) await put(one, `blobs/sha256/${layer}`, patterned(400_000));
    await one.flush(testTask());
    expect(server.entries.length).toBe(4);
    expect(twirps().length).toBe(9);
    server.requests.length = 0;
    const other = job();
    for (let at = 0; at < 200; at++) expect(await text(other, `records/main/${at}`)).toBe(`record ${at}`);
    expect(await other.head(testTask(), 'blobs/sha256/a')).toEqual({ size: 400_000 });
    expect(await other.head(testTask(), 'records/main/none')).toBeUndefined();
    expect(server.requests).toEqual(['GetCacheEntryDownloadURL 200', 'GET blob 200']);
    expect((await bytesOf(other, 'blobs/sha256/b'))?.length).toBe(400_000);
    expect(server.requests.length).toBe(4);
  });

  test('a layer that several write at a time in one build is sent once', async () => {
    const one = job();
    await Promise.all([1, 2, 3].map(() => one.put(testTask(), 'blobs/sha256/a', contentOf(patterned(400_000)))));
    await one.flush(testTask());
    expect(server.entries.length).toBe(2);
    expect(server.requests.filter((line) => line.startsWith('PUT blob')).length).toBe(2);
  });

  test('nothing new is written nowhere', async () => {
    const one = job();
    await put(one, 'records/a', 'x');
    await one.flush(testTask());
    server.requests.length = 0;
    await put(one, 'records/a', 'x');
    await one.flush(testTask());
    expect(server.requests).toEqual([]);
    const other = job();
    await put(other, 'records/a', 'x');
    await put(other, 'records/b', '');
    await other.flush(testTask());
    expect(twirps()).toEqual(['GetCacheEntryDownloadURL 200', 'CreateCacheEntry 200', 'FinalizeCacheEntryUpload 200']);
    expect(await text(job(), 'records/b')).toBe('');
  });

  test('a job that goes on for long shares what it did so far', async () => {
    let now = Date.now();
    const one = job(DEFAULT_BRANCH, { now: () => now });
    await put(one, 'records/a', 'x');
    expect(await text(job(), 'records/a')).toBeUndefined();
    now += 61_000;
    await put(one, 'records/b', 'y');
    expect(await text(job(), 'records/a')).toBe('x');
    for (let at = 0; at < 20; at++) await put(one, `records/large/${at}`, patterned(250_000));
    expect(await text(job(), 'records/large/0')).toBeDefined();
  });
});

describe('two at a time', () => {
  test('both sets of objects are there in the end, twenty times', async () => {
    // Most of it is waiting for the number of the index that another job writes: four caches do so side by side.
    const lane = async (first: number): Promise<void> => {
      await using own = await startActionsCache();
      const jobs: PackedStore[] = [];
      const newJob = (): PackedStore => {
        const store = ghaStore(own, DEFAULT_BRANCH);
        jobs.push(store);
        return store;
      };
      const rounds = [0, 1, 2, 3, 4].map((round) => first + round);
      try {
        for (const round of rounds) {
          const three = [newJob(), newJob(), newJob()];
          await Promise.all(three.map((one, at) => put(one, `records/${round}/${at}`, `${round} ${at}`)));
          await Promise.all(three.map((one) => one.flush(testTask())));
        }
        const reader = newJob();
        for (const round of rounds)
          for (const at of [0, 1, 2]) expect(await text(reader, `records/${round}/${at}`)).toBe(`${round} ${at}`);
      } finally {
        for (const one of jobs) await one[Symbol.asyncDispose]();
      }
    };
    await Promise.all([0, 5, 10, 15].map(lane));
  });

  test('of sixteen that end at the same moment, as jobs of a matrix do, nothing is lost', async () => {
    const jobs = Array.from({ length: 16 }, () => job());
    await Promise.all(jobs.map((one, at) => put(one, `records/${at}`, String(at))));
    await Promise.all(jobs.map((one) => one.flush(testTask())));
    const reader = job();
    for (const at of jobs.keys()) expect(await text(reader, `records/${at}`)).toBe(String(at));
  });

  test('a writer that died with its number does not stop the others, and one that was slow is read in the end', async () => {
    const dead = new GhaService({ url: server.url, token: server.token(DEFAULT_BRANCH) }, s3Surroundings());
    open.push(dead);
    server.interfere = (name, request, response) => {
      if (name !== 'FinalizeCacheEntryUpload') return false;
      request.resume().on('end', () => response.writeHead(400).end());
      return true;
    };
    const slow = job();
    await put(slow, 'records/slow', 'slow');
    await failureOf(slow.flush(testTask()));
    server.interfere = () => false;
    const quick = job();
    await put(quick, 'records/quick', 'quick');
    await quick.flush(testTask());
    expect(server.entries.map(({ key }) => key.slice(-2))).toEqual(['01', '02']);
    expect(await text(job(), 'records/quick')).toBe('quick');
    expect(await text(job(), 'records/slow')).toBeUndefined();
    // The bytes were there all the time; only that was missing.
    const held = server.entries[0]!;
    held.bytes = await packed('records/slow', 'slow');
    expect(await text(job(), 'records/slow')).toBe('slow');
    expect(await text(job(), 'records/quick')).toBe('quick');
    // What was put and could not be written is still to be.
    await slow.flush(testTask());
    expect(await text(job(), 'records/slow')).toBe('slow');
  });

  test('a large object whose key is taken by what never became whole gets another', async () => {
    server.interfere = (name, request, response) => {
      if (name !== 'PUT blob') return false;
      request.resume().on('end', () => response.writeHead(403, { 'x-ms-error-code': 'AuthorizationFailure' }).end());
      return true;
    };
    await failureOf(put(job(), 'blobs/sha256/a', patterned(400_000)));
    server.interfere = () => false;
    const one = job();
    await put(one, 'blobs/sha256/a', patterned(400_000));
    await one.flush(testTask());
    expect((await bytesOf(job(), 'blobs/sha256/a'))?.equals(patterned(400_000))).toBe(true);
  });
});

/** A catalog with one object, as a store writes it. */
async function packed(name: string, content: string): Promise<Buffer> {
  const { packCatalog } = await import('../../src/object-store/catalog.ts');
  return packCatalog({
    holes: [],
    objects: new Map([[name, { size: content.length, writtenAt: 1, usedAt: 1, at: Buffer.from(content) }]]),
  });
}

test('what is touched is as young as its last touch where it is listed, also for another job', async () => {
  let now = 1_700_000_000_000;
  const at = (): PackedStore => job(DEFAULT_BRANCH, { now: () => now });
  const one = at();
  await put(one, 'records/a', 'x');
  await put(one, 'records/b', 'y');
  await one.flush(testTask());
  now += 48 * 3_600_000;
  const two = at();
  await two.touch(testTask(), 'records/b');
  await two.flush(testTask());
  for (const store of [two, at()]) {
    const ages = new Map<string, number>();
    for await (const { name, modifiedAt } of store.list(testTask(), 'records/')) ages.set(name, now - modifiedAt);
    expect(Object.fromEntries(ages)).toEqual({ 'records/a': 48 * 3_600_000, 'records/b': 0 });
  }
});

describe('what the service deletes, damages or makes up', () => {
  test('a layer that is gone is not there, once the catalog is old', async () => {
    let now = Date.now();
    const one = job();
    await put(one, 'blobs/sha256/a', patterned(400_000));
    await one.flush(testTask());
    server.entries.splice(0, 1);
    const soon = job();
    expect(await bytesOf(soon, 'blobs/sha256/a')).toBeUndefined();
    now += 25 * 3_600_000;
    const later = job(DEFAULT_BRANCH, { now: () => now });
    expect(await later.head(testTask(), 'blobs/sha256/a')).toBeUndefined();
    await put(later, 'blobs/sha256/a', patterned(400_000));
    await later.flush(testTask());
    expect((await bytesOf(job(), 'blobs/sha256/a'))?.length).toBe(400_000);
  });

  test('a catalog that is damaged is a warning and no catalog, and the next one is whole', async () => {
    const one = job();
    await put(one, 'records/a', 'x');
    await one.flush(testTask());
    server.entries[0]!.bytes![40]! ^= 1;
    const warnings: string[] = [];
    const other = job(DEFAULT_BRANCH, { onWarning: (message) => warnings.push(message) });
    expect(await text(other, 'records/a')).toBeUndefined();
    expect(warnings).toEqual([
      expect.stringMatching(
        /^Cannot use catalog "tsbuild-1-test-catalog-0000000001" of the cache of GitHub Actions at .*: it is damaged$/,
      ),
    ]);
    await put(other, 'records/b', 'y');
    await other.flush(testTask());
    expect(await text(job(), 'records/b')).toBe('y');
    expect(gunzipSync(server.entries.at(-1)!.bytes!).toString()).toContain('records/b');
  });

  test.each([
    'file:///etc/passwd',
    'http://169.254.169.254/latest/meta-data/',
    'http://user:pass@127.0.0.1/x',
    'not a url',
    '',
  ])('an address %j that the service gives out is not used', async (address) => {
    server.interfere = (_, request, response) => {
      request
        .resume()
        .on('end', () =>
          response.end(
            JSON.stringify({ ok: true, signed_download_url: address, signed_upload_url: address, matched_key: 'x' }),
          ),
        );
      return true;
    };
    expect((await failureOf(text(job(), 'records/a'))).message).toMatch(
      /the service gave no address that can be used$/,
    );
  });

  test('answers that are no JSON, or much too long', async () => {
    for (const body of ['<html>', '{"ok":true', '[]', '"x"', 'null', '{"ok":"yes"}']) {
      server.interfere = (_, request, response) => {
        request.resume().on('end', () => response.end(body));
        return true;
      };
      const found = await text(job(), 'records/a').catch((error: unknown) => error);
      if (found !== undefined) expect(found).toMatchObject({ code: 'TSB_REGISTRY' });
    }
  });
});

describe('what it allows', () => {
  test('429 is waited for as long as it says, and does not hold up who reads', async () => {
    const one = job();
    await put(one, 'records/a', 'x');
    server.creations = 0;
    const asked: number[] = [];
    const gate = Promise.withResolvers<void>();
    server.hold = (name) => {
      if (name !== 'CreateCacheEntry') return undefined;
      asked.push(performance.now());
      // It is asked again as soon as it said; the answer to that comes when who reads is through.
      return asked.length > 1 ? gate.promise : undefined;
    };
    let flushed = false;
    const flushing = one.flush(testTask()).finally(() => (flushed = true));
    const refused = (): number => twirps().filter((line) => line === 'CreateCacheEntry 429').length;
    await expect.poll(refused, { interval: 5 }).toBe(1);
    server.creations = 10;
    expect(await one.head(testTask(), 'records/a')).toEqual({ size: 1 });
    expect(await text(job(), 'records/a')).toBeUndefined();
    expect(flushed).toBe(false);
    gate.resolve();
    await flushing;
    expect(asked).toHaveLength(2);
    expect((asked[1] ?? 0) - (asked[0] ?? 0)).toBeGreaterThan(900);
    expect(refused()).toBe(1);
    expect(await text(job(), 'records/a')).toBe('x');
  });

  test.each([
    ['in seconds', () => '600'],
    ['by a date', () => new Date(Date.now() + 600_000).toUTCString()],
  ])('one that wants to be left alone for longer than a build waits, said %s, is left alone', async (_how, said) => {
    server.interfere = (name, request, response) => {
      if (name !== 'CreateCacheEntry') return false;
      request
        .resume()
        .on('end', () =>
          response.writeHead(429, { 'retry-after': said() }).end('{"code":"resource_exhausted","msg":"slow down"}'),
        );
      return true;
    };
    const one = job();
    await put(one, 'records/a', 'x');
    const first = await failureOf(one.flush(testTask()));
    expect(first).toMatchObject({
      code: 'TSB_REGISTRY',
      hint: expect.stringContaining('GitHub limits how many entries'),
    });
    expect(first.message).toContain('429 resource_exhausted: slow down');
    const second = await failureOf(one.flush(testTask()));
    expect(second.message).toMatch(/no more are allowed for \d+ s$/);
    expect(twirps().filter((line) => line.startsWith('CreateCacheEntry')).length).toBe(1);
  });

  test('requests are counted, and those that would be too many wait or fail', async () => {
    let now = 0;
    const window = new RequestWindow({ requests: 3, windowMs: 60_000, maxWaitMs: 1000, now: () => now });
    for (const at of [0, 10_000, 20_000]) {
      now = at;
      await window.take(testTask(), 'Cannot try');
    }
    await expect(window.take(testTask(), 'Cannot try')).rejects.toThrow(
      'Cannot try: 3 requests were sent in 1 minutes, and no more are allowed for 40 s',
    );
    now = 60_000;
    await window.take(testTask(), 'Cannot try');
    now = 69_990;
    const waiting = window.take(testTask(), 'Cannot try');
    now = 70_001;
    await waiting;
    window.block(5000);
    await expect(window.take(testTask(), 'Cannot try')).rejects.toThrow(/no more are allowed/);
  });
});

describe('who may read what', () => {
  test('a branch finds what the default branch wrote, and not the other way round', async () => {
    const main = job();
    await put(main, 'records/main', 'm');
    await main.flush(testTask());
    const pull = job('refs/pull/1/merge');
    expect(await text(pull, 'records/main')).toBe('m');
    await put(pull, 'records/pull', 'p');
    await pull.flush(testTask());
    expect(await text(job('refs/pull/1/merge'), 'records/main')).toBe('m');
    expect(await text(job('refs/pull/1/merge'), 'records/pull')).toBe('p');
    expect(await text(job(), 'records/pull')).toBeUndefined();
    expect(await text(job('refs/pull/2/merge'), 'records/pull')).toBeUndefined();
  });

  test('a token that is not accepted is not shown, also where the service says it', async () => {
    const token = 'eyJhbGciOiJIUzI1NiJ9.the-token-of-a-job';
    const service = new GhaService({ url: server.url, token }, s3Surroundings());
    open.push(service);
    const error = await failureOf(service.find(testTask(), 'x'));
    expect(error.message).toMatch(/answered 401 unauthenticated: token Bearer \*\*\* is not valid$/);
    expect(error.hint).toContain('ACTIONS_RUNTIME_TOKEN');
  });

  test('neither bytes nor other hosts get the token', async () => {
    await using other = await WebServer.start((_, response) => response.end('x'));
    let seen: string | undefined;
    server.interfere = (name, request, response) => {
      if (name === 'PUT blob') seen = request.headers.authorization ?? 'none';
      if (name !== 'GetCacheEntryDownloadURL') return false;
      request.resume().on('end', () => response.writeHead(307, { location: `${other.url}/x` }).end());
      return true;
    };
    expect((await failureOf(text(job(), 'records/a'))).message).toContain('answered 307');
    expect(other.seen).toEqual([]);
    server.interfere = (name, request) => {
      if (name === 'PUT blob') seen = request.headers.authorization ?? 'none';
      return false;
    };
    await put(job(), 'blobs/sha256/a', patterned(400_000));
    expect(seen).toBe('none');
  });
});
