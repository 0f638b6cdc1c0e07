import { globSync, readdirSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { execProgram, machineProgram } from '../support/arm64-program.ts';
import { baseWith } from '../support/base-image.ts';
import type { Outcome } from '../support/bench.ts';
import { describeAsEveryone, useBench } from '../support/e2e.ts';
import { canEmulateArm64 } from '../support/emulation.ts';
import type { Identity } from '../support/identity.ts';
import { isRealRoot } from '../support/real-root.ts';
import { expectNoDebris, expectSound } from '../support/sound.ts';
import { staticProgram } from '../support/static-program.ts';
import { onTerminal } from '../support/terminal.ts';
import { readOciArchive } from '../support/tree.ts';

/** What mounts of every kind promise. */
const MOUNTS = String.raw`FROM base:1 AS one
RUN mkdir /d && echo of-one > /d/f
FROM base:1
RUN --mount=type=secret,id=s,target=/etc/given,uid=1000,gid=50,mode=0440 stat -c '%a %u:%g' /etc/given > /secret && cat /etc/given | wc -c >> /secret
RUN ls /etc/given 2> /dev/null || echo gone >> /secret
RUN --mount=type=ssh,id=deploy,target=/agent,uid=1000,gid=50,mode=0640 stat -c '%a %u:%g %F' /agent > /ssh && echo $SSH_AUTH_SOCK >> /ssh && \
  ssh-add -l | cut -d ' ' -f 1 >> /ssh
RUN --mount=type=bind,from=one,source=/d,target=/mnt,rw echo mine >> /mnt/f && cp /mnt/f /bound && echo new > /mnt/new
RUN --mount=type=bind,target=/context,rw echo mine >> /context/f && cp /context/f /of-context && rm /context/g
RUN --mount=type=bind,from=one,source=/d,target=/mnt --mount=type=bind,target=/context cat /mnt/f /context/f /context/g > /after && ls /mnt >> /after
USER alice
RUN --mount=type=secret,id=s,uid=1000 test -r /run/secrets/s && echo read > /tmp/read
`;

const FAILING = `FROM base:1 AS tools
ENV A=5
WORKDIR /w
RUN echo file > f
RUN --mount=type=cache,target=/c --mount=type=secret,id=s,target=/s echo half > half; echo kept > /c/x; exit 3
`;

/** Goes on with all that could be left: processes of every kind, mounts of every kind, groups of control. */
const LINGERS = `FROM base:1 AS one
RUN touch /f
FROM base:1
RUN --mount=type=cache,target=/c --mount=type=tmpfs,target=/t --mount=type=secret,id=s --mount=type=ssh,id=deploy --mount=type=bind,from=one,target=/one,rw \
  (setsid sleep 3000 &); (trap '' TERM INT; sleep 3000) & touch /c/x /t/x /one/x; echo up; sleep 3000
`;

describeAsEveryone('what steps are promised', (who) => {
  // The first is what everything else is tested on.
  const rungs = who.uid === 0 ? ['userns', 'copy', ...(isRealRoot ? ['chroot'] : [])] : ['copy', 'single-id'];
  for (const rung of rungs) describe(`on ${rung}`, () => promisesOn(rung, who));
});

function promisesOn(rung: string, who: Identity): void {
  const use = useBench(who, { base: false });
  beforeAll(() => use.bench.ok(['import', '-', '-t', 'base:1'], { stdin: baseWith('/usr/bin/ssh-add') }));
  const isBare = rung === 'chroot';
  const env = { TSBUILD_ISOLATION: rung, TOKEN: 'of 12 bytes.' };
  const build = ['build', '--progress=plain', '--no-cache', '--secret=id=s,env=TOKEN'];

  async function keyed(): Promise<string> {
    const { bench } = use;
    if (!globSync(bench.path('key')).length)
      await bench.tool(['ssh-keygen', '-q', '-N', '', '-t', 'ed25519', '-f', 'key']);
    return '--ssh=deploy=key';
  }

  test('mounts of secrets, agents and directories that are written to', async () => {
    const { bench } = use;
    const context = bench.context(MOUNTS, { f: 'of-context\n', g: 'kept\n' });
    const { stdout } = await bench.ok([...build, await keyed(), '-o', 'type=oci,dest=-', context], { env });
    const { tree } = await readOciArchive(stdout);
    const text = (path: string): string | undefined => tree[path]?.content;
    expect(text('/secret')).toBe('440 1000:50\n12\ngone\n');
    expect(text('/ssh')).toBe('640 1000:50 socket\n/agent\n256\n');
    expect(text('/bound')).toBe('of-one\nmine\n');
    expect(text('/of-context')).toBe('of-context\nmine\n');
    expect(text('/after')).toBe('of-one\nof-context\nkept\nf\n');
    expect(text('/tmp/read')).toBe('read\n');
    expect(Object.keys(tree).filter((path) => /^\/(agent|mnt|context|run|etc\/given)/.test(path))).toEqual([]);
    await expectSound(bench);
  });

  test('capabilities of files stay, whoever changes other things about those', async () => {
    const { bench } = use;
    const context = bench.context(
      `FROM base:1
COPY --chmod=0755 set-capability /
RUN touch /set /changed && /set-capability /set /changed && touch /lost && /set-capability /lost && chown 7 /lost
RUN chmod 0700 /changed && mkdir /other
`,
      { 'set-capability': staticProgram('set-capability') },
    );
    const { stdout } = await bench.ok([...build, '-o', 'type=oci,dest=-', context], { env });
    const { tree } = await readOciArchive(stdout);
    // CAP_NET_RAW, permitted and effective (capabilities(7)).
    const capability = `0100000200200000${'00'.repeat(12)}`;
    expect(tree['/set']).toMatchObject({ mode: 0o644, capability });
    expect(tree['/changed']).toMatchObject({ mode: 0o700, capability });
    expect(tree['/lost']).toMatchObject({ uid: 7 });
    expect(tree['/lost']?.capability).toBeUndefined();
  });

  test('a cache is the same one for steps at a time, of one build and of two', async () => {
    const { bench } = use;
    // By chroot, one waits for the other: it is in one place at a time.
    const meets = isBare ? 'true' : 'until [ -e /c/$OTHER ]; do sleep 0.1; done';
    const stage = (own: string, other: string): string =>
      `FROM base:1 AS ${own}\nENV OTHER=${other}\nRUN --mount=type=cache,id=k,target=/c touch /c/${own}; ${meets}; sleep 0.3; touch /of-${own}\n`;
    const dockerfile = `${stage('a', 'b')}${stage('b', 'a')}FROM base:1
COPY --from=a /of-a /
COPY --from=b /of-b /
RUN --mount=type=cache,id=k,target=/c ls /c
`;
    // Nothing of it is cached; --no-cache would empty the mounts.
    const run = (text: string): Promise<Outcome> =>
      bench.ok(['build', '--progress=plain', bench.context(text)], { env });
    const { err } = await run(dockerfile);
    expect(err).toMatch(/ a\n(#.*\n)*?#\d+ \S+ b\n/);
    const adds = (name: string): string =>
      `FROM base:1\nRUN --mount=type=cache,id=n,target=/c touch /c/${name} && sleep 2 && touch /c/${name}-2\n`;
    await Promise.all(['x', 'y', 'z'].map((name) => run(adds(name))));
    const seen = await run('FROM base:1\nRUN --mount=type=cache,id=n,target=/c echo seen $(ls /c)\n');
    expect(seen.err).toMatch(/ seen x x-2 y y-2 z z-2\n/);
    await expectSound(bench);
  }, 60_000);

  test.skipIf(!canEmulateArm64())('steps for another architecture are emulated, or it is said why not', async () => {
    const { bench } = use;
    const context = bench.context(
      'FROM --platform=$BUILDPLATFORM base:1 AS native\nCOPY . /in\nRUN chmod 0755 /in/*.bin\nFROM scratch\nCOPY --from=native /in /\nRUN ["/exec.bin"]\n',
      { 'machine.bin': machineProgram('/made'), 'exec.bin': execProgram('/machine.bin') },
    );
    const built = await bench.tsbuild([...build, '--platform=linux/arm64', '-o', 'type=oci,dest=-', context], { env });
    // Nothing can be mounted, and so no list of formats; the machine's own may have one.
    if (isBare) {
      expect(built.err).toMatch(/Cannot execute "\/exec\.bin" for linux\/arm64[^]*hint: /);
      return;
    }
    expect(built.code, built.err).toBe(0);
    expect((await readOciArchive(built.stdout)).tree['/made']?.content).toBe('aarch64');
    await expectSound(bench);
  });

  test('a failed step can be looked into, by --on-failure=shell, debug and shell', async () => {
    const { bench } = use;
    const context = bench.context(FAILING);
    const stdin = 'pwd; ls; cat half /c/x; echo A=$A; cat /s; echo; echo changed > f\n';
    const failed = await bench.tsbuild([...build, '--on-failure=shell', context], { env, stdin });
    expect({ code: failed.code, out: failed.out }, failed.err).toEqual({
      code: 1,
      out: '/w\nf\nhalf\nhalf\nkept\nA=5\nof 12 bytes.\n',
    });
    expect((await bench.tsbuild(['debug'], { env, stdin: 'cat f\n' })).out).toBe('file\n');
    expect((await bench.tsbuild(['debug', 'RUN echo file'], { env, stdin: 'ls -A; echo A=$A\n' })).out).toBe('A=5\n');
    const good = bench.context('FROM base:1 AS tools\nENV A=5\nWORKDIR /w\nRUN echo file > f\nFROM scratch\n');
    const shell = await bench.tsbuild(['shell', 'tools', good, '-c', 'pwd; cat f; echo $A; exit 4'], { env });
    expect({ code: shell.code, out: shell.out }, shell.err).toEqual({ code: 4, out: '/w\nfile\n5\n' });
    await expectSound(bench);
  });

  test('the shell of a failed step can be typed into', async () => {
    const { bench } = use;
    const context = bench.context('FROM base:1\nRUN echo made > /made; false\n');
    const words = ['build', `--isolation=${rung}`, '--on-failure=shell', '-o', 'type=cacheonly', context];
    const { code, out } = await onTerminal(bench, words, [
      { expect: 'This is a shell' },
      { expect: '# ' },
      { type: 'cat /made; stty size > /dev/null && echo is a terminal\n' },
      { expect: 'made' },
      { expect: 'is a terminal\r\n' },
      { type: 'exit\n' },
      { expect: 'error: failed to solve' },
    ]); // oxfmt-ignore
    expect(out).not.toContain('timed out');
    expect(code).toBe(1);
  });

  test('nothing is left of a build that is killed: no process, no mount, no group, no directory', async () => {
    const { bench } = use;
    const groups = (): readonly string[] => {
      const ledger = globSync(bench.path('store/cgroups/*')).map((path) => path.split('/').at(-1) ?? '');
      const found = globSync('/sys/fs/cgroup/**/tsbuild-*.*-*');
      return found.filter((path) => ledger.some((name) => path.includes(`/${name}-`)));
    };
    const args = [...build, '--memory=1g', await keyed(), bench.context(LINGERS)];
    for (const whole of [false, true]) {
      const running = bench.tsbuildStart(args, { env, detached: true });
      await running.prints(/ up\n/);
      const made = groups();
      const { pid = 0 } = running.child;
      process.kill(whole ? -pid : pid, 'SIGKILL');
      await running.ended;
      expect(await bench.leftovers(), `${whole}`).toEqual([]);
      expect(bench.mounts()).toEqual([]);
      // Groups and directories are taken away by whoever comes next.
      await bench.ok(['images'], { env });
      await expect.poll(async () => [await bench.ok(['images'], { env }), globSync(made as string[])][1]).toEqual([]);
      await expectNoDebris(bench);
      expect(readdirSync(`${bench.store}/garbage`)).toEqual([]);
    }
    await expectSound(bench);
  }, 60_000);
}
