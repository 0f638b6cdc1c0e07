import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Fault } from '../../src/serve/fault.ts';
import { rangeOf, Uploads } from '../../src/serve/uploads.ts';
import type { Store } from '../../src/store/index.ts';
import { sha256 } from '../../src/util/index.ts';
import { filesBelow, openStore, type TestStore } from '../store/support.ts';

const HOUR = 3_600_000;
const layer = Buffer.from('layer');
const digest = sha256(layer);

let opened: TestStore;
let store: Store;
let uploads: Uploads;

beforeEach(() => {
  opened = openStore();
  ({ store } = opened);
  uploads = new Uploads(store);
});
afterEach(() => {
  uploads[Symbol.dispose]();
  opened[Symbol.dispose]();
});

async function* chunks(...all: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  await Promise.resolve();
  yield* all;
}

/** The code of the fault that something ends with. */
async function faultOf(work: () => unknown): Promise<string> {
  try {
    await work();
  } catch (error) {
    if (error instanceof Fault) return `${error.status} ${error.code}`;
    throw error;
  }
  return 'none';
}

/** The files of the store but those of its index. */
const files = (): string[] => filesBelow(store.layout.root).filter((path) => !path.includes('index.sqlite'));

async function push(repository: string, bytes: Uint8Array): Promise<void> {
  const id = uploads.begin(repository);
  await uploads.append(repository, id, chunks(bytes), undefined);
  uploads.finish(repository, id, sha256(bytes));
}

describe('an upload', () => {
  test('grows by what is sent, each piece where the last one ended', async () => {
    const id = uploads.begin('web');
    expect(uploads.size('web', id)).toBe(0);
    expect(await uploads.append('web', id, chunks(layer.subarray(0, 2)), 0)).toBe(2);
    for (const start of [0, 1, 3])
      expect([start, await faultOf(() => uploads.append('web', id, chunks(layer), start))]).toEqual([
        start,
        '416 RANGE_INVALID',
      ]);
    expect(await uploads.append('web', id, chunks(), 2)).toBe(2);
    expect(await uploads.append('web', id, chunks(layer.subarray(2, 3), layer.subarray(3)), 2)).toBe(5);
    uploads.finish('web', id, digest);
    expect(store.blobs.has(digest, 5)).toBe(true);
    expect(await faultOf(() => uploads.size('web', id))).toBe('404 BLOB_UPLOAD_UNKNOWN');
  });

  test('says where it stands as the specification has it', () => {
    expect([0, 1, 2, 300_000].map(rangeOf)).toEqual(['0-0', '0-0', '0-1', '0-299999']);
  });

  test('an empty blob is one too', async () => {
    await push('web', Buffer.alloc(0));
    expect(store.blobs.has(sha256(''), 0)).toBe(true);
  });

  test('of another repository, or that nobody began, is unknown', async () => {
    const id = uploads.begin('web');
    for (const [repository, asked] of [
      ['other', id],
      ['web', `${id}0`],
      ['web', ''],
      ['web', '__proto__'],
    ] as const)
      for (const work of [
        () => uploads.size(repository, asked),
        async () => uploads.append(repository, asked, chunks(layer), undefined),
        () => uploads.finish(repository, asked, digest),
        () => uploads.cancel(repository, asked),
      ])
        expect(await faultOf(work)).toBe('404 BLOB_UPLOAD_UNKNOWN');
    expect(uploads.size('web', id)).toBe(0);
  });

  test('is written by one request at a time: whoever else sends, ends or cancels it is told so', async () => {
    const id = uploads.begin('web');
    const body = new PassThrough();
    const sending = uploads.append('web', id, body, undefined);
    body.write(layer.subarray(0, 2));
    for (const work of [
      async () => uploads.append('web', id, chunks(layer), undefined),
      () => uploads.finish('web', id, digest),
      () => uploads.cancel('web', id),
    ])
      expect(await faultOf(work)).toBe('409 BLOB_UPLOAD_INVALID');
    body.end(layer.subarray(2));
    expect(await sending).toBe(5);
    uploads.finish('web', id, digest);
    expect(store.blobs.has(digest)).toBe(true);
  });

  test('whose connection breaks stands where it stood, and goes on from there', async () => {
    const id = uploads.begin('web');
    const broken = (async function* () {
      yield* chunks(layer.subarray(0, 2));
      throw Object.assign(new Error('aborted'), { code: 'ECONNRESET' });
    })();
    await expect(uploads.append('web', id, broken, undefined)).rejects.toThrow('aborted');
    expect(uploads.size('web', id)).toBe(2);
    expect(await uploads.append('web', id, chunks(layer.subarray(2)), 2)).toBe(5);
    uploads.finish('web', id, digest);
  });

  test('that is canceled leaves no file, as those do that are open when the server ends', async () => {
    const id = uploads.begin('web');
    await uploads.append('web', id, chunks(layer), undefined);
    const temporary = files();
    uploads.cancel('web', id);
    const other = uploads.begin('web');
    await uploads.append('web', other, chunks(layer), undefined);
    uploads[Symbol.dispose]();
    expect(files()).toHaveLength(temporary.length - 1);
    expect(store.blobs.has(digest)).toBe(false);
  });

  test('bytes with another digest end it', async () => {
    const id = uploads.begin('web');
    await uploads.append('web', id, chunks(layer), undefined);
    expect(await faultOf(() => uploads.finish('web', id, sha256('other')))).toBe('400 DIGEST_INVALID');
    expect(await faultOf(() => uploads.size('web', id))).toBe('404 BLOB_UPLOAD_UNKNOWN');
  });
});

describe('how many there are', () => {
  const full = (): string[] => Array.from({ length: 256 }, () => uploads.begin('web'));

  test('256 at a time: the next one is told to come again, and has room when one is over', async () => {
    const [first = ''] = full();
    expect(await faultOf(() => uploads.begin('web'))).toBe('429 TOOMANYREQUESTS');
    uploads.cancel('web', first);
    expect(await faultOf(() => uploads.begin('web'))).toBe('none');
  });

  test('what nobody went on with for an hour is given up, but not what is being sent', async () => {
    const [idle = '', touched = '', busy = ''] = full();
    const body = new PassThrough();
    const sending = uploads.append('web', busy, body, undefined);
    opened.advance(HOUR);
    await uploads.append('web', touched, chunks(layer), undefined);
    opened.advance(1);
    uploads.begin('web');
    expect(await faultOf(() => uploads.size('web', idle))).toBe('404 BLOB_UPLOAD_UNKNOWN');
    expect(uploads.size('web', touched)).toBe(5);
    body.end(layer);
    expect(await sending).toBe(5);
  });
});

describe('blobs that wait for their manifest', () => {
  test('are kept for their repository, from being pruned too', async () => {
    await push('web', layer);
    expect([uploads.holds('web', digest), uploads.holds('other', digest)]).toEqual([true, false]);
    expect(store.leases.holds('blob', digest)).toBe(true);
    uploads[Symbol.dispose]();
    expect(store.leases.holds('blob', digest)).toBe(false);
  });

  test('a digest alone gives nobody a blob: what was sent under it must have it', async () => {
    store.blobs.put(layer);
    const id = uploads.begin('web');
    await uploads.append('web', id, chunks(Buffer.from('not the layer')), undefined);
    expect(await faultOf(() => uploads.finish('web', id, digest))).toBe('400 DIGEST_INVALID');
    expect(uploads.holds('web', digest)).toBe(false);
    await push('web', layer);
    expect(uploads.holds('web', digest)).toBe(true);
  });

  test('go after an hour in which nothing came to their repository', async () => {
    await push('web', layer);
    await push('busy', layer);
    opened.advance(HOUR);
    await push('busy', Buffer.from('another'));
    opened.advance(1);
    uploads.begin('third');
    expect([uploads.holds('web', digest), uploads.holds('busy', digest)]).toEqual([false, true]);
    expect(store.leases.holds('blob', digest)).toBe(true);
  });

  test('stay while a layer beside them takes longer than an hour to arrive', async () => {
    await push('web', layer);
    const slow = uploads.begin('web');
    const body = new PassThrough();
    const sending = uploads.append('web', slow, body, undefined);
    body.write(layer);
    opened.advance(2 * HOUR);
    uploads.begin('other');
    expect(uploads.holds('web', digest)).toBe(true);
    body.end();
    await sending;
    uploads.finish('web', slow, digest);
    expect(uploads.holds('web', digest)).toBe(true);
  });
});
