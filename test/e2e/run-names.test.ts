import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeAsUser, useBench } from '../support/e2e.ts';
import { startRegistry, type TestRegistry } from '../support/registry.ts';
import { expectFailure, expectSound } from '../support/sound.ts';

describeAsUser('what names an image', (who) => {
  const use = useBench(who);
  let registry: TestRegistry;
  beforeAll(async () => {
    registry = await startRegistry();
  });
  afterAll(async () => {
    await registry[Symbol.asyncDispose]();
    await expectSound(use.bench);
  });

  const said = async (image: string, ...options: string[]): Promise<string> =>
    (await use.bench.ok(['run', '--rm', ...options, image, 'cat', '/mark'])).out;

  const build = async (text: string, ...args: string[]): Promise<string> =>
    (
      await use.bench.ok(['build', '-q', ...args, use.bench.context(`FROM base:1\nRUN echo ${text} > /mark\n`)])
    ).out.trim();

  test('ids that build -q and images print, whole and short, with a name and without', async () => {
    const { bench } = use;
    const named = await build('named', '-t', 'named:1');
    const bare = await build('bare');
    const printed = (await bench.ok(['images', '-q', 'named'])).out.trim();
    const listed = / ([0-9a-f]{12}) /.exec((await bench.ok(['images', 'named'])).out)?.[1] ?? '';
    expect(printed).toBe(named);
    for (const id of [named, named.slice(7), listed, `sha256:${listed}`]) expect(await said(id)).toBe('named\n');
    for (const id of [bare, bare.slice(7), bare.slice(7, 19)]) expect(await said(id)).toBe('bare\n');
    const { digest } =
      (JSON.parse((await bench.ok(['images', '--format=json', 'named'])).out) as { digest: string }[])[0] ?? {};
    expect(await said(digest ?? '')).toBe('named\n');
    expectFailure(await bench.tsbuild(['run', `sha256:${'0'.repeat(64)}`]), { code: 125, says: ['tsbuild images'] });
  });

  test('save and rmi take the same ids', async () => {
    const { bench } = use;
    const id = await build('saved', '-t', 'saved:1', '-t', 'saved:2');
    await bench.ok(['save', id.slice(7, 19), '-o', 'saved.tar']);
    expect(await said('saved.tar')).toBe('saved\n');
    expect((await bench.ok(['rmi', id])).out).toBe(
      'Untagged: docker.io/library/saved:1\nUntagged: docker.io/library/saved:2\n',
    );
    expectFailure(await bench.tsbuild(['save', 'saved:1', '-o', 'x.tar']), { says: ['saved:1'] });
  });

  test('archives and layouts by their path', async () => {
    const { bench } = use;
    const context = bench.context('FROM base:1\nRUN echo file > /mark\n');
    await bench.ok([
      'build',
      '-q',
      '-o',
      'type=oci,dest=a.tar',
      '-o',
      'type=docker,dest=d.tar',
      '-o',
      'type=oci,tar=false,dest=layout',
      context,
    ]);
    for (const path of [
      'a.tar',
      './a.tar',
      bench.path('a.tar'),
      './d.tar',
      'docker-archive:d.tar',
      'layout',
      './layout',
      'oci:layout',
    ])
      expect(await said(path), path).toBe('file\n');
    expectFailure(await bench.tsbuild(['run', './none.tar']), { code: 125, says: ['./none.tar', 'no such file'] });
    // A folder that is no layout is not in the way of a name, and a name goes before a file.
    bench.write('base', { a: '' });
    await build('store', '-t', 'a.tar');
    expect(await said('a.tar')).toBe('store\n');
    await bench.ok(['rmi', 'a.tar']);
  });

  test('a name that only a registry has', async () => {
    const { bench } = use;
    await bench.ok([
      'build',
      '-q',
      '-o',
      'type=oci,dest=r.tar',
      bench.context('FROM base:1\nRUN echo pulled > /mark\n'),
    ]);
    const name = `${registry.host}/some/app:1`;
    const copy = ['skopeo', 'copy', '-q', '--dest-tls-verify=false', 'oci-archive:r.tar', `docker://${name}`];
    await bench.tool(copy);
    bench.write('.', { 'registries.conf': `[[registry]]\nlocation = "${registry.host}"\ninsecure = true\n` });
    const env = { CONTAINERS_REGISTRIES_CONF: bench.path('registries.conf') };
    const store = bench.path('other');
    const { out } = await bench.ok(['run', '--rm', name, 'cat', '/mark'], { env, store });
    expect(out).toBe('pulled\n');
  });
});
