import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeAsUser, useBench } from '../support/e2e.ts';
import { REGISTRY_USER, startRegistry, type TestRegistry } from '../support/registry.ts';
import { expectFailure } from '../support/sound.ts';

describeAsUser('search', (who) => {
  const use = useBench(who, { base: false });
  const creds = ['--creds', `${REGISTRY_USER.username}:${REGISTRY_USER.password}`];
  let registry: TestRegistry;
  let host = '';
  beforeAll(async () => {
    const { bench } = use;
    registry = await startRegistry({ password: true });
    ({ host } = registry);
    await bench.ok(['build', '-q', '-o', 'type=oci,dest=a.tar', bench.context('FROM scratch\nWORKDIR /a\n')]);
    const copy = [
      'skopeo',
      'copy',
      '-q',
      '--insecure-policy',
      '--dest-tls-verify=false',
      '--dest-creds',
      creds[1] ?? '',
    ];
    for (const name of ['team/app:1', 'team/app:2', 'other:1'])
      await bench.tool([...copy, 'oci-archive:a.tar', `docker://${host}/${name}`]);
  });
  afterAll(() => registry[Symbol.asyncDispose]());

  test('by a part of the name, in the forms of docker and podman', async () => {
    const { bench } = use;
    const { out } = await bench.ok(['search', ...creds, `${host}/app`]);
    expect(out).toBe(
      `NAME${' '.repeat(host.length + 7)}DESCRIPTION  STARS  OFFICIAL\n${host}/team/app               0\n`,
    );
    expect((await bench.ok(['search', ...creds, '--format', '{{.Name}}', `${host}/`])).out).toBe(
      `${host}/other\n${host}/team/app\n`,
    );
    const json = (await bench.ok(['search', ...creds, '--format', 'json', '--limit', '1', `${host}/`])).out;
    expect(JSON.parse(json)).toEqual([
      { name: `${host}/other`, description: '', stars: 0, official: false, automated: false },
    ]);
    expect((await bench.ok(['search', ...creds, '--filter', 'stars=1', '--format', '{{.Name}}', `${host}/`])).out).toBe(
      '',
    );
    const tags = await bench.ok(['search', ...creds, '--list-tags', '--format', '{{.Tag}}', `${host}/team/app`]);
    // Registries need not sort them.
    expect(tags.out.split('\n').toSorted()).toEqual(['', '1', '2']);
  });

  test('what a registry refuses, and what nobody can mean', async () => {
    const { bench } = use;
    expectFailure(await bench.tsbuild(['search', `${host}/app`]), {
      says: ['offers no search', `tsbuild login ${host}`],
    });
    for (const args of [
      ['--limit', '0', 'x'],
      ['--limit', 'x', 'x'],
      ['--filter', 'color=red', 'x'],
      ['--creds', 'x', 'x'],
      [''],
    ])
      expectFailure(await bench.tsbuild(['search', ...args]), { code: 2, says: [] });
  });
});
