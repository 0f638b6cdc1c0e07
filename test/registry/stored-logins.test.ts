import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  credentialPlaces,
  type CredentialPlaces,
  parseLoginTarget,
  removeAllLogins,
  removeLogin,
  storeLogin,
  userCredentials,
} from '../../src/registry/index.ts';
import { testTask } from '../support/task.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tsbuild-logins-'));
  mkdirSync(join(folder, 'bin'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** A helper in a language that starts fast: each server is a file, with the answer as it was stored. */
const HELPER = `#!/bin/sh
mkdir -p "$0.kept"
file() { printf '%s/%s' "$0.kept" "$(printf %s "$1" | tr /: __)"; }
case $1 in
get) f=$(file "$(cat)"); [ -f "$f" ] && exec cat "$f"; echo 'credentials not found in native keychain'; exit 1 ;;
store) i=$(cat); s=\${i#*ServerURL\\":\\"}; printf %s "$i" >"$(file "\${s%%\\"*}")" ;;
erase) rm -f "$(file "$(cat)")" ;;
list) c='{'; for f in "$0.kept"/*; do [ -f "$f" ] || break; i=$(cat "$f"); s=\${i#*ServerURL\\":\\"}; printf '%s"%s":"x"' "$c" "\${s%%\\"*}"; c=,; done; [ "$c" = , ] || printf '{'; printf '}' ;;
esac
`;

/** @returns the directory with what the helper keeps */
function install(name: string): string {
  const path = join(folder, 'bin', `docker-credential-${name}`);
  writeFileSync(path, HELPER);
  chmodSync(path, 0o755);
  return `${path}.kept`;
}

/** Two auth files of a user, of which the second is the one that logins go to, as docker's is. */
function placesOf(first: object | undefined, second: object | undefined): CredentialPlaces {
  const files = [join(folder, 'run/auth.json'), join(folder, 'docker/config.json')];
  for (const [index, content] of [first, second].entries()) {
    rmSync(join(files[index] ?? '', '..'), { recursive: true, force: true });
    if (content === undefined) continue;
    mkdirSync(join(files[index] ?? '', '..'));
    writeFileSync(files[index] ?? '', JSON.stringify(content), { mode: 0o600 });
  }
  const { helpers } = credentialPlaces({ PATH: `${join(folder, 'bin')}:/usr/bin:/bin` }, { home: folder, uid: 1 });
  return { files, loginFile: files[1] ?? '', helpers };
}

const plain = (user: string): object => ({ auth: Buffer.from(`${user}:old`).toString('base64') });
const mine = { username: 'me', password: 'new "quoted" päss' };
const login = (places: CredentialPlaces, name: string) => storeLogin(testTask(), parseLoginTarget(name), mine, places);
const logout = (places: CredentialPlaces, name: string) => removeLogin(testTask(), parseLoginTarget(name), places);
const get = (places: CredentialPlaces, name: string): Promise<unknown> => {
  const { host, path } = parseLoginTarget(name);
  return userCredentials(places, () => undefined).get(testTask(), host, path);
};
const read = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8'));

describe('a login', () => {
  test('makes the file where there is none, in docker’s own form', async () => {
    const places = placesOf(undefined, undefined);
    expect(await login(places, 'docker.io')).toEqual({ file: places.loginFile });
    expect(readFileSync(places.loginFile, 'utf8')).toBe(
      `{\n\t"auths": {\n\t\t"https://index.docker.io/v1/": {\n\t\t\t"auth": "${Buffer.from(`me:${mine.password}`).toString('base64')}"\n\t\t}\n\t}\n}\n`,
    );
    expect(statSync(places.loginFile).mode & 0o777).toBe(0o600);
    expect(await get(places, 'index.docker.io')).toEqual(mine);
  });

  test('takes the place of every older spelling, and of nothing else', async () => {
    const auths = {
      'https://index.docker.io/v1/': plain('hub'),
      'registry-1.docker.io': plain('api'),
      'docker.io/team': plain('team'),
      'quay.io': plain('quay'),
    };
    const places = placesOf(undefined, { auths, psFormat: 'table' });
    await login(places, 'docker.io');
    expect(read(places.loginFile)).toEqual({
      auths: {
        'docker.io/team': plain('team'),
        'quay.io': plain('quay'),
        'https://index.docker.io/v1/': { auth: Buffer.from(`me:${mine.password}`).toString('base64') },
      },
      psFormat: 'table',
    });
  });

  test('goes to the file that had one, so that no older one goes before it', async () => {
    const places = placesOf(
      { auths: { 'https://quay.io/v2/': plain('old') } },
      { auths: { 'quay.io': plain('older') } },
    );
    expect(await login(places, 'quay.io')).toEqual({ file: places.files[0] });
    expect(await get(places, 'quay.io')).toEqual(mine);
    expect(read(places.loginFile)).toEqual({ auths: { 'quay.io': plain('older') } });
  });

  test('of which a file says that a helper has it goes to that helper', async () => {
    const kept = install('one');
    // As docker writes it: the entry says nothing but that there is one.
    const places = placesOf({ auths: { 'quay.io': {} }, credsStore: 'one' }, { auths: {} });
    expect(await login(places, 'quay.io')).toEqual({ file: places.files[0], helper: 'one' });
    expect(readdirSync(kept)).toEqual(['quay.io']);
    expect(await get(places, 'quay.io')).toEqual(mine);
  });

  test('leaves no password in a file whose helper keeps it', async () => {
    install('one');
    const places = placesOf(undefined, { auths: { 'quay.io': plain('old') }, credHelpers: { 'quay.io': 'one' } });
    expect(await login(places, 'quay.io')).toEqual({ file: places.loginFile, helper: 'one' });
    expect(read(places.loginFile)).toEqual({ auths: { 'quay.io': {} }, credHelpers: { 'quay.io': 'one' } });
  });

  test('of a part of a registry stays in the file, for helpers know registries only', async () => {
    const kept = install('one');
    const places = placesOf(undefined, { credsStore: 'one' });
    expect(await login(places, 'quay.io/team')).toEqual({ file: places.loginFile });
    expect(() => readdirSync(kept)).toThrow();
    expect(await get(places, 'quay.io/team/app')).toEqual(mine);
    expect(await get(places, 'quay.io')).toBeUndefined();
  });

  test('of which a helper that is not there should know is refused, and nothing is written', async () => {
    const config = { credsStore: 'gone', auths: { 'quay.io': plain('old') } };
    const places = placesOf(undefined, config);
    await expect(login(places, 'quay.io')).rejects.toMatchObject({
      code: 'TSB_REGISTRY',
      message: expect.stringMatching(
        /"gone" of auth file ".*config\.json": no docker-credential-gone in PATH/,
      ) as string,
      hint: expect.stringContaining('credsStore and credHelpers') as string,
    });
    await expect(login({ ...places, credentialHelpers: ['gone'] }, 'quay.io')).rejects.toMatchObject({
      hint: expect.stringMatching(/credential-helpers in registries\.conf$/) as string,
    });
    expect(read(places.loginFile)).toEqual(config);
  });

  test('that registries.conf gives to a helper is in no file', async () => {
    const kept = install('one');
    const places = { ...placesOf(undefined, {}), credentialHelpers: ['one', 'containers-auth.json'] };
    expect(await login(places, 'quay.io')).toEqual({ file: 'registries.conf', helper: 'one' });
    expect(readdirSync(kept)).toEqual(['quay.io']);
    expect(read(places.loginFile)).toEqual({});
    expect(await get(places, 'quay.io')).toEqual(mine);
    expect(await logout(places, 'quay.io')).toEqual([{ file: 'registries.conf', helper: 'one' }]);
    expect(readdirSync(kept)).toEqual([]);
  });

  test('into a file that is none is refused before a helper hears of it', async () => {
    const kept = install('one');
    const places = placesOf(undefined, { auths: [], credsStore: 'one' });
    await expect(login(places, 'quay.io')).rejects.toMatchObject({ code: 'TSB_IMAGE' });
    expect(() => readdirSync(kept)).toThrow();
  });
});

describe('a logout', () => {
  test('removes the registry from all files and helpers, under every spelling', async () => {
    const kept = install('one');
    const places = placesOf(
      { auths: { 'https://index.docker.io/v1/': plain('a'), 'quay.io': plain('b') } },
      { auths: { 'docker.io': {}, 'registry-1.docker.io': plain('c') }, credsStore: 'one' },
    );
    mkdirSync(kept);
    for (const server of ['https://index.docker.io/v1/', 'docker.io'])
      writeFileSync(
        join(kept, server.replaceAll(/[/:]/g, '_')),
        JSON.stringify({ ServerURL: server, Username: 'd', Secret: 'pw' }),
      );
    expect(await logout(places, 'docker.io')).toEqual([
      { file: places.files[0] },
      { file: places.loginFile, helper: 'one' },
      { file: places.loginFile },
    ]);
    expect(readdirSync(kept)).toEqual([]);
    expect(read(places.files[0] ?? '')).toEqual({ auths: { 'quay.io': plain('b') } });
    expect(read(places.loginFile)).toEqual({ auths: {}, credsStore: 'one' });
    expect(await logout(places, 'docker.io')).toEqual([]);
  });

  test('of a part leaves the registry and its other parts alone', async () => {
    const auths = { 'quay.io': plain('a'), 'quay.io/team': plain('b'), 'quay.io/team/app': plain('c') };
    const places = placesOf(undefined, { auths });
    expect(await logout(places, 'quay.io/team')).toEqual([{ file: places.loginFile }]);
    expect(read(places.loginFile)).toEqual({ auths: { 'quay.io': plain('a'), 'quay.io/team/app': plain('c') } });
  });

  test('of all leaves nothing, and what files say besides', async () => {
    const [one, two] = [install('one'), install('two')];
    const places = placesOf(
      { auths: { a: plain('a') }, credHelpers: { 'quay.io': 'two', 'x.example': '' } },
      { auths: { b: {}, c: {} }, credsStore: 'one', detachKeys: 'x' },
    );
    for (const [kept, server] of [
      [one, 'b'],
      [one, 'c'],
      [two, 'quay.io'],
    ] as const) {
      mkdirSync(kept, { recursive: true });
      writeFileSync(join(kept, server), JSON.stringify({ ServerURL: server, Username: 'u', Secret: 'pw' }));
    }
    const removed = await removeAllLogins(testTask(), places);
    expect(removed).toEqual([
      { file: places.files[0], helper: 'two' },
      { file: places.files[0] },
      { file: places.loginFile, helper: 'one' },
    ]);
    expect([...readdirSync(one), ...readdirSync(two)]).toEqual([]);
    expect(read(places.loginFile)).toEqual({ auths: {}, credsStore: 'one', detachKeys: 'x' });
    expect(await removeAllLogins(testTask(), places)).toEqual([]);
  });

  test('of a helper that is not installed is no failure: what it has does not count', async () => {
    const places = placesOf(undefined, { auths: { 'quay.io': plain('a') }, credsStore: 'gone' });
    expect(await logout(places, 'quay.io')).toEqual([{ file: places.loginFile }]);
  });
});

test('whoever logs in is who logged in, and after a logout nobody (property)', async () => {
  install('one');
  install('two');
  const NAMES = ['docker.io', 'quay.io'] as const;
  const KEYS = ['docker.io', 'https://index.docker.io/v1/', 'quay.io', 'https://quay.io/v1/', 'quay.io/team'] as const;
  const file = fc.option(
    fc.record(
      {
        auths: fc.dictionary(fc.constantFrom(...KEYS), fc.constantFrom({}, plain('old'), { identitytoken: 'old' })),
        credHelpers: fc.dictionary(fc.constantFrom('docker.io', 'quay.io'), fc.constantFrom('', 'one', 'two')),
        credsStore: fc.constantFrom('', 'one', 'two'),
      },
      { requiredKeys: [] },
    ),
    { nil: undefined },
  );
  await fc.assert(
    fc.asyncProperty(file, file, fc.constantFrom(...NAMES), fc.constantFrom(...NAMES), async (a, b, name, earlier) => {
      for (const one of ['one', 'two'])
        rmSync(join(folder, `bin/docker-credential-${one}.kept`), { recursive: true, force: true });
      const places = placesOf(a, b);
      for (const each of [earlier, name]) {
        await login(places, each);
        expect(await get(places, each)).toEqual(mine);
      }
      expect(await logout(places, name)).not.toEqual([]);
      expect(await get(places, name)).toBeUndefined();
      await removeAllLogins(testTask(), places);
      expect(await get(places, earlier)).toBeUndefined();
    }),
    { numRuns: 2 },
  );
});
