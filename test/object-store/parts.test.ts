import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { eachOf, partsOf } from '../../src/object-store/parts.ts';
import { saidBy, serviceError } from '../../src/object-store/service-error.ts';
import type { Task } from '../../src/events/index.ts';
import { testTask } from '../support/task.ts';

async function* chunksOf(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield chunk;
}

describe('the parts of a body', () => {
  const parts = async (size: number, chunks: readonly Uint8Array[], partBytes: number): Promise<readonly Buffer[]> => {
    const found: Buffer[] = [];
    for await (const part of partsOf(testTask(), 'Cannot write', { size, open: () => chunksOf(chunks) }, partBytes))
      found.push(part);
    return found;
  };

  test('are its bytes, all of one length but the last, however they come', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 8 }),
        fc.integer({ min: 1, max: 50 }),
        async (chunks, partBytes) => {
          const whole = Buffer.concat(chunks);
          const found = await parts(whole.length, chunks, partBytes);
          expect(Buffer.concat(found).equals(whole)).toBe(true);
          expect(found).toHaveLength(Math.max(1, Math.ceil(whole.length / partBytes)));
          for (const part of found.slice(0, -1)) expect(part).toHaveLength(partBytes);
        },
      ),
    );
  });

  test('are as many bytes as were promised', async () => {
    const ten = [Buffer.alloc(4), Buffer.alloc(6)];
    for (const size of [0, 9, 11])
      await expect(parts(size, ten, 5), String(size)).rejects.toThrow(
        expect.objectContaining({
          code: 'TSB_INTERNAL',
          message: `Cannot write: it does not have the ${size} bytes that it is said to have`,
        }),
      );
  });

  test('stay as they are when the source uses its chunk again', async () => {
    const chunk = Buffer.alloc(3);
    async function* reusing(): AsyncGenerator<Uint8Array> {
      for (const char of 'abcd') yield chunk.fill(char);
    }
    const found: Buffer[] = [];
    for await (const part of partsOf(testTask(), 'x', { size: 12, open: reusing }, 3)) found.push(part);
    expect(found.map(String)).toEqual(['aaa', 'bbb', 'ccc', 'ddd']);
  });

  test('end with the task', async () => {
    const task = testTask();
    task.controller.abort(new Error('Ctrl-C'));
    const all = async (): Promise<void> => {
      for await (const _ of partsOf(task, 'x', { size: 1, open: () => chunksOf([Buffer.alloc(1)]) }, 1));
    };
    await expect(all()).rejects.toThrow();
  });
});

describe('work on what comes', () => {
  async function* numbers(count: number): AsyncGenerator<number> {
    for (let number = 0; number < count; number++) yield number;
  }

  test('is done for each, no more than so many at a time', async () => {
    const done: [number, number][] = [];
    let [active, most] = [0, 0];
    await eachOf(testTask(), numbers(20), 3, async (_task, item, index) => {
      most = Math.max(most, ++active);
      await new Promise((resolve) => setImmediate(resolve));
      active--;
      done.push([item, index]);
    });
    expect(most).toBe(3);
    expect(done.toSorted(([a], [b]) => a - b)).toEqual(Array.from({ length: 20 }, (_, at) => [at, at]));
  });

  test('fails with the first failure once all have ended, and begins no more', async () => {
    const begun: number[] = [];
    const ended: number[] = [];
    const waiting = (task: Task, item: number): Promise<void> =>
      new Promise((_resolve, reject) => {
        task.signal.addEventListener('abort', () => {
          setImmediate(() => {
            ended.push(item);
            reject(new Error('canceled'));
          });
        });
      });
    const work = eachOf(testTask(), numbers(100), 3, (task, item) => {
      begun.push(item);
      return item === 2 ? Promise.reject(new Error('first')) : waiting(task, item);
    });
    await expect(work).rejects.toThrow('first');
    expect([begun, ended]).toEqual([
      [0, 1, 2],
      [0, 1],
    ]);
  });

  test('fails with what its source fails with', async () => {
    async function* broken(): AsyncGenerator<number> {
      yield 1;
      throw new Error('no more');
    }
    await expect(eachOf(testTask(), broken(), 5, () => Promise.resolve())).rejects.toThrow('no more');
  });
});

describe('what a service says of an error', () => {
  const answer = (headers: Readonly<Record<string, string>> = {}) => ({
    status: 403,
    header: (name: string) => headers[name],
  });
  const said = (body: string, secrets: readonly string[] = [], headers = {}) =>
    saidBy(answer(headers), Buffer.from(body), secrets);

  test.each([
    [
      'XML',
      '<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>No way</Message></Error>',
      'AccessDenied',
      'No way',
    ],
    ['XML behind a byte order mark', '\ufeff<Error><Code>Busy</Code><Message>Wait</Message></Error>', 'Busy', 'Wait'],
    ['JSON of Twirp', '{"code":"already_exists","msg":"it is there"}', 'already_exists', 'it is there'],
    ['JSON', '{"message":"nope"}', '', 'nope'],
    ['JSON with other things in it', '{"code":7,"msg":["x"]}', '', ''],
    ['nothing', '', '', ''],
    ['a page', '<html><body>Bad gateway</body></html>', '', ''],
    ['a name that is none', '<Error><Code>a b\u001b[2J</Code><Message>\u001b[2Jx\ny</Message></Error>', '', '^[[2Jx y'],
  ])('%s', (_, body, code, message) => {
    expect(said(body)).toMatchObject({ code, message });
  });

  test('has its name in a header, too', () => {
    expect(said('', [], { 'x-ms-error-code': 'BlobNotFound' }).code).toBe('BlobNotFound');
  });

  test('never has a secret in it, whatever it repeats', () => {
    const { message, field } = said(
      '<Error><Message>key abcd-secret and abcd-secret-more</Message><Region>abcd-secret</Region></Error>',
      ['abcd-secret', 'abcd-secret-more', 'x'],
    );
    expect(message).toBe('key *** and ***');
    expect(field('Region')).toBe('***');
    expect(field('Nothing')).toBeUndefined();
  });

  test('is told with the request, without its query, and what helps', () => {
    const url = new URL('https://b.example.com/key?X-Amz-Signature=abc');
    const failure = (status: number, hint?: string) =>
      serviceError('Cannot read "x"', { method: 'GET', url, status }, { ...said('{"msg":"m"}'), status }, () => hint);
    expect(failure(403).message).toBe('Cannot read "x": GET https://b.example.com/key answered 403 m');
    expect(failure(404).code).toBe('TSB_NOT_FOUND');
    expect(failure(403).code).toBe('TSB_REGISTRY');
    expect(failure(307).hint).toMatch(/redirects to other hosts are not followed/);
    expect(failure(429).hint).toMatch(/limits requests/);
    expect(failure(500).hint).toMatch(/has trouble/);
    expect(failure(400).hint).toBeUndefined();
    expect(failure(500, 'own').hint).toBe('own');
  });
});
