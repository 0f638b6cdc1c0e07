import { chmodSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { Bench, Running } from '../support/bench.ts';
import { describeAsEveryone, useBench } from '../support/e2e.ts';
import { useWatchedRegistry } from '../support/watched-registry.ts';

const DOCKERFILE = `FROM base:1
COPY --chown=7:8 --chmod=4751 file /given
RUN mkdir -p /d && echo gone > /d/gone && mkdir /e && echo old > /e/old
RUN rm /d/gone && rm -r /e && mkdir /e && echo new > /e/new && ln /given /hard && ln -s given /soft
USER 7:8
WORKDIR /d
ENTRYPOINT ["cat"]
CMD ["/given"]
LABEL a=b
`;
/** What `find` says of the files of the steps: type, mode, owner, links, path and target. */
const FILES = [
  'd 755 0:0 - ./d',
  'd 755 0:0 - ./e',
  'f 644 0:0 1 ./e/new',
  'f 4751 7:8 2 ./given',
  'f 4751 7:8 2 ./hard',
  'l 777 0:0 1 ./soft given',
];
const FIND = String.raw`find d e given hard soft \( -type d -printf '%y %m %U:%G - ./%p\n' \) -o \( -type l -printf '%y %m %U:%G %n ./%p %l\n' \) -o -printf '%y %m %U:%G %n ./%p\n'`;

/** podman and buildah with a storage of their own beneath a bench, as whoever that is. */
function containersTools(bench: Bench) {
  const env = { XDG_RUNTIME_DIR: bench.path('runtime'), CONTAINERS_REGISTRIES_CONF: bench.path('registries.conf') };
  writeFileSync(env.CONTAINERS_REGISTRIES_CONF, '');
  const storage = ['--root', bench.path('podman'), '--runroot', bench.path('runroot'), '--storage-driver', 'vfs'];
  const run = (tool: string, args: readonly string[]): Promise<string> =>
    bench.tool([tool, ...storage, ...args], { env, timeoutMs: 120_000 });
  return {
    podman: (...args: string[]) => run('podman', ['--events-backend=file', '--cgroup-manager=cgroupfs', ...args]),
    buildah: (...args: string[]) => run('buildah', args),
    /** What the files of an image look like to podman, and the text of two. */
    files: async (image: string): Promise<{ readonly found: readonly string[]; readonly given: string }> => {
      const podman = ['podman', ...storage].join(' ');
      const script = `cd "$(${podman} image mount "$1")" && ${FIND} | LC_ALL=C sort -k 5 && cat given e/new`;
      const out = await run('podman', ['unshare', 'sh', '-c', script, 'sh', image]);
      const lines = out.trimEnd().split('\n');
      return { found: lines.slice(0, FILES.length), given: lines.slice(FILES.length).join('') };
    },
  };
}

// As root they write into /run, which is the machine's and not the bench's; what they read is the same.
describeAsEveryone('what podman and buildah read', (who) => {
  const use = useBench(who);
  const held = useWatchedRegistry();

  async function prepared(): Promise<ReturnType<typeof containersTools>> {
    chmodSync(use.bench.write('runtime', {}), 0o700);
    return containersTools(use.bench);
  }
  const context = (): string => use.bench.context(DOCKERFILE, { file: 'content' });

  test.skipIf(who.uid === 0)('of what was pushed: digest, config and every file', async () => {
    const { bench } = use;
    const { podman, files } = await prepared();
    const name = `${held.watched.host}/team/pushed:1`;
    const metadata = bench.path('metadata.json');
    await bench.ok(['build', '-q', '--push', '-t', name, '--metadata-file', metadata, context()]);
    await podman('pull', '-q', '--tls-verify=false', name);
    const [seen] = JSON.parse(await podman('image', 'inspect', name)) as [Record<string, unknown>];
    const said = JSON.parse(await bench.tool(['cat', metadata])) as Record<string, string>;
    expect(seen).toMatchObject({
      Digest: said['containerimage.digest'],
      Id: said['containerimage.config.digest']?.replace('sha256:', ''),
      Labels: { a: 'b' },
      User: '7:8',
      Config: { Entrypoint: ['cat'], Cmd: ['/given'], WorkingDir: '/d' },
    });
    expect(await files(name)).toEqual({ found: FILES, given: 'contentnew' });
  });

  test.skipIf(who.uid === 0)('of what was copied into archives and layouts', async () => {
    const { bench } = use;
    const { podman, buildah, files } = await prepared();
    await bench.ok(['build', '-q', '-t', 'app:1', context()]);
    await bench.ok(['copy', '-q', 'store:app:1', 'docker-archive:docker.tar:localhost/docker:1']);
    expect(await podman('load', '-q', '-i', bench.path('docker.tar'))).toContain('localhost/docker:1');
    expect(await files('localhost/docker:1')).toEqual({ found: FILES, given: 'contentnew' });
    await bench.ok(['copy', '-q', 'store:app:1', 'oci-archive:oci.tar:localhost/oci:1']);
    expect(await podman('load', '-q', '-i', bench.path('oci.tar'))).toContain('localhost/oci:1');
    await bench.ok(['copy', '-q', 'store:app:1', 'oci:layout:one']);
    const id = (await buildah('pull', '-q', 'oci:layout:one')).trim();
    expect(await files(id)).toEqual({ found: FILES, given: 'contentnew' });
    // All of it is one image, whichever way it came.
    const images = JSON.parse(await podman('images', '--format', 'json')) as { Id: string }[];
    expect(new Set(images.map(({ Id }) => Id).filter((one) => one === id)).size).toBe(1);
    expect(images.filter(({ Id }) => Id === id).length).toBe(images.length);
  });

  test.skipIf(who.uid === 0)('of what is served, and what they push there is an image of the store', async () => {
    const { bench } = use;
    const { podman, buildah, files } = await prepared();
    await bench.ok([
      'build',
      '-q',
      '--platform=linux/amd64,linux/arm64',
      '-t',
      'served:1',
      bench.context('FROM scratch\nARG TARGETARCH\nLABEL arch=$TARGETARCH\nCOPY file /\n', { file: 'content' }),
    ]);
    await bench.ok(['build', '-q', '-t', 'served:2', context()]);
    const server: Running = bench.tsbuildStart(['serve', '--addr=127.0.0.1:0']);
    await server.prints(/serving \S+ on http:\/\/\S+/);
    const host = /on http:\/\/([^\s,]+)/.exec(server.text())?.[1] ?? '';
    const insecure = '--tls-verify=false';
    await podman('pull', '-q', insecure, '--arch=arm64', `${host}/served:1`);
    const [arm] = JSON.parse(await podman('image', 'inspect', `${host}/served:1`)) as [Record<string, unknown>];
    expect(arm).toMatchObject({ Architecture: 'arm64', Labels: { arch: 'arm64' } });
    await podman('pull', '-q', insecure, `${host}/served:2`);
    expect(await files(`${host}/served:2`)).toEqual({ found: FILES, given: 'contentnew' });
    await podman('push', '-q', insecure, `${host}/served:2`, `${host}/team/pushed:3`);
    expect((await bench.ok(['run', '--network=none', 'team/pushed:3'])).out).toBe('content');
    const container = (await buildah('from', '-q', insecure, `${host}/served:2`)).trim();
    await buildah('config', '--label', 'by=buildah', container);
    await buildah('commit', '-q', insecure, container, `docker://${host}/team/committed:1`);
    expect((await bench.ok(['inspect', '--format={{.Config.Labels.by}}', 'team/committed:1'])).out).toBe('buildah\n');
    server.child.kill('SIGTERM');
    expect((await server.ended).code).toBe(0);
    expect(await bench.damage()).toEqual([]);
  });
});
