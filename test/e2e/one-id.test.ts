import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import type { Bench } from '../support/bench.ts';
import { useLonelyBench } from '../support/one-id.ts';
import { isRealRoot } from '../support/real-root.ts';
import { expectSound } from '../support/sound.ts';
import { readOciArchive, type Tree } from '../support/tree.ts';

const use = useLonelyBench();

async function treeOf(bench: Bench, dockerfile: string, ...args: readonly string[]): Promise<Tree> {
  const context = bench.context(dockerfile, { f: 'file' });
  const { stdout } = await bench.ok(['build', '--no-cache', '-q', '-o', 'type=oci,dest=-', ...args, context]);
  return (await readOciArchive(stdout)).tree;
}

const ownerOf = (tree: Tree, path: string): string => `${tree[path]?.uid}:${tree[path]?.gid}`;

describe('a user without subordinate ids', () => {
  test('is told which rung this is, and what to type for a higher one', async () => {
    const { bench } = use;
    const doctor = await bench.tsbuild(['doctor']);
    expect(doctor.code, doctor.out).toBe(0);
    if (bench.who.prefix[0] === 'setpriv')
      expect(doctor.out).toMatch(/fix: [^\n]* \/etc\/subuid \/etc\/subgid\n[^]*RUN steps work here \(rung 4: /);
    const built = await bench.ok(['build', '--no-cache', bench.context('FROM base:1\nRUN true\n')]);
    expect(built.err.match(/rung 4/g)).toHaveLength(1);
  });

  test('owners stay with files, whatever becomes of those', async () => {
    const tree = await treeOf(
      use.bench,
      `FROM base:1 AS one
RUN mkdir -p /a/d && echo 1 > /a/f && ln -s f /a/l && mkfifo /a/p && chown -h 1000:50 /a/f /a/l /a/p && chown :50 /a/d
RUN cd /a && ln f hard && mv l moved && touch -h -d @5 moved && echo 2 >> f && chmod 640 p
RUN cd /a && cp -a moved copied && cp -p f kept && cp f fresh && mv d e
# The number of a file that is gone is given to the next.
RUN cd /a && echo x > gone && chown 7:7 gone && rm gone && echo y > next && ln -s x lgone && chown -h 7:7 lgone && rm lgone && ln -s y lnext
RUN mkdir /s && chown 0:50 /s && chmod g+s /s && touch /s/f && mkdir /s/d && ln -s f /s/l && cp f /s 2>/dev/null || true
RUN mkdir /dev2 && mknod /dev2/null c 1 3 && chown 0:10 /dev2/null && stat -c %F /dev2/null > /dev2/said
FROM base:1
COPY --from=one /a /a
COPY --from=one /s /s
COPY --from=one /dev2/said /said
COPY --chown=bob:wheel f /given
RUN echo more >> /given && touch -h /a/moved && rm /a/e && mkdir /a/e || true
`,
    );
    expect(
      ['f', 'hard', 'moved', 'p', 'copied', 'kept', 'fresh', 'next', 'lnext'].map(
        (name) => `${name} ${ownerOf(tree, `/a/${name}`)}`,
      ),
    ).toEqual([
      'f 1000:50',
      'hard 1000:50',
      'moved 1000:50',
      'p 1000:50',
      'copied 1000:50',
      'kept 1000:50',
      'fresh 0:0',
      'next 0:0',
      'lnext 0:0',
    ]);
    expect(['/f', '/d', '/l'].map((name) => ownerOf(tree, `/s${name}`))).toEqual(['0:50', '0:50', '0:50']);
    expect((tree['/s/d']?.mode ?? 0) & 0o2000).toBe(0o2000);
    expect(tree['/said']?.content).toBe('character special file\n');
    expect(ownerOf(tree, '/given')).toBe('1001:10');
    await expectSound(use.bench);
  });

  test('files are looked up as the one who asks sees them, and told anew when their owner has changed', async () => {
    const tree = await treeOf(
      use.bench,
      `FROM base:1
RUN for id in 5 0 6; do for again in 1 2; do stat -c %u /etc/passwd; done; chown $id /etc/passwd; done > /told; stat -c %u /etc/passwd >> /told
RUN mkdir -p /jail/bin /jail/etc && cp /bin/busybox /jail/bin && cp /etc/group /jail/etc/f && chown 8:9 /jail/etc/f && ln -s /etc/f /jail/l && echo > /etc/f && chown 1:2 /etc/f
RUN busybox chroot /jail /bin/busybox stat -L -c %u:%g /l /../../etc/f bin/../l > /inside; cd /jail && stat -L -c %u:%g /jail/l l ../etc/f > /outside; stat -c %u /nowhere /etc/f/g || echo none >> /outside
`,
    );
    expect(tree['/told']?.content).toBe('0\n0\n5\n5\n0\n0\n6\n');
    expect(tree['/inside']?.content).toBe('8:9\n8:9\n8:9\n');
    expect(tree['/outside']?.content).toBe('1:2\n1:2\n1:2\nnone\n');
  });

  test('a step is told that it became whom it asked to be, by the rules', async () => {
    const tree = await treeOf(
      use.bench,
      String.raw`FROM base:1
RUN id -u > /ids; su -s /bin/sh alice -c 'id -u; id -g; id -G; touch /tmp/hers; mkdir /tmp/dir; ln -s x /tmp/link; sh -c "id -u"' >> /ids; id -u >> /ids
RUN chmod 777 /home; su -s /bin/sh bob -c 'cd /home; touch f; chown alice f || echo no; chgrp 50 f && echo yes; chgrp 10 f || echo no; chown bob /etc/passwd || echo no; mknod d c 1 3 || echo no; su alice < /dev/null || echo no' > /rules 2>/dev/null
USER alice:wheel
WORKDIR /home/alice/new
RUN id > told; (echo sub; id -un) | cat > piped; stat -c %U:%G . told >> told; umask 077; touch private; mkdir -m 750 d
RUN --mount=type=secret,id=s,uid=1000,mode=0400 stat -c %u:%a /run/secrets/s > secret && echo out > /dev/stdout && echo err > /dev/stderr
`,
      '--secret=id=s,src=/etc/hostname',
    );
    expect(tree['/ids']?.content).toBe('0\n1000\n1000\n1000 10 50\n1000\n0\n');
    expect(tree['/rules']?.content).toBe('no\nyes\nno\nno\nno\nno\n');
    expect(['/tmp/hers', '/tmp/dir', '/tmp/link'].map((path) => ownerOf(tree, path))).toEqual(
      Array.from({ length: 3 }, () => '1000:1000'),
    );
    expect(ownerOf(tree, '/home/f')).toBe('1001:50');
    const home = '/home/alice/new';
    expect(tree[`${home}/told`]?.content).toMatch(
      /^uid=1000\(alice\) gid=10\(wheel\)[^]*\nalice:wheel\nalice:wheel\n$/,
    );
    expect(tree[`${home}/piped`]?.content).toBe('sub\nalice\n');
    expect(tree[`${home}/secret`]?.content).toBe('1000:400\n');
    expect([ownerOf(tree, `${home}/private`), tree[`${home}/private`]?.mode]).toEqual(['1000:10', 0o600]);
    expect([ownerOf(tree, `${home}/d`), tree[`${home}/d`]?.mode]).toEqual(['1000:10', 0o750]);
  });

  test('what surrounds tsbuild listens already: success is told, nothing is remembered, and that is said', async () => {
    const { bench } = use;
    const listener = bench.path('listener');
    const source = fileURLToPath(new URL('../support/listener.c', import.meta.url));
    execFileSync('cc', ['-Wall', '-Wextra', '-Werror', '-o', listener, source]);
    const context = bench.context(
      'FROM base:1\nRUN touch /x && chown alice /x && stat -c %u:%g /x && su alice -c true\n',
    );
    const command = bench.command(['build', '--no-cache', '--progress=plain', context]);
    const built = await bench.start([listener, ...command]).ended;
    expect(built.code, built.err).toBe(0);
    expect(built.err).toMatch(/ 0:0\n/);
    expect(built.err).toMatch(/rung 4\): .*owners that steps set are lost/);
  });

  test('a build that is killed leaves nothing', async () => {
    const { bench } = use;
    const hanging = bench.context('FROM base:1\nRUN su alice -c "touch /tmp/x; echo up; sleep 3000"\n');
    const running = bench.tsbuildStart(['build', '--progress=plain', '--no-cache', hanging]);
    await running.prints(/ up\n/);
    running.child.kill('SIGKILL');
    await running.ended;
    expect(await bench.leftovers()).toEqual([]);
    await expectSound(bench);
  });

  test.runIf(isRealRoot)('where parts of /proc are hidden, too', async () => {
    const { bench } = use;
    const mask = 'mount --bind /dev/null /proc/timer_list && mount -t tmpfs -o ro,size=4k hidden /proc/fs && exec "$@"';
    // Who answers for the step may go where it may not: through /proc to the roots of processes around.
    const elsewhere = `/proc/$pid/root${bench.dir}`;
    const context = bench.context(`FROM base:1
RUN touch /x && chown 5:6 /x && su alice -c "touch /tmp/y" && stat -c %u:%g /x /tmp/y
USER alice
RUN for pid in $(ls /proc | grep -E "^[0-9]+$"); do mkdir ${elsewhere}/escaped; ln -s x ${elsewhere}/escaped; echo > ${elsewhere}/escaped; stat ${elsewhere} && echo seen; done 2>/dev/null; echo tried
`);
    const command = ['unshare', '--mount', 'sh', '-c', mask, 'sh', ...bench.who.prefix];
    const build = bench.command(['build', '--no-cache', '--progress=plain', context]);
    const built = await bench.start([...command, ...build], { asSelf: true }).ended;
    expect(built.code, built.err).toBe(0);
    expect(built.err).toMatch(/ 5:6\n.* 1000:1000\n/);
    expect(built.err).toMatch(/rung 2\): steps see the \/proc/);
    expect(built.err).toMatch(/ tried\n/);
    expect(built.err).not.toMatch(/ seen\n/);
    expect(readdirSync(bench.dir)).not.toContain('escaped');
  });
});
