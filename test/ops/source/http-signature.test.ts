import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { SourceOp } from '../../../src/llb/index.ts';
import { RemoteSources } from '../../../src/ops/source/remote-sources.ts';
import { Pins } from '../../../src/pins/index.ts';
import { sha256 } from '../../../src/util/index.ts';
import { openStore } from '../../store/support.ts';
import { Gnupg } from '../../support/gnupg.ts';
import { testTask } from '../../support/task.ts';
import { WebServer } from '../../support/web-server.ts';
import { type Kit, openKit, vertexOf } from '../support.ts';

/** More than one piece of it is hashed at a time. */
const CONTENT = Buffer.alloc(3 << 20, 'content of a release\n');

describe('a file from the web that must be signed', () => {
  const gnupg = new Gnupg();
  let server: WebServer;
  let [alice, bob, signature] = ['', '', ''];
  let content = CONTENT;
  beforeAll(async () => {
    for (const name of ['alice', 'bob']) gnupg.make(name, 'ed25519');
    [alice, bob] = [gnupg.export('alice'), gnupg.export('bob')];
    signature = gnupg.sign('alice', CONTENT);
    server = await WebServer.start(
      (_request, response) => void response.setHeader('etag', `"${sha256(content)}"`).end(content),
    );
  });
  afterAll(async () => {
    gnupg[Symbol.dispose]();
    await server[Symbol.asyncDispose]();
  });

  const held: (() => unknown)[] = [];
  afterEach(async () => {
    content = CONTENT;
    server.seen.length = 0;
    for (const dispose of held.splice(0).toReversed()) await dispose();
  });
  async function open(): Promise<Kit> {
    const opened = openStore();
    const remote = new RemoteSources({
      store: opened.store,
      onUse: () => undefined,
      now: Date.now,
      home: '/nonexistent',
      pins: new Pins(),
      proxies: {},
      proxy: {},
    });
    const kit = await openKit({ origins: { remote }, now: Date.now });
    held.push(
      () => opened[Symbol.dispose](),
      () => remote[Symbol.asyncDispose](),
      () => kit[Symbol.dispose](),
    );
    return kit;
  }
  const source = (attrs: Readonly<Record<string, string>>): SourceOp => ({
    kind: 'source',
    identifier: `${server.url}/release.tar`,
    attrs: new Map(Object.entries(attrs)),
  });
  const keyOf = async (kit: Kit, attrs: Readonly<Record<string, string>>): Promise<string> =>
    (await kit.runner.cacheMap(testTask(), vertexOf(source(attrs)))).digest;
  const signed = (key = alice): Readonly<Record<string, string>> => ({
    'http.sig.pubkey': key,
    'http.sig.signature': signature,
  });

  test('has the key of every other, with a checksum or without', async () => {
    const kit = await open();
    const checksum = { 'http.checksum': sha256(CONTENT) };
    expect(await keyOf(kit, signed())).toBe(await keyOf(kit, {}));
    expect(await keyOf(kit, { ...signed(), ...checksum })).toBe(await keyOf(kit, checksum));
  });

  test('is verified once: the next build need not have it', async () => {
    const kit = await open();
    const attrs = { ...signed(), 'http.checksum': sha256(CONTENT) };
    await keyOf(kit, attrs);
    expect(server.seen).toHaveLength(1);
    await keyOf(kit, attrs);
    expect(server.seen).toHaveLength(1);
  });

  test('has none where it is signed by nobody who may, though it was there before', async () => {
    const kit = await open();
    await keyOf(kit, {});
    await keyOf(kit, signed());
    for (const attrs of [signed(bob), { ...signed(bob), 'http.checksum': sha256(CONTENT) }]) {
      const refused = expect.objectContaining({
        code: 'TSB_SIGNATURE',
        message: expect.stringMatching(/^Cannot verify the signature of "http:.*\/release\.tar": it was made with OpenPGP key \w{16}, and/) as string,
      }) as unknown; // oxfmt-ignore
      await expect(keyOf(kit, attrs)).rejects.toEqual(refused);
      await expect(kit.runner.exec(testTask(), vertexOf(source(attrs)), [])).rejects.toEqual(refused);
    }
  });

  test('has none when it is another file', async () => {
    const kit = await open();
    await keyOf(kit, signed());
    content = Buffer.concat([CONTENT, Buffer.from('and more')]);
    await expect(keyOf(await open(), signed())).rejects.toMatchObject({
      code: 'TSB_SIGNATURE',
      message: expect.stringContaining('did not sign it: the signature is one of something else') as string,
    });
  });

  test.each([
    [{ 'http.sig.pubkey': 'x' }],
    [{ 'http.sig.signature': 'x' }],
    [{ 'http.sig.signature': 'x', 'http.sig.pubkey': '' }],
    [{ 'http.sig.signature': '', 'http.sig.pubkey': '' }],
  ])('is refused for %j before anybody is asked', async (attrs) => {
    await expect(keyOf(await open(), attrs)).rejects.toMatchObject({
      code: 'TSB_LLB',
      message: 'http signature verification requires both pubkey and signature',
    });
    expect(server.seen).toEqual([]);
  });
});
