import { execFileSync, type StdioOptions } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, closeSync, existsSync, openSync, readFileSync, readlinkSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, test } from 'vitest';
import type { Bench, Outcome } from '../support/bench.ts';
import { describeAsEveryone, useBench } from '../support/e2e.ts';
import { programPath } from '../support/program.ts';
import { expectNoDebris, expectSound } from '../support/sound.ts';
import { testedRung } from '../support/rung.ts';
import { programOnTerminal } from '../support/terminal.ts';
import { readOciArchive, type Tree } from '../support/tree.ts';
import { Victim } from './victim.ts';

const ARCHIVE = ['build', '--progress=plain', '-o', 'type=oci,compression=uncompressed,dest=-'];

const treeOf = async ({ stdout }: Outcome): Promise<Tree> => (await readOciArchive(stdout)).tree;

/** Static, so that it runs in any image. */
function compileProbe(bench: Bench): string {
  const probe = bench.path('probe');
  execFileSync('cc', ['-static', '-O1', '-o', probe, fileURLToPath(new URL('../native/probe.c', import.meta.url))]);
  chmodSync(probe, 0o755);
  return probe;
}

describeAsEveryone('processes of steps', (who) => {
  const use = useBench(who);
  let victim: Victim;
  beforeAll(() => void (victim = new Victim(use.bench)));

  test('inherit no descriptor, whatever tsbuild was started with (PRC-02)', async () => {
    const { bench } = use;
    const root = openSync('/', 'r');
    const file = openSync(join(victim.dir, 'hello'), 'r');
    const stdio: StdioOptions = Array.from({ length: 201 }, (_, fd) =>
      fd === 0
        ? 'ignore'
        : fd < 3
          ? 'pipe'
          : fd < 11 || fd === 20 || fd === 200
            ? fd % 2 === 0
              ? root
              : file
            : 'ignore',
    );
    const context = bench.context('FROM base:1\nRUN ["ls", "-l", "/proc/self/fd"]\n');
    const { code, err } = await bench.start(bench.command(['build', '--progress=plain', context]), { stdio }).ended;
    closeSync(root);
    closeSync(file);
    expect(code, err).toBe(0);
    // The standard streams; ls says of what it opened that it is no link any more.
    const seen = [...err.matchAll(/ (\d+) -> (.*)$/gm)].map(([, fd, target]) => [fd, target?.replace(/\d+/, 'N')]);
    expect(seen).toEqual([
      ['0', '/dev/null'],
      ['1', 'pipe:[N]'],
      ['2', 'pipe:[N]'],
    ]);
  });

  test('cannot write the programs that run them, not even later (PRC-03)', async () => {
    const { bench } = use;
    const dir = dirname(dirname(programPath()));
    const programs = [
      process.execPath,
      ...execFileSync('find', [join(dir, 'bin'), join(dir, 'dist/native'), '-type', 'f'], { encoding: 'utf8' })
        .trim()
        .split('\n'),
    ];
    const sums = (): string[] => programs.map((path) => createHash('sha256').update(readFileSync(path)).digest('hex'));
    const before = sums();
    const context = bench.context(`FROM base:1
ENV MARK=${bench.mark}
RUN for exe in /proc/1/exe /proc/self/exe /proc/*/exe; do echo x > $exe; done 2> /refused; \\
    (setsid sh -c 'exec 9< /proc/1/exe; sleep 0.3; while :; do echo x > /proc/self/fd/9; done' > /dev/null 2>&1 &) ; sleep 0.1
RUN readlink /proc/1/exe > /first || true
`);
    const tree = await treeOf(await bench.ok([...ARCHIVE, context]));
    // Where the /proc is not its own, the first process is somebody's whom it may not look at.
    expect(tree['/first']?.content).toBe(testedRung === 'userns-noproc' ? '' : '/bin/busybox\n');
    // The names of all processes around it are too many to be shown.
    expect(tree['/refused']?.content).toMatch(testedRung === 'userns-noproc' ? /^sha256:/ : /exe/);
    expect(sums()).toEqual(before);
    expect(await bench.leftovers()).toEqual([]);
  });

  test('do not outlive their step, however they leave it (PRC-13)', async () => {
    const { bench } = use;
    const stubborn = `trap "" TERM INT HUP; sleep 37`;
    const context = bench.context(`FROM base:1
ENV MARK=${bench.mark}
RUN setsid sh -c '${stubborn}' & (sh -c '(${stubborn}) &') & (setsid sh -c '(${stubborn}) & exit' &); ps | grep -c '[s]leep 37' && sleep 0.2
RUN ps | grep '[s]leep 37' && exit 1; echo alone
RUN (setsid sh -c '${stubborn}' &); exit 3
`);
    const outcome = await bench.tsbuild(['build', '--progress=plain', context]);
    expect(outcome.code).toBe(1);
    expect(await bench.leftovers()).toEqual([]);
    expect(outcome.err).toMatch(/ alone$/m);
  });

  test('have no terminal to type into, also where they are given one (PRC-05)', async () => {
    const { bench } = use;
    const probe = compileProbe(bench);
    const context = bench.context(
      'FROM base:1\nCOPY --chmod=755 probe /bin/probe\nRUN probe | grep -E "^(tiocsti|tty)=" >&2\n',
      {
        probe: readFileSync(probe),
      },
    );
    const shell = [
      `"$1" build --progress=plain -t typing ${context} 2>&1 | grep -E "tiocsti|tty="`,
      '"$1" run -i -t typing probe type "echo typed-by-the-step"',
      'echo; echo ended',
      'read -r line; echo "read <$line>"',
    ].join('\n');
    const outcome = await programOnTerminal(
      bench,
      ['sh', '-c', shell, 'sh', programPath()],
      [{ expect: 'ended' }, { wait: 0.2 }, { type: 'by the user\n' }],
    );
    expect(outcome.out).toMatch(/tiocsti=25\r\n[^]*tty=6\r\n/);
    // It typed into the terminal of the container, where the kernel lets it.
    expect(outcome.out).toMatch(/type=(0|5)\r\n/);
    expect(outcome.out).toContain('read <by the user>');
  });

  test('see namespaces of their own and none of the machine (PRC-18)', async () => {
    const { bench } = use;
    const kinds = ['user', 'mnt', 'pid', 'ipc', 'uts', 'cgroup'];
    const context = bench.context(`FROM base:1
RUN for kind in ${kinds.join(' ')}; do readlink /proc/self/ns/$kind; done > /ns
RUN hostname > /name; cat /proc/mounts > /mounts; ls -d ${bench.store} ${bench.dir} > /store 2>&1; cat /proc/keys > /keys 2>&1; true
`);
    const tree = await treeOf(await bench.ok([...ARCHIVE, context]));
    const own = tree['/ns']?.content.trim().split('\n') ?? [];
    expect(own).toHaveLength(kinds.length);
    expect(kinds.filter((kind, at) => readlinkSync(`/proc/self/ns/${kind}`) === own[at])).toEqual([]);
    expect(tree['/name']?.content).toBe('buildkitsandbox\n');
    if (testedRung !== 'copy') expect(tree['/mounts']?.content).toContain('overlay / overlay');
    expect(tree['/mounts']?.content).not.toMatch(/tsbuild|store/);
    expect(tree['/store']?.content.match(/No such file/g)).toHaveLength(2);
    expect(tree['/keys']?.content).toBe('');
  });

  test('get the groups of the image and none of the caller’s (PRC-09)', async () => {
    const { bench } = use;
    if (process.getuid?.() !== 0) return;
    const context = bench.context(
      'FROM base:1\nUSER bob\nRUN id -G > /tmp/bob\nUSER 0\nRUN grep Groups: /proc/self/status > /root/own\nUSER 77\nRUN grep Groups: /proc/self/status > /tmp/none\n',
    );
    const outcome = await bench.start(
      [
        'setpriv',
        `--reuid=${who.uid}`,
        `--regid=${who.gid}`,
        '--groups=5,6,997',
        ...bench.command([...ARCHIVE, context]),
      ],
      { asSelf: true },
    ).ended;
    expect(outcome.code, outcome.err).toBe(0);
    const tree = await treeOf(outcome);
    const groups = ['/tmp/bob', '/root/own', '/tmp/none'].map((path) =>
      tree[path]?.content.replace('Groups:', '').trim(),
    );
    expect(groups).toEqual(['50', '0 10', '0']);
  });

  test('reach no server of the machine without a network, and no socket in its files with one (PRC-12)', async () => {
    const { bench } = use;
    const connections: string[] = [];
    const servers = await Promise.all(
      ([['127.0.0.1', 0], ['::1', 0], [join(bench.dir, 'socket')]] as const).map(
        ([host, port]) =>
          new Promise<Server>((resolve) => {
            const server = createServer((socket) => {
              connections.push(host);
              socket.end('reached');
            });
            if (port === undefined) server.listen(host, () => resolve(server));
            else server.listen(port, host, () => resolve(server));
          }),
      ),
    );
    const ports = servers.slice(0, 2).map((server) => (server.address() as AddressInfo).port);
    const context = bench.context(`FROM base:1
RUN --network=none nc -w 1 127.0.0.1 ${ports[0]} > /v4 < /dev/null; nc -w 1 ::1 ${ports[1]} > /v6 < /dev/null; \\
    nslookup example.test > /dns 2>&1; ls /sys/class/net > /links
RUN ls ${bench.dir} /run /var/run/docker.sock /tmp/.X11-unix > /listed 2>&1; true
RUN --network=host nc -w 1 127.0.0.1 ${ports[0]} > /with < /dev/null
`);
    const tree = await treeOf(await bench.ok([...ARCHIVE, '--allow=network.host', context]));
    for (const server of servers) server.close();
    expect([tree['/v4']?.content, tree['/v6']?.content, tree['/links']?.content]).toEqual(['', '', 'lo\n']);
    expect(tree['/dns']?.content).toMatch(/can't connect|unreachable|timed out/);
    expect(tree['/listed']?.content.match(/No such file/g)).toHaveLength(4);
    // The server is there to be reached: by who may.
    expect([tree['/with']?.content, connections]).toEqual(['reached', ['127.0.0.1']]);
  });

  test('programs of the image do nothing for tsbuild (PRC-10)', async () => {
    const { bench } = use;
    const marker = bench.path('marker');
    const trojan = { text: `#!/bin/sh\n/bin/busybox touch ${marker} /marker\n`, mode: 0o755 };
    const names = ['tar', 'gzip', 'unpigz', 'xz', 'zstd', 'git', 'cp', 'mount', 'newuidmap', 'node', 'tsbuild-helper'];
    bench.write('packed', { inner: 'x' });
    execFileSync('tar', ['-cJf', bench.path('a.tar.xz'), '-C', bench.path('packed'), '.']);
    const context = bench.context(
      `FROM base:1 AS trojan
COPY trojan /usr/bin
RUN rm /bin/tar /bin/gzip /bin/xz /bin/cp /bin/mount; ln -s /usr/bin/tar /bin/tar; mkdir -p /lib && echo 'passwd: evil' > /etc/nsswitch.conf
FROM trojan
COPY --chown=alice:staff Dockerfile /owned
ADD a.tar.xz /unpacked/
WORKDIR /made
RUN echo made > file
`,
      {
        ...Object.fromEntries(names.map((name) => [`trojan/${name}`, trojan])),
        'a.tar.xz': readFileSync(bench.path('a.tar.xz')),
      },
    );
    const { tree } = await readOciArchive((await bench.ok([...ARCHIVE, context])).stdout);
    expect(tree['/owned']).toMatchObject({ uid: 1000, gid: 50 });
    expect(tree['/unpacked/inner']?.content).toBe('x');
    await bench.ok(['build', '-o', bench.path('files'), context]);
    expect([existsSync(marker), tree['/marker']]).toEqual([false, undefined]);
  });

  test('that wreck their root leave a layer that can be packed, and a failed one nothing (PRC-22)', async () => {
    const { bench } = use;
    const wreck =
      'mkdir -p /a/b/c && touch /a/b/c/f && chown -R 1000:1000 /a && chmod 000 /a/b/c/f /a/b/c /a/b /a && chmod 000 /etc /home && rm -rf /bin /usr /var /tmp /root';
    const { layers, tree } = await readOciArchive(
      (await bench.ok([...ARCHIVE, bench.context(`FROM base:1\nRUN ${wreck}; :\n`)])).stdout,
    );
    expect(layers.at(-1)).toContain('.wh.bin');
    expect(tree['/a/b/c/f']).toMatchObject({ mode: 0, uid: 1000 });
    expect((await bench.tsbuild(['build', bench.context(`FROM base:1\nRUN ${wreck}; exit 9\n`)])).code).not.toBe(0);
    await expectSound(bench);
    await bench.ok(['prune', '--all', '--force']);
    await expectNoDebris(bench);
  });
});
