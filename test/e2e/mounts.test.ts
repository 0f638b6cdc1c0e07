import { randomBytes } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Bench } from '../support/bench.ts';
import { describeAsEveryone, useBench } from '../support/e2e.ts';
import { readOciArchive, sha256, type Tree } from '../support/tree.ts';

async function build(
  bench: Bench,
  dockerfile: string,
  args: readonly string[] = [],
  files: Parameters<Bench['context']>[1] = {},
) {
  const context = bench.context(dockerfile, files);
  const outcome = await bench.ok(['build', '--progress=plain', '-o', 'type=oci,dest=-', ...args, context]);
  return { ...outcome, context, ...(await readOciArchive(outcome.stdout)) };
}

/** What the last layer of an image changed, by names of its members. */
const lastLayer = ({ layers }: { layers: readonly (readonly string[])[] }): readonly string[] => layers.at(-1) ?? [];
const text = (tree: Tree, path: string): string | undefined => tree[path]?.content;

describeAsEveryone('what a step gets and leaves', (who) => {
  const use = useBench(who);

  test('secrets are files or variables of one step, and are found nowhere afterwards', async () => {
    const { bench } = use;
    const secret = randomBytes(16).toString('hex');
    const other = randomBytes(16).toString('hex');
    bench.write('.', { 'secret.txt': secret });
    const context = bench.context(`FROM base:1
RUN --mount=type=secret,id=file --mount=type=secret,id=var,env=TOKEN,required=true \\
    --mount=type=secret,id=file,target=/etc/deep/er/key,mode=0440,uid=1000,gid=50 \\
    stat -c '%a %u:%g %s' /run/secrets/file /etc/deep/er/key > /seen && cat /run/secrets/file /etc/deep/er/key | sha256sum >> /seen && echo -n $TOKEN | wc -c >> /seen
RUN ls /run/secrets >> /after 2>&1 || true; ls /etc >> /after; printenv TOKEN >> /after || true
`);
    const { stdout, err } = await bench.ok(
      [
        'build',
        '--progress=plain',
        '--secret=id=file,src=secret.txt',
        '--secret=id=var,env=OTHER',
        '-o',
        'type=oci,dest=-',
        context,
      ],
      { env: { OTHER: other } },
    );
    const { tree, layers } = await readOciArchive(stdout);
    const both = sha256(Buffer.from(secret + secret)).slice('sha256:'.length);
    expect(text(tree, '/seen')).toBe(`400 0:0 32\n440 1000:50 32\n${both}  -\n32\n`);
    expect(text(tree, '/after')).toBe(
      'ls: /run/secrets: No such file or directory\ngroup\nhosts\npasswd\nresolv.conf\n',
    );
    expect(layers.at(-2)).toEqual(['seen']);
    for (const value of [secret, other]) {
      expect(stdout.includes(value)).toBe(false);
      expect(err).not.toContain(value);
      // The store with its index, blobs and layers. grep ends with 1 when nothing is found.
      expect((await bench.start(['grep', '-rlaF', '--devices=skip', value, bench.store]).ended).out).toBe('');
    }
    const missing = await bench.tsbuild(['build', context]);
    expect(missing.code).toBe(1);
    expect(missing.err).toContain('--secret id=var');
    expect(missing.err).toMatch(/>>> /);
  });

  test('cache mounts keep their files between builds, outside the image', async () => {
    const { bench } = use;
    const dockerfile = (n: number): string => `FROM base:1
RUN --mount=type=cache,target=/var/cache/x,id=kept,uid=1000,mode=0750 echo ${n} >> /var/cache/x/log && cat /var/cache/x/log > /seen && stat -c '%a %u' /var/cache/x >> /seen
`;
    expect(text((await build(bench, dockerfile(1))).tree, '/seen')).toBe('1\n750 1000\n');
    const second = await build(bench, dockerfile(2));
    expect(text(second.tree, '/seen')).toBe('1\n2\n750 1000\n');
    expect(lastLayer(second)).toEqual(['seen']);
    const used = await bench.ok(['du']);
    expect(used.out).toMatch(/exec.cachemount/);
  });

  test('a locked cache mount has one user at a time', async () => {
    const { bench } = use;
    const step =
      'RUN --mount=type=cache,target=/c,id=locked,sharing=locked test ! -e /c/busy && touch /c/busy && sleep 0.2 && rm /c/busy && echo ok > /ok';
    const { tree } = await build(
      bench,
      ['a', 'b', 'c'].map((name) => `FROM base:1 AS ${name}\nENV NAME=${name}\n${step}\n`).join('') +
        'FROM scratch\nCOPY --from=a /ok /a\nCOPY --from=b /ok /b\nCOPY --from=c /ok /c\n',
    );
    expect(Object.keys(tree)).toEqual(['/a', '/b', '/c']);
  });

  test('tmpfs and bind mounts leave neither files nor mount points', async () => {
    const { bench } = use;
    const { tree, context, ...image } = await build(
      bench,
      `FROM base:1 AS other
RUN mkdir /data && echo from-stage > /data/file
FROM base:1
RUN --mount=type=tmpfs,target=/new/tmp,size=1m --mount=type=bind,target=/context --mount=type=bind,from=other,source=/data,target=/mnt/other,rw \\
  touch /new/tmp/x && cat /context/file /mnt/other/file > /seen && echo discarded > /mnt/other/new && (touch /context/x 2>&1 | grep -c Read-only >> /seen)
RUN --mount=type=bind,target=/context,rw touch /context/written
COPY . /copied
`,
      [],
      { file: 'from-context\n' },
    );
    expect(text(tree, '/seen')).toBe('from-context\nfrom-stage\n1\n');
    expect(image.layers[1]).toEqual(['seen']);
    expect(image.layers[3]).toEqual(['copied/', 'copied/Dockerfile', 'copied/file']);
    expect(Object.keys(tree).filter((path) => /^\/(new|context|mnt)/.test(path))).toEqual([]);
    expect(readdirSync(context).toSorted()).toEqual(['Dockerfile', 'file']);
    const full = bench.context(
      'FROM base:1\nRUN --mount=type=tmpfs,target=/t,size=1m dd if=/dev/zero of=/t/x bs=1M count=3\n',
    );
    expect(await bench.tsbuild(['build', '--progress=plain', full])).toMatchObject({
      code: 1,
      err: expect.stringContaining('No space left on device') as string,
    });
  });

  // What the BuildKit of Docker 28 leaves for the same Dockerfiles.
  test('the first step on a root without /dev, /proc and /sys leaves them in its layer, and nothing else', async () => {
    const { bench } = use;
    const busybox = readFileSync('/bin/busybox');
    const { tree, layers } = await build(
      bench,
      `FROM scratch
COPY --chmod=755 busybox /bin/
RUN --mount=type=tmpfs,target=/run/deep ["/bin/busybox", "true"]
RUN ["/bin/busybox", "touch", "/made"]
`,
      [],
      { busybox },
    );
    expect(layers.slice(1)).toEqual([['dev/', 'proc/', 'sys/'], ['made']]);
    const made = { type: 'directory', mode: 0o755, uid: 0, gid: 0 };
    for (const path of ['/dev', '/proc', '/sys']) expect(tree[path]).toMatchObject(made);
    expect(tree['/run'] ?? tree['/etc']).toBeUndefined();
    const given = await build(
      bench,
      `FROM scratch
COPY --chmod=755 busybox /bin/
COPY --chmod=700 --chown=5:6 own/ /dev/
RUN ["/bin/busybox", "true"]
`,
      [],
      { busybox, 'own/file': 'x' },
    );
    expect(given.layers[2]).toEqual(['proc/', 'sys/']);
    expect(given.tree['/dev']).toMatchObject({ uid: 5, gid: 6, mode: 0o700 });
    expect(given.tree['/dev/file']).toMatchObject({ content: 'x' });
  });

  test('network, hosts, limits, shm and host name are those that were asked for', async () => {
    const { bench } = use;
    const { tree } = await build(
      bench,
      `FROM base:1
RUN --network=none ls /sys/class/net > /none; ip -o addr show up | grep -vc ' lo ' >> /none; wget -q -T1 -O- http://192.0.2.1/ || echo unreachable >> /none
RUN grep example.test /etc/hosts > /hosts; ulimit -n > /limits; ulimit -c >> /limits; df -k /dev/shm | tail -n1 | awk '{print $2}' > /shm; hostname > /name
`,
      ['--add-host=example.test=192.0.2.7', '--ulimit=nofile=123:456', '--ulimit=core=0', '--shm-size=8m'],
    );
    expect(text(tree, '/none')).toBe('lo\n0\nunreachable\n');
    expect(text(tree, '/hosts')).toBe('192.0.2.7\texample.test\n');
    expect(text(tree, '/limits')).toBe('123\n0\n');
    expect(text(tree, '/shm')).toBe('8192\n');
    expect(text(tree, '/name')).toBe('buildkitsandbox\n');
    expect(tree['/etc/hosts'] ?? tree['/etc/resolv.conf']).toBeUndefined();
    expect(Object.keys(tree).filter((path) => /^\/(proc|dev|sys)\//.test(path))).toEqual([]);
    const { tree: none } = await build(bench, 'FROM base:1\nRUN ls /sys/class/net > /n\n', ['--network=none']);
    expect(text(none, '/n')).toBe('lo\n');
  });

  test('USER with groups, WORKDIR with owner, and what a user may not do', async () => {
    const { bench } = use;
    const { tree } = await build(
      bench,
      `FROM base:1
USER alice
WORKDIR /home/alice/deep
RUN id -u > a; id -g >> a; id -G | tr ' ' '\\n' | sort -n >> a; pwd >> a; echo $HOME >> a; touch /root/no 2>/dev/null || echo denied >> a
USER bob
RUN (id -u; id -g; id -G) > /tmp/b
USER 1234:5678
RUN (id -u; id -g; id -G) > /tmp/c
USER 0
RUN (id -u; grep -E '^(CapBnd|CapInh|CapAmb|NoNewPrivs|Seccomp):' /proc/self/status | tr -s '\\t' ' ') > /d; ls -l /proc/self/fd | grep -c ' -> ' >> /d
`,
    );
    expect(text(tree, '/home/alice/deep/a')).toBe('1000\n1000\n10\n50\n1000\n/home/alice/deep\n/home/alice\ndenied\n');
    expect(tree['/home/alice/deep']).toMatchObject({ uid: 1000, gid: 1000 });
    expect(text(tree, '/tmp/b')).toBe('1001\n50\n50\n');
    expect(text(tree, '/tmp/c')).toBe('1234\n5678\n5678\n');
    expect(text(tree, '/d')).toBe(
      '0\nCapInh: 0000000000000000\nCapBnd: 00000000a80425fb\nCapAmb: 0000000000000000\nNoNewPrivs: 0\nSeccomp: 2\n3\n',
    );
    for (const user of ['nobody-here', '4294967296', '-1', '0x0']) {
      const context = bench.context(`FROM base:1\nUSER ${user}\nRUN id -u > /uid\n`);
      expect((await bench.tsbuild(['build', context])).code).toBe(1);
    }
  });
});

describeAsEveryone('what a step cannot reach', (who) => {
  const use = useBench(who);

  test('other steps, the environment of the command, files and processes of the machine', async () => {
    const { bench } = use;
    const canary = randomBytes(16).toString('hex');
    bench.write('victim', { hello: canary });
    const context = bench.context(`FROM base:1
RUN cat /proc/*/environ /proc/*/cmdline | tr '\\0' '\\n' > /seen; cat ${bench.dir}/victim/hello >> /seen; cat /proc/1/root${bench.dir}/victim/hello >> /seen; ls /proc | grep -c '^[0-9]' > /count; kill -9 -1; echo alive > /alive
`);
    const { stdout } = await bench.ok(['build', '-o', 'type=oci,dest=-', context], { env: { CANARY: canary } });
    const { tree } = await readOciArchive(stdout);
    expect(stdout.includes(canary)).toBe(false);
    expect(tree['/seen']).toBeDefined();
    expect(text(tree, '/alive')).toBe('alive\n');
  });

  test('directories of the machine through links in the image and in the context', async () => {
    const { bench } = use;
    const canary = randomBytes(16).toString('hex');
    const victim = bench.write('canary', { hello: canary });
    const up = `../../../../../../..${victim}`;
    const outcome = await bench.ok([
      'build',
      '-o',
      'type=oci,dest=links.tar',
      bench.context(
        `FROM base:1 AS links
RUN ln -s / /rootdir && ln -s ${victim} /out && ln -s ${up} /up
FROM links
COPY Dockerfile /out/
COPY Dockerfile /up/
WORKDIR /up/new
RUN --mount=type=bind,from=links,source=/rootdir,target=/x,rw touch /x/BREAK
RUN --mount=type=tmpfs,target=/a/hello mv /a /old && ln -s ${victim} /a
COPY dir /context
`,
        { 'dir/link': { link: join(victim, 'hello') }, 'dir/parent': { link: victim } },
      ),
    ]);
    expect(outcome.code).toBe(0);
    const { tree } = await readOciArchive(bench.path('links.tar'));
    expect(readdirSync(victim)).toEqual(['hello']);
    expect(existsSync('/BREAK')).toBe(false);
    expect(text(tree, '/context/link')).toBe(`${victim}/hello`);
    expect(execFileSync('cat', [bench.path('links.tar')], { maxBuffer: 1 << 28 }).includes(canary)).toBe(false);
    for (const instruction of [
      'COPY dir/link /x',
      'COPY dir/parent/hello /x',
      `COPY ../canary/hello /x`,
      `COPY --from=links ${victim}/hello /x`,
    ]) {
      const context = bench.context(`FROM base:1 AS links\nFROM base:1\n${instruction}\n`, {
        'dir/link': { link: join(victim, 'hello') },
        'dir/parent': { link: victim },
      });
      const { code, err } = await bench.tsbuild(['build', context]);
      expect(code, instruction).toBe(1);
      expect(err).not.toContain(canary);
    }
    // Into a directory that has a link where the image has a directory.
    bench.write('dest', { etc: { link: victim } });
    await bench.tsbuild(['build', '-o', 'dest', bench.context('FROM base:1\n')]);
    expect(readdirSync(victim)).toEqual(['hello']);
  });
});
