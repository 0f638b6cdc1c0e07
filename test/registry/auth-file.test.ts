import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { array, assert, property, stringMatching } from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { changeAuthFile } from '../../src/registry/credentials/auth-file-change.ts';
import { authKeysFor, normalizeAuthKey } from '../../src/registry/credentials/auth-key.ts';
import { authFilePaths, type Credential, userCredentials } from '../../src/registry/index.ts';
import { testTask } from '../support/task.ts';

const base64 = (text: string): string => Buffer.from(text).toString('base64');

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tsbuild-auth-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('auth files', () => {
  async function lookUp(
    name: string,
    content: unknown,
    ...others: readonly unknown[]
  ): Promise<[Credential | undefined, string[]]> {
    const warnings: string[] = [];
    const files = [content, ...others].map((one, index) => {
      const path = join(folder, String(index));
      writeFileSync(path, typeof one === 'string' ? one : JSON.stringify(one));
      return path;
    });
    const credentials = userCredentials({ files: [join(folder, 'none'), ...files] }, (text) => warnings.push(text));
    const [host = '', ...path] = name.split('/');
    return [await credentials.get(testTask(), host, path.join('/')), warnings];
  }

  test('have user and password in base64, or a token', async () => {
    const auths = {
      'one.example:5000': { auth: base64('me:se:cret') },
      'two.example': { auth: base64('me:'), identitytoken: 'token' },
      'three.example': { username: 'you', password: 'pw' },
      'four.example': { auth: base64('me:pw\0\0') },
      'five.example': { registrytoken: 'bearer' },
      'six.example': { registrytoken: 'bear\r\ner', auth: base64('me:pw') },
      'helped.example': {},
    };
    expect(await lookUp('one.example:5000', { auths })).toEqual([{ username: 'me', password: 'se:cret' }, []]);
    expect(await lookUp('two.example', { auths })).toEqual([{ identityToken: 'token' }, []]);
    expect(await lookUp('three.example', { auths })).toEqual([{ username: 'you', password: 'pw' }, []]);
    expect(await lookUp('four.example', { auths })).toEqual([{ username: 'me', password: 'pw' }, []]);
    expect(await lookUp('five.example', { auths })).toEqual([{ registryToken: 'bearer' }, []]);
    expect(await lookUp('six.example', { auths })).toEqual([{ username: 'me', password: 'pw' }, []]);
    for (const host of ['helped.example', 'one.example', 'example'])
      expect(await lookUp(host, { auths })).toEqual([undefined, []]);
    expect(await lookUp('one.example', '')).toEqual([undefined, []]);
  });

  test.each([
    ['docker.io', 'https://index.docker.io/v1/'],
    ['docker.io', 'docker.io'],
    ['docker.io', 'registry-1.docker.io'],
    ['quay.io', 'https://quay.io'],
    ['quay.io', 'https://quay.io/v2/'],
    ['quay.io', 'http://quay.io/some/path'],
    ['quay.io', 'quay.io/v1/'],
    ['quay.io', 'QUAY.io'],
  ])('for %s may be filed under %s', async (host, key) => {
    expect((await lookUp(`${host}/team/app`, { auths: { [key]: { auth: base64('me:pw') } } }))[0]).toEqual({
      username: 'me',
      password: 'pw',
    });
  });

  test('may be for a namespace or a repository, of which the narrowest counts', async () => {
    const auths = Object.fromEntries(
      ['quay.io', 'quay.io/team', 'quay.io/team/app', 'docker.io/library'].map((key) => [
        key,
        { auth: base64(`${key}:pw`) },
      ]),
    );
    const userOf = async (name: string): Promise<unknown> => (await lookUp(name, { auths }))[0];
    expect(await userOf('quay.io/team/app')).toMatchObject({ username: 'quay.io/team/app' });
    expect(await userOf('quay.io/team/app/part')).toMatchObject({ username: 'quay.io/team/app' });
    expect(await userOf('quay.io/team/other')).toMatchObject({ username: 'quay.io/team' });
    expect(await userOf('quay.io/teams')).toMatchObject({ username: 'quay.io' });
    expect(await userOf('docker.io/library/debian')).toMatchObject({ username: 'docker.io/library' });
    expect(await userOf('docker.io/other/debian')).toBeUndefined();
  });

  test('the first file that knows a registry counts', async () => {
    const first = { auths: { a: { auth: base64('first:pw') } } };
    const second = { auths: { 'a/b': { auth: base64('second:pw') }, b: { auth: base64('b:pw') } } };
    expect((await lookUp('a/b', first, second))[0]).toMatchObject({ username: 'first' });
    expect((await lookUp('b', first, second))[0]).toMatchObject({ username: 'b' });
  });

  test('that are broken are warned of, without a word of what they hold', async () => {
    const good = { auths: { a: { auth: base64('me:pw') } } };
    const broken = [
      '{"auths":{"a":{"auth":"c2VjcmV0',
      { auths: [] },
      { auths: { a: 'c2VjcmV0' } },
      '[]',
      '{"auths":{"a":{"auth":"c2VjcmV0"},"a":{}}}',
      { credHelpers: { a: 1 }, auths: { a: { auth: 'c2VjcmV0' } } },
    ];
    for (const content of broken) {
      const [credential, warnings] = await lookUp('a', content, good);
      expect(credential).toEqual({ username: 'me', password: 'pw' });
      expect(warnings).toHaveLength(1);
      expect(warnings[0]).toMatch(/auth file/);
      expect(warnings[0]).not.toMatch(/c2VjcmV0|secret/);
    }
  });

  test('what is no file is warned of, and not waited for', async () => {
    const pipe = join(folder, 'pipe');
    execFileSync('mkfifo', [pipe]);
    const warnings: string[] = [];
    const credentials = userCredentials({ files: [pipe, folder] }, (text) => warnings.push(text));
    expect(await credentials.get(testTask(), 'a')).toBeUndefined();
    expect(warnings).toHaveLength(2);
  });

  test('the variable DOCKER_AUTH_CONFIG counts before them, and is not shown when it is broken', async () => {
    const path = join(folder, 'file');
    writeFileSync(path, JSON.stringify({ auths: { a: { auth: base64('file:pw') }, b: { auth: base64('file:pw') } } }));
    const warnings: string[] = [];
    const get = async (inline: string, host: string): Promise<unknown> =>
      userCredentials({ inline, files: [path] }, (text) => warnings.push(text)).get(testTask(), host);
    const inline = JSON.stringify({ auths: { a: { auth: base64('variable:pw') } } });
    expect(await get(inline, 'a')).toMatchObject({ username: 'variable' });
    expect(await get(inline, 'b')).toMatchObject({ username: 'file' });
    expect(await get('{"auths": c2VjcmV0', 'a')).toMatchObject({ username: 'file' });
    expect(warnings).toEqual(['Cannot use the variable DOCKER_AUTH_CONFIG: it is not valid JSON']);
  });

  test('are where podman and docker put them', () => {
    const user = { home: '/h', uid: 7 };
    const usual = ['/h/.config/containers/auth.json', '/h/.docker/config.json'];
    expect(authFilePaths({}, user)).toEqual({ files: usual, loginFile: '/h/.docker/config.json' });
    expect(authFilePaths({}, { home: '/h', uid: 0 }).files).toEqual(['/run/containers/0/auth.json', ...usual]);
    expect(authFilePaths({ XDG_RUNTIME_DIR: '/r', XDG_CONFIG_HOME: '/c', DOCKER_CONFIG: '/d' }, user)).toEqual({
      files: ['/r/containers/auth.json', '/c/containers/auth.json', '/d/config.json'],
      loginFile: '/d/config.json',
    });
    const explicit = { files: ['/a'], loginFile: '/a' };
    expect(authFilePaths({ XDG_RUNTIME_DIR: '/r', REGISTRY_AUTH_FILE: '/a' }, user)).toEqual(explicit);
  });
});

test('what is looked up under is a normal form of itself, and begins with the host', () => {
  const part = stringMatching(/^[a-z0-9]{1,8}$/);
  assert(
    property(part, array(part, { maxLength: 4 }), (host, path) => {
      const keys = authKeysFor(`${host}.example:5000`, path.join('/'));
      expect(keys).toHaveLength(path.length + 1);
      expect(keys.at(-1)).toBe(`${host}.example:5000`);
      for (const key of keys.filter((one) => !/\/v[12]$/.test(one))) expect(normalizeAuthKey(key)).toBe(key);
    }),
  );
});

describe('changing an auth file', () => {
  const mode = (path: string): number => statSync(path).mode & 0o7777;
  const read = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8'));

  test('keeps what is unknown, and gives a file for its owner alone', () => {
    const path = join(folder, 'config.json');
    writeFileSync(path, JSON.stringify({ HttpHeaders: { a: 'b' }, auths: { x: {} }, psFormat: 'table' }));
    chmodSync(path, 0o644);
    expect(changeAuthFile(path, (document) => ({ ...document, auths: { y: {} } }))).toEqual({ wasShared: true });
    expect(read(path)).toEqual({ HttpHeaders: { a: 'b' }, auths: { y: {} }, psFormat: 'table' });
    expect(mode(path)).toBe(0o600);
    expect(changeAuthFile(path, (document) => document)).toEqual({ wasShared: false });
    expect(changeAuthFile(path, () => undefined)).toBeUndefined();
  });

  test('makes the file and its directory', () => {
    const path = join(folder, 'a/b/auth.json');
    changeAuthFile(path, () => ({ auths: {} }));
    expect([mode(join(folder, 'a')), mode(join(folder, 'a/b')), mode(path)]).toEqual([0o700, 0o700, 0o600]);
  });

  test('replaces the file that a link leads to', () => {
    mkdirSync(join(folder, 'dotfiles'));
    writeFileSync(join(folder, 'dotfiles/config.json'), '{"old":1}');
    symlinkSync('dotfiles/config.json', join(folder, 'config.json'));
    changeAuthFile(join(folder, 'config.json'), (document) => ({ ...document, new: 2 }));
    expect(read(join(folder, 'dotfiles/config.json'))).toEqual({ old: 1, new: 2 });
  });

  test('begins again when another program wrote it meanwhile', () => {
    const path = join(folder, 'config.json');
    let calls = 0;
    changeAuthFile(path, (document) => {
      if (calls++ === 0) writeFileSync(path, '{"other":1}');
      return { ...document, own: 1 };
    });
    expect(read(path)).toEqual({ other: 1, own: 1 });
    let count = 0;
    const always = (): void =>
      void changeAuthFile(path, (document) => {
        writeFileSync(path, JSON.stringify({ count: count++ }));
        return document;
      });
    expect(always).toThrow(/another program keeps changing it/);
  });

  test('leaves what is no auth file, and nothing else behind', () => {
    const path = join(folder, 'config.json');
    writeFileSync(path, 'c2VjcmV0 {');
    expect(() => changeAuthFile(path, () => ({}))).toThrow(/not valid JSON/);
    expect(readFileSync(path, 'utf8')).toBe('c2VjcmV0 {');
    expect(execFileSync('ls', ['-A', folder], { encoding: 'utf8' })).toBe('config.json\n');
  });
});
