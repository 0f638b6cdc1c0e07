import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { authFileCredentials } from '../../src/registry/auth-file.ts';
import { authFilePaths, type Credential } from '../../src/registry/index.ts';
import { testTask } from '../support/task.ts';

const base64 = (text: string): string => Buffer.from(text).toString('base64');

describe('auth files', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'tsbuild-auth-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  async function lookUp(host: string, ...contents: readonly unknown[]): Promise<[Credential | undefined, string[]]> {
    const warnings: string[] = [];
    const paths = contents.map((content, index) => {
      const path = join(folder, String(index));
      writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
      return path;
    });
    const credentials = authFileCredentials([join(folder, 'none'), ...paths], (text) => warnings.push(text));
    return [await credentials.get(testTask(), host), warnings];
  }

  test('have user and password in base64, or an identity token', async () => {
    const auths = {
      'one.example:5000': { auth: base64('me:se:cret') },
      'two.example': { auth: base64('me:'), identitytoken: 'token' },
      'three.example': { username: 'you', password: 'pw' },
      'helped.example': {},
    };
    expect(await lookUp('one.example:5000', { auths })).toEqual([{ username: 'me', password: 'se:cret' }, []]);
    expect(await lookUp('two.example', { auths })).toEqual([{ identityToken: 'token' }, []]);
    expect(await lookUp('three.example', { auths })).toEqual([{ username: 'you', password: 'pw' }, []]);
    for (const host of ['helped.example', 'one.example', 'example'])
      expect(await lookUp(host, { auths })).toEqual([undefined, []]);
  });

  test('name hosts in the forms of docker', async () => {
    const hub = { auths: { 'https://index.docker.io/v1/': { auth: base64('hub:pw') } } };
    expect((await lookUp('docker.io', hub))[0]).toEqual({ username: 'hub', password: 'pw' });
    const other = { auths: { 'https://quay.io': { auth: base64('quay:pw') } } };
    expect((await lookUp('quay.io', other))[0]).toEqual({ username: 'quay', password: 'pw' });
  });

  test('the first that knows a host counts', async () => {
    const first = { auths: { a: { auth: base64('first:pw') } } };
    const second = { auths: { a: { auth: base64('second:pw') }, b: { auth: base64('b:pw') } } };
    expect((await lookUp('a', first, second))[0]).toMatchObject({ username: 'first' });
    expect((await lookUp('b', first, second))[0]).toMatchObject({ username: 'b' });
  });

  test('that are broken are warned of, without a word of what they hold', async () => {
    const good = { auths: { a: { auth: base64('me:pw') } } };
    for (const content of ['{"auths":{"a":{"auth":"c2VjcmV0', { auths: [] }, { auths: { a: 'c2VjcmV0' } }, '[]']) {
      const [credential, warnings] = await lookUp('a', content, good);
      expect(credential).toEqual({ username: 'me', password: 'pw' });
      expect(warnings).toHaveLength(1);
      expect(warnings[0]).toMatch(/auth file/);
      expect(warnings[0]).not.toMatch(/c2VjcmV0|secret/);
    }
  });

  test('are where podman and docker put them', () => {
    expect(authFilePaths({}, '/h')).toEqual(['/h/.docker/config.json']);
    expect(authFilePaths({ XDG_RUNTIME_DIR: '/r', DOCKER_CONFIG: '/d' }, '/h')).toEqual([
      '/r/containers/auth.json',
      '/d/config.json',
    ]);
    expect(authFilePaths({ XDG_RUNTIME_DIR: '/r', REGISTRY_AUTH_FILE: '/a' }, '/h')).toEqual(['/a']);
  });
});
