import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { isRealRoot } from '../support/real-root.ts';
import {
  emptyRegistriesConfig,
  endpointsFor,
  loadRegistriesConf,
  parseRegistriesConf,
} from '../../src/registry/index.ts';
import { parseReference } from '../../src/image/index.ts';

async function endpoints(conf: string, reference: string): Promise<string[]> {
  const config = await parseRegistriesConf(conf, 'registries.conf');
  return endpointsFor(parseReference(reference), config).map(
    ({ host, path, insecure, mirror }) => `${mirror ? 'mirror ' : ''}${host}/${path}${insecure ? ' insecure' : ''}`,
  );
}

describe('endpoints of a reference', () => {
  test('without configuration: the registry itself, insecure only on this machine', () => {
    const of = (text: string) => endpointsFor(parseReference(text), emptyRegistriesConfig);
    expect(of('debian')).toEqual([{ host: 'docker.io', path: 'library/debian', insecure: false, mirror: false }]);
    for (const local of ['127.0.0.1:5000', '127.8.9.1', 'localhost:5000', '[::1]:5000']) {
      expect(of(`${local}/x`)[0]?.insecure, local).toBe(true);
    }
    for (const remote of ['10.0.0.1:5000', 'localhost.example', '127.0.0.1.example.com', '[fe80::1]']) {
      expect(of(`${remote}/x`)[0]?.insecure, remote).toBe(false);
    }
  });

  test('location replaces the prefix', async () => {
    const conf = '[[registry]]\nprefix = "docker.io"\nlocation = "hub.example:5000"\ninsecure = true';
    expect(await endpoints(conf, 'debian')).toEqual(['hub.example:5000/library/debian insecure']);
    expect(await endpoints(conf, 'quay.io/x')).toEqual(['quay.io/x']);
  });

  test('the longest prefix that ends at a boundary wins', async () => {
    const conf = `
[[registry]]
location = "r.example"
insecure = true
[[registry]]
prefix = "r.example/team"
location = "other.example/our/team"
`;
    expect(await endpoints(conf, 'r.example/team/app:1')).toEqual(['other.example/our/team/app']);
    expect(await endpoints(conf, 'r.example/teamwork')).toEqual(['r.example/teamwork insecure']);
    expect(await endpoints(conf, 'r.example.com/team')).toEqual(['r.example.com/team']);
  });

  test('a wildcard covers the hosts below a domain', async () => {
    const conf = '[[registry]]\nprefix = "*.corp.example"\nlocation = "proxy.example"';
    expect(await endpoints(conf, 'a.corp.example/x/y')).toEqual(['proxy.example/x/y']);
    expect(await endpoints(conf, 'corp.example/x')).toEqual(['corp.example/x']);
  });

  test('mirrors come first, and only for the references that they are for', async () => {
    const conf = `
[[registry]]
prefix = "docker.io"
[[registry.mirror]]
location = "m1.example/hub"
[[registry.mirror]]
location = "m2.example"
insecure = true
pull-from-mirror = "digest-only"
`;
    expect(await endpoints(conf, 'debian:12')).toEqual([
      'mirror m1.example/hub/library/debian',
      'docker.io/library/debian',
    ]);
    expect(await endpoints(conf, `debian@sha256:${'ab'.repeat(32)}`)).toEqual([
      'mirror m1.example/hub/library/debian',
      'mirror m2.example/library/debian insecure',
      'docker.io/library/debian',
    ]);
  });

  test('a blocked registry is refused by name', async () => {
    await expect(endpoints('[[registry]]\nlocation = "bad.example"\nblocked = true', 'bad.example/x')).rejects.toThrow(
      'registry "bad.example" is blocked by registries.conf',
    );
  });

  test.each([
    ['[[registry', 'TOML'],
    ['[registries.search]\nregistries = ["a"]', 'version 1'],
    ['[[registry]]\ninsecure = true', 'neither "prefix" nor "location"'],
    ['[[registry]]\nlocation = "https://x.example"', 'without a scheme'],
    ['[[registry]]\nlocation = "x.example/../../y"', '"location"'],
    ['[[registry]]\nlocation = "x.example"\ninsecure = "yes"', 'not true or false'],
    ['registry = 3', 'not a list of tables'],
    ['unqualified-search-registries = "docker.io"', 'not a list of registries'],
  ])('refuses %j', async (conf, message) => {
    await expect(parseRegistriesConf(conf, 'r.conf')).rejects.toThrow(message);
  });
});

describe('loading', () => {
  let home: string;
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'tsbuild-conf-'));
    mkdirSync(join(home, '.config/containers/registries.conf.d'), { recursive: true });
    mkdirSync(join(home, 'etc/registries.conf.d'), { recursive: true });
  });
  afterEach(() => rmSync(home, { recursive: true }));
  const load = async (explicit?: string) =>
    loadRegistriesConf({ home, system: join(home, 'etc'), ...(explicit === undefined ? {} : { explicit }) });

  test('nothing there is no configuration', async () => {
    expect(await load()).toEqual(emptyRegistriesConfig);
  });

  test('the explicit file is the only one, and must be there', async () => {
    writeFileSync(join(home, '.config/containers/registries.conf'), '[[registry]]\nlocation = "user.example"');
    writeFileSync(join(home, 'x.conf'), '[[registry]]\nlocation = "explicit.example"');
    expect((await load(join(home, 'x.conf'))).registries.map(({ prefix }) => prefix)).toEqual(['explicit.example']);
    await expect(load(join(home, 'gone.conf'))).rejects.toThrow(expect.objectContaining({ code: 'TSB_USAGE' }));
  });

  test("the user's file hides the system's; drop-ins of both count, later ones more", async () => {
    writeFileSync(join(home, 'etc/registries.conf'), '[[registry]]\nlocation = "system.example"');
    writeFileSync(
      join(home, '.config/containers/registries.conf'),
      'credential-helpers = ["main"]\n[aliases]\nx = "user.example/x"\ny = "user.example/y"\nz = "user.example/z"',
    );
    writeFileSync(
      join(home, 'etc/registries.conf.d/10.conf'),
      'credential-helpers = ["first", "containers-auth.json"]\n[[registry]]\nlocation = "dropin.example"\n[aliases]\ncentos = "quay.io/centos"\ny = "dropin.example/y"\nz = ""',
    );
    writeFileSync(join(home, 'etc/registries.conf.d/20.conf'), '[aliases]\ncentos = "quay.io/centos/centos"');
    const config = await load();
    expect(config.registries.map(({ prefix }) => prefix)).toEqual(['dropin.example']);
    expect([...config.aliases]).toEqual([
      ['x', 'user.example/x'],
      ['y', 'dropin.example/y'],
      ['z', ''],
      ['centos', 'quay.io/centos/centos'],
    ]);
    expect(config.credentialHelpers).toEqual(['first', 'containers-auth.json']);
  });

  test.runIf(isRealRoot).each([
    ['belongs to somebody else', (file: string) => chownSync(file, 4711, 4711)],
    ['everybody can write to', (file: string) => chmodSync(file, 0o666)],
  ])('a drop-in that %s says nothing of names and helpers', async (_, change) => {
    const file = join(home, 'etc/registries.conf.d/10.conf');
    writeFileSync(
      file,
      'credential-helpers = ["evil"]\n[[registry]]\nlocation = "dropin.example"\n[aliases]\ncentos = "evil.example/centos"',
    );
    change(file);
    const config = await load();
    expect(config.registries).toHaveLength(1);
    expect([...config.aliases]).toEqual([]);
    expect(config.credentialHelpers).toEqual(['containers-auth.json']);
  });
});
