import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { credentialPlaces, userCredentials } from '../../src/registry/index.ts';
import { canary, keepingHelper } from '../support/credential-helper.ts';
import { isRealRoot } from '../support/real-root.ts';
import { testTask } from '../support/task.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tsbuild-helper-'));
  mkdirSync(join(folder, 'bin'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Installs a helper. @returns its path */
function install(name: string, text: string): string {
  const path = join(folder, 'bin', `docker-credential-${name}`);
  writeFileSync(path, text);
  chmodSync(path, 0o755);
  return path;
}

interface Asked {
  readonly config: unknown;
  readonly host?: string;
  readonly path?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
  readonly task?: ReturnType<typeof testTask>;
  readonly credentialHelpers?: readonly string[];
}

/** What a registry gets with a configuration. */
async function get({
  config,
  host = 'r.example',
  path = 'app',
  env = {},
  timeoutMs,
  task = testTask(),
  credentialHelpers,
}: Asked) {
  const file = join(folder, 'config.json');
  writeFileSync(file, JSON.stringify(config));
  const warnings: string[] = [];
  const places = credentialPlaces(
    { PATH: `relative::${join(folder, 'bin')}:/usr/bin:/bin`, REGISTRY_AUTH_FILE: file, ...env },
    { home: folder, uid: 1 },
  );
  const helpers = { ...places.helpers, ...(timeoutMs === undefined ? {} : { timeoutMs }) };
  const order = credentialHelpers === undefined ? {} : { credentialHelpers };
  const credentials = userCredentials({ ...places, ...order, helpers }, (text) => warnings.push(text));
  const credential = await credentials.get(task, host, path);
  return { credential, warnings };
}

const plain = (user: string) => ({ auth: Buffer.from(`${user}:pw`).toString('base64') });

describe('credential helpers', () => {
  test('are asked by their protocol, with a small environment and nothing secret in their arguments', async () => {
    const self = install('keep', keepingHelper());
    writeFileSync(
      `${self}.json`,
      JSON.stringify({
        'r.example': { Username: 'kept', Secret: 'pw' },
        't.example': { Username: '<token>', Secret: 'refresh' },
        'https://index.docker.io/v1/': { Username: 'hub', Secret: 'pw' },
      }),
    );
    const env = { LD_PRELOAD: '/evil.so', NODE_OPTIONS: '--x', TOKEN: 'x', AWS_PROFILE: 'p', DOCKER_AUTH_CONFIG: '{}' };
    const config = { credsStore: 'keep' };
    expect(await get({ config, env })).toEqual({ credential: { username: 'kept', password: 'pw' }, warnings: [] });
    expect((await get({ config, host: 't.example' })).credential).toEqual({ identityToken: 'refresh' });
    expect((await get({ config, host: 'docker.io' })).credential).toMatchObject({ username: 'hub' });
    expect((await get({ config, host: 'none.example' })).credential).toBeUndefined();
    const calls = readFileSync(`${self}.calls`, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { args: string[]; input: string; variables: string[] });
    expect(calls.map(({ args, input }) => [...args, input])).toEqual([
      ['get', 'r.example'],
      ['get', 't.example'],
      ['get', 'https://index.docker.io/v1/'],
      ['get', 'none.example'],
    ]);
    expect(calls[0]?.variables.toSorted()).toEqual(['AWS_PROFILE', 'HOME', 'PATH']);
  });

  test('of a registry go before everything, those for all others before the plain entry of the registry', async () => {
    for (const name of ['own', 'all'])
      writeFileSync(
        `${install(name, keepingHelper())}.json`,
        JSON.stringify({ 'r.example': { Username: name, Secret: 'pw' } }),
      );
    const auths = { 'r.example': plain('host'), 'r.example/app': plain('repository') };
    const user = async (config: object): Promise<unknown> => (await get({ config: { auths, ...config } })).credential;
    expect(await user({ credHelpers: { 'r.example': 'own' }, credsStore: 'all' })).toMatchObject({ username: 'own' });
    expect(await user({ credsStore: 'all' })).toMatchObject({ username: 'repository' });
    expect(await user({ credsStore: 'all', auths: { 'r.example': plain('host') } })).toMatchObject({ username: 'all' });
    // Docker's way to say that the store of all others is not for this one.
    const none = { credHelpers: { 'r.example': '' }, credsStore: 'all', auths: { 'r.example': plain('host') } };
    expect(await user(none)).toMatchObject({ username: 'host' });
  });

  test('that registries.conf names are asked in its order, with auth files where it says', async () => {
    for (const name of ['first', 'second'])
      writeFileSync(
        `${install(name, keepingHelper())}.json`,
        JSON.stringify({
          [`${name}.example`]: { Username: name, Secret: 'pw' },
          'r.example': { Username: name, Secret: 'pw' },
        }),
      );
    const config = { auths: { 'r.example': plain('file'), 'second.example': plain('file') } };
    const user = async (credentialHelpers: readonly string[], host = 'r.example'): Promise<unknown> =>
      (await get({ config, host, credentialHelpers })).credential;
    expect(await user(['first', 'containers-auth.json'])).toMatchObject({ username: 'first' });
    expect(await user(['containers-auth.json', 'first'])).toMatchObject({ username: 'file' });
    expect(await user(['first', 'second'], 'second.example')).toMatchObject({ username: 'second' });
    expect(await user(['first', 'containers-auth.json', 'second'], 'second.example')).toMatchObject({
      username: 'file',
    });
    expect(await user(['first'], 'second.example')).toBeUndefined();
    const { credential, warnings } = await get({ config, credentialHelpers: ['none', 'containers-auth.json'] });
    expect(credential).toMatchObject({ username: 'file' });
    expect(warnings).toEqual([
      expect.stringMatching(/^registries\.conf names the credential helper "none", which is not/),
    ]);
    await expect(user(['../evil'])).rejects.toThrow(/credential helper "\.\.\/evil" of registries\.conf/);
  });

  test('are asked once for a registry', async () => {
    const self = install('keep', keepingHelper());
    const file = join(folder, 'config.json');
    writeFileSync(file, JSON.stringify({ credsStore: 'keep' }));
    const { files, helpers } = credentialPlaces(
      { PATH: `${join(folder, 'bin')}:/usr/bin:/bin`, REGISTRY_AUTH_FILE: file },
      { home: folder, uid: 1 },
    );
    const credentials = userCredentials({ files, helpers }, () => undefined);
    await Promise.all(['a', 'b', 'c'].map((path) => credentials.get(testTask(), 'r.example', path)));
    expect(readFileSync(`${self}.calls`, 'utf8').trim().split('\n')).toHaveLength(1);
  });

  test('that are not installed are warned of; nobody else is asked for their registry but other files', async () => {
    const config = { credsStore: 'gone', auths: { 'other.example': plain('other') } };
    const { credential, warnings } = await get({ config });
    expect(credential).toBeUndefined();
    expect(warnings).toEqual([expect.stringContaining('no docker-credential-gone in PATH')]);
  });
});

describe('hostile credential helpers (REG-16)', () => {
  const error = async (asked: Asked): Promise<{ code: string; message: string; hint: string }> => {
    try {
      const { credential } = await get(asked);
      throw new Error(`it gave ${JSON.stringify(credential)}`);
    } catch (thrown) {
      return thrown as { code: string; message: string; hint: string };
    }
  };

  test.each(['../../x', 'a/b', '.', 'a.b', '', ' ', 'a b', '-x', 'a\0b', 'é', 'x'.repeat(200)])(
    'a name of %j is refused, or none',
    async (name) => {
      writeFileSync(join(folder, 'x'), `#!/bin/sh\ntouch ${join(folder, 'ran')}\n`, { mode: 0o755 });
      const config = { credHelpers: { 'r.example': name } };
      if (name === '') expect((await get({ config })).credential).toBeUndefined();
      else expect(await error({ config })).toMatchObject({ code: 'TSB_REGISTRY' });
      expect(existsSync(join(folder, 'ran'))).toBe(false);
    },
  );

  test('one that fails is an error, and no other credentials are taken; what it prints is not shown', async () => {
    const secret = canary();
    for (const [name, text] of [
      ['fails', `echo ${secret}; echo ${secret} >&2; exit 1`],
      ['lies', `echo '{"Username":"${secret}"}'`],
      ['babbles', `echo '{"Username": ${secret}'`],
      ['lists', `echo '["${secret}"]'`],
      ['dies', `echo ${secret}; kill -9 $$`],
    ] as const) {
      install(name, `#!/bin/sh\n${text}\n`);
      const auths = { 'r.example': plain('other') };
      const problem = await error({ config: { auths, credHelpers: { 'r.example': name } } });
      expect(problem).toMatchObject({ code: 'TSB_REGISTRY', hint: expect.stringContaining('get') as string });
      expect(problem.message).toContain(`docker-credential-${name}`);
      expect(JSON.stringify({ ...problem, stack: (problem as unknown as Error).stack })).not.toContain(secret);
    }
  });

  test('one that hangs, or prints for ever, is ended with all that it started', async () => {
    install('hangs', `#!/bin/sh\nsleep 300 &\necho $! >${folder}/pid\nwait\n`);
    const problem = await error({ config: { credsStore: 'hangs' }, timeoutMs: 300 });
    expect(problem.message).toContain('did not end in 1 seconds');
    const pid = Number(readFileSync(join(folder, 'pid'), 'utf8'));
    await expect.poll(() => existsSync(`/proc/${pid}/exe`)).toBe(false);
    install('prints', '#!/bin/sh\nexec cat /dev/zero\n');
    expect((await error({ config: { credsStore: 'prints' } })).message).toContain('more than 1048576 bytes');
    install('complains', '#!/bin/sh\nhead -c 100000000 /dev/zero >&2\nexit 1\n');
    expect((await error({ config: { credsStore: 'complains' } })).message).toContain('exit code 1');
  });

  test('canceling ends it', async () => {
    install('hangs', '#!/bin/sh\nsleep 300\n');
    const task = testTask();
    setTimeout(() => task.controller.abort(new Error('enough')), 200);
    expect(await error({ config: { credsStore: 'hangs' }, task })).toMatchObject({ code: 'TSB_CANCELED' });
  });

  test('one that others could have planted is refused', async () => {
    const text = keepingHelper();
    chmodSync(install('open', text), 0o777);
    const config = { credsStore: 'open' };
    expect(await error({ config })).toMatchObject({
      code: 'TSB_PERMISSION',
      hint: expect.stringContaining('chmod') as string,
    });
    chmodSync(install('open', text), 0o755);
    expect((await get({ config })).warnings).toEqual([]);
    chmodSync(join(folder, 'bin'), 0o777);
    expect(await error({ config })).toMatchObject({ code: 'TSB_PERMISSION' });
    chmodSync(join(folder, 'bin'), 0o755);
    // Through a link, both sides count.
    mkdirSync(join(folder, 'far'), { mode: 0o755 });
    writeFileSync(join(folder, 'far/program'), text, { mode: 0o755 });
    symlinkSync('../far/program', join(folder, 'bin/docker-credential-linked'));
    expect((await get({ config: { credsStore: 'linked' } })).warnings).toEqual([]);
    chmodSync(join(folder, 'far'), 0o777);
    expect(await error({ config: { credsStore: 'linked' } })).toMatchObject({ code: 'TSB_PERMISSION' });
    if (!isRealRoot) return;
    chownSync(install('foreign', text), 12_345, 0);
    expect(await error({ config: { credsStore: 'foreign' } })).toMatchObject({ code: 'TSB_PERMISSION' });
  });
});
