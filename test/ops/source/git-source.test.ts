import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { SourceOp } from '../../../src/llb/index.ts';
import { RemoteSources } from '../../../src/ops/source/remote-sources.ts';
import { offlineRefusals, Pins } from '../../../src/pins/index.ts';
import type { SecretSource } from '../../../src/secrets/index.ts';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { sha256 } from '../../../src/util/index.ts';
import { openStore } from '../../store/support.ts';
import { hasGit, Repositories } from '../../support/git-server.ts';
import { signing, sshKey } from '../../support/signed-repository.ts';
import { testTask } from '../../support/task.ts';
import type { WebServer } from '../../support/web-server.ts';
import { type Kit, openKit, vertexOf } from '../support.ts';

const repositories = new Repositories();
let server: WebServer;
/** Whom the server lets in; undefined for everybody. */
let wanted: string | undefined;
const seen: (string | undefined)[] = [];
let first = '';
let second = '';
beforeAll(async () => {
  first = repositories.create('app', { 'sub/file': 'one', README: 'readme' });
  repositories.git('app', 'tag', 'v1');
  repositories.git('app', 'tag', '-a', '-m', 'annotated', 'v1-annotated');
  second = repositories.commit('app', { 'sub/file': 'two' });
  repositories.create('copy', {});
  repositories.git('copy', 'fetch', '-q', join(repositories.root, 'app'), 'main');
  repositories.git('copy', 'reset', '-q', '--hard', 'FETCH_HEAD');
  server = await repositories.serve((request, response) => {
    seen.push(request.headers.authorization);
    if (wanted === undefined || request.headers.authorization === wanted) return false;
    response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end();
    return true;
  });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  repositories[Symbol.dispose]();
});

const held: (() => unknown)[] = [];
afterEach(async () => {
  wanted = undefined;
  seen.length = 0;
  for (const dispose of held.splice(0).toReversed()) await dispose();
});

/** The runners, with git of their own, so that nothing is remembered from one to the next. */
async function kitWith(secrets: Readonly<Record<string, SecretSource>> = {}, offline = false): Promise<Kit> {
  const opened = openStore();
  const remote = new RemoteSources({
    store: opened.store,
    onUse: () => undefined,
    now: () => 1_700_000_000_000,
    home: repositories.root,
    pins: new Pins(),
    proxies: {},
    proxy: {},
    ...(offline ? { offline: offlineRefusals() } : {}),
  });
  const kit = await openKit({ secrets, origins: { remote } });
  held.push(
    () => opened[Symbol.dispose](),
    () => remote[Symbol.asyncDispose](),
    () => kit[Symbol.dispose](),
    () => expect(temporary(opened.root)).toEqual([]),
  );
  return kit;
}
/** Checkouts that lie about in the store. */
const temporary = (root: string): readonly string[] =>
  readdirSync(join(root, 'ingest')).flatMap((id) =>
    readdirSync(join(root, 'ingest', id)).filter((name) => existsSync(join(root, 'ingest', id, name, 'sub'))),
  );

const url = (name = 'app'): string => `${server.url}/${name}`;
const git = (fragment: string, attrs: Readonly<Record<string, string>> = {}, name = 'app'): SourceOp => ({
  kind: 'source',
  identifier: `git://${url(name).replace(/^http:\/\//, '')}#${fragment}`,
  attrs: new Map(Object.entries({ 'git.fullurl': url(name), ...attrs })),
});
const keyOf = async (op: SourceOp, kit?: Kit): Promise<string> =>
  (await (kit ?? (await kitWith())).runner.cacheMap(testTask(), vertexOf(op))).digest;
const value = (text: string): SecretSource => ({ kind: 'value', value: text });

describe.runIf(hasGit)('what identifies a checkout', () => {
  test('is the commit, however it is called and wherever it is', async () => {
    const kit = await kitWith();
    const key = await keyOf(git('v1'), kit);
    for (const op of [git(first), git('refs/tags/v1'), git('v1-annotated')]) expect(await keyOf(op, kit)).toBe(key);
    expect(await keyOf(git('main'), kit)).not.toBe(key);
    expect(await keyOf(git('main'), kit)).toBe(await keyOf(git(second), kit));
    expect(await keyOf(git('main', {}, 'copy'), kit)).toBe(await keyOf(git('main'), kit));
    // Without a reference it is what the repository has for one.
    expect(await keyOf(git(''), kit)).toBe(await keyOf(git('main'), kit));
  });

  test.each([
    ['another directory of it', git.bind(undefined, 'v1:sub')],
    ['without its submodules', git.bind(undefined, 'v1', { 'git.skipsubmodules': 'true' })],
    ['with times of the commit', git.bind(undefined, 'v1', { 'git.mtime': 'commit' })],
    ['with its .git', git.bind(undefined, 'v1', { 'git.keepgitdir': 'true' })],
  ] as const)('is another one for %s', async (_what, op) => {
    const kit = await kitWith();
    expect(await keyOf(op(), kit)).not.toBe(await keyOf(git('v1'), kit));
  });

  test('counts where it comes from when that is in its files', async () => {
    const kit = await kitWith();
    const keeps = { 'git.keepgitdir': 'true' };
    expect(await keyOf(git('main', keeps, 'copy'), kit)).not.toBe(await keyOf(git('main', keeps), kit));
    expect(await keyOf(git(second, keeps), kit)).not.toBe(await keyOf(git('main', keeps), kit));
  });

  test('is refused when it is not the one that was expected', async () => {
    const kit = await kitWith();
    expect(await keyOf(git('v1', { 'git.checksum': first }), kit)).toBe(await keyOf(git('v1'), kit));
    await expect(keyOf(git('v1', { 'git.checksum': second }))).rejects.toThrow(/checksum|expected/);
  });

  test('is not there for a reference that nobody has', async () => {
    await expect(keyOf(git('none'))).rejects.toThrow(/none/);
    await expect(keyOf(git('main', {}, 'missing'))).rejects.toMatchObject({
      message: expect.stringContaining('/missing') as string,
    });
  });

  test('is asked of nobody without a network', async () => {
    await expect(keyOf(git('main'), await kitWith({}, true))).rejects.toThrow(/offline/);
    expect(seen).toEqual([]);
  });

  test('is that of a commit, whether a bundle has it or the repository, and is known without the bundle', async () => {
    const bundle = { 'git.bundle': `docker-image+blob://registry.test/a@${sha256('x')}`, 'git.checksum': second };
    expect(await keyOf(git('', bundle))).toBe(await keyOf(git(second)));
  });

  test('is another one for a bundle of it, which holds how it was called', async () => {
    const kit = await kitWith();
    const asBundle = { 'git.checkoutbundle': 'true' };
    const keys = ['main', 'refs/tags/v1-annotated', 'v1', 'v1-annotated', first].map((ref) =>
      keyOf(git(ref, asBundle), kit),
    );
    expect(new Set([await keyOf(git('v1'), kit), ...(await Promise.all(keys))]).size).toBe(6);
    expect(await keyOf(git('refs/heads/main', asBundle), kit)).toBe(await keyOf(git('main', asBundle), kit));
  });

  const locator = `oci-layout+blob://a@${sha256('x')}`;
  test.each<[Readonly<Record<string, string>>, string]>([
    [
      { 'git.bundle': 'https://a.test/b@sha256:1' },
      'it begins with none of docker-image+blob:// and oci-layout+blob://',
    ],
    [{ 'git.bundle': 'x' }, 'it begins with none of'],
    [{ 'git.bundle': 'docker-image+blob://a.test/b', 'git.checksum': 'a' }, 'it does not name a blob by its digest'],
    [{ 'git.bundle': `docker-image+blob://@${sha256('x')}` }, 'it does not name a blob'],
    [{ 'git.bundle': 'oci-layout+blob://a@sha512:12' }, 'it does not name a blob'],
    [{ 'git.bundle': locator }, 'git.bundle requires git.checksum to be set'],
    [{ 'git.bundle': locator, 'git.checksum': 'x' }, 'invalid checksum x for Git URL'],
    [
      { 'git.checkoutbundle': 'true', 'git.keepgitdir': 'true' },
      'git.checkoutbundle is incompatible with git.keepgitdir',
    ],
  ])('is none for %j', async (attrs, message) => {
    await expect(keyOf(git('main', attrs))).rejects.toMatchObject({
      message: expect.stringContaining(message) as string,
    });
    expect(seen).toEqual([]);
  });

  test('is none for a bundle of a directory, or of a commit that it is held against another one', async () => {
    const wrong = { 'git.bundle': locator, 'git.checksum': second };
    await expect(keyOf(git(first, wrong))).rejects.toMatchObject({ code: 'TSB_DIGEST' });
    await expect(keyOf(git('main:sub', { 'git.checkoutbundle': 'true' }))).rejects.toThrow(
      'git.checkoutbundle is incompatible with git.subdir',
    );
  });

  test('is asked for by nothing but the protocols of git', async () => {
    for (const address of ['file:///etc', 'ext::sh -c id', '--upload-pack=x://y/z', 'http://h/a b'])
      await expect(keyOf(git('main', { 'git.fullurl': address })), address).rejects.toThrow(
        /Cannot use git repository/,
      );
    expect(seen).toEqual([]);
  });
});

describe.runIf(hasGit)('secrets for a repository', () => {
  const basic = (text: string): string => `basic ${Buffer.from(text).toString('base64')}`;
  const names = { 'git.authtokensecret': 'GIT_AUTH_TOKEN', 'git.authheadersecret': 'GIT_AUTH_HEADER' };
  const host = (): string => url().replace(/^http:\/\/([^/]+)\/.*/, '$1');

  test('a token is a password, a header is what it says', async () => {
    wanted = basic('x-access-token:t0ken');
    await keyOf(git('main', names), await kitWith({ GIT_AUTH_TOKEN: value('t0ken\n') }));
    wanted = 'Bearer xyz';
    await keyOf(git('main', names), await kitWith({ GIT_AUTH_HEADER: value('Bearer xyz') }));
    expect(seen).toContain('Bearer xyz');
  });

  test('one for the host comes before one for all, a header before a token', async () => {
    const all = {
      [`GIT_AUTH_HEADER.${host()}`]: value('Bearer host-header'),
      [`GIT_AUTH_TOKEN.${host()}`]: value('host-token'),
      GIT_AUTH_HEADER: value('Bearer header'),
      GIT_AUTH_TOKEN: value('token'),
    };
    const expected = ['Bearer host-header', basic('x-access-token:host-token'), 'Bearer header', basic('x-access-token:token')]; // oxfmt-ignore
    const left = Object.entries(all);
    for (const authorization of expected) {
      wanted = authorization;
      await keyOf(git('main', names), await kitWith(Object.fromEntries(left)));
      left.shift();
    }
  });

  test('one for another host, or that the graph did not name, is not sent', async () => {
    await keyOf(git('main', names), await kitWith({ 'GIT_AUTH_TOKEN.example.com': value('elsewhere') }));
    await keyOf(git('main'), await kitWith({ GIT_AUTH_TOKEN: value('token') }));
    expect(seen.filter(Boolean)).toEqual([]);
  });

  test('a repository that lets nobody in fails, and shows no secret', async () => {
    wanted = 'Bearer right';
    const failure = await keyOf(git('main', names), await kitWith({ GIT_AUTH_HEADER: value('Bearer s3cret') })).then(
      () => '',
      (error: unknown) => (error instanceof Error ? `${error.message} ${error.stack ?? ''}` : ''),
    );
    expect(failure).toContain(url());
    expect(failure).not.toContain('s3cret');
  });

  test('do not become part of the key', async () => {
    const key = await keyOf(git('main'));
    expect(await keyOf(git('main', names), await kitWith({ GIT_AUTH_TOKEN: value('one') }))).toBe(key);
    const withPassword = { 'git.fullurl': url().replace('http://', 'http://user:password@') };
    expect(await keyOf(git('main', withPassword))).toBe(key);
  });
});

describe.runIf(hasGit)('a commit that must be signed', () => {
  let [alice, bob, signed] = ['', '', ''];
  beforeAll(() => {
    [alice, bob] = [sshKey(repositories, 'alice'), sshKey(repositories, 'bob')];
    repositories.create('signed', { file: 'unsigned' });
    repositories.git('signed', 'tag', 'unsigned');
    signing(repositories, 'alice', 'signed', 'commit', '-q', '-S', '--allow-empty', '-m', 'signed');
    signed = repositories.git('signed', 'rev-parse', 'HEAD');
    signing(repositories, 'bob', 'signed', 'tag', '-s', '-m', 'by bob', 'v1');
  });
  const op = (ref: string, attrs: Readonly<Record<string, string>> = {}): SourceOp => git(ref, attrs, 'signed');
  const key = (publicKey: string): Readonly<Record<string, string>> => ({ 'git.sig.pubkey': publicKey });

  test('has the key of every other: only whether it may be used is another question', async () => {
    const kit = await kitWith();
    const plain = await keyOf(op('main'), kit);
    expect(await keyOf(op('main', key(alice)), kit)).toBe(plain);
    expect(await keyOf(op('v1', key(bob)), kit)).toBe(plain);
    expect(await keyOf(op(signed, key(alice)), kit)).toBe(plain);
  });

  test('has none when it is not, though its files are there already', async () => {
    const kit = await kitWith();
    await keyOf(op('main'), kit);
    for (const refused of [op('main', key(bob)), op('unsigned', key(alice)), op(signed, key(bob))])
      await expect(keyOf(refused, kit)).rejects.toMatchObject({ code: 'TSB_SIGNATURE' });
    // None is checked out, either: not by whoever passed over the key.
    await expect(kit.runner.exec(testTask(), vertexOf(op('main', key(bob))), [])).rejects.toMatchObject({
      code: 'TSB_SIGNATURE',
    });
  });

  test.each([
    ['git.sig.requiresignedtag', 'true'],
    ['git.sig.rejectexpired', 'false'],
    ['git.sig.pubkey', ''],
  ])('is refused for %s=%j without a key, before anybody is asked', async (name, given) => {
    await expect(keyOf(op('main', { [name]: given }))).rejects.toMatchObject({
      code: 'TSB_LLB',
      message: `Cannot verify the signature of a git source: it has ${name} and no key`,
    });
    expect(seen).toEqual([]);
  });

  test('counts by its tag or not, as is demanded', async () => {
    const kit = await kitWith();
    const demand = (name: string, publicKey: string) => op('v1', { ...key(publicKey), [`git.sig.${name}`]: 'true' });
    await keyOf(demand('requiresignedtag', bob), kit);
    await keyOf(demand('ignoresignedtag', alice), kit);
    for (const refused of [demand('requiresignedtag', alice), demand('ignoresignedtag', bob)])
      await expect(keyOf(refused, kit)).rejects.toMatchObject({ code: 'TSB_SIGNATURE' });
  });
});
