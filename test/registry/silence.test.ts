import { createServer as createHttpServer } from 'node:http';
import { createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { mediaTypes, parseReference } from '../../src/image/index.ts';
import { HttpClient } from '../../src/registry/http/http.ts';
import { createRegistry, type Registry } from '../../src/registry/index.ts';
import { sha256 } from '../../src/util/index.ts';
import { type Reply, type ScriptedRegistry, startScriptedRegistry } from '../support/registry-script.ts';
import { testTask } from '../support/task.ts';

/** So long that no machine is too slow for it: each test shortens what it is about. */
const LONG = 20_000;
const limits = { backoffMs: 1, connectMs: LONG, headersMs: LONG, idleMs: LONG, smallBodyMs: LONG, windowMs: LONG };
const SHORT = 200;
const SILENT: Reply = () => {};
const content = Buffer.alloc(50_000, 'x');
const wanted = { digest: sha256(content), size: content.length };
const stalling: Reply = (_, response) => {
  response.writeHead(200, { 'content-length': String(content.length) });
  response.write(content.subarray(0, 1000));
};
const trickling: Reply = (_, response) => {
  response.writeHead(200, { 'content-length': String(content.length) });
  const timer = setInterval(() => response.write('x'), 20);
  response.on('close', () => clearInterval(timer));
};

let server: ScriptedRegistry;
beforeEach(async () => {
  server = await startScriptedRegistry();
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
});

/** A client that waits no longer than this. */
const clientWith = (short: Partial<typeof limits>): Registry & AsyncDisposable =>
  createRegistry({ now: () => 0, limits: { ...limits, ...short } });

async function blob(short: Partial<typeof limits>, host = server.host): Promise<number> {
  let size = 0;
  await using client = clientWith(short);
  for await (const chunk of client.blob(testTask(), parseReference(`${host}/x`), wanted)) size += chunk.length;
  return size;
}
const path = `/v2/x/blobs/${wanted.digest}`;
const sent = (): number => server.requests.filter(({ url }) => url === path).length;

test('nobody is waited for longer than 10 s for a connection, 20 s for an answer or between bytes, three times', async () => {
  await using http = new HttpClient({});
  expect(http.limits).toMatchObject({ connectMs: 10_000, headersMs: 20_000, idleMs: 20_000, attempts: 3 });
});

describe('a registry that holds a transfer is given up after three tries', () => {
  test.each<[string, Reply[], Partial<typeof limits>, RegExp]>([
    ['says nothing', [SILENT], { headersMs: SHORT }, /no answer in time/],
    ['stalls in the body', [stalling], { idleMs: SHORT }, /stalled/],
    ['stalls in the body, measured in windows', [stalling], { windowMs: SHORT }, /too slowly/],
    ['trickles', [trickling], { windowMs: SHORT }, /too slowly/],
    [
      'says nothing and stalls by turns',
      [SILENT, stalling, SILENT, stalling, SILENT, SILENT, stalling],
      { headersMs: SHORT, idleMs: SHORT },
      /./,
    ],
  ])('one that %s', async (_, replies, short, message) => {
    server.on(path, ...replies);
    const error = blob(short);
    await expect(error).rejects.toThrow(message);
    await expect(error).rejects.toThrow(expect.objectContaining({ code: 'TSB_NETWORK' }));
    expect(sent()).toBe(3);
  });

  test('one whose manifest does not end', async () => {
    server.on('/v2/x/manifests/1', (_, response) => {
      response.writeHead(200, { 'content-type': mediaTypes.ociManifest });
      const timer = setInterval(() => response.write(' '), 20);
      response.on('close', () => clearInterval(timer));
    });
    await using client = clientWith({ smallBodyMs: 300 });
    await expect(client.manifest(testTask(), parseReference(`${server.host}/x:1`))).rejects.toThrow('did not end');
    expect(server.requests).toHaveLength(3);
  });

  test('one that accepts connections and nothing else', async () => {
    await using silent = await listenSilently();
    await expect(blob({ connectMs: SHORT, headersMs: SHORT }, silent.host)).rejects.toThrow(
      /no (connection|answer) in time/,
    );
    // TLS and plain HTTP in turn, for it is this machine; on a busy one a connection may not be made in time.
    expect(silent.connections()).toBeLessThanOrEqual(6);
  });

  test('one behind a proxy that says nothing', async () => {
    await using silent = await listenSilently();
    const proxy = { http: `http://${silent.host}`, https: `http://${silent.host}` };
    const short = { ...limits, connectMs: SHORT, headersMs: SHORT };
    await using proxied = createRegistry({ now: () => 0, limits: short, proxy });
    await expect(proxied.resolve(testTask(), parseReference('registry.invalid/x:1'))).rejects.toThrow('in time');
    expect(silent.connections()).toBeGreaterThan(0);
  });
});

test('who is waited for, and how long still, is told', async () => {
  let now = 0;
  const vertex = sha256('vertex');
  await using patient = createRegistry({
    now: () => (now += 3000),
    limits: { ...limits, headersMs: 1500, attempts: 1 },
  });
  server.on(path, SILENT);
  const task = { ...testTask(), vertex };
  const reading = patient.blob(task, parseReference(`${server.host}/x`), wanted).next();
  await expect(reading).rejects.toThrow('no answer in time');
  const id = `waiting for ${server.host} to answer, in seconds`;
  expect(task.seen).toContainEqual(expect.objectContaining({ type: 'status', vertex, id, unit: 'count', total: 1.5 }));
});

test('one that refuses is not asked again', async () => {
  await expect(blob({}, '127.0.0.1:1')).rejects.toThrow('the connection was refused');
});

test('a registry may take its time to put an upload away', async () => {
  const bytes = Buffer.from('blob');
  await using slow = createHttpServer((request, response) => {
    request.resume().on('end', () => {
      if (request.method === 'POST') response.writeHead(202, { location: '/v2/x/blobs/uploads/1' }).end();
      else setTimeout(() => response.writeHead(201).end(), 5 * SHORT);
    });
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => slow.once('listening', resolve));
  const { port } = slow.address() as { port: number };
  const one = { digest: sha256(bytes), size: bytes.length, open: () => [bytes] };
  await using client = clientWith({ idleMs: SHORT });
  await client.pushBlob(testTask(), parseReference(`127.0.0.1:${port}/x`), one);
});

/** A server that takes connections and never says a word. */
async function listenSilently(): Promise<AsyncDisposable & { host: string; connections: () => number }> {
  const sockets: Socket[] = [];
  const listening: Server = createServer((socket) => {
    socket.on('error', () => {});
    sockets.push(socket);
  });
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
  const { port } = listening.address() as { port: number };
  return {
    host: `127.0.0.1:${port}`,
    connections: () => sockets.length,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => listening.close(resolve));
    },
  };
}
