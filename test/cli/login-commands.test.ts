import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { runCli } from '../../src/cli/program.ts';
import { fakeContext } from '../fakes/cli-context.ts';
import { canary } from '../support/credential-helper.ts';
import { type Reply, type ScriptedRegistry, startScriptedRegistry } from '../support/registry-script.ts';

let home = '';
let server: ScriptedRegistry;
beforeEach(async () => {
  home = fs.mkdtempSync(join(tmpdir(), 'tsbuild-login-cli-'));
  server = await startScriptedRegistry();
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
  fs.rmSync(home, { recursive: true });
});

const secret = canary();
const encoded = (user: string, password: string): string => Buffer.from(`${user}:${password}`).toString('base64');
/** A registry that lets in whoever has the secret. */
const guarded: Reply = (request, response) => {
  const isMe = request.headers.authorization === `Basic ${encoded('me', secret)}`;
  response.writeHead(isMe ? 200 : 401, isMe ? {} : { 'www-authenticate': 'Basic realm="here"' }).end();
};

interface Typing {
  readonly stdin?: string;
  /** Somebody types it on a terminal, key by key. */
  readonly typed?: string;
  readonly env?: Readonly<Record<string, string>>;
}
async function run(words: readonly string[], { stdin, typed, env }: Typing = {}) {
  const input = typed === undefined ? [stdin ?? ''].filter(Boolean) : typed.split('');
  const context = fakeContext({
    cwd: home,
    env: { HOME: home, TSBUILD_ROOT: join(home, 'store'), ...env },
    stdin: input,
  });
  if (typed !== undefined) Object.assign(context.stdin, { isTTY: true });
  const code = await runCli(words, context);
  return { code, out: context.out(), err: context.err() };
}
const config = (): string => join(home, '.docker/config.json');
const auths = (): unknown => (JSON.parse(fs.readFileSync(config(), 'utf8')) as { auths: unknown }).auths;
const write = (document: unknown): void => {
  fs.mkdirSync(join(home, '.docker'), { recursive: true });
  fs.writeFileSync(config(), JSON.stringify(document), { mode: 0o600 });
};
/** Whoever was let in or not, as which user. */
const tried = (): readonly (string | undefined)[] =>
  server.requests.map(({ headers }) => {
    const [, code] = (headers.authorization ?? '').split(' ');
    return code === undefined ? undefined : Buffer.from(code, 'base64').toString().split(':')[0];
  });

describe('login on a terminal', () => {
  test('asks for what is missing, in order, on standard error, and shows no password', async () => {
    server.on('/v2/', guarded);
    const { code, out, err } = await run(['login', server.host], { typed: `you\u007f\u007f\u007fme\n${secret}\n` });
    expect(code, err).toBe(0);
    expect(out).toBe(`Login succeeded: ${server.host} as me\nCredentials are in ${config()}\n`);
    const [user, password] = [err.indexOf(`User name for ${server.host}: `), err.indexOf('Password for me ')];
    expect(user).toBeGreaterThanOrEqual(0);
    expect(password).toBeGreaterThan(user);
    expect(out + err).not.toContain(secret);
    expect(auths()).toEqual({ [server.host]: { auth: encoded('me', secret) } });
  });

  test('asks for the password alone when the name was given', async () => {
    server.on('/v2/', guarded);
    const { code, err } = await run(['login', '-u', 'me', server.host], { typed: `${secret}\n` });
    expect(code, err).toBe(0);
    expect(err).not.toContain('User name');
  });

  test.each<readonly [what: string, typed: string, code: number, says: RegExp]>([
    ['Ctrl-C at the name', '\u0003', 130, /nothing was entered/],
    ['Ctrl-C within the password', 'me\npass\u0003', 130, /nothing was entered/],
    ['the end of the input', 'me\n', 130, /nothing was entered/],
    ['no name', '\nsecret\n', 2, /Cannot log in: nothing was entered/],
    ['no password', 'me\n\n', 2, /Cannot log in: nothing was entered/],
    ['a name with a colon', 'me:too\nsecret\n', 2, /a user name has no colon\nhint: /],
  ])('%s asks no registry, and stores nothing', async (_, typed, expected, says) => {
    server.on('/v2/', guarded);
    const { code, out, err } = await run(['login', server.host], { typed });
    expect(code, err).toBe(expected);
    expect(out).toBe('');
    expect(err).toMatch(says);
    expect(server.requests).toEqual([]);
    expect(fs.existsSync(config())).toBe(false);
  });
});

describe('login with what is known', () => {
  test('that still opens the door asks for nothing, and says whose it is', async () => {
    write({ auths: { [server.host]: { auth: encoded('me', secret) } } });
    server.on('/v2/', guarded);
    const { code, out, err } = await run(['login', server.host]);
    expect(code, err).toBe(0);
    expect(out).toBe(`Already logged in to ${server.host}, with auth file ${JSON.stringify(config())}\n`);
    expect(err).toBe('');
  });

  test('that is refused says so, then asks; the new one takes its place', async () => {
    write({ auths: { [server.host]: { auth: encoded('old', 'stale') }, 'other.example': { auth: 'eDp5' } } });
    server.on('/v2/', guarded);
    const { code, out, err } = await run(['login', server.host], { typed: `me\n${secret}\n` });
    expect(code, err).toBe(0);
    expect(err).toMatch(/^warning: the credentials of auth file ".*" are refused\n/);
    expect(out).toContain('as me\n');
    expect(tried().filter((user) => user !== undefined)).toEqual(['old', 'me']);
    expect(auths()).toEqual({ [server.host]: { auth: encoded('me', secret) }, 'other.example': { auth: 'eDp5' } });
  });

  test('that is refused stays as it is when nobody can be asked for another', async () => {
    const before = { auths: { [server.host]: { auth: encoded('old', 'stale') } } };
    write(before);
    server.on('/v2/', guarded);
    const { code, err } = await run(['login', server.host]);
    expect(code).toBe(2);
    expect(err).toContain('Cannot log in: standard input is no terminal to ask on\nhint: tsbuild login -u NAME');
    expect(JSON.parse(fs.readFileSync(config(), 'utf8'))).toEqual(before);
  });

  test('where nobody answers is no reason to ask for a password', async () => {
    write({ auths: { '127.0.0.1:1': { auth: encoded('me', secret) } } });
    const { code, out, err } = await run(['login', '127.0.0.1:1'], { typed: 'me\nother\n' });
    expect(code).toBe(1);
    expect(out).toBe('');
    expect(err).toContain('127.0.0.1:1');
    expect(err).not.toContain('User name');
  });

  test('is printed by --get-login, without asking the registry; of a token there is no name', async () => {
    write({
      auths: { [server.host]: { auth: encoded('me', secret) }, 'token.example': { identitytoken: secret } },
    });
    expect(await run(['login', '--get-login', server.host])).toEqual({ code: 0, out: 'me\n', err: '' });
    expect(await run(['login', '--get-login', 'token.example'])).toEqual({ code: 0, out: '<token>\n', err: '' });
    const none = await run(['login', '--get-login', 'other.example']);
    expect(none.err).toBe('error: Not logged in to other.example\nhint: tsbuild login other.example\n');
    expect(server.requests).toEqual([]);
  });
});

describe('login without a person', () => {
  test('a password on the command line is warned of before it is tried', async () => {
    server.on('/v2/', guarded);
    const { code, err } = await run(['login', '-u', 'me', '-p', 'wrong', server.host]);
    expect(code).toBe(1);
    expect(err).toMatch(/^warning: a password on the command line is seen by other users .*\nerror: .*refuses these/);
    expect(fs.existsSync(config())).toBe(false);
  });

  test('a registry that asks for nothing gets them stored, and the doubt is said', async () => {
    server.on('/v2/', {});
    const { code, err } = await run(['login', '-u', 'me', '--password-stdin', server.host], { stdin: `${secret}\n` });
    expect(code, err).toBe(0);
    expect(err).toContain(`warning: ${server.host} did not ask for credentials: nobody knows whether they are right\n`);
    expect(auths()).toEqual({ [server.host]: { auth: encoded('me', secret) } });
  });

  test('--verbose lists the files that count, in their order', async () => {
    server.on('/v2/', guarded);
    const args = ['login', '--verbose', '-u', 'me', '--password-stdin', server.host];
    const { code, out, err } = await run(args, { stdin: secret, env: { XDG_RUNTIME_DIR: join(home, 'run') } });
    expect(code, err).toBe(0);
    const listed = out
      .slice(out.indexOf('Auth files, in the order in which they count:\n'))
      .trimEnd()
      .split('\n')
      .slice(1);
    expect(listed.length).toBeGreaterThan(1);
    expect(listed).toContain(`  ${config()}`);
    for (const line of listed) expect(line).toMatch(/^ {2}\/\S+\.json$/);
  });

  test('an auth file that nobody reads later is told of', async () => {
    server.on('/v2/', guarded);
    const own = join(home, 'own.json');
    const args = ['login', '--authfile', own, '-u', 'me', '--password-stdin', server.host];
    const { code, out, err } = await run(args, { stdin: secret });
    expect(code, err).toBe(0);
    expect(out).toContain(`Credentials are in ${own}\n`);
    expect(err).toContain(`${own} is read only where --authfile or REGISTRY_AUTH_FILE names it`);
    expect(fs.statSync(own).mode & 0o777).toBe(0o600);
    expect(fs.existsSync(config())).toBe(false);
  });

  test('of a part of a registry is told of the helper that goes before it, and of auth files that do not count', async () => {
    server.on('/v2/', guarded);
    const bin = join(home, 'bin');
    fs.mkdirSync(bin);
    fs.writeFileSync(join(bin, 'docker-credential-one'), `#!/bin/sh\necho '{"Username":"other","Secret":"pw"}'\n`, {
      mode: 0o755,
    });
    write({ credHelpers: { [server.host]: 'one' } });
    const args = ['login', '-u', 'me', '--password-stdin', `${server.host}/team`];
    const env = { PATH: `${bin}:/usr/bin:/bin` };
    const one = await run(args, { stdin: secret, env });
    expect(one.code, one.err).toBe(0);
    expect(one.err).toContain(
      `warning: credential helper "one" has other credentials for ${server.host}/team, which go before what is stored\n`,
    );
    write({});
    fs.mkdirSync(join(home, '.config/containers'), { recursive: true });
    fs.writeFileSync(join(home, '.config/containers/registries.conf'), 'credential-helpers = ["none-such"]\n');
    const two = await run(args, { stdin: secret, env });
    expect(two.code, two.err).toBe(0);
    expect(two.err).toContain(
      `warning: ${config()} does not count: "credential-helpers" of registries.conf is without "containers-auth.json"\n`,
    );
    fs.rmSync(join(home, '.config'), { recursive: true });
    write({});
    const three = await run(args, { stdin: secret, env });
    expect(three.err).not.toMatch(/go before|does not count/);
  });
});

describe('logout', () => {
  test('takes out one registry and leaves the rest; twice is told, and no error', async () => {
    write({ HttpHeaders: { X: 'y' }, auths: { 'one.example': { auth: 'eDp5' }, 'two.example': { auth: 'eDp6' } } });
    expect(await run(['logout', 'one.example'])).toEqual({
      code: 0,
      out: `Removed the credentials for one.example from ${config()}\n`,
      err: '',
    });
    expect(JSON.parse(fs.readFileSync(config(), 'utf8'))).toEqual({
      HttpHeaders: { X: 'y' },
      auths: { 'two.example': { auth: 'eDp6' } },
    });
    expect(await run(['logout', 'one.example'])).toMatchObject({ code: 0, out: 'Not logged in to one.example\n' });
    expect(await run(['logout'])).toMatchObject({ code: 0, out: 'Not logged in to docker.io\n' });
  });

  test('--all takes out every one', async () => {
    write({ auths: { 'one.example': { auth: 'eDp5' }, 'two.example': { auth: 'eDp6' } } });
    expect((await run(['logout', '--all'])).out).toBe(`Removed the credentials for all registries from ${config()}\n`);
    expect(auths()).toEqual({});
    expect((await run(['logout', '--all'])).out).toBe('Not logged in to any registry\n');
  });

  test('says that a variable may have others still', async () => {
    const env = { DOCKER_AUTH_CONFIG: '{"auths":{"one.example":{"auth":"eDp5"}}}' };
    const { code, err } = await run(['logout', 'one.example'], { env });
    expect(code).toBe(0);
    expect(err).toBe('warning: the variable DOCKER_AUTH_CONFIG is set, and may have credentials, too\n');
  });
});
