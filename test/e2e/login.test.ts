import { existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Outcome } from '../support/bench.ts';
import { canary, keepingHelper } from '../support/credential-helper.ts';
import { describeAsUser, useBench } from '../support/e2e.ts';
import { REGISTRY_USER, startRegistry, type TestRegistry } from '../support/registry.ts';
import { expectFailure } from '../support/sound.ts';
import { onTerminal } from '../support/terminal.ts';

const { username, password } = REGISTRY_USER;
const TYPED = ['-u', username, '--password-stdin'];

describeAsUser('login and logout', (who) => {
  const use = useBench(who);
  let registry: TestRegistry;
  let host = '';
  beforeAll(async () => {
    registry = await startRegistry({ password: true });
    ({ host } = registry);
  });
  afterAll(() => registry[Symbol.asyncDispose]());
  beforeEach(() => {
    for (const name of ['.docker', '.config', 'run']) rmSync(use.bench.path(name), { recursive: true, force: true });
  });

  const config = (): string => use.bench.path('.docker/config.json');
  const read = (path: string): { auths?: Record<string, unknown> } & Record<string, unknown> =>
    JSON.parse(readFileSync(path, 'utf8')) as { auths?: Record<string, unknown> } & Record<string, unknown>;
  const run = (args: readonly string[], options = {}): Promise<Outcome> =>
    use.bench.tsbuild(args, { env: { XDG_RUNTIME_DIR: use.bench.path('run') }, ...options });
  const login = async (...args: string[]): Promise<Outcome> => {
    const outcome = await run(['login', ...TYPED, ...args, host], { stdin: `${password}\n` });
    expect(outcome.code, outcome.err).toBe(0);
    return outcome;
  };
  const inspect = (...args: string[]): Promise<Outcome> =>
    use.bench.start(['skopeo', 'inspect', '--tls-verify=false', ...args, `docker://${host}/app:1`]).ended;

  test('what was checked is stored for its owner alone, said where, and read by other tools', async () => {
    const { out, err } = await login();
    expect(out).toBe(`Login succeeded: ${host} as alice\nCredentials are in ${config()}\n`);
    expect(err).toContain('the password is kept there as it is');
    expect(statSync(config()).mode & 0o777).toBe(0o600);
    expect(statSync(use.bench.path('.docker')).mode & 0o777).toBe(0o700);
    expect(statSync(config()).uid).toBe(who.uid);
    const oci = use.bench.path('image.tar');
    await use.bench.ok(['build', '-q', '-o', `type=oci,dest=${oci}`, use.bench.context('FROM scratch\nWORKDIR /a\n')]);
    const copy = ['skopeo', 'copy', '-q', '--dest-tls-verify=false', '--insecure-policy', `oci-archive:${oci}`];
    await use.bench.tool([...copy, '--authfile', config(), `docker://${host}/app:1`]);
    expect((await inspect('--authfile', config())).code).toBe(0);
    // Podman has the same code, but makes directories of the machine that keep others out.
    const known = ['skopeo', 'login', '--get-login', host];
    expect(await use.bench.tool(known, { env: { XDG_RUNTIME_DIR: use.bench.path('run') } })).toBe('alice\n');
    expect((await run(['login', '--get-login', host])).out).toBe('alice\n');
    // The base image is there for who may have it.
    const args = ['build', '-q', use.bench.context(`FROM ${host}/app:1\nWORKDIR /b\n`)];
    expect((await run(args)).code).toBe(0);
    expect((await run(['logout', host])).out).toBe(`Removed the credentials for ${host} from ${config()}\n`);
    expect(read(config()).auths).toEqual({});
    expectFailure(await run(args, { store: use.bench.path('fresh') }), {
      says: ['access denied', `tsbuild login ${host}`],
    });
  });

  test('wrong ones are not stored, and a secret is in no output', async () => {
    const secret = canary();
    const wrong = await run(['-D', 'login', '-u', 'alice', '-p', secret, host]);
    expect(wrong.code).toBe(1);
    expect(wrong.err).toMatch(/use --password-stdin\nerror: .* refuses these credentials\nhint: /);
    expect(wrong.out + wrong.err).not.toContain(secret);
    expect(wrong.out + wrong.err).not.toContain(Buffer.from(`alice:${secret}`).toString('base64'));
    expect(existsSync(config())).toBe(false);
    expectFailure(await run(['login', ...TYPED, '127.0.0.1:1'], { stdin: secret }), { says: ['127.0.0.1:1'] });
    expect(existsSync(config())).toBe(false);
  });

  test('an ordinary file keeps what else it says, and one that others could read is told about', async () => {
    use.bench.write('.docker', {
      'config.json': { text: '{"HttpHeaders":{"X":"y"},"auths":{"other.example":{"auth":"eDp5"}}}', mode: 0o644 },
    });
    const { err } = await login();
    expect(err).toContain('until now other users could read');
    expect(read(config())).toMatchObject({ HttpHeaders: { X: 'y' }, auths: { 'other.example': { auth: 'eDp5' } } });
    expect(statSync(config()).mode & 0o777).toBe(0o600);
    await run(['logout', '--all']);
    expect(read(config())).toEqual({ HttpHeaders: { X: 'y' }, auths: {} });
  });

  test('where podman has a login already, the new one takes its place; we read what podman wrote', async () => {
    const env = { XDG_RUNTIME_DIR: use.bench.path('run') };
    use.bench.write('run', {});
    await use.bench.tool(['skopeo', 'login', '--tls-verify=false', '-u', username, '--password-stdin', host], {
      env,
      stdin: password,
    });
    const file = use.bench.path('run/containers/auth.json');
    expect((await run(['login', host])).out).toContain(`Already logged in to ${host}, with auth file "${file}"`);
    expect((await login()).out).toContain(`Credentials are in ${file}\n`);
    expect(existsSync(config())).toBe(false);
    expect((await run(['logout', host])).out).toContain(file);
    expect((await run(['logout', host])).out).toBe(`Not logged in to ${host}\n`);
    expectFailure(await run(['login', '--get-login', host]), { says: ['Not logged in'] });
  });

  test('a helper that registries.conf puts first keeps them, is asked by all commands, and forgets them', async () => {
    const { bench } = use;
    const bin = bench.write('bin-conf', { 'docker-credential-conf': { text: keepingHelper(), mode: 0o755 } });
    bench.write('conf', { 'registries.conf': 'credential-helpers = ["conf", "containers-auth.json"]\n' });
    const env = {
      XDG_RUNTIME_DIR: bench.path('run'),
      PATH: `${bin}:${process.env['PATH'] ?? ''}`,
      CONTAINERS_REGISTRIES_CONF: bench.path('conf/registries.conf'),
    };
    const { out } = await run(['login', ...TYPED, host], { env, stdin: password });
    expect(out).toContain('Credentials are in the credential helper conf, which registries.conf names\n');
    expect(existsSync(config())).toBe(false);
    await bench.ok(['build', '-q', '-t', `${host}/helped:1`, bench.context('FROM scratch\nWORKDIR /helped\n')]);
    expectFailure(await run(['push', `${host}/helped:1`]), { says: ['access denied'] });
    expect((await run(['push', `${host}/helped:1`], { env })).code).toBe(0);
    expect((await run(['pull', '-q', '-a', `${host}/helped`], { env })).code).toBe(0);
    expect((await run(['logout', host], { env })).out).toContain('from the credential helper conf');
    expect((await run(['login', '--get-login', host], { env })).code).toBe(1);
    const missing = { ...env, PATH: process.env['PATH'] ?? '' };
    expectFailure(await run(['login', ...TYPED, host], { env: missing, stdin: password }), {
      says: ['credential helper "conf" of registries.conf', 'no docker-credential-conf in PATH', 'credential-helpers'],
    });
  });

  test('a credential helper keeps them, and gives them back', async () => {
    const helper = { text: keepingHelper(), mode: 0o755 };
    const bin = use.bench.write('bin', { 'docker-credential-kept': helper });
    use.bench.write('.docker', { 'config.json': '{"credsStore":"kept"}' });
    const env = { PATH: `${bin}:/usr/bin:/bin`, XDG_RUNTIME_DIR: use.bench.path('run') };
    const { code, out, err } = await run(['login', ...TYPED, host], { env, stdin: password });
    expect(code, err).toBe(0);
    expect(out).toContain(`Credentials are in the credential helper kept, which ${config()} names\n`);
    expect(readFileSync(config(), 'utf8')).not.toContain(Buffer.from(`alice:${password}`).toString('base64'));
    expect(read(config())).toEqual({ credsStore: 'kept', auths: { [host]: {} } });
    expect((await run(['login', host], { env })).out).toContain('with credential helper "kept"');
    const calls = readFileSync(join(bin, 'docker-credential-kept.calls'), 'utf8');
    expect(calls).toContain('"args":["store"]');
    expect(calls).not.toContain(password);
    expect((await run(['logout', host], { env })).out).toContain('from the credential helper kept');
    expect(readFileSync(join(bin, 'docker-credential-kept.json'), 'utf8')).toBe('{}');
    expectFailure(await run(['login', ...TYPED, host], { stdin: password }), {
      says: ['no docker-credential-kept in PATH'],
    });
  });

  test('--authfile, REGISTRY_AUTH_FILE, DOCKER_CONFIG and DOCKER_AUTH_CONFIG', async () => {
    const { err } = await login('--authfile', 'own.json');
    expect(read(use.bench.path('own.json')).auths).toHaveProperty([host]);
    expect(err).toContain('is read only where --authfile');
    const given = { REGISTRY_AUTH_FILE: use.bench.path('own.json') };
    expect((await run(['login', '--get-login', host], { env: given })).out).toBe('alice\n');
    expect((await run(['login', '--get-login', '--authfile=own.json', host])).out).toBe('alice\n');
    const elsewhere = { DOCKER_CONFIG: use.bench.path('elsewhere') };
    await run(['login', ...TYPED, host], { env: elsewhere, stdin: password });
    expect(read(use.bench.path('elsewhere/config.json')).auths).toHaveProperty([host]);
    const inline = { DOCKER_AUTH_CONFIG: readFileSync(use.bench.path('own.json'), 'utf8') };
    const known = await run(['login', host], { env: inline });
    expect(known.out).toContain('with the variable DOCKER_AUTH_CONFIG');
    expect((await run(['logout', host], { env: inline })).err).toContain('DOCKER_AUTH_CONFIG is set');
  });

  test('on a terminal it asks, and shows no password', async () => {
    const { code, out } = await onTerminal(
      use.bench,
      ['login', host],
      [
        { expect: 'User name for' },
        { type: 'alicex\u007f\r' },
        { expect: 'it is not shown): ' },
        { type: `wrong\u0015${password}\r` },
      ],
    );
    expect(code, out).toBe(0);
    expect(out).toContain('Login succeeded');
    expect(out).not.toContain('horse');
    expect(read(config()).auths?.[host]).toEqual({ auth: Buffer.from(`alice:${password}`).toString('base64') });
    const stopped = await onTerminal(use.bench, ['login', '-u', 'bob', host], [{ expect: '): ' }, { type: '\u0003' }]);
    expect(stopped.code).toBe(130);
  });

  test.each([
    [['login'], 'no terminal'],
    [['login', '--password-stdin'], 'add -u NAME'],
    [['login', '-u', 'a', '-p', 'b', '--password-stdin'], 'exclude each other'],
    [['login', '-u', 'a', '--password-stdin'], 'standard input is empty'],
    [['login', '-u', '', '-p', 'x'], 'the user name is empty'],
    [['login', 'a b'], 'as a registry'],
    [['logout', '--all', 'ghcr.io'], 'exclude each other'],
  ])('%j is wrong usage', async (args, says) => {
    expectFailure(await run(args), { code: 2, says: [says] });
  });

  test('certificates and plain HTTP are what --tls-verify says', async () => {
    // On this machine there need be no TLS, unless somebody insists.
    const strict = await run(['login', ...TYPED, '--tls-verify', host], { stdin: password });
    expectFailure(strict, { says: [host] });
    expect(strict.err).not.toContain('refuses');
    await login('--tls-verify=false');
  });
});
