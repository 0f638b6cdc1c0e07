import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { baseImageTar } from '../support/base-image.ts';
import { Bench, type Outcome } from '../support/bench.ts';
import { Container } from '../support/container.ts';
import { describeAsEveryone, useBench } from '../support/e2e.ts';
import { identities } from '../support/identity.ts';
import { randomSteps } from '../support/random-steps.ts';
import { isRealRoot } from '../support/real-root.ts';
import { isRecalled } from '../support/recalled.ts';
import { readOciArchive } from '../support/tree.ts';
import { until } from '../support/until.ts';

/** Steps that change a tree in every way that a layer has a form for, with mounts of every kind. */
const DOCKERFILE = `FROM base:1 AS one
RUN mkdir -p /a/b/c && echo 1 > /a/b/c/f && ln /a/b/c/f /a/b/c/g && ln -s f /a/b/c/l && mkfifo /a/fifo && chown -h 1000:50 /a/b/c/l
RUN echo 2 >> /a/b/c/f && rm -r /home && mkdir /home && touch /home/new && rm /bin/yes && chmod 4750 /a/b/c/g
RUN mv /a/b /a/d && ln /etc/passwd /etc/passwd2 && rm -rf /var && echo x > /var
RUN echo "1 2 3" > /etc/group- && touch -d @1 /etc/group- && dd if=/dev/zero of=/sparse bs=1 count=1 seek=1000000 2>/dev/null
RUN echo same > /etc/new && cat /etc/passwd > /t && cat /t > /etc/passwd && rm /t && touch -d @1600000000 /etc/passwd
RUN --mount=type=cache,target=/cache --mount=type=tmpfs,target=/root echo y >> /cache/n && wc -l < /cache/n > /count && touch /root/gone
RUN --mount=type=cache,target=/cache echo y >> /cache/n && wc -l < /cache/n >> /count
RUN --mount=type=secret,id=s,uid=1000,mode=0440 cat /run/secrets/s | wc -c > /len && stat -c '%a %u' /run/secrets/s >> /len
RUN --mount=type=bind,target=/context cat /context/f > /from-context
FROM one
COPY --from=one /a /copied
COPY f /f
ADD archive.tar /added/
RUN --mount=type=bind,from=one,source=/a,target=/mnt,rw ls /mnt/d/c | wc -l > /lines && touch /mnt/thrown && test ! -e /home/old
RUN rm -r /added && mkdir /added && echo new > /added/only
USER alice
WORKDIR /home/alice
RUN id > /tmp/id; echo said > /dev/stdout; touch mine; hostname > /dev/null
`;

const ENV = { SOURCE_DATE_EPOCH: '1700000000', TOKEN: 'of 12 bytes.' };
const BUILD = [
  'build',
  '--progress=plain',
  '--secret',
  'id=s,env=TOKEN',
  '-o',
  'type=oci,dest=-,rewrite-timestamp=true',
];

function contextOf(bench: Bench): string {
  return bench.context(DOCKERFILE, { f: 'file', 'archive.tar': baseImageTar() });
}

async function digestOf({ code, stdout, err }: Outcome): Promise<string> {
  expect(code, err).toBe(0);
  return (await readOciArchive(stdout)).digest;
}

/** Rungs that not everybody has: one id is for ordinary users, chroot for root. */
function others({ uid }: { readonly uid: number }): readonly string[] {
  if (uid !== 0) return ['single-id'];
  return isRealRoot ? ['chroot'] : [];
}

describeAsEveryone('the same image on every rung', (who) => {
  const use = useBench(who);

  test('namespaces and overlays, the /proc around, copies of layers, one id for users, and for root chroot', async () => {
    const { bench } = use;
    const context = contextOf(bench);
    const found = new Map<string, string>();
    for (const rung of ['userns', 'userns-noproc', 'copy', ...others(who)]) {
      const outcome = await bench.tsbuild([...BUILD, '--isolation', rung, context], {
        store: await bench.otherStore(),
        env: ENV,
      });
      found.set(rung, await digestOf(outcome));
      expect(outcome.err.match(/rung \d/g), rung).toEqual(
        { userns: null, 'userns-noproc': ['rung 2'], copy: ['rung 3'], 'single-id': ['rung 4'], chroot: ['rung 5'] }[
          rung
        ],
      );
    }
    expect(new Set(found.values()).size, JSON.stringify([...found])).toBe(1);
  });

  const seed = who.uid === 0 ? 1 : 2;
  test(`whatever steps do to files (seed ${seed})`, async () => {
    const { bench } = use;
    const context = bench.context(randomSteps(seed, 12));
    const args = ['build', '-q', '--no-cache', '-o', 'type=oci,dest=-,rewrite-timestamp=true', context];
    const [first, ...more] = ['userns', 'copy', ...others(who)];
    // A store each, for layers of one rung are no use on another that has owners in another way.
    const build = async (rung = ''): Promise<string> =>
      digestOf(await bench.tsbuild([...args, `--isolation=${rung}`], { store: await bench.otherStore(), env: ENV }));
    const wanted = await build(first);
    for (const rung of more) expect(await build(rung), rung).toBe(wanted);
  });

  const [other] = others(who);
  test.runIf(other)('what has its owners on disk in another way is not used, in one store', async () => {
    const { bench } = use;
    const store = await bench.otherStore();
    const context = bench.context(`FROM base:1
RUN touch /x && chown 5:6 /x
ARG RUNG
RUN --mount=type=cache,target=/c echo y >> /c/n && stat -c %u:%g /x /etc/passwd /c/n && wc -l < /c/n
COPY --from=base:1 /etc/passwd /copied
`);
    const said: (readonly [string, ...string[]])[] = [];
    const owners: string[] = [];
    for (const [round, rung] of [other ?? '', 'userns', other ?? '', 'userns'].entries()) {
      const args = ['--progress=plain', `--isolation=${rung}`, `--build-arg=RUNG=${round}`, '-o', 'type=oci,dest=-'];
      const built = await bench.ok(['build', ...args, context], { store, env: ENV });
      said.push([rung, ...[...built.err.matchAll(/^#\d+ \d+\.\d+ (.*)$/gm)].map(([, line]) => line ?? '')]);
      const { tree } = await readOciArchive(built.stdout);
      const files = ['/x', '/copied', '/etc/passwd', '/home/alice', '/usr', '/bin/sh'];
      owners.push(files.map((path) => `${path} ${tree[path]?.uid}:${tree[path]?.gid}`).join(', '));
      expect(await bench.damage(store)).toEqual([]);
    }
    // Each has a mount of its own, and finds it again.
    const lines = (count: string): readonly string[] => ['5:6', '0:0', '0:0', count];
    expect(said).toEqual([
      [other, ...lines('1')],
      ['userns', ...lines('1')],
      [other, ...lines('2')],
      ['userns', ...lines('2')],
    ]);
    expect(new Set(owners).size, owners.join('\n')).toBe(1);
    expect(owners[0]).toMatch(/^\/x 5:6, \/copied 0:0/);
  });

  test('copies leave nothing beside what the store has, and a failed step can be looked into', async () => {
    const { bench } = use;
    const store = await bench.otherStore();
    const context = bench.context('FROM base:1\nRUN echo one > /one\nRUN echo two > /two && exit 3\n');
    const failed = await bench.tsbuild(
      ['build', '--isolation=copy', '--on-failure=shell', '--progress=plain', context],
      {
        store,
        stdin: 'cat /one /two; ls /one; exit\n',
      },
    );
    expect(failed.code).toBe(1);
    expect(`${failed.out}${failed.err}`).toMatch(/one\ntwo\n\/one/);
    expect(await bench.damage(store)).toEqual([]);
    const ran = await bench.ok(['run', '--isolation=copy', 'base:1', 'sh', '-c', 'echo x > /x && cat /x && id -u'], {
      store,
    });
    expect(ran.out).toBe('x\n0\n');
    expect(await bench.damage(store)).toEqual([]);
    expect(await bench.leftovers()).toEqual([]);
  });

  test('a step on copies does not wait for the disk, unless it may write to more than layers', async () => {
    const { bench } = use;
    const filters = (count: number): string => `grep -E "^Seccomp_filters:\\s+${count}$" /proc/self/status`;
    const context = bench.context(
      `FROM base:1\nRUN ${filters(2)} && sync\nRUN --mount=type=cache,target=/c ${filters(1)} && sync\n`,
    );
    await bench.ok(['build', '--isolation=copy', '--no-cache', context]);
  });

  test('one that is not to be had is refused also where all steps are in the cache, or remembered', async () => {
    const { bench } = use;
    const context = bench.context('FROM base:1\nRUN echo one > /one\n');
    const args = ['build', '-q', '-t', 'asked:1', context];
    for (let round = 0; round < 3; round++) await bench.ok(args);
    expect(await isRecalled(bench, () => bench.ok(args))).toBe(true);
    const [isolation, why] =
      who.uid === 0 ? ['single-id', /with one id as root/] : ['chroot', /by chroot: only root can/];
    for (const [more, env] of [
      [[`--isolation=${isolation}`], {}],
      [[], { TSBUILD_ISOLATION: isolation }],
      // Not from memory.
      [[`--isolation=${isolation}`, '--build-context=unused=.'], {}],
    ] as const) {
      const refused = await bench.tsbuild([...args, ...more], { env });
      expect(refused, more.join(' ')).toMatchObject({ code: 1, err: expect.stringMatching(why) as string });
    }
    const wrong = await bench.tsbuild(args, { env: { TSBUILD_ISOLATION: 'all' } });
    expect(wrong).toMatchObject({ code: 2, err: expect.stringContaining('TSBUILD_ISOLATION="all"') as string });
    expect(await isRecalled(bench, () => bench.ok([...args, '--isolation=copy']))).toBe(true);
  });

  test('no step at all', async () => {
    const { bench } = use;
    const context = bench.context('FROM base:1 AS copied\nCOPY Dockerfile /\nFROM copied\nRUN true\n');
    await bench.ok(['build', '--isolation=none', '--target=copied', context]);
    const refused = await bench.tsbuild(['build', context], { env: { TSBUILD_ISOLATION: 'none' } });
    expect(refused).toMatchObject({ code: 1, err: expect.stringMatching(/--isolation=none runs no steps/) as string });
    const wrong = await bench.tsbuild(['build', context], { env: { TSBUILD_ISOLATION: 'all' } });
    expect(wrong).toMatchObject({
      code: 2,
      err: expect.stringMatching(/TSBUILD_ISOLATION="all"[^]*userns-noproc/) as string,
    });
  });
});

describe.runIf(isRealRoot)('in a container', () => {
  let bench: Bench;
  let context: string;
  let outside: string;
  beforeAll(async () => {
    const [self] = await identities();
    if (!self) throw new Error('Nobody runs the tests');
    bench = new Bench(self);
    await bench.importBase();
    context = contextOf(bench);
    outside = await digestOf(await bench.tsbuild([...BUILD, context], { env: ENV }));
  });
  afterAll(() => bench[Symbol.asyncDispose]());

  const importBase = (container: Container): Promise<Outcome> =>
    container.tsbuild(['import', '-', '-t', 'base:1'], {
      stdin: baseImageTar(),
      env: { SOURCE_DATE_EPOCH: '1600000000' },
    });

  test("with docker's profile, root builds by chroot, is told so, and gets the same image", async () => {
    const container = new Container(bench, 'docker', { seccomp: 'docker', user: 0 });
    const doctor = await container.tsbuild(['doctor']);
    expect(doctor, doctor.out).toMatchObject({ code: 0 });
    expect(doctor.out).toMatch(
      /refuses to make one\n +fix: in a container: start it with --security-opt seccomp=unconfined/,
    );
    expect(doctor.out).toMatch(/RUN steps work here \(rung 5: /);
    expect(doctor.out).not.toMatch(/network of steps: one of their own/);
    await importBase(container);
    const built = await container.tsbuild([...BUILD, context], { env: ENV });
    expect(await digestOf(built)).toBe(outside);
    expect(built.err.match(/rung 5/g)).toHaveLength(1);
    // From the cache of a store on an overlay, where whiteouts have their other form.
    expect(await digestOf(await container.tsbuild([...BUILD, context], { env: ENV }))).toBe(outside);
    const again = await container.tsbuild([...BUILD, '--no-cache', context], { env: ENV });
    expect(again.code, again.err).toBe(0);
    const ran = await container.tsbuild([
      'run',
      'base:1',
      'sh',
      '-c',
      'echo $0; test -c /dev/null && cat /proc/mounts',
    ]);
    expect(ran, ran.err).toMatchObject({ code: 0, out: 'sh\ntsbuild / overlay rw,relatime 0 0\n' });
    const mounting = await container.tsbuild(['run', '-v', '/etc:/m', 'base:1', 'true']);
    expect(mounting).toMatchObject({ code: 125, err: expect.stringMatching(/without mounts \(rung 5\)/) as string });
    const stepping = bench.context('FROM base:1\nRUN true\n');
    for (let round = 0; round < 3; round++)
      expect(await container.tsbuild(['build', '-q', '-t', 'a', stepping])).toMatchObject({ code: 0 });
    // What is in the cache or remembered needs no namespace: it says nothing of one that is not to be had.
    for (const more of [[], ['--build-context=unused=.'], ['--no-cache']]) {
      const refused = await container.tsbuild(['build', '-q', '-t', 'a', '--isolation=userns', ...more, stepping]);
      expect(refused, more.join(' ')).toMatchObject({
        code: 1,
        err: expect.stringMatching(
          /Cannot build with the isolation "userns" here: [^]*\nhint: "tsbuild doctor"/,
        ) as string,
      });
    }
    expect((await container.tsbuild(['prune', '--all', '--images'])).code).toBe(0);
  });

  test("with docker's profile, an ordinary user builds what has no RUN, and is told what is missing for the rest", async () => {
    const container = new Container(bench, 'docker-user', { seccomp: 'docker', user: 1000 });
    // Its files must be within the user's reach.
    chmodSync(bench.dir, 0o755);
    const doctor = await container.tsbuild(['doctor']);
    expect(doctor.code, doctor.out).toBe(1);
    expect(doctor.out).toMatch(/fix: /);
    await importBase(container);
    const plain = bench.context(
      `FROM base:1 AS one
COPY --chown=alice:staff --chmod=750 Dockerfile /home/alice/
ADD archive.tar /added/
WORKDIR /made/here
FROM base:1
COPY --from=one / /copied/
COPY --link --chown=7:8 Dockerfile /linked/
`,
      { 'archive.tar': baseImageTar() },
    );
    // Owners, links, devices and modes of the base are those of a build that has all ids.
    const args = ['build', '-q', '--rewrite-timestamp', '-o', 'type=oci,dest=-', plain];
    const built = await container.tsbuild(args, { env: ENV });
    expect(await digestOf(built)).toBe(await digestOf(await bench.tsbuild(args, { env: ENV })));
    expect(await digestOf(await container.tsbuild(['build', '--no-cache', ...args.slice(1)], { env: ENV }))).toBe(
      await digestOf(built),
    );
    const said = await container.tsbuild(['build', '--no-cache', context], { env: { ...ENV, TOKEN: 'x' } });
    expect(said).toMatchObject({
      code: 1,
      err: expect.stringMatching(/steps run in user namespaces, which this machine does not allow[^]*doctor/) as string,
    });
    expect((await container.tsbuild(['run', 'base:1', 'true'])).err).toMatch(/steps run in user namespaces/);
    expect((await container.tsbuild(['store', 'check'])).code).toBe(0);
    expect((await container.tsbuild(['prune', '--all', '--force'])).code).toBe(0);
    const refused = await container.tsbuild(
      ['build', '--isolation=chroot', '--no-cache', '--secret=id=s,env=TOKEN', context],
      {
        env: ENV,
      },
    );
    expect(refused).toMatchObject({ code: 1, err: expect.stringMatching(/by chroot: only root can/) as string });
  });

  test('where namespaces are allowed, layers on the overlay of the container are copied, and steps stay apart', async () => {
    const container = new Container(bench, 'open', { seccomp: 'none', user: 0 });
    const doctor = await container.tsbuild(['doctor']);
    expect(doctor, doctor.out).toMatchObject({
      code: 0,
      out: expect.stringMatching(/RUN steps work here \(rung 3: /) as string,
    });
    await importBase(container);
    const built = await container.tsbuild([...BUILD, context], { env: ENV });
    expect(await digestOf(built)).toBe(outside);
    expect(built.err).toMatch(/Slower than usual \(rung 3\)/);
    expect(built.err).toMatch(/rung 2\): steps see the \/proc/);
  });

  test("in podman's containers, steps stay apart, and a volume saves the copies", async () => {
    const config = bench.path('containers.conf');
    // Where hard limits are low, runc may not raise them to podman's defaults.
    writeFileSync(config, '[containers]\ndefault_ulimits = []\n');
    const podman = ['podman', '--root', bench.path('podman'), '--runroot', bench.path('runroot'), '--runtime=runc'];
    // Podman's own files in /run, which an ordinary user's podman would stumble over.
    const inRun = (...args: readonly string[]): Promise<Outcome> =>
      bench.start(
        [
          'unshare',
          '--mount',
          'sh',
          '-c',
          'mount -t tmpfs run /run && exec "$@"',
          'sh',
          ...podman,
          'run',
          '--rm',
          ...args,
        ],
        { env: { CONTAINERS_CONF: config }, stdin: baseImageTar() },
      ).ended;
    const volume = bench.write('volume', {});
    const stepped = bench.context(
      'FROM base:1\nRUN echo $$ && rm /etc/group && touch /made\nRUN test ! -e /etc/group\n',
    );
    const script =
      '"$@" doctor && "$@" import -t base:1 - > /dev/null && "$@" build --isolation=auto --progress=plain /context';
    for (const [root, rung] of [
      ['/var/tmp/store', '3: '],
      ['/volume/store', '2: '],
    ] as const) {
      const mounts = [`--volume=${volume}:/volume`, `--volume=${stepped}:/context`];
      const command = ['sh', '-c', script, 'sh', ...bench.command([])];
      const outcome = await inRun(
        '-i',
        '--network=host',
        `--env=TSBUILD_ROOT=${root}`,
        ...mounts,
        '--rootfs',
        '/:O',
        ...command,
      );
      expect(outcome.code, outcome.err).toBe(0);
      expect(outcome.out).toContain(`RUN steps work here (rung ${rung}`);
    }
  });

  test('root whom nothing confines runs no step by chroot unless that is asked for', async () => {
    const container = new Container(bench, 'privileged', { seccomp: 'docker', user: 'privileged' });
    const doctor = await container.tsbuild(['doctor']);
    expect(doctor.code, doctor.out).toBe(1);
    expect(doctor.out).toMatch(/fix: where that is wanted: --isolation=chroot/);
    await importBase(container);
    const refused = await container.tsbuild([...BUILD, context], { env: ENV });
    expect(refused).toMatchObject({ code: 1, err: expect.stringMatching(/cannot make a user namespace/) as string });
    const asked = await container.tsbuild([...BUILD, '--isolation=chroot', context], { env: ENV });
    expect(await digestOf(asked)).toBe(outside);
  });

  test('by chroot, what a step leaves running ends with the step, and with a build that is killed', async () => {
    const daemon = bench.context("FROM base:1\nRUN (setsid sh -c 'sleep 3000 # daemon' &) ; (setsid sleep 3000 &)\n");
    const args = ['build', '--isolation=chroot', '--progress=plain', '--no-cache'];
    await bench.ok([...args, daemon]);
    expect(await bench.leftovers()).toEqual([]);
    const hanging = bench.context(
      'FROM base:1\nRUN --mount=type=cache,target=/c (setsid sleep 3000 &) ; echo up; sleep 3000\n',
    );
    const running = bench.tsbuildStart([...args, hanging]);
    await running.prints(/ up\n/);
    running.child.kill('SIGKILL');
    await running.ended;
    expect(await bench.leftovers()).toEqual([]);
    await bench.ok([...args, daemon]);
    expect(await bench.damage()).toEqual([]);
  });

  test('by chroot, the secrets of a step are gone when the build is killed, wherever the step has them (SEC-05)', async () => {
    const holding = bench.context(`FROM base:1
RUN --mount=type=secret,id=s --mount=type=secret,id=s,target=/moved --mount=type=secret,id=s,target=/etc/passwd \\
    mv /moved /elsewhere && ln /elsewhere /again && echo up && sleep 3000
`);
    const holders = async (): Promise<string> =>
      (await bench.start(['grep', '-rlaF', '--devices=skip', '-e', ENV.TOKEN, bench.store]).ended).out;
    const args = ['build', '--isolation=chroot', '--progress=plain', '--no-cache', '--secret=id=s,env=TOKEN'];
    for (const whole of [false, true]) {
      const running = bench.tsbuildStart([...args, holding], { env: ENV, detached: true });
      await running.prints(/ up\n/);
      expect(await holders()).toMatch(/\/run\/secrets\/s\n/);
      const { pid = 0 } = running.child;
      process.kill(whole ? -pid : pid, 'SIGKILL');
      await running.ended;
      await until(
        `nothing holds it, after a kill of ${whole ? 'all of its process group' : 'tsbuild alone'}`,
        async () => (await holders()) === '',
      );
      expect(await bench.leftovers()).toEqual([]);
    }
  });

  test('without network namespaces no network is recorded, and none replayed: such steps are refused', async () => {
    const stepping = bench.context('FROM base:1\n# tsbuild: network=locked\nRUN true\n');
    for (const [isolation, why] of [
      ['chroot', /Cannot record the network of a step here: there are no network namespaces[^]*hint: [^\n]*--network=/],
      ['none', /--isolation=none runs no steps/],
    ] as const)
      for (const network of ['record', 'locked']) {
        const args = [`--isolation=${isolation}`, `--network=${network}`, '--no-cache'];
        const refused = await bench.tsbuild(['build', ...args, bench.context('FROM base:1\nRUN true\n')]);
        expect(refused, args.join(' ')).toMatchObject({ code: 1, err: expect.stringMatching(why) as string });
      }
    const asked = await bench.tsbuild(['build', '--isolation=chroot', '--no-cache', stepping]);
    expect(asked.err).toMatch(/there are no network namespaces/);
    expect(await bench.leftovers()).toEqual([]);
  });

  test('by chroot, a canceled build ends its step and goes on with none', async () => {
    const hanging = bench.context('FROM base:1\nRUN echo up; trap "" TERM INT; sleep 3000\n');
    const running = bench.tsbuildStart(['build', '--isolation=chroot', '--progress=plain', '--no-cache', hanging]);
    await running.prints(/ up\n/);
    running.child.kill('SIGINT');
    expect((await running.ended).code).toBe(130);
    expect(await bench.leftovers()).toEqual([]);
  });

  test('by chroot, a step has no more than the usual capabilities, and no secret stays', async () => {
    const look = bench.context(
      'FROM base:1\nRUN --mount=type=secret,id=s test -s /run/secrets/s\nRUN ! mount -t tmpfs x /tmp 2>/dev/null && test ! -e /run && ls /dev > /devices\n',
    );
    const { stdout } = await bench.ok(
      ['build', '--isolation=chroot', '--no-cache', '--secret=id=s,env=TOKEN', '-o', 'type=tar,dest=-', look],
      { env: ENV },
    );
    expect(stdout.toString('latin1')).not.toContain(ENV.TOKEN);
    expect(readFileSync('/proc/self/mounts', 'utf8')).not.toContain(bench.store);
  });
});

describe('with no_new_privs', () => {
  test('an ordinary user is told why newuidmap gives nothing, and has one id', async () => {
    const who = (await identities()).at(-1);
    if (!who) throw new Error('Nobody runs the tests');
    await using bench = new Bench(who);
    const { code, out } = await bench.start(['setpriv', '--no-new-privs', ...bench.command(['doctor'])]).ended;
    expect(code, out).toBe(0);
    expect(out).toMatch(
      /ids: newuidmap is a setuid program[^]*fix: in a systemd unit: NoNewPrivileges=no[^]*RUN steps work here \(rung 4: /,
    );
  });
});

test('an ordinary user whose subordinate ids are not there has one id', async () => {
  const who = (await identities()).at(-1);
  if (!who) throw new Error('Nobody runs the tests');
  await using bench = new Bench(who);
  await bench.makeStore();
  // As in a container that has fewer ids than its image's /etc/subuid speaks of.
  const within = (args: readonly string[]): Promise<Outcome> =>
    bench.start(['unshare', '--user', '--map-current-user', ...bench.command(args)]).ended;
  const { code, out } = await within(['doctor']);
  expect(code, out).toBe(0);
  expect(out).toMatch(
    /ids: the subordinate ids [^\n]* are not there[^]*fix: start the container with more ids[^]*RUN steps work here \(rung 4: /,
  );
  const store = bench.path('other');
  await bench.importBase('base:1', { store });
  const built = await within([
    'build',
    '-q',
    '-o',
    'type=oci,dest=/dev/null',
    bench.context('FROM base:1\nRUN chown alice /etc\n'),
  ]);
  expect(built.code, built.err).toBe(0);
});
