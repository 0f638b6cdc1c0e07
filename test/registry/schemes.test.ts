import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseReference } from '../../src/image/index.ts';
import { createRegistry } from '../../src/registry/index.ts';
import { sha256 } from '../../src/util/index.ts';
import { makeCertificates } from '../support/certificate.ts';
import { type ScriptedRegistry, startScriptedRegistry } from '../support/registry-script.ts';
import { testTask } from '../support/task.ts';

const text = 'bytes of a blob';
const blob = { digest: sha256(text), size: text.length };
const path = `/v2/x/blobs/${blob.digest}`;
/** How each connection to the front began. */
const begun: string[] = [];
let dir = '';
let server: ScriptedRegistry;

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'tsbuild-schemes-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Passes connections on. One that does not begin in TLS is told so, if that is what is wanted, as Go and nginx do. */
async function front(to: number, refuse: boolean): Promise<Server> {
  begun.length = 0;
  const listening = createServer((near) => {
    near.on('error', () => undefined);
    near.once('data', (first: Buffer) => {
      const isTls = first[0] === 0x16;
      begun.push(isTls ? 'TLS' : 'HTTP');
      if (refuse && !isTls) {
        near.end('HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n');
        return;
      }
      const far = connect(to, '127.0.0.1');
      far.on('error', () => near.destroy());
      far.write(first);
      near.pipe(far).pipe(near);
    });
  });
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
  return listening;
}

async function fetchThrough(listening: Server): Promise<string> {
  const host = `127.0.0.1:${(listening.address() as AddressInfo).port}`;
  await using client = createRegistry({ now: () => 0, limits: { attempts: 1 } });
  const chunks: Uint8Array[] = [];
  try {
    for (let round = 0; round < 2; round++)
      for await (const chunk of client.blob(testTask(), parseReference(`${host}/x`), blob)) chunks.push(chunk);
    return Buffer.concat(chunks).toString();
  } finally {
    listening.close();
    await server[Symbol.asyncDispose]();
  }
}

test('a registry of this machine without TLS is not spoken to in TLS', async () => {
  server = await startScriptedRegistry();
  server.on(path, { body: text });
  expect(await fetchThrough(await front(server.port, false))).toBe(text + text);
  expect(new Set(begun)).toEqual(new Set(['HTTP']));
});

test.each([
  ['says so', true],
  ['closes the connection', false],
])('one with TLS that %s is, and is asked once', async (_how, refuse) => {
  const made = makeCertificates(dir);
  server = await startScriptedRegistry({ key: readFileSync(made.key, 'utf8'), cert: readFileSync(made.cert, 'utf8') });
  server.on(path, { body: text });
  expect(await fetchThrough(await front(server.port, refuse))).toBe(text + text);
  expect(begun.filter((how) => how === 'HTTP')).toHaveLength(1);
  expect(server.requests.map(({ url }) => url)).toEqual([path, path]);
});

test('what a registry without TLS says to the first request is its answer, a 400 too', async () => {
  server = await startScriptedRegistry();
  server.on(path, { status: 400, body: '{"errors":[{"code":"NAME_INVALID","message":"no such names here"}]}' });
  await expect(fetchThrough(await front(server.port, false))).rejects.toThrow(/no such names here/);
});
