import { afterEach, describe, expect, test } from 'vitest';
import type { DiffOp, MergeOp, SourceOp } from '../../src/llb/index.ts';
import type { OpPieces, OpResult } from '../../src/ops/index.ts';
import { RemoteSources } from '../../src/ops/source/remote-sources.ts';
import { Pins } from '../../src/pins/index.ts';
import { isTsbuildError, sha256 } from '../../src/util/index.ts';
import { openStore } from '../store/support.ts';
import { testTask } from '../support/task.ts';
import { WebServer } from '../support/web-server.ts';
import { type Kit, type KitOptions, openKit, vertexOf } from './support.ts';

const held: (() => unknown)[] = [];
afterEach(async () => {
  for (const dispose of held.splice(0).toReversed()) await dispose();
});

async function kitWith(origins: Partial<OpPieces['origins']>, options: KitOptions = {}): Promise<Kit> {
  const kit = await openKit({ ...options, origins });
  held.push(() => kit[Symbol.dispose]());
  return kit;
}

const source = (identifier: string, attrs: Readonly<Record<string, string>> = {}): SourceOp => ({
  kind: 'source',
  identifier,
  attrs: new Map(Object.entries(attrs)),
});
const keyOf = async (kit: Kit, op: SourceOp, platform?: string): Promise<string> =>
  (await kit.runner.cacheMap(testTask(), vertexOf(op, 0, platform === undefined ? {} : onPlatform(platform)))).digest;
const onPlatform = (text: string) => {
  const [os = '', architecture = '', variant = ''] = text.split('/');
  return { platform: { os, architecture, variant, osVersion: '', osFeatures: [] } };
};

describe('an image', () => {
  const CHAIN = 'c'.repeat(64);
  const imageOf = (manifest: string, chainId = CHAIN) =>
    kitWith({ image: async () => ({ manifestDigest: sha256(manifest), chainId, layers: ['one', 'two'] }) });

  test('is its manifest, for its platform, whatever it is called', async () => {
    const kit = await imageOf('first');
    const key = await keyOf(kit, source('docker-image://docker.io/library/a:1'), 'linux/amd64');
    expect(await keyOf(kit, source('docker-image://registry.test/b:2'), 'linux/amd64')).toBe(key);
    expect(await keyOf(kit, source('oci-layout://c@sha256:1'), 'linux/amd64')).toBe(key);
    expect(await keyOf(kit, source('docker-image://docker.io/library/a:1'), 'linux/arm64')).not.toBe(key);
    expect(await keyOf(kit, source('docker-image://docker.io/library/a:1'), 'linux/amd64/v2')).not.toBe(key);
    const other = await imageOf('second');
    expect(await keyOf(other, source('docker-image://docker.io/library/a:1'), 'linux/amd64')).not.toBe(key);
  });

  test('may be another one with the same files', async () => {
    const alternatives = async (kit: Kit) => {
      const { alternatives: others } = await kit.runner.cacheMap(testTask(), vertexOf(source('docker-image://a')));
      const keys: string[] = [];
      for await (const key of others?.() ?? []) keys.push(key);
      return keys;
    };
    const [first, second, third] = [await imageOf('1'), await imageOf('2'), await imageOf('1', 'd'.repeat(64))];
    expect(await alternatives(first)).toHaveLength(1);
    expect(await alternatives(second)).toEqual(await alternatives(first));
    expect(await alternatives(third)).not.toEqual(await alternatives(first));
  });

  test('gives its layers, of which none is fetched', async () => {
    const kit = await imageOf('first');
    const results = await kit.runner.exec(testTask(), vertexOf(source('docker-image://a')), []);
    expect(results).toEqual([{ kind: 'layers', layers: ['one', 'two'] }]);
    expect(kit.worker.calls).toEqual([]);
  });
});

describe('a directory of the machine', () => {
  test('has no key that holds for another build, and is told apart by what of it is wanted', async () => {
    const kit = await kitWith({});
    const map = await kit.runner.cacheMap(testTask(), vertexOf(source('local://context')));
    expect(map.volatile).toBe(true);
    const key = await keyOf(kit, source('local://context', { 'local.includepattern': '["a"]' }));
    expect(key).not.toBe(map.digest);
    expect(await keyOf(kit, source('local://context', { 'local.includepattern': '["a"]', 'local.session': 'x' }))).toBe(
      key,
    );
  });
});

describe('a file from the web', () => {
  /** A server, and what is asked of it. */
  async function web(content = 'content', headers: Readonly<Record<string, string>> = {}) {
    const server = await WebServer.start((_request, response) => {
      for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
      response.end(content);
    });
    const opened = openStore();
    const remote = new RemoteSources({
      store: opened.store,
      onUse: () => undefined,
      now: () => 1_700_000_000_000,
      home: '/nonexistent',
      pins: new Pins(),
      proxies: {},
      proxy: {},
    });
    held.push(
      () => opened[Symbol.dispose](),
      () => server[Symbol.asyncDispose](),
      () => remote[Symbol.asyncDispose](),
    );
    return { server, remote };
  }

  test('is its content and its name, wherever it comes from', async () => {
    const [one, two, other] = [await web(), await web(), await web('other')];
    const kit = await kitWith({ remote: one.remote });
    const key = await keyOf(kit, source(`${one.server.url}/dir/file`));
    expect(await keyOf(kit, source(`${two.server.url}/file?again`))).toBe(key);
    expect(await keyOf(kit, source(`${other.server.url}/file`))).not.toBe(key);
    expect(await keyOf(kit, source(`${one.server.url}/name`))).not.toBe(key);
  });

  test.each([
    ['another name', { 'http.filename': 'x' }],
    ['a mode', { 'http.perm': '0755' }],
    ['an owner', { 'http.uid': '5' }],
    ['a group', { 'http.gid': '5' }],
    ['a header that decides about it', { 'http.header.Accept': 'text/plain' }],
  ] as const)('is another one with %s', async (_what, attrs) => {
    const { server, remote } = await web();
    const kit = await kitWith({ remote });
    const url = `${server.url}/file`;
    expect(await keyOf(kit, source(url, attrs))).not.toBe(await keyOf(kit, source(url)));
  });

  test('with a checksum is known without asking anybody', async () => {
    const { server, remote } = await web();
    const kit = await kitWith({ remote });
    const attrs = { 'http.checksum': sha256('content') };
    expect(await keyOf(kit, source(`${server.url}/file`, attrs))).toBe(
      await keyOf(kit, source('https://a.invalid/file', attrs)),
    );
    expect(server.seen).toEqual([]);
  });

  test('that is newer is another one, as its time is that of the layer', async () => {
    const [plain, old, recent] = [
      await web(),
      await web('content', { 'last-modified': 'Sun, 13 Sep 2020 12:26:40 GMT' }),
      await web('content', { 'last-modified': 'Mon, 14 Sep 2020 12:26:40 GMT' }),
    ];
    const kit = await kitWith({ remote: plain.remote });
    const keys = [plain, old, recent].map(({ server }) => keyOf(kit, source(`${server.url}/file`)));
    expect(new Set(await Promise.all(keys)).size).toBe(3);
  });

  test.each<[string, Readonly<Record<string, string>>, string | undefined]>([
    ['of the host, as a token', { 'HTTP_AUTH_TOKEN_127.0.0.1': 't0ken\n' }, 'Bearer t0ken'],
    ['of the host, as a header', { 'HTTP_AUTH_HEADER_127.0.0.1': 'Basic abc' }, 'Basic abc'],
    [
      'of the host, the token first',
      { 'HTTP_AUTH_TOKEN_127.0.0.1': 'a', 'HTTP_AUTH_HEADER_127.0.0.1': 'b' },
      'Bearer a',
    ],
    ['of another host', { 'HTTP_AUTH_TOKEN_example.com': 'secret' }, undefined],
    ['none', {}, undefined],
  ])('is asked for with the secret %s', async (_what, secrets, authorization) => {
    const { server, remote } = await web();
    const values = Object.entries(secrets).map(([name, value]) => [name, { kind: 'value', value }] as const);
    const kit = await kitWith({ remote }, { secrets: Object.fromEntries(values) });
    await keyOf(kit, source(`${server.url}/file`));
    expect(server.seen.map(({ headers }) => headers.authorization)).toEqual([authorization]);
  });

  test('that names a secret is not had without it', async () => {
    const { server, remote } = await web();
    const kit = await kitWith({ remote });
    await expect(keyOf(kit, source(`${server.url}/file`, { 'http.authheadersecret': 'mine' }))).rejects.toMatchObject({
      message: 'failed to retrieve HTTP auth secret mine: not found',
      hint: 'build with --secret id=mine,env=NAME',
    });
    expect(server.seen).toEqual([]);
    const attrs = { 'http.authheadersecret': 'mine' };
    const allowed = await kitWith({ remote }, { secrets: { mine: { kind: 'value', value: 'Basic abc' } } });
    expect(await keyOf(allowed, source(`${server.url}/file`, attrs))).not.toBe(
      await keyOf(allowed, source(`${server.url}/file`)),
    );
    expect(server.seen.map(({ headers }) => headers.authorization)).toEqual(['Basic abc', undefined]);
  });

  test.each([
    ['http.checksum', 'md5:1'],
    ['http.checksum', 'sha256:XYZ'],
    ['http.perm', 'rwx'],
    ['http.perm', '01000'],
    ['http.uid', '-1'],
    ['http.uid', '4294967295'],
    ['http.gid', '1.5'],
    ['http.gid', ''],
    ['http.perm', '08'],
  ])('with %s=%j is refused before anybody is asked', async (name, value) => {
    const { server, remote } = await web();
    const kit = await kitWith({ remote });
    await expect(keyOf(kit, source(`${server.url}/file`, { [name]: value }))).rejects.toMatchObject({
      code: 'TSB_LLB',
    });
    expect(server.seen).toEqual([]);
  });

  test('may be sent no header but those that a graph may set', async () => {
    const { server, remote } = await web();
    const kit = await kitWith({ remote });
    const attrs = {
      'http.header.User-Agent': 'me',
      'http.header.Authorization': 'Bearer stolen',
      'http.header.Host': 'x',
    };
    await keyOf(kit, source(`${server.url}/file`, attrs));
    expect(server.seen[0]?.headers).toMatchObject({ 'user-agent': 'me' });
    expect(server.seen[0]?.headers.authorization).toBeUndefined();
  });
});

describe('a blob', () => {
  const digest = sha256('blob');
  const name = `docker-image+blob://registry.test/a@${digest}`;

  test('is its digest and how the file looks, wherever it comes from, and nobody is asked', async () => {
    const kit = await kitWith({});
    const key = await keyOf(kit, source(name));
    expect(await keyOf(kit, source(`oci-layout+blob://b@${digest}`, { 'oci.store': 's' }))).toBe(key);
    expect(await keyOf(kit, source(name, { 'http.filename': digest.slice(7) }))).toBe(key);
    for (const [attribute, value] of [
      ['http.filename', 'x'],
      ['http.perm', '0644'],
      ['http.uid', '1'],
      ['http.gid', '1'],
    ] as const)
      expect(await keyOf(kit, source(name, { [attribute]: value }))).not.toBe(key);
    expect(await keyOf(kit, source(name.replace(digest, sha256('other'))))).not.toBe(key);
  });

  test.each([
    ['docker-image+blob://registry.test/a', {}, /checksum required/],
    ['docker-image+blob://registry.test/a:1', {}, /checksum required/],
    ['docker-image+blob://registry.test/a@sha256:1', {}, /checksum required/],
    ['oci-layout+blob://a@sha512:00', {}, /checksum required/],
    [name, { 'http.perm': '01777' }, /http.perm/],
    [name, { 'http.uid': '-1' }, /http.uid/],
  ])('called %j with %j is refused', async (identifier, attrs, why) => {
    const kit = await kitWith({});
    await expect(keyOf(kit, source(identifier, attrs))).rejects.toMatchObject({
      code: 'TSB_LLB',
      message: expect.stringMatching(why) as string,
    });
  });
});

test.each(['', 'ftp://a/b', 'no scheme', 'file:///etc/passwd'])('a source %j is refused', async (identifier) => {
  const kit = await kitWith({});
  await expect(keyOf(kit, source(identifier))).rejects.toMatchObject({
    code: 'TSB_LLB',
    message: `Cannot use source ${JSON.stringify(identifier)}: sources of this kind are not supported`,
  });
});

describe('snapshots', () => {
  const layers = (...ids: readonly string[]): OpResult => ({ kind: 'layers', layers: ids });
  const local = { kind: 'local', tree: {} } as unknown as OpResult;
  const merge = (...inputs: readonly number[]): MergeOp => ({
    kind: 'merge',
    inputs: inputs.map((input) => ({ input })),
  });
  const diff = (lower: number, upper: number): DiffOp => ({
    kind: 'diff',
    lower: { input: lower },
    upper: { input: upper },
  });
  async function made(op: MergeOp | DiffOp, inputs: readonly OpResult[]): Promise<readonly string[] | string> {
    const kit = await kitWith({});
    try {
      const [result] = await kit.runner.exec(testTask(), vertexOf(op, inputs.length), inputs);
      expect(kit.worker.calls).toEqual([]);
      return result?.kind === 'layers' ? result.layers : 'local';
    } catch (error) {
      if (isTsbuildError(error, 'TSB_LLB')) return error.message;
      throw error;
    }
  }

  test('are merged in their order, without a look at a file', async () => {
    expect(await made(merge(0, 1), [layers('a', 'b'), layers('c')])).toEqual(['a', 'b', 'c']);
    expect(await made(merge(1, 0), [layers('a', 'b'), layers('c')])).toEqual(['c', 'a', 'b']);
    expect(await made(merge(0, -1, 0), [layers('a')])).toEqual(['a', 'a']);
    expect(await made(merge(), [])).toEqual([]);
  });

  test('differ by what one has on top of the other', async () => {
    expect(await made(diff(0, 1), [layers('a'), layers('a', 'b', 'c')])).toEqual(['b', 'c']);
    expect(await made(diff(-1, 0), [layers('a', 'b')])).toEqual(['a', 'b']);
    expect(await made(diff(0, 1), [layers('a'), layers('a')])).toEqual([]);
  });

  test('of which none was built on the other differ by one new layer on the lower one, which the worker makes', async () => {
    const kit = await kitWith({});
    const made = async (parents: readonly string[]): Promise<string> =>
      kit.layers.create(testTask(), { parents, description: 'made' }, async () => undefined);
    const base = await made([]);
    const [one, two] = [await made([base]), await made([base])];
    const pathOf = (id: string): string => kit.store.layers.paths(id).fs;
    kit.worker.on.diffTrees = () => undefined;
    const cases = [
      [diff(0, 1), [layers(base, one), layers(base, two)], [base, one], [base, two]],
      [diff(0, 1), [layers(base, one), layers(base)], [base, one], [base]],
      [diff(0, -1), [layers(base)], [base], []],
    ] as const;
    for (const [op, inputs, lower, upper] of cases) {
      const [result] = await kit.runner.exec(testTask(), vertexOf(op, inputs.length), inputs);
      const [id = '', ...others] = result?.kind === 'layers' ? result.layers : [];
      expect(others).toEqual([]);
      expect(kit.store.layers.get(id)?.parents).toEqual(lower);
      const call = kit.worker.calls.findLast(({ method }) => method === 'diffTrees');
      expect(call?.params).toMatchObject({ lower: lower.map(pathOf), upper: upper.map(pathOf) });
    }
  });

  test('that are directories of the machine are refused', async () => {
    expect(await made(merge(0), [local])).toMatch(/copy it first/);
    expect(await made(diff(0, 1), [layers(), local])).toMatch(/copy it first/);
  });

  test('have keys of what is done with which input', async () => {
    const kit = await kitWith({});
    const key = async (op: MergeOp | DiffOp, inputs = 2) =>
      (await kit.runner.cacheMap(testTask(), vertexOf(op, inputs))).digest;
    const keys = [merge(0, 1), merge(1, 0), merge(0), diff(0, 1), diff(1, 0), diff(-1, 0)].map((op) => key(op));
    expect(new Set(await Promise.all(keys)).size).toBe(6);
    expect((await kit.runner.cacheMap(testTask(), vertexOf(merge(0, 1), 2))).deps).toEqual([{}, {}]);
  });
});
