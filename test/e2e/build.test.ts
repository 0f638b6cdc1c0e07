import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { describeAsEveryone, useBench } from '../support/e2e.ts';
import { readOciArchive, type Tree } from '../support/tree.ts';

const DOCKERFILE = `# syntax=docker/dockerfile:1
FROM base:1 AS build
ARG GREETING=hello
WORKDIR /src
COPY --chown=1000:50 --chmod=640 a.txt docs/*.md ./
COPY tree tree
RUN echo "$GREETING from $(id -u)" > out && cat a.txt >> out && rm tree/gone && mkdir -p made/deep && ln -s ../out made/link
RUN rm -r tree/sub && mkdir tree/sub && echo new > tree/sub/new && chown -R alice:staff made

FROM base:1 AS unused
RUN false

FROM base:1
LABEL a=b
ENV NAME=value
COPY --from=build /src /app
RUN ln /app/out /app/hard && mkfifo /app/pipe && chmod 4755 /bin/busybox
USER alice
WORKDIR /home/alice
EXPOSE 80/tcp
VOLUME /data
HEALTHCHECK --interval=3s CMD true
STOPSIGNAL SIGQUIT
ENTRYPOINT ["/bin/sh", "-c"]
CMD ["cat /app/hard; id -u; id -g; id -G | tr ' ' '\\\\n' | sort -n; pwd; echo $NAME"]
`;

const FILES = {
  'a.txt': 'content\n',
  'docs/one.md': '1',
  'docs/two.md': '2',
  'docs/three.txt': '3',
  'tree/keep': 'keep',
  'tree/gone': 'gone',
  'tree/sub/old': 'old',
  'tree/link': { link: 'keep' },
};

const SCRIPT = "cat /app/hard; id -u; id -g; id -G | tr ' ' '\\n' | sort -n; pwd; echo $NAME";
const EXPECTED = 'hello from 0\ncontent\n1000\n1000\n10\n50\n1000\n/home/alice\nvalue\n';

/** What every identity built, to be compared at the end. */
const built = new Map<string, { readonly tree: Tree; readonly diffIds: readonly string[]; readonly config: unknown }>();

describeAsEveryone('a multi-stage build', (who) => {
  const use = useBench(who);

  test('builds, with times from SOURCE_DATE_EPOCH, and prints every step', async () => {
    const { bench } = use;
    bench.write('main', { Dockerfile: DOCKERFILE, ...FILES });
    const { err, out } = await bench.ok(
      [
        'build',
        '--progress=plain',
        '-t',
        'app',
        '-o',
        'type=oci,dest=app.tar,rewrite-timestamp=true',
        '-o',
        'type=docker,dest=docker.tar,name=app:1',
        'main',
      ],
      { env: { SOURCE_DATE_EPOCH: '1700000000' } },
    );
    expect(out).toBe('');
    expect(err).toContain('[build 2/6] WORKDIR /src');
    expect(err).not.toContain('RUN false');
    expect(await bench.leftovers()).toEqual([]);
    expect(bench.mounts()).toEqual([]);
    expect(await bench.damage()).toEqual([]);
  });

  test('the archive holds what the Dockerfile says', async () => {
    const image = await readOciArchive(use.bench.path('app.tar'));
    built.set(who.name, { tree: image.tree, diffIds: image.config.rootfs.diff_ids, config: image.config });
    const { tree } = image;
    const app = Object.keys(tree).filter((path) => path.startsWith('/app'));
    expect(app).toEqual(
      [
        '',
        '/a.txt',
        '/hard',
        '/made',
        '/made/deep',
        '/made/link',
        '/one.md',
        '/out',
        '/pipe',
        '/tree',
        '/tree/keep',
        '/tree/link',
        '/tree/sub',
        '/tree/sub/new',
        '/two.md',
      ].map((name) => `/app${name}`),
    );
    expect(tree['/app/a.txt']).toMatchObject({ uid: 1000, gid: 50, mode: 0o640 });
    expect(tree['/app/made']).toMatchObject({ uid: 1000, gid: 50 });
    expect(tree['/app/hard']).toEqual(tree['/app/out']);
    expect(tree['/bin/busybox']).toMatchObject({ uid: 0, mode: 0o4755 });
    expect(tree['/home/alice']).toMatchObject({ type: 'directory', uid: 1000, gid: 1000 });
    expect(tree['/etc/resolv.conf']).toBeUndefined();
    expect(tree['/etc/hosts']).toBeUndefined();
    expect(Object.keys(tree).filter((path) => /^\/(proc|dev|sys)\//.test(path))).toEqual([]);
    expect(image.config.config).toMatchObject({
      User: 'alice',
      WorkingDir: '/home/alice',
      Env: expect.arrayContaining(['NAME=value']) as unknown,
      Labels: { a: 'b' },
      ExposedPorts: { '80/tcp': {} },
      Volumes: { '/data': {} },
      StopSignal: 'SIGQUIT',
      Healthcheck: { Test: ['CMD-SHELL', 'true'], Interval: 3e9 },
      Entrypoint: ['/bin/sh', '-c'],
    });
    expect(image.config.created).toBe('2023-11-14T22:13:20Z');
  });

  test('other tools accept the archives', async () => {
    const { bench } = use;
    bench.write('.', { 'policy.json': '{"default":[{"type":"insecureAcceptAnything"}]}' });
    const skopeo = (...args: string[]): Promise<string> => bench.tool(['skopeo', '--policy=policy.json', ...args]);
    const inspected = JSON.parse(await skopeo('inspect', 'oci-archive:app.tar')) as { Layers: string[]; Env: string[] };
    expect(inspected.Layers).toHaveLength(4);
    await skopeo('copy', '--quiet', 'docker-archive:docker.tar', 'oci:from-docker:app');
    await skopeo('copy', '--quiet', 'oci-archive:app.tar', 'oci:layout:app');
    // The archive as it is, unpacked: this tool gives up at the end of any archive, skopeo's own included.
    bench.write('unpacked', {});
    await bench.tool(['tar', '-C', 'unpacked', '-xf', 'app.tar']);
    await bench.tool(['oci-image-tool', 'validate', '--type=image', '--ref=name=latest', 'unpacked']);
    for (const layout of ['layout', 'from-docker']) {
      await bench.tool(['oci-image-tool', 'validate', '--type=image', '--ref=name=app', layout]);
      await bench.tool([
        'umoci',
        'unpack',
        ...(who.name === 'user' ? ['--rootless'] : []),
        '--image',
        `${layout}:app`,
        `${layout}-bundle`,
      ]);
      expect(readFileSync(join(bench.path(`${layout}-bundle`), 'rootfs/app/out'), 'utf8')).toBe(
        'hello from 0\ncontent\n',
      );
    }
  });

  test('the image says the same under tsbuild run and buildah run', async () => {
    const { bench } = use;
    expect((await bench.ok(['run', '--rm', 'app'])).out).toBe(EXPECTED);
    expect((await bench.ok(['run', 'oci-archive:app.tar'])).out).toBe(EXPECTED);
    expect((await bench.ok(['run', 'oci-layout:layout:app'])).out).toBe(EXPECTED);
    const env = { XDG_RUNTIME_DIR: bench.path('runtime'), BUILDAH_ISOLATION: 'chroot' };
    bench.write('runtime', {});
    const buildah = (...args: string[]): Promise<string> =>
      bench.tool(
        [
          'buildah',
          `--root=${bench.path('containers')}`,
          `--runroot=${bench.path('runtime/containers')}`,
          '--storage-driver=vfs',
          ...args,
        ],
        { env },
      );
    const container = (await buildah('from', '--signature-policy=policy.json', 'oci-archive:app.tar')).trim();
    expect(await buildah('run', container, '--', '/bin/sh', '-c', SCRIPT)).toBe(EXPECTED);
    await buildah('rm', '--all');
    await buildah('rmi', '--all');
  });
});

describe('what an identity builds (REP-03)', () => {
  test.skipIf((process.getuid?.() ?? 1) !== 0)('does not depend on who it is', () => {
    const [root, user] = [built.get('root'), built.get('user')];
    expect(root).toBeDefined();
    expect(user?.tree).toEqual(root?.tree);
    expect(user?.diffIds).toEqual(root?.diffIds);
    expect(user?.config).toEqual(root?.config);
  });
});
