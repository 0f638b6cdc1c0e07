import { afterEach, beforeEach, expect, test } from 'vitest';
import { parseReference } from '../../src/image/index.ts';
import { createRegistry, parseRegistriesConf, type Registry } from '../../src/registry/index.ts';
import { sha256 } from '../../src/util/index.ts';
import { type ScriptedRegistry, startScriptedRegistry } from '../support/registry-script.ts';
import { testTask } from '../support/task.ts';

const limits = { backoffMs: 1, connectMs: 100, headersMs: 100, idleMs: 100, smallBodyMs: 100, windowMs: 100 };
const blobs = ['one', 'two', 'three'].map((text) => ({ text, digest: sha256(text), size: text.length }));

let origin: ScriptedRegistry;
let mirror: ScriptedRegistry;
let client: Registry;
const warnings: string[] = [];

beforeEach(async () => {
  warnings.length = 0;
  origin = await startScriptedRegistry();
  mirror = await startScriptedRegistry();
  for (const { text, digest } of blobs) origin.on(`/v2/x/blobs/${digest}`, { body: text });
  const config = await parseRegistriesConf(
    `[[registry]]\nprefix = "${origin.host}"\n[[registry.mirror]]\nlocation = "${mirror.host}/m"\ninsecure = true`,
    'test',
  );
  client = createRegistry({ now: () => 0, limits, config, onWarning: (message) => warnings.push(message) });
});
afterEach(async () => {
  await client[Symbol.asyncDispose]();
  await origin[Symbol.asyncDispose]();
  await mirror[Symbol.asyncDispose]();
});

async function fetchAll(): Promise<string[]> {
  const texts: string[] = [];
  for (const blob of blobs) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of client.blob(testTask(), parseReference(`${origin.host}/x`), blob)) chunks.push(chunk);
    texts.push(Buffer.concat(chunks).toString());
  }
  return texts;
}

test('a mirror that does not answer is not asked again for every blob, and that is said once', async () => {
  for (const { digest } of blobs) mirror.on(`/v2/m/x/blobs/${digest}`, () => undefined);
  expect(await fetchAll()).toEqual(['one', 'two', 'three']);
  expect(new Set(mirror.requests.map(({ url }) => url))).toEqual(new Set([`/v2/m/x/blobs/${blobs[0]?.digest}`]));
  expect(warnings).toEqual([expect.stringMatching(/^Mirror .* failed: .*in time; it is not asked again$/)]);
});

test('a mirror that lacks a blob is asked for the next one', async () => {
  const [, second] = blobs;
  mirror.on(`/v2/m/x/blobs/${second?.digest}`, { body: 'two' });
  expect(await fetchAll()).toEqual(['one', 'two', 'three']);
  expect(mirror.requests).toHaveLength(3);
  expect(origin.requests).toHaveLength(2);
});

test('the registry itself is asked again, whatever happened before', async () => {
  for (const { digest } of blobs) mirror.on(`/v2/m/x/blobs/${digest}`, () => undefined);
  const path = `/v2/x/blobs/${blobs[0]?.digest}`;
  origin.on(path, (request) => request.socket.destroy());
  await expect(fetchAll()).rejects.toThrow('the connection was cut');
  origin.on(path, { body: 'one' });
  expect(await fetchAll()).toEqual(['one', 'two', 'three']);
});
