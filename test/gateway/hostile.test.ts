import { randomBytes } from 'node:crypto';
import { connect, constants, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http2';
import { mkdtempSync, rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeFrame, FrameReader, MessageReader } from '../../src/gateway/grpc-frame.ts';
import { GrpcServer, type GrpcServerOptions, type UnaryHandler } from '../../src/gateway/grpc-server.ts';
import { LlbBridge } from '../../src/gateway/bridge.ts';
import { gatewayLimits } from '../../src/gateway/limits.ts';
import { socketPair } from '../../src/gateway/socket-pair.ts';
import { encodeStatusMessage } from '../../src/gateway/status.ts';
import { hostOf } from './support.ts';
import { until } from '../support/until.ts';

const echo: UnaryHandler = async (request) => request;

async function serverOf(
  options: Partial<GrpcServerOptions> = {},
): Promise<{ readonly server: GrpcServer; readonly client: Socket }> {
  const directory = mkdtempSync(join(tmpdir(), 'tsbuild-gateway-'));
  const { ours, theirs } = await socketPair(directory);
  rmSync(directory, { recursive: true });
  // It waits for the process that it is given to.
  theirs.on('error', () => undefined).resume();
  const handlers = new Map([['/s/echo', echo]]);
  const limits = { maxMessageBytes: 1000, maxBufferedBytes: 5000, maxCalls: 10 };
  return { server: new GrpcServer(ours, { handlers, ...limits, ...options }), client: theirs };
}

/** One call with bytes of the caller's choice. */
function raw(
  client: ReturnType<typeof connect>,
  body: Uint8Array,
  headers: OutgoingHttpHeaders = {},
): Promise<{ readonly status: number; readonly grpc: string; readonly message: string; readonly body: Buffer }> {
  return new Promise((resolve, reject) => {
    const stream = client.request({
      ':method': 'POST',
      ':path': '/s/echo',
      'content-type': 'application/grpc',
      te: 'trailers',
      ...headers,
    });
    const chunks: Buffer[] = [];
    const seen: IncomingHttpHeaders = {};
    stream.on('response', (answer) => Object.assign(seen, answer));
    stream.on('trailers', (answer) => Object.assign(seen, answer));
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('error', reject);
    stream.on('close', () =>
      resolve({
        status: Number(seen[':status']),
        grpc: String(seen['grpc-status']),
        message: decodeURIComponent(String(seen['grpc-message'] ?? '')),
        body: Buffer.concat(chunks),
      }),
    );
    if (headers[':method'] !== 'GET') stream.end(body);
  });
}

describe('calls of a client that does as it likes', () => {
  test('are answered or refused one by one, and the others go on', async () => {
    const { server, client } = await serverOf();
    const session = connect('http://localhost', { createConnection: () => client });
    const fine = await raw(session, encodeFrame(Buffer.from('hello')));
    expect(fine).toMatchObject({ status: 200, grpc: '0' });
    expect(fine.body.equals(encodeFrame(Buffer.from('hello')))).toBe(true);
    const compressed = encodeFrame(Buffer.from('x'));
    compressed[0] = 1;
    expect(await raw(session, compressed)).toMatchObject({
      grpc: '12',
      message: expect.stringContaining('compressed') as string,
    });
    expect(await raw(session, Buffer.alloc(0))).toMatchObject({ grpc: '3', message: 'request has no message' });
    expect(await raw(session, Buffer.from([0, 0, 0]))).toMatchObject({ grpc: '3' });
    expect(await raw(session, Buffer.from([0, 255, 255, 255, 255, 1]))).toMatchObject({ grpc: '3' });
    expect(await raw(session, Buffer.concat([fine.body, fine.body]))).toMatchObject({ grpc: '3' });
    expect(await raw(session, encodeFrame(Buffer.alloc(1001)))).toMatchObject({
      grpc: '8',
      message: expect.stringContaining('1000') as string,
    });
    expect(await raw(session, fine.body, { ':path': '/s/../echo' })).toMatchObject({ grpc: '12' });
    expect(await raw(session, fine.body, { 'content-type': 'text/plain' })).toMatchObject({ status: 415 });
    expect(await raw(session, Buffer.alloc(0), { ':method': 'GET' })).toMatchObject({ status: 415 });
    expect(await raw(session, fine.body)).toMatchObject({ grpc: '0' });
    session.destroy();
    expect(await server.ended).toBeUndefined();
  });

  test('hold no more together than they may', async () => {
    const { server, client } = await serverOf({ maxMessageBytes: 4000 });
    const session = connect('http://localhost', { createConnection: () => client });
    const hold = session.request({ ':method': 'POST', ':path': '/s/echo', 'content-type': 'application/grpc' });
    hold.on('error', () => undefined);
    await new Promise<void>((resolve) => hold.write(Buffer.alloc(3900), () => resolve()));
    // Bytes of the first call arrive at some time.
    const second = { grpc: '', message: '' };
    await until(
      'a call too many is refused',
      async () => Object.assign(second, await raw(session, encodeFrame(Buffer.alloc(3000)))).grpc === '8',
    );
    expect(second.message).toContain('5000');
    // A request without an end is no work.
    expect(server.idleMs).toBeGreaterThanOrEqual(0);
    hold.close(constants.NGHTTP2_CANCEL);
    await until('there is room again', async () => (await raw(session, encodeFrame(Buffer.alloc(3000)))).grpc === '0');
    session.destroy();
    await server.ended;
  });

  test('that are given up end what was done for them', async () => {
    const begun = Promise.withResolvers<AbortSignal>();
    const never: UnaryHandler = (_request, signal) => {
      begun.resolve(signal);
      return new Promise(() => undefined);
    };
    const { server, client } = await serverOf({ handlers: new Map([['/s/echo', never]]) });
    const session = connect('http://localhost', { createConnection: () => client });
    const stream = session.request({ ':method': 'POST', ':path': '/s/echo', 'content-type': 'application/grpc' });
    stream.on('error', () => undefined);
    stream.end(encodeFrame(Buffer.from('x')));
    const signal = await begun.promise;
    expect(signal.aborted).toBe(false);
    expect(server.idleMs).toBeUndefined();
    stream.close(constants.NGHTTP2_CANCEL);
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener('abort', () => resolve());
    });
    session.destroy();
    await server.ended;
  });

  test('fail with the words of whatever was thrown, in a form that a header can have', async () => {
    const handlers = new Map<string, UnaryHandler>([['/s/echo', () => Promise.reject(new Error('nö\n100% \u0000'))]]);
    const { client } = await serverOf({ handlers });
    const session = connect('http://localhost', { createConnection: () => client });
    expect(await raw(session, encodeFrame(Buffer.from('x')))).toMatchObject({ grpc: '2', message: 'nö\n100% \u0000' });
    session.destroy();
  });
});

describe('bytes that are no HTTP/2', () => {
  test.each([
    ['text', Buffer.from('Usage: frontend [options]\n')],
    ['noise', randomBytes(10_000)],
    [
      'the preface and noise',
      Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), Buffer.alloc(500, 0xff)]),
    ],
    ['HTTP/1', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')],
  ])('end the connection with an error: %s', async (_what, bytes) => {
    const { server, client } = await serverOf();
    client.write(bytes);
    expect(await server.ended).toBeInstanceOf(Error);
  });

  test('an end right away is an end', async () => {
    const { server, client } = await serverOf();
    client.end();
    client.resume();
    await server.ended;
  });

  test('whatever comes, the server ends and nothing is thrown', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 5 }),
        fc.boolean(),
        async (chunks, preface) => {
          const { server, client } = await serverOf();
          if (preface) client.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
          for (const chunk of chunks) client.write(chunk);
          client.end();
          client.resume();
          await Promise.race([server.ended, sleep(2000).then(() => server[Symbol.dispose]())]);
          await server.ended;
        },
      ),
      { numRuns: 50 },
    );
  });
});

test('a message comes out as it went in, however it is cut', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.array(fc.nat(305), { maxLength: 6 }), (message, cuts) => {
      const frame = encodeFrame(message);
      const budget = { used: 0, max: 1000 };
      const reader = new FrameReader(300, budget);
      let last = 0;
      for (const cut of [...cuts.filter((at) => at <= frame.length).toSorted((a, b) => a - b), frame.length]) {
        reader.push(frame.subarray(last, cut));
        last = cut;
      }
      expect(Buffer.from(reader.finish()).equals(message)).toBe(true);
      reader.release();
      expect(budget.used).toBe(0);
    }),
  );
});

test('messages of a stream are the same however they are cut into pieces', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 6 }),
      fc.array(fc.nat(330), { maxLength: 12 }),
      (messages, cuts) => {
        const bytes = Buffer.concat(messages.map((message) => encodeFrame(message)));
        const budget = { used: 0, max: 1000 };
        const read: Uint8Array[] = [];
        {
          using reader = new MessageReader(50, budget);
          let last = 0;
          for (const cut of [...cuts.filter((at) => at <= bytes.length).toSorted((a, b) => a - b), bytes.length]) {
            read.push(...reader.take(bytes.subarray(last, cut)));
            last = cut;
          }
          reader.finish();
        }
        expect(read.map((message) => [...message])).toEqual(messages.map((message) => [...message]));
        expect(budget.used).toBe(0);
      },
    ),
  );
});

test('a stream gives back what it held of a message that it refuses, or that is cut off', () => {
  for (const [bytes, problem] of [
    [encodeFrame(Buffer.alloc(51)), /larger than 50/],
    [Buffer.from([1, 0, 0, 0, 0]), /compressed/],
    [Buffer.from([0, 255, 255, 255, 255]), /larger than 50/],
    [Buffer.alloc(200), /under way/],
  ] as const) {
    const budget = { used: 0, max: 150 };
    expect(() => {
      using reader = new MessageReader(50, budget);
      expect([...reader.take(bytes)]).toEqual([]);
    }).toThrow(problem);
    expect(budget.used).toBe(0);
  }
  const budget = { used: 0, max: 150 };
  using reader = new MessageReader(50, budget);
  expect([...reader.take(encodeFrame(Buffer.alloc(9)).subarray(0, 12))]).toEqual([]);
  expect(() => reader.finish()).toThrow(/cut off/);
  expect(budget.used).toBe(12);
});

test('a status message is printable ASCII, and reads back', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 100 }), (text) => {
      const encoded = encodeStatusMessage(text);
      expect(encoded).toMatch(/^[ -~]*$/);
      expect(decodeURIComponent(encoded)).toBe(text.toWellFormed());
    }),
  );
  expect(encodeStatusMessage('x'.repeat(10_000)).length).toBeLessThan(5000);
});

test('whatever a message has, a method answers or refuses it with a reason', async () => {
  const bridge = new LlbBridge(hostOf({}), gatewayLimits);
  const signal = AbortSignal.timeout(60_000);
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...bridge.handlers.keys()),
      fc.uint8Array({ maxLength: 60 }),
      async (path, bytes) => {
        const handler = bridge.handlers.get(path);
        await handler?.(bytes, signal).catch((error: unknown) => {
          expect(error).toMatchObject({ name: 'CallError', message: expect.stringMatching(/./) as string });
        });
      },
    ),
    { numRuns: 500 },
  );
});
