import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { startWorker, type WorkerClient } from '../../src/worker/index.ts';

/**
 * The other end, as a program: it does what the name of a method says, and answers `told` with what it got so far. It stands in the
 * helper's place, so that no namespace is needed.
 */
const PEER = `#!${process.execPath}
const told = [];
const send = (message) => process.send([message], undefined, undefined, () => undefined);
const after = {};
process.on('disconnect', () => process.exit(0));
process.on('message', (mail) => mail.forEach((message) => {
  told.push(message.type === 'call' ? message.method : message.type + (message.bytes ?? ''));
  const { id } = message;
  if (message.type === 'cancel') return after[id]?.();
  if (message.type !== 'call') return;
  const canceled = { type: 'error', id, error: { code: 'TSB_CANCELED', message: 'canceled there' } };
  switch (message.method) {
    case 'told': return send({ type: 'result', id, value: told });
    case 'progress':
      send({ type: 'progress', id, data: 'half' });
      after[id] = () => send(canceled);
      if (message.params === 'ends') send({ type: 'result', id, value: 'done' });
      return;
    case 'output':
      send({ type: 'output', id, stream: 1, data: Buffer.alloc(100_000) });
      send({ type: 'output', id, stream: 2, data: Buffer.alloc(70_000) });
      if (message.params !== 'stays') send({ type: 'result', id, value: 'done' });
      return;
    case 'little':
      for (const bytes of message.params) send({ type: 'output', id, stream: 1, data: Buffer.alloc(bytes) });
      return;
    case 'wait': after[id] = () => send(canceled); return;
    case 'late':
      send({ type: 'result', id, value: 'done' });
      send({ type: 'progress', id, data: 'after the end' });
      return send({ type: 'result', id, value: 'twice' });
    case 'die': process.stderr.write('first\\nno space in /proc\\n', () => process.exit(3)); return;
    case 'stay': process.removeAllListeners('disconnect'); setInterval(() => undefined, 1000); return send({ type: 'result', id });
  }
}));
send({ type: 'ready' });
`;

const dir = mkdtempSync(join(tmpdir(), 'tsbuild-client-test-'));
const helperPath = join(dir, 'peer.cjs');
writeFileSync(helperPath, PEER);
chmodSync(helperPath, 0o755);
afterAll(() => rmSync(dir, { recursive: true, force: true }));

type AnyCall = (method: string, params?: unknown, options?: Parameters<WorkerClient['call']>[2]) => Promise<unknown>;

async function start(
  options: { readonly graceMs?: number; readonly helper?: string } = {},
): Promise<AsyncDisposable & { readonly call: AnyCall }> {
  const client = await startWorker({
    helperPath: options.helper ?? helperPath,
    workerEntry: join(dir, 'none'),
    seccompDir: dir,
    storeRoot: dir,
    plan: { uids: [], gids: [] } as unknown as WorkerClient['plan'],
    ...(options.graceMs === undefined ? {} : { graceMs: options.graceMs }),
  });
  return {
    call: (client.call as AnyCall).bind(client),
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}

describe('the client of a worker', () => {
  test('hands progress on', async () => {
    await using worker = await start();
    const seen: unknown[] = [];
    expect(await worker.call('progress', 'ends', { onProgress: (data) => seen.push(data) })).toBe('done');
    expect(seen).toEqual(['half']);
  });

  test('a listener of progress that fails ends its call with that, and no other', async () => {
    await using worker = await start();
    const other = worker.call('wait', undefined, { signal: AbortSignal.timeout(60_000) });
    other.catch(() => undefined);
    const onProgress = (): void => {
      throw new Error('the listener is broken');
    };
    await expect(worker.call('progress', undefined, { onProgress })).rejects.toThrow('the listener is broken');
    // Also when the call had ended well by then.
    await expect(worker.call('progress', 'ends', { onProgress })).rejects.toThrow('the listener is broken');
    expect(await worker.call('told')).toEqual(expect.arrayContaining(['wait', 'progress', 'cancel']));
    expect(await Promise.race([other, Promise.resolve('pending')])).toBe('pending');
  });

  test('tells the worker of room for output only after it was taken', async () => {
    await using worker = await start();
    const taken = Promise.withResolvers<void>();
    const second = Promise.withResolvers<void>();
    const running = worker.call('output', 'stays', {
      onOutput: (stream) => (stream === 1 ? taken.promise : second.resolve()),
    });
    running.catch(() => undefined);
    await second.promise;
    await new Promise(setImmediate);
    expect(await worker.call('told')).toEqual(['output', 'ack70000', 'told']);
    taken.resolve();
    await new Promise(setImmediate);
    expect(await worker.call('told')).toEqual(['output', 'ack70000', 'told', 'ack100000', 'told']);
  });

  test('tells of room once for many small pieces of output, and not at all for few', async () => {
    await using worker = await start();
    const pieces = [1000, 40_000, 40_000, 1000];
    const last = Promise.withResolvers<void>();
    let count = 0;
    const running = worker.call('little', pieces, {
      onOutput: () => {
        if (++count === pieces.length) last.resolve();
      },
    });
    running.catch(() => undefined);
    await last.promise;
    await new Promise(setImmediate);
    expect(await worker.call('told')).toEqual(['little', 'ack81000', 'told']);
  });

  test('tells nothing of room where nothing waits for it any more', async () => {
    await using worker = await start();
    const taken = Promise.withResolvers<void>();
    expect(await worker.call('output', 'ends', { onOutput: () => taken.promise })).toBe('done');
    taken.resolve();
    await new Promise(setImmediate);
    expect(await worker.call('told')).toEqual(['output', 'told']);
  });

  test('cancels once, at the worker; a signal that was aborted before starts nothing', async () => {
    await using worker = await start();
    const controller = new AbortController();
    const { signal } = controller;
    const running = worker.call('wait', undefined, { signal });
    controller.abort();
    await expect(running).rejects.toMatchObject({ code: 'TSB_CANCELED', message: 'canceled there' });
    await expect(worker.call('wait', undefined, { signal })).rejects.toMatchObject({ code: 'TSB_CANCELED' });
    expect(await worker.call('told')).toEqual(['wait', 'cancel', 'told']);
  });

  test('what comes after the answer is nobody’s', async () => {
    await using worker = await start();
    const onProgress = (): void => {
      throw new Error('not any more');
    };
    expect(await worker.call('late', undefined, { onProgress })).toBe('done');
    expect(await worker.call('told')).toEqual(['late', 'told']);
  });

  test('a worker that ends fails all calls with the last that it said', async () => {
    await using worker = await start();
    const waiting = worker.call('wait');
    waiting.catch(() => undefined);
    const gone = { code: 'TSB_SANDBOX', message: 'The worker process ended: no space in /proc' };
    await expect(worker.call('die')).rejects.toMatchObject(gone);
    await expect(waiting).rejects.toMatchObject(gone);
    await expect(worker.call('told')).rejects.toMatchObject(gone);
  });

  test('a worker that does not end by itself is ended', async () => {
    const worker = await start({ graceMs: 50 });
    await worker.call('stay');
    const waiting = worker.call('wait');
    waiting.catch(() => undefined);
    await worker[Symbol.asyncDispose]();
    await expect(waiting).rejects.toMatchObject({ code: 'TSB_SANDBOX' });
  });

  test('a helper that is not there', async () => {
    await expect(start({ helper: join(dir, 'gone') })).rejects.toMatchObject({
      code: 'TSB_SANDBOX',
      message: expect.stringMatching(/^Cannot start the worker: .*ENOENT/),
    });
  });
});
