import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { checkLogin, createRegistry, type Credential, parseLoginTarget } from '../../src/registry/index.ts';
import { mediaTypes, parseReference } from '../../src/image/index.ts';
import { canary } from '../support/credential-helper.ts';
import { testImage } from '../support/image.ts';
import { type ScriptedRegistry, startScriptedRegistry } from '../support/registry-script.ts';
import { testTask } from '../support/task.ts';

describe('what a login is for', () => {
  test.each([
    ['ghcr.io', 'ghcr.io'],
    ['https://ghcr.io/', 'ghcr.io'],
    ['https://index.docker.io/v1/', 'docker.io'],
    ['docker.io', 'docker.io'],
    ['localhost:5000', 'localhost:5000'],
    ['[::1]:5000', '[::1]:5000'],
    ['registry', 'registry'],
    ['Quay.io/team/app', 'quay.io/team/app'],
  ])('%s', (text, key) => {
    expect(parseLoginTarget(text).key).toBe(key);
  });

  test.each(['', 'a b', 'me:pw@ghcr.io', 'ghcr.io/Team', 'quay.io/app:1', 'quay.io/../x', '-x', 'http://'])(
    '%j is refused',
    (text) => {
      expect(() => parseLoginTarget(text)).toThrow(/Cannot use .* as a registry/);
    },
  );
});

describe('trying credentials', () => {
  let server: ScriptedRegistry;
  beforeEach(async () => {
    server = await startScriptedRegistry();
  });
  afterEach(() => server[Symbol.asyncDispose]());

  const secret = canary();
  const mine: Credential = { username: 'me', password: secret };
  const basic = `Basic ${Buffer.from(`me:${secret}`).toString('base64')}`;
  const limits = { attempts: 1, backoffMs: 1 };
  const check = (credential: Credential = mine): Promise<boolean> =>
    checkLogin(testTask(), parseLoginTarget(server.host), credential, { now: () => 0, limits });
  const bearer = (): string => `Bearer realm="http://${server.host}/token",service="here"`;
  const denied = (challenge: string) => ({ status: 401, headers: { 'www-authenticate': challenge } });

  test('a registry that takes passwords', async () => {
    server.on('/v2/', denied('Basic realm="x"'), {});
    expect(await check()).toBe(true);
    expect(server.requests.map(({ headers }) => headers.authorization)).toEqual([undefined, basic]);
  });

  test('a registry with a token server, which is asked for no repository', async () => {
    server.on('/v2/', denied(bearer()), {});
    server.on('/token', { body: '{"token":"granted"}' });
    expect(await check()).toBe(true);
    const [, token, again] = server.requests;
    expect(token).toMatchObject({ method: 'GET', url: '/token?service=here', headers: { authorization: basic } });
    expect(again?.headers.authorization).toBe('Bearer granted');
  });

  test('an identity token is exchanged by OAuth, not shown as a password', async () => {
    server.on('/v2/', denied(bearer()), {});
    server.on('/token', { body: '{"access_token":"granted"}' });
    expect(await check({ identityToken: 'refresh' })).toBe(true);
    const [, token] = server.requests;
    expect(token?.method).toBe('POST');
    expect(token?.headers.authorization).toBeUndefined();
    expect(Object.fromEntries(new URLSearchParams(token?.body))).toEqual({
      grant_type: 'refresh_token',
      refresh_token: 'refresh',
      client_id: 'tsbuild',
      service: 'here',
    });
  });

  test('a registry token goes to the registry itself, and to no token server', async () => {
    server.on('/v2/', denied(bearer()), {});
    expect(await check({ registryToken: 'made elsewhere'.replace(' ', '-') })).toBe(true);
    expect(server.requests.map(({ url, headers }) => [url, headers.authorization])).toEqual([
      ['/v2/', undefined],
      ['/v2/', 'Bearer made-elsewhere'],
    ]);
  });

  test('a registry that asks for nothing says nothing of them', async () => {
    server.on('/v2/', {});
    expect(await check()).toBe(false);
  });

  test('what is refused is an error without the secret; a 401 loop ends (SEC-08)', async () => {
    const body = JSON.stringify({ errors: [{ code: 'UNAUTHORIZED', message: 'incorrect password' }] });
    const cases: readonly (() => void)[] = [
      () => server.on('/v2/', denied('Basic realm="x"')),
      () => {
        server.on('/v2/', denied(bearer()));
        server.on('/token', { status: 401, body });
      },
      () => {
        server.on('/v2/', denied(bearer()));
        server.on('/token', { body: '{"token":"granted"}' });
      },
      () => server.on('/v2/', { status: 403 }),
      () => server.on('/v2/', { status: 404 }),
      () => server.on('/v2/', { status: 500 }),
    ];
    for (const script of cases) {
      script();
      const before = server.requests.length;
      const error = await check().then(
        () => undefined,
        (thrown: unknown) => thrown as Error & { hint?: string },
      );
      expect(error).toMatchObject({ code: 'TSB_REGISTRY' });
      const shown: string[] = [];
      for (let at: unknown = error; at instanceof Error; at = at.cause)
        shown.push(at.message, at.stack ?? '', (at as { hint?: string }).hint ?? '');
      expect(shown.join('\n')).not.toContain(secret);
      expect(shown.join('\n')).not.toContain(basic.slice(6));
      expect(server.requests.length - before).toBeLessThan(8);
    }
  });

  test('a repository that has credentials of its own gets these', async () => {
    const image = testImage();
    for (const name of ['a', 'b'])
      server.on(`/v2/${name}/x/manifests/1`, (request, response) => {
        if (request.headers.authorization === undefined)
          response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end();
        else response.writeHead(200, { 'content-type': mediaTypes.ociManifest }).end(image.manifest.bytes);
      });
    const get = async (_task: unknown, _host: string, path?: string): Promise<Credential> => {
      await Promise.resolve();
      return { username: path ?? '', password: 'pw' };
    };
    await using client = createRegistry({ now: () => 0, limits, credentials: { get } });
    for (const name of ['a', 'b']) await client.manifest(testTask(), parseReference(`${server.host}/${name}/x:1`));
    const users = server.requests.map(({ headers }) => headers.authorization?.slice(6) ?? '');
    expect(users.map((text) => Buffer.from(text, 'base64').toString())).toEqual(['', 'a/x:pw', '', 'b/x:pw']);
  });
});
