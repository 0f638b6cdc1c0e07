import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeAsUser, useBench } from '../support/e2e.ts';
import { startRegistry, type TestRegistry } from '../support/registry.ts';
import { expectFailure, expectSound } from '../support/sound.ts';

const DOCKERFILE = `FROM base:1
LABEL team=a
RUN mkdir /data && head -c 300000 /dev/zero >/data/big && head -c 1000 /dev/zero >/data/small
RUN rm /data/big && head -c 2000 /dev/zero >/data/small
CMD ["sh"]
`;

describeAsUser('inspect, history, tag', (who) => {
  const use = useBench(who);
  let registry: TestRegistry;
  let name = '';
  let id = '';
  beforeAll(async () => {
    const { bench } = use;
    registry = await startRegistry();
    name = `${registry.host}/team/app:1`;
    id = (await bench.ok(['build', '-q', '-t', 'app:1', bench.context(DOCKERFILE)])).out.trim();
    await bench.ok(['save', 'app:1', '-o', 'app.tar']);
    const copy = ['skopeo', 'copy', '-q', '--insecure-policy', '--dest-tls-verify=false'];
    await bench.tool([...copy, 'oci-archive:app.tar', `docker://${name}`]);
  });
  afterAll(async () => {
    await registry[Symbol.asyncDispose]();
    await expectSound(use.bench);
  });

  const inspect = async (...args: string[]): Promise<string> => (await use.bench.ok(['inspect', ...args])).out;

  const skopeo = (...args: string[]): Promise<string> =>
    use.bench.tool(['skopeo', 'inspect', '--tls-verify=false', ...args]);

  test('names, ids, archives and registries say the same', async () => {
    const [image] = JSON.parse(await inspect('app:1')) as Record<string, unknown>[];
    expect(image).toMatchObject({
      Id: id,
      RepoTags: ['app:1'],
      Os: 'linux',
      Config: { Cmd: ['sh'], Labels: { team: 'a' }, Entrypoint: null },
      RootFS: { Type: 'layers' },
    });
    for (const other of [id, id.slice(7, 19), 'app.tar', './app.tar', `docker://${name}`])
      expect(await inspect('--format', '{{.Id}} {{join .Config.Cmd ","}}', other), other).toBe(`${id} sh\n`);
    const digest = (await inspect('-f', '{{.Digest}}', 'app:1')).trim();
    expect(await inspect('-f', '{{index .RepoDigests 0}}', `app@${digest}`)).toBe(`app@${digest}\n`);
    const theirs = JSON.parse(await skopeo(`docker://${name}`)) as Record<string, unknown>;
    for (const field of ['Digest', 'Created', 'Architecture', 'Os', 'Layers', 'Labels', 'Env', 'Name'])
      expect(JSON.parse(await inspect('-f', `{{json .${field}}}`, '--remote', name)), field).toEqual(theirs[field]);
    const two = JSON.parse(await inspect('app:1', 'base:1')) as unknown[];
    expect(two).toHaveLength(2);
  });

  test('documents as they are', async () => {
    const remote = `docker://${name}`;
    const raw = await skopeo('--raw', remote);
    expect(await inspect('--raw', remote)).toBe(raw);
    const config = await skopeo('--raw', '--config', remote);
    expect(await inspect('--raw', '--config', remote)).toBe(config);
    expect(JSON.parse(await inspect('--config', 'app:1'))).toEqual(JSON.parse(config));
    expect(JSON.parse((await use.bench.ok(['manifest', 'inspect', name])).out)).toHaveProperty('layers');
  });

  test('what each layer adds, and what is there for nobody', async () => {
    const report = JSON.parse(await inspect('--layers', '--format', 'json', 'app:1')) as {
      layers: { wasted: number; deleted: number; overwritten: number; instruction: string; largestFiles: unknown[] }[];
      wasted: number;
      wastedPaths: unknown[];
    };
    const [first, second] = report.layers.slice(-2);
    expect(first).toMatchObject({
      wasted: 301_000,
      deleted: 0,
      instruction: expect.stringMatching(/^RUN mkdir/) as string,
    });
    expect(first?.largestFiles).toEqual([
      { path: '/data/big', size: 300_000 },
      { path: '/data/small', size: 1000 },
    ]);
    expect(second).toMatchObject({ wasted: 0, deleted: 1, overwritten: 1 });
    expect(report.wasted).toBe(301_000);
    const layer = report.layers.length - 1;
    expect(report.wastedPaths).toEqual([
      { path: '/data/big', size: 300_000, layers: [layer] },
      { path: '/data/small', size: 1000, layers: [layer] },
    ]);
    const text = await inspect('--layers', `docker://${name}`);
    expect(text).toContain('/data/big');
    expect(text).toMatch(/301\.00kB of it wasted: efficiency \d+\.\d %/);
    expect(await inspect('--layers', '-f', '{{.wasted}}', 'app.tar')).toBe('301000\n');
  });

  test('the history, the newest first', async () => {
    const { bench } = use;
    const { out } = await bench.ok(['history', 'app:1']);
    const lines = out.trim().split('\n');
    expect(lines[0]).toMatch(/^IMAGE +CREATED +CREATED BY +SIZE +COMMENT$/);
    expect(lines[1]).toMatch(new RegExp(`^${id.slice(7, 19)} .*CMD`));
    expect(lines[2]).toMatch(/^<missing> .*RUN .*rm \/data\/big/);
    const whole = (await bench.ok(['history', '--no-trunc', '--format', '{{.ID}}\\t{{.CreatedBy}}', 'app:1'])).out;
    expect(whole).toContain(`${id}\tCMD ["sh"]`);
    expect((await bench.ok(['history', '-q', 'app:1'])).out.split('\n')[1]).toBe('<missing>');
    const sizes = (await bench.ok(['history', '--human=false', '--format', '{{.Size}}', `docker://${name}`])).out;
    expect(sizes).toMatch(/^0\n\d+\n\d+\n0\n/);
    const json = JSON.parse((await bench.ok(['image', 'history', '--format', 'json', 'app:1'])).out) as unknown[];
    expect(json[0]).toMatchObject({ id, size: 0 });
  });

  test('tag and untag', async () => {
    const { bench } = use;
    await bench.ok(['tag', 'app:1', 'app:2', 'registry.example/x/app']);
    await bench.ok(['image', 'tag', id.slice(7, 19), 'app:3']);
    expect(JSON.parse(await inspect('-f', '{{json .RepoTags}}', 'app:2'))).toEqual([
      'app:1',
      'app:2',
      'app:3',
      'registry.example/x/app:latest',
    ]);
    const bare = (await bench.ok(['build', '-q', bench.context('FROM base:1\nRUN echo bare > /bare\n')])).out.trim();
    await bench.ok(['tag', bare, 'bare']);
    expect(await inspect('-f', '{{.Id}}', 'bare')).toBe(`${bare}\n`);
    expect((await bench.ok(['untag', 'app:1', 'app:2'])).out).toBe('Untagged: docker.io/library/app:2\n');
    expectFailure(await bench.tsbuild(['untag', 'app:1', 'bare']), { says: ['it is not called', 'app:1'] });
    expect((await bench.ok(['untag', 'bare'])).out).toBe('Untagged: docker.io/library/bare:latest\n');
    expectFailure(await bench.tsbuild(['tag', 'ap:1', 'x']), { says: ['did you mean "app:1"'] });
    expectFailure(await bench.tsbuild(['tag', 'app:1', 'x@sha256:' + '0'.repeat(64)]), {
      code: 2,
      says: ['a digest is not a name'],
    });
    expectFailure(await bench.tsbuild(['tag', 'app:1', 'UPPER']), { code: 2, says: ['lowercase'] });
  });

  test('images in the formats of docker, and only some of them', async () => {
    const { bench } = use;
    const images = async (...args: string[]): Promise<string> => (await bench.ok(['images', ...args])).out;
    await bench.ok([
      'build',
      '-q',
      '-t',
      'other.example/x/y:2',
      bench.context('FROM base:1\nLABEL team=b\nRUN echo > /later\n'),
    ]);
    expect(await images('--format', '{{.Repository}}:{{.Tag}} {{.ID}}', '-f', 'reference=app:1')).toBe(
      `app:1 ${id.slice(7, 19)}\n`,
    );
    const table = await images(
      '--format',
      String.raw`table {{.Repository}}\t{{.Tag}}`,
      '--filter',
      'reference=other.example/x/*',
    );
    expect(table).toBe('REPOSITORY         TAG\nother.example/x/y  2\n');
    expect(await images('--format', 'table {{.Repository}}', '--filter', 'label=none')).toBe('REPOSITORY\n');
    const named = async (...filters: string[]): Promise<readonly string[]> =>
      (await images('--format', '{{.Image}}', ...filters.flatMap((filter) => ['--filter', filter]))).trim().split('\n');
    expect(await named('label=team=b')).toEqual(['other.example/x/y:2']);
    expect(await named('label=team', 'reference=app:1')).toEqual(['app:1']);
    expect(await named('before=app:1', 'reference=base')).toEqual(['base:1']);
    expect(await named('since=app:1')).toEqual(['other.example/x/y:2']);
    expect(await named('reference=app:1', 'reference=base:1')).toEqual(['app:1', 'base:1']);
    expect(await named('dangling=true')).toEqual(['']);
    expect(await images('--no-trunc', '--digests', 'app:1')).toMatch(new RegExp(`sha256:[0-9a-f]{64}  ${id}`));
    for (const filter of ['color=red', 'reference', 'until=x', 'dangling=x', 'reference=['])
      expectFailure(await bench.tsbuild(['images', '--filter', filter]), { code: 2, says: [] });
    expectFailure(await bench.tsbuild(['images', '--filter', 'before=none']), { says: ['none'] });
  });

  test('a platform that is asked for must be there', async () => {
    expectFailure(await use.bench.tsbuild(['inspect', '--platform', 'linux/s390x', 'app:1']), {
      says: ['linux/s390x', 'linux/'],
    });
  });

  test('networks and volumes are found by their names, after containers and images, and --type says which are meant', async () => {
    const { bench } = use;
    for (const name of ['both', 'app']) await bench.ok(['volume', 'create', name]);
    await bench.ok(['network', 'create', 'both']);
    const kind = async (...words: string[]): Promise<readonly string[]> => {
      const { out } = await bench.ok(['inspect', ...words]);
      return (JSON.parse(out) as Readonly<Record<string, unknown>>[]).map(
        ({ IPAM, Mountpoint, Name }) => `${IPAM ? 'network' : Mountpoint ? 'volume' : 'other'} ${String(Name)}`,
      );
    };
    expect(await kind('both')).toEqual(['network both']);
    expect(await kind('--type', 'volume', 'both', 'app')).toEqual(['volume both', 'volume app']);
    expect(await kind('app')).toEqual(['volume app']);
    const [volume] = JSON.parse((await bench.ok(['inspect', 'app'])).out) as unknown[];
    expect([volume]).toEqual(JSON.parse((await bench.ok(['volume', 'inspect', 'app'])).out));
    expectFailure(await bench.tsbuild(['inspect', '--type', 'network', 'app']), { says: ['No such network: app'] });
    expectFailure(await bench.tsbuild(['inspect', '--config', 'app']), { says: ['no such image'] });
    await bench.ok(['network', 'rm', 'both']);
  });

  test('what only a registry has is asked of it when that is said', async () => {
    expectFailure(await use.bench.tsbuild(['inspect', name]), {
      says: [`No such object: ${name}`, 'no container, image, network or volume', '--remote'],
    });
    for (const words of [
      ['inspect', '--type', 'image', name],
      ['image', 'inspect', name],
    ])
      expectFailure(await use.bench.tsbuild(words), { says: ['no such image in the local image store', '--remote'] });
    expectFailure(await use.bench.tsbuild(['inspect', '--remote', `${registry.host}/none`]), { says: ['not found'] });
    expectFailure(await use.bench.tsbuild(['inspect', '-f', '{{.Idd}}', 'app:1']), {
      code: 2,
      says: ['did you mean ".Id"?'],
    });
    expectFailure(await use.bench.tsbuild(['inspect', '-f', '{{', 'none']), { code: 2, says: ['not closed'] });
    expectFailure(await use.bench.tsbuild(['inspect', '--raw', '--layers', 'app:1']), { code: 2, says: ['--layers'] });
  });
});
