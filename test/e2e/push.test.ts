import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { describeAsUser, useBench } from '../support/e2e.ts';
import { makeCertificates } from '../support/certificate.ts';
import { startProxy, type TestProxy } from '../support/proxy.ts';
import { isRememberedAnew } from '../support/recalled.ts';
import { REGISTRY_USER, startRegistry, type TestRegistry } from '../support/registry.ts';
import { until } from '../support/until.ts';
import { useWatchedRegistry } from '../support/watched-registry.ts';

const DOCKERFILE = 'FROM base:1\nCOPY one /one\nCOPY two /two\nENV A=1\n';
const CREDS = `${REGISTRY_USER.username}:${REGISTRY_USER.password}`;
const FILES = { one: 'one\n', two: 'two\n' };

describeAsUser('pushing', (who) => {
  const use = useBench(who);
  const held = useWatchedRegistry();
  let count = 0;

  /** A name in a repository that nothing was pushed to. */
  const newName = (): string => `${held.watched.host}/team/app${count++}`;
  const skopeo = (...args: string[]) => use.bench.tool(['skopeo', ...args]);
  const inspect = async (name: string): Promise<Record<string, unknown>> =>
    JSON.parse(await skopeo('inspect', '--tls-verify=false', `docker://${name}`)) as Record<string, unknown>;
  const inspectRaw = async (name: string): Promise<Record<string, unknown>> =>
    JSON.parse(await skopeo('inspect', '--raw', '--tls-verify=false', `docker://${name}`)) as Record<string, unknown>;
  const uploads = () => held.watched.requests.filter(({ method, status }) => method === 'PUT' && status === 201);
  const sentBlobs = () => uploads().filter(({ url }) => url.includes('/uploads/'));
  /** Where manifests were put, or were to be. */
  const putManifests = () =>
    held.watched.requests
      .filter(({ method, url }) => method === 'PUT' && url.includes('/manifests/'))
      .map(({ url }) => url);
  /** Blobs that came into a repository, by sending or mounting them. */
  const arrived = () => held.watched.requests.filter(({ url, status }) => status === 201 && url.includes('/uploads/'));

  test('what was built is there under all names, and is told', async () => {
    const context = use.bench.context(DOCKERFILE, FILES);
    const name = newName();
    const args = ['--metadata-file', 'md.json', '--iidfile', 'iid', '--annotation', 'some.key=value'];
    await use.bench.ok(['build', '--push', '-t', `${name}:1`, '-t', `${name}:2`, ...args, context]);
    const metadata = JSON.parse(readFileSync(use.bench.path('md.json'), 'utf8')) as Record<string, unknown>;
    const raw = await inspectRaw(`${name}:2`);
    expect(raw).toMatchObject({ annotations: { 'some.key': 'value' } });
    expect(metadata).toMatchObject({
      'containerimage.digest': (await inspect(`${name}:1`))['Digest'],
      'image.name': `${name}:1,${name}:2`,
      'containerimage.config.digest': (raw['config'] as { digest: string }).digest,
    });
    expect(readFileSync(use.bench.path('iid'), 'utf8')).toBe(metadata['containerimage.config.digest']);
    // It is in no local store, and another one can build on it.
    expect((await use.bench.ok(['images'])).out).not.toContain(name);
    const other = use.bench.path(`store-${count++}`);
    const run = await use.bench.ok(['run', '--network=none', `${name}:1`, 'cat', '/one', '/two'], { store: other });
    expect(run.out).toBe('one\ntwo\n');
  });

  test('tags come last, and a second push costs one question and one request for the tag', async () => {
    const context = use.bench.context(DOCKERFILE, FILES);
    const name = newName();
    const first = await use.bench.ok(['build', '--progress=plain', '--push', '-t', `${name}:1`, context]);
    expect(held.watched.requests.at(-1)).toMatchObject({
      method: 'PUT',
      url: expect.stringMatching(/\/manifests\/1$/),
    });
    expect(first.err).toMatch(/pushed to .*, blobs: .*(mounted|sent)/);
    expect(arrived()).toHaveLength(4);
    held.watched.requests.length = 0;
    const second = await use.bench.ok(['build', '--progress=plain', '--push', '-t', `${name}:1`, context]);
    expect(held.watched.requests.map(({ method, url }) => `${method} ${url.replace(/sha256:.*/, '<digest>')}`)).toEqual(
      [expect.stringMatching(/^HEAD .*\/manifests\/<digest>$/), expect.stringMatching(/^PUT .*\/manifests\/1$/)],
    );
    expect(second.err).toContain('blobs: 4 there');
    expect(sentBlobs()).toEqual([]);
  });

  test('a registry that has the manifest and lost a blob gets that blob, and nothing else', async () => {
    const context = use.bench.context('FROM scratch\nCOPY one /one\nCOPY two /two\n', { ...FILES, two: 'lost' });
    const name = newName();
    await use.bench.ok(['build', '-q', '--load', '-t', `${name}:1`, context]);
    const push = async () => (await use.bench.ok(['push', '--progress=plain', `${name}:1`])).err;
    expect(await push()).toContain('blobs: 3 sent');
    expect(await push()).toContain('blobs: 3 there');
    const { layers } = (await inspectRaw(`${name}:1`)) as { layers: readonly { readonly digest: string }[] };
    const lost = layers[1]?.digest ?? '';
    const path = name.slice(held.watched.host.length + 1);
    await held.registry.forget(`${path}/_layers/${lost.replace(':', '/')}`);
    held.watched.requests.length = 0;
    expect(await push()).toMatch(/blobs: 2 there, 1 (mounted|sent)/);
    expect(arrived().map(({ url }) => decodeURIComponent(url))).toEqual([expect.stringContaining(lost)]);
    expect(await push()).toContain('blobs: 3 there');
  });

  test('a build that is remembered is pushed again, what is missing sent', async () => {
    const context = use.bench.context('FROM base:1\nCOPY one /one\nCOPY two /two\n', { ...FILES, one: 'remembered' });
    const name = newName();
    const build = (tag: string) =>
      use.bench.ok(['build', '--progress=plain', '--push', '-t', `${name}:${tag}`, context]);
    await build('1');
    // Times of files must be old enough to tell of every change.
    await sleep(100);
    expect(await isRememberedAnew(use.bench, () => build('1'))).toBe(true);
    let again = '';
    expect(await isRememberedAnew(use.bench, async () => (again = (await build('1')).err))).toBe(false);
    expect(again).toContain('blobs: 4 there');
    // Of what came to be when it was first pushed nothing is shown again.
    expect(again.match(/pushed to /g)).toHaveLength(1);
    // The registry lost it all: what is remembered is what was built, not what is there.
    await held.registry.forget(name.slice(held.watched.host.length + 1));
    expect(await isRememberedAnew(use.bench, async () => (again = (await build('1')).err))).toBe(false);
    expect(again).toMatch(/blobs: .*sent/);
    expect(again).not.toContain('there');
    const run = await use.bench.ok(['run', '--network=none', `${name}:1`, 'cat', '/one'], {
      store: use.bench.path(`store-${count++}`),
    });
    expect(run.out).toBe('remembered');
    // What cannot be pushed is a failure of the remembered build, too.
    held.watched.refuse = ({ method }) => (method === 'PUT' ? 403 : undefined);
    const failed = await use.bench.tsbuild(['build', '--push', '-t', `${name}:1`, context]);
    expect(failed.code).toBe(1);
    expect(failed.err).toMatch(/ERROR: Cannot push manifest of/);
  });

  test('layers are sent while the build goes on', async () => {
    const context = use.bench.context('FROM base:1\nCOPY one /one\nRUN sleep 1000\n', { one: String(Math.random()) });
    const name = newName();
    const running = use.bench.tsbuildStart(['build', '--progress=plain', '--push', '-t', `${name}:1`, context]);
    await until('a layer has been sent', () => sentBlobs().length > 0);
    expect(running.child.exitCode).toBeNull();
    expect(running.text()).not.toContain('exporting to image');
    running.child.kill('SIGINT');
    await running.ended;
    expect(putManifests()).toEqual([]);
  });

  test('a base image that the registry has is neither fetched nor sent', async () => {
    const base = newName();
    const onto = use.bench.context('FROM base:1\nCOPY one /one\n', { one: 'x'.repeat(100_000) });
    await use.bench.ok(['build', '--push', '-t', `${base}:1`, onto]);
    const name = newName();
    const context = use.bench.context(`FROM ${base}:1\nCOPY --link two /two\nENV B=2\n`, FILES);
    const store = use.bench.path(`store-${count++}`);
    held.watched.requests.length = 0;
    const { err } = await use.bench.ok(['build', '--progress=plain', '--push', '-t', `${name}:1`, context], { store });
    expect(err).toMatch(/neither fetched nor sent: 2 layers of base images/);
    expect(err).toMatch(/2 mounted from another repository, 2 sent/);
    const moved = held.watched.requests.reduce((sum, { sent, received }) => sum + sent + received, 0);
    expect(moved).toBeLessThan(20_000);
    const run = await use.bench.ok(['run', '--network=none', `${name}:1`, 'cat', '/two'], {
      store: use.bench.path(`store-${count++}`),
    });
    expect(run.out).toBe('two\n');
  });

  test('a base image of another registry is fetched for the one that lacks it', async () => {
    await using elsewhere = await startRegistry();
    const base = `${elsewhere.host}/base:1`;
    await use.bench.ok(['push', 'base:1', base]);
    const name = newName();
    const context = use.bench.context(`FROM ${base}\nCOPY --link two /two\n`, { two: 'elsewhere' });
    const store = use.bench.path(`store-${count++}`);
    await use.bench.ok(['build', '--push', '-t', `${name}:1`, '-t', `${name}-b:1`, context], { store });
    // The second repository takes from the first what was sent there.
    expect(
      sentBlobs().filter(({ url }) => url.includes(`${name.slice(held.watched.host.length)}-b/`)).length,
    ).toBeLessThan(2);
    const run = await use.bench.ok(['run', '--network=none', `${name}-b:1`, 'cat', '/two'], {
      store: use.bench.path(`store-${count++}`),
    });
    expect(run.out).toBe('elsewhere');
  });

  test('a push that failed is completed with what is missing', async () => {
    const context = use.bench.context(DOCKERFILE, { one: '1'.repeat(5000), two: String(Math.random()) });
    const name = newName();
    let left = 2;
    held.watched.refuse = ({ method, url }) =>
      method === 'PUT' && url.includes('/uploads/') && left-- <= 0 ? 403 : undefined;
    const failed = await use.bench.tsbuild(['build', '--push', '-t', `${name}:1`, context]);
    expect(failed.code).toBe(1);
    expect(failed.err).toContain(name);
    expect(failed.err).toContain('tsbuild login');
    expect(putManifests()).toEqual([]);
    const had = arrived().length;
    held.watched.requests.length = 0;
    held.watched.refuse = () => undefined;
    await use.bench.ok(['build', '--push', '-t', `${name}:1`, context]);
    expect(arrived()).toHaveLength(4 - had);
    expect(await inspect(`${name}:1`)).toMatchObject({ RepoTags: ['1'] });
    expect(await use.bench.leftovers()).toEqual([]);
  });

  test('a push that is killed leaves no tag, and the next one is whole (REL-04, REL-33)', async () => {
    const context = use.bench.context(DOCKERFILE, { one: 'k'.repeat(100_000), two: String(Math.random()) });
    const name = newName();
    const isUpload = ({ method, url }: { method: string; url: string }) =>
      method === 'PUT' && url.includes('/uploads/');
    for (const after of [0, 1, 2]) {
      held.watched.requests.length = 0;
      const running = use.bench.tsbuildStart(['build', '--push', '-t', `${name}:1`, context]);
      // At the moment when the registry has begun to take something in.
      held.watched.refuse = (request) => {
        if (isUpload(request) && held.watched.requests.filter(isUpload).length > after) running.child.kill('SIGKILL');
        return undefined;
      };
      const { code } = await running.ended;
      const isTagged = held.watched.requests.some(({ url, status }) => url.includes('/manifests/') && status === 201);
      expect(isTagged).toBe(code === 0);
    }
    held.watched.refuse = () => undefined;
    await use.bench.ok(['build', '--push', '-t', `${name}:1`, context]);
    const store = use.bench.path(`store-${count++}`);
    expect((await use.bench.ok(['run', '--network=none', `${name}:1`, 'wc', '-c', '/one'], { store })).out).toContain(
      '100000',
    );
    expect(await use.bench.leftovers()).toEqual([]);
    expect(await use.bench.damage(use.bench.store)).toEqual([]);
  });

  test('a layer that is damaged in the store is not sent: a build makes it again, a push says so', async () => {
    const context = use.bench.context('FROM scratch\nCOPY one /one\n', { one: `damaged ${Math.random()}` });
    const name = newName();
    const damage = async (): Promise<void> => {
      await use.bench.ok(['build', '-q', '-t', 'local/damaged:1', context]);
      await use.bench.ok(['build', '-q', '-o', 'type=oci,tar=false,dest=damaged', context]);
      const index = JSON.parse(readFileSync(use.bench.path('damaged/index.json'), 'utf8')) as {
        manifests: [{ digest: string }];
      };
      const blob = (dir: string, digest: string) => join(dir, 'blobs/sha256', digest.slice('sha256:'.length));
      const [root] = index.manifests;
      const manifest = JSON.parse(readFileSync(blob(use.bench.path('damaged'), root.digest), 'utf8')) as {
        layers: [{ digest: string }];
      };
      const path = blob(use.bench.store, manifest.layers[0].digest);
      const bytes = readFileSync(path);
      bytes[20] = (bytes[20] ?? 0) ^ 1;
      chmodSync(path, 0o644);
      writeFileSync(path, bytes);
    };
    await damage();
    const failed = await use.bench.tsbuild(['push', 'local/damaged:1', `${name}:1`]);
    expect(failed.code).toBe(1);
    expect(failed.err).toMatch(/damaged in the store/);
    expect(putManifests()).toEqual([]);
    await damage();
    const built = await use.bench.ok(['build', '--push', '-t', `${name}:1`, '--no-cache-filter', 'none', context]);
    expect(built.err).toMatch(/It is made again/);
    const store = use.bench.path(`store-${count++}`);
    await use.bench.ok(
      ['build', '-o', 'pulled', '--build-context', `it=docker-image://${name}:1`, use.bench.context('FROM it\n', {})],
      { store },
    );
    expect(readFileSync(use.bench.path('pulled/one'), 'utf8')).toBe(readFileSync(join(context, 'one'), 'utf8'));
  });

  test('by digest there is no tag', async () => {
    const context = use.bench.context(DOCKERFILE, FILES);
    const name = newName();
    const output = `type=image,name=${name},push-by-digest=true,name-canonical=true,push=true`;
    await use.bench.ok(['build', '-o', output, '--metadata-file', 'md.json', context]);
    const { 'containerimage.digest': digest } = JSON.parse(readFileSync(use.bench.path('md.json'), 'utf8')) as Record<
      string,
      string
    >;
    expect(putManifests()).toEqual([`${name.slice(held.watched.host.length).replace(/^/, '/v2')}/manifests/${digest}`]);
    expect(await inspectRaw(`${name}@${digest}`)).toMatchObject({ schemaVersion: 2 });
  });

  test('several platforms are one index, its annotations in it', async () => {
    const context = use.bench.context('FROM scratch\nCOPY one /one\n', FILES);
    const name = newName();
    const output = `type=registry,name=${name}:1,annotation-index.in=index,annotation-manifest-descriptor.in=descriptor`;
    await use.bench.ok(['build', '--platform', 'linux/amd64,linux/arm64', '-o', output, context]);
    const index = await inspectRaw(`${name}:1`);
    expect(index).toMatchObject({ annotations: { in: 'index' } });
    const entries = index['manifests'] as { platform: object; annotations: object }[];
    expect(entries.map(({ platform }) => platform)).toEqual([
      { architecture: 'amd64', os: 'linux' },
      { architecture: 'arm64', os: 'linux' },
    ]);
    expect(entries.map(({ annotations }) => annotations)).toEqual([{ in: 'descriptor' }, { in: 'descriptor' }]);
  });

  test('with --load, and with an archive, it is there too', async () => {
    const context = use.bench.context(DOCKERFILE, FILES);
    const name = newName();
    await use.bench.ok(['build', '--push', '--load', '-o', 'type=oci,dest=out.tar', '-t', `${name}:1`, context]);
    expect((await use.bench.ok(['images'])).out).toContain(`${name}:1`);
    const archive = JSON.parse(await skopeo('inspect', `oci-archive:${use.bench.path('out.tar')}`)) as {
      Digest: string;
    };
    expect((await inspect(`${name}:1`))['Digest']).toBe(archive.Digest);
  });

  test('as zstd, with Docker’s media types, or recompressed, others can read it', async () => {
    const context = use.bench.context(DOCKERFILE, FILES);
    const types: string[] = [];
    for (const form of [
      'oci-mediatypes=false',
      'compression=zstd,force-compression=true',
      'compression=uncompressed',
    ]) {
      const name = newName();
      await use.bench.ok(['build', '-o', `type=registry,name=${name}:1,${form}`, context]);
      await skopeo(
        'copy',
        '-q',
        '--src-tls-verify=false',
        `docker://${name}:1`,
        `dir:${use.bench.path(`dir-${count++}`)}`,
      );
      const { layers } = (await inspectRaw(`${name}:1`)) as { layers: { mediaType: string }[] };
      types.push(layers.map(({ mediaType }) => mediaType.replace(/^application\/vnd\./, '')).at(-1) ?? '');
    }
    expect(types).toEqual([
      'docker.image.rootfs.diff.tar.gzip',
      'oci.image.layer.v1.tar+zstd',
      'oci.image.layer.v1.tar',
    ]);
  });

  test('as zstd with Docker’s media types, which BuildKit writes as well, it can be used as a base', async () => {
    const context = use.bench.context(DOCKERFILE, FILES);
    const name = newName();
    const form = 'oci-mediatypes=false,compression=zstd,force-compression=true';
    await use.bench.ok(['build', '-o', `type=registry,name=${name}:1,${form}`, context]);
    const { layers } = (await inspectRaw(`${name}:1`)) as { layers: { mediaType: string }[] };
    expect(new Set(layers.map(({ mediaType }) => mediaType))).toEqual(
      new Set(['application/vnd.docker.image.rootfs.diff.tar.zstd']),
    );
    const store = use.bench.path(`store-${count++}`);
    const on = use.bench.context(`FROM ${name}:1\nRUN cat /one /two > /both\n`, {});
    await use.bench.ok(['build', '-q', '-t', 'on:1', on], { store });
    expect((await use.bench.ok(['run', '--network=none', 'on:1', 'cat', '/both'], { store })).out).toBe('one\ntwo\n');
  });

  describe('tsbuild push', () => {
    beforeAll(async () => {
      const context = use.bench.context(DOCKERFILE, FILES);
      await use.bench.ok(['build', '-t', 'local/app:1', context]);
      await use.bench.ok(['build', '-t', 'local/app:2', '--label', 'a=b', context]);
    });

    test('sends an image to where its name says, or another one', async () => {
      const name = newName();
      const { out } = await use.bench.ok(['push', '--digestfile', 'digest', 'local/app:1', `docker://${name}:other`]);
      const digest = readFileSync(use.bench.path('digest'), 'utf8');
      expect(out).toBe(`${name}:other@${digest}\n`);
      expect(await inspect(`${name}:other`)).toMatchObject({ Digest: digest });
    });

    test('sends all tags', async () => {
      const name = newName();
      const { out } = await use.bench.ok(['push', '-q', '--all-tags', 'local/app', name]);
      expect(out.trim().split('\n')).toHaveLength(2);
      expect(await inspect(`${name}:1`)).toMatchObject({ RepoTags: expect.arrayContaining(['1', '2']) });
      expect(await inspect(`${name}:2`)).toMatchObject({ Labels: { a: 'b' } });
    });

    test('compresses anew', async () => {
      const name = newName();
      await use.bench.ok(['push', '--compression', 'zstd', 'local/app:1', `${name}:1`]);
      const manifest = (await inspectRaw(`${name}:1`)) as {
        layers: { mediaType: string }[];
        config: { digest: string };
      };
      expect(new Set(manifest.layers.map(({ mediaType }) => mediaType))).toEqual(
        new Set(['application/vnd.oci.image.layer.v1.tar+zstd']),
      );
      const store = use.bench.path(`store-${count++}`);
      const run = await use.bench.ok(['run', '--network=none', `${name}:1`, 'cat', '/one'], { store });
      expect(run.out).toBe('one\n');
    });

    test('sends an index whole, or one platform of it', async () => {
      const context = use.bench.context('FROM scratch\nCOPY one /one\n', FILES);
      await use.bench.ok(['build', '--platform', 'linux/amd64,linux/arm64', '-t', 'local/both:1', context]);
      const name = newName();
      await use.bench.ok(['push', '--all-platforms', 'local/both:1', `${name}:all`]);
      await use.bench.ok(['push', '--platform', 'linux/arm64', 'local/both:1', `${name}:arm`]);
      expect(await inspectRaw(`${name}:all`)).toMatchObject({ manifests: [{}, {}] });
      expect(await inspectRaw(`${name}:arm`)).toMatchObject({ layers: [{}] });
    });

    test.each([
      [['nope'], /no such image in the local image store/],
      [['local/app:1', 'oci:dir'], /only registries are pushed to[^]*tsbuild copy/],
      [['-a', 'local/app:1'], /--all-tags/],
      [['--creds', 'me', 'local/app:1'], /USER:PASSWORD/],
      [['--compression', 'lzma', 'local/app:1'], /gzip, zstd or none/],
    ])('%s is an error that says what to do', async (args, message) => {
      const { code, err } = await use.bench.tsbuild(['push', ...args]);
      expect(code).toBeGreaterThan(0);
      expect(err).toMatch(message);
    });
  });

  test('a read-only registry is quoted, with a hint', async () => {
    await using readOnly = await startRegistry({ readOnly: true });
    const context = use.bench.context(DOCKERFILE, FILES);
    const { code, err } = await use.bench.tsbuild(['build', '--push', '-t', `${readOnly.host}/app:1`, context]);
    expect(code).toBe(1);
    expect(err).toMatch(/405 Method Not Allowed/);
    expect(err).toMatch(/hint: the registry takes no images: it is read-only/);
  });

  describe('to a registry that asks who we are', () => {
    let closed: TestRegistry;
    beforeAll(async () => {
      closed = await startRegistry({ password: true });
      await use.bench.ok(['build', '-t', 'local/auth:1', use.bench.context(DOCKERFILE, FILES)]);
    });
    afterAll(async () => {
      await closed[Symbol.asyncDispose]();
    });

    test('fails without credentials, and says what to type', async () => {
      const { code, err } = await use.bench.tsbuild(['push', 'local/auth:1', `${closed.host}/app:1`]);
      expect(code).toBe(1);
      expect(err).toMatch(/access denied[^]*401[^]*tsbuild login/);
    });

    test('works with those of an auth file, or typed, and shows none', async () => {
      const auths = { [closed.host]: { auth: Buffer.from(CREDS).toString('base64') } };
      use.bench.write('auth', { 'auth.json': JSON.stringify({ auths }) });
      const file = use.bench.path('auth/auth.json');
      const pushes = [
        await use.bench.ok(['push', '--authfile', file, 'local/auth:1', `${closed.host}/app:1`]),
        await use.bench.ok(['push', '--creds', CREDS, 'local/auth:1', `${closed.host}/app:2`]),
        await use.bench.ok(['build', '--push', '-t', `${closed.host}/app:3`, use.bench.context(DOCKERFILE, FILES)], {
          env: { REGISTRY_AUTH_FILE: file },
        }),
        await use.bench.tsbuild(['push', '--creds', `${CREDS}!`, 'local/auth:1', `${closed.host}/app:4`]),
      ];
      expect(pushes.map(({ code }) => code)).toEqual([0, 0, 0, 1]);
      for (const { out, err } of pushes) expect(out + err).not.toMatch(/correct horse|YWxpY2/);
      const tags = await use.bench.tool([
        'skopeo',
        'list-tags',
        '--tls-verify=false',
        '--creds',
        CREDS,
        `docker://${closed.host}/app`,
      ]);
      expect(JSON.parse(tags)).toMatchObject({ Tags: expect.arrayContaining(['1', '2', '3']) });
    });
  });

  describe('over TLS, through a proxy', () => {
    let dir: string;
    let secure: TestRegistry;
    let proxy: TestProxy;
    beforeAll(async () => {
      dir = mkdtempSync(join(tmpdir(), 'tsbuild-tls-'));
      chmodSync(dir, 0o755);
      secure = await startRegistry({ tls: makeCertificates(dir) });
      proxy = await startProxy();
      const files = { one: 'x'.repeat(3_000_000), two: '' };
      await use.bench.ok(['build', '-t', 'local/tls:1', use.bench.context(DOCKERFILE, files)]);
    });
    afterAll(async () => {
      await proxy[Symbol.asyncDispose]();
      await secure[Symbol.asyncDispose]();
      rmSync(dir, { recursive: true });
    });
    /** On this machine nobody would be asked for a certificate. */
    const host = () => secure.host.replace('127.0.0.1', 'registry.test');
    const ca = () => readFileSync(join(dir, 'server-ca.crt'), 'utf8');
    const env = () => ({ HTTPS_PROXY: proxy.url });

    test('a registry that nobody vouches for is refused', async () => {
      const { code, err } = await use.bench.tsbuild(['push', 'local/tls:1', `${host()}/app:1`], { env: env() });
      expect(code).toBe(1);
      expect(err).toMatch(/registry\.test:\d+.*certificate/);
    });

    test('an authority in certs.d is trusted, for its host', async () => {
      use.bench.write(`.config/containers/certs.d/${host()}`, { 'ca.crt': ca() });
      await use.bench.ok(['push', 'local/tls:1', `${host()}/app:1`], { env: env() });
      expect(proxy.tunnels).toContain(host());
      const store = use.bench.path(`store-${count++}`);
      const run = await use.bench.ok(['run', '--network=none', `${host()}/app:1`, 'wc', '-c', '/one'], {
        store,
        env: env(),
      });
      expect(run.out).toContain('3000000');
      rmSync(use.bench.path('.config'), { recursive: true });
    });

    test('so is one that is named, one of the machine, and nobody with --tls-verify=false', async () => {
      const certs = use.bench.write('named', { 'ca.crt': ca() });
      const file = join(certs, 'ca.crt');
      await use.bench.ok(['push', '--cert-dir', certs, 'local/tls:1', `${host()}/app:2`], { env: env() });
      await use.bench.ok(['push', 'local/tls:1', `${host()}/app:3`], { env: { ...env(), SSL_CERT_FILE: file } });
      await use.bench.ok(['push', '--tls-verify=false', 'local/tls:1', `${host()}/app:4`], { env: env() });
      const output = `type=registry,name=${host()}/app:5,registry.insecure=true`;
      await use.bench.ok(['build', '-o', output, use.bench.context(DOCKERFILE, FILES)], { env: env() });
    });
  });
});
