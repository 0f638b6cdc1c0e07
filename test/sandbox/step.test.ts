import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { findHelper, type StepSpec } from '../../src/sandbox/index.ts';
import { testedRung } from '../support/rung.ts';
import type { StepResult } from './support/kit.ts';
import { everyone, runScenario, type Who } from './support/run-as.ts';

interface Variant {
  readonly command: string | readonly string[];
  readonly spec?: Partial<StepSpec>;
}
const runAll = (who: Who, variants: readonly Variant[]): Promise<readonly StepResult[]> =>
  runScenario(who, 'steps', variants);

describe.each(everyone)('a step (%s)', (who) => {
  test('ends are reported as they are', async () => {
    const variants: readonly (Variant & { readonly want: unknown })[] = [
      { command: 'exit 0', want: { kind: 'exited', code: 0 } },
      { command: 'exit 125', want: { kind: 'exited', code: 125 } },
      { command: 'exit 255', want: { kind: 'exited', code: 255 } },
      // PID 1 of a namespace cannot end itself by signal, but its child can.
      { command: "sh -c 'kill -9 $$'; exit $?", want: { kind: 'exited', code: 137 } },
      { command: ['/bin/nothing'], want: { kind: 'not-executed', path: '/bin/nothing', errno: 'ENOENT' } },
      { command: ['nothing'], want: { kind: 'not-executed', path: 'nothing', errno: 'ENOENT' } },
      { command: ['/etc/passwd'], want: { kind: 'not-executed', path: '/etc/passwd', errno: 'EACCES' } },
      { command: ['/etc'], want: { kind: 'not-executed', path: '/etc', errno: 'EACCES' } },
      { command: [''], want: { kind: 'not-executed', path: '', errno: 'ENOENT' } },
      { command: ['true'], want: { kind: 'exited', code: 0 } },
      { command: ['true'], spec: { env: ['PATH=/nowhere::/bin'] }, want: { kind: 'exited', code: 0 } },
      { command: ['true'], spec: { env: [] }, want: { kind: 'not-executed', path: 'true', errno: 'ENOENT' } },
      { command: "sh -c 'kill -TERM $$'; exit $?", spec: { init: true }, want: { kind: 'exited', code: 143 } },
      { command: 'kill -9 $$', spec: { init: true }, want: { kind: 'signaled', signal: 'SIGKILL' } },
      { command: 'exit 7', spec: { init: true }, want: { kind: 'exited', code: 7 } },
      { command: ['nothing'], spec: { init: true }, want: { kind: 'not-executed', path: 'nothing', errno: 'ENOENT' } },
    ];
    const results = await runAll(who, variants);
    for (const [index, { command, want }] of variants.entries())
      expect([command, results[index]?.status]).toEqual([command, want]);
  });

  test('capabilities, seccomp, namespaces and masked paths are those of Docker', async () => {
    const [status, insecure, privileges, masks, none] = await runAll(who, [
      { command: 'cat /proc/self/status; readlink /proc/1/exe; echo $$; hostname; id' },
      { command: 'cat /proc/self/status', spec: { security: 'insecure' } },
      { command: 'cat /proc/self/status', spec: { noNewPrivileges: true, user: 'alice' } },
      {
        command: `for f in kcore keys timer_list interrupts sched_debug; do [ ! -e /proc/$f ] || cat /proc/$f | wc -c; done
          for d in acpi scsi asound; do [ ! -d /proc/$d ] || ls /proc/$d; done; ls /sys/firmware; [ ! -d /sys/devices/virtual/powercap ] || ls /sys/devices/virtual/powercap
          for f in sys/kernel/core_pattern sys/vm/drop_caches sysrq-trigger irq/default_smp_affinity; do
            if [ -e /proc/$f ] && echo 1 > /proc/$f; then echo written $f; fi; done
          mkdir /sys/fs/cgroup/x; touch /sys/kernel/x; kill -9 -1; exit 0`,
      },
      { command: 'ip addr; ls /sys/class/net; nc -w 1 127.0.0.1 22; ip route', spec: { network: 'none' } },
    ]);
    const out = status?.out ?? '';
    expect(out).toMatch(/^CapInh:\t0+$/m);
    expect(out).toMatch(/^CapAmb:\t0+$/m);
    for (const set of ['Bnd', 'Eff', 'Prm']) expect(out).toMatch(new RegExp(`^Cap${set}:\t00000000a80425fb$`, 'm'));
    expect(out).toMatch(/^Seccomp:\t2$/m);
    expect(out).toMatch(/^NoNewPrivs:\t0$/m);
    expect(out).toMatch(/(^|\n)1\nbuildkitsandbox\nuid=0\(root\) gid=0\(root\) groups=0\(root\),10\(wheel\)\n$/);
    // Where the /proc is not its own, the first process is somebody's whom it may not look at.
    expect(out.includes('/bin/busybox\n1\n')).toBe(testedRung !== 'userns-noproc');
    // On copies of layers there is the filter that saves waiting for the disk.
    expect(insecure?.out).toMatch(testedRung === 'copy' ? /^Seccomp:\t2$/m : /^Seccomp:\t0$/m);
    expect(insecure?.out).toMatch(/^CapEff:\t000001ff/m);
    expect(privileges?.out).toMatch(/^NoNewPrivs:\t1$/m);
    expect(privileges?.out).toMatch(/^CapEff:\t0+$/m);
    expect(masks?.out.replaceAll(/^0$\n?/gm, '')).toBe('');
    expect(masks?.status).toEqual({ kind: 'exited', code: 0 });
    expect(masks?.err).toMatch(/'\/sys\/fs\/cgroup\/x': Read-only file system/);
    expect(none?.out).toMatch(/127\.0\.0\.1\/8/);
    expect(none?.out.match(/^\d+: /gm)).toEqual(['1: ']);
  });

  test('users and groups', async () => {
    const variants: readonly { readonly user: string; readonly want: string }[] = [
      { user: '', want: '0 0 0 10 /root' },
      { user: 'root', want: '0 0 0 10 /root' },
      { user: '0', want: '0 0 0 10 /root' },
      { user: 'alice', want: '1000 1000 1000 10 50 /home/alice' },
      { user: '1000', want: '1000 1000 1000 10 50 /home/alice' },
      { user: 'bob', want: '1001 50 50 /nowhere' },
      { user: 'alice:staff', want: '1000 50 50 /home/alice' },
      { user: 'alice:77', want: '1000 77 77 /home/alice' },
      { user: '4321', want: '4321 0 0 /' },
      { user: '4321:1234', want: '4321 1234 1234 /' },
    ];
    const results = await runAll(
      who,
      variants.map(({ user }) => ({ command: 'echo $(id -u; id -g; id -G; echo $HOME)', spec: { user } })),
    );
    for (const [index, { user, want }] of variants.entries())
      expect([user, results[index]?.out, results[index]?.error]).toEqual([user, `${want}\n`, undefined]);
  });

  test('users that are no ids are refused and never become root', async () => {
    const users = [
      '4294967296',
      '4294967295',
      '2147483648',
      '-1',
      '0x0',
      '1e3',
      '00',
      'root:4294967296',
      'root:-1',
      ' 0',
      '٠',
      '2147483647',
      '+5',
      'nobody-here',
      'alice:nothing',
      ':x',
    ];
    const results = await runAll(
      who,
      users.map((user) => ({ command: 'id', spec: { user } })),
    );
    for (const [index, user] of users.entries())
      expect([user, results[index]?.status, results[index]?.code]).toEqual([user, undefined, 'TSB_STEP']);
  });

  test('the environment, streams, limits and file system', async () => {
    const [env, home, streams, reopened, limits, shm, readonly, umask, dir, leftovers, big] = await runAll(who, [
      { command: ['/bin/env'], spec: { env: ['PATH=/bin', 'EMPTY=', 'A=b=c', 'NEWLINE=a\nb'] } },
      { command: ['/bin/env'], spec: { env: ['HOME=/x'] } },
      { command: 'cat; echo $?; [ -t 1 ] || echo no tty; setsid true; [ -S /dev/stdout ] || echo no socket' },
      { command: 'echo a > /dev/stdout; echo b > /dev/stderr; echo c > /proc/self/fd/1', spec: { user: 'alice' } },
      {
        command: 'ulimit -n; ulimit -Hn; ulimit -c',
        spec: {
          ulimits: [
            { name: 'nofile', soft: 100, hard: 200 },
            { name: 'core', soft: 0, hard: -1 },
          ],
        },
      },
      {
        command: 'df /dev/shm | tail -n 1; dd if=/dev/zero of=/dev/shm/x bs=1k count=2000',
        spec: { shmSize: 1 << 20 },
      },
      { command: 'touch /x; touch /tmp/y; echo', spec: { readonlyRoot: true } },
      { command: 'umask; touch /tmp/x; stat -c "%a %u %g" /tmp/x' },
      { command: 'pwd; stat -c "%u %g %a" . ..', spec: { cwd: '/made/for/alice', user: 'alice' } },
      { command: 'setsid sleep 300 > /dev/null 2>&1 & exit 4' },
      { command: 'yes 0123456789abcdef | head -c 5000000; exit 9' },
    ]);
    expect(env?.out.split('\n').toSorted()).toEqual([
      '',
      'A=b=c',
      'EMPTY=',
      'HOME=/root',
      'NEWLINE=a',
      'PATH=/bin',
      'b',
    ]);
    expect(home?.out).toBe('HOME=/x\n');
    expect(streams?.out).toBe('0\nno tty\nno socket\n');
    expect([reopened?.out, reopened?.err]).toEqual(['a\nc\n', 'b\n']);
    expect(limits?.out).toBe('100\n200\n0\n');
    expect(shm?.err).toMatch(/No space left/);
    expect(shm?.out).toMatch(/1024/);
    expect(readonly?.err.match(/Read-only file system/g)).toHaveLength(2);
    expect(umask?.out).toBe('0022\n644 0 0\n');
    expect(dir?.out).toBe('/made/for/alice\n1000 1000 755\n1000 1000 755\n');
    expect(leftovers?.status).toEqual({ kind: 'exited', code: 4 });
    expect([big?.out.length, big?.status]).toEqual([5_000_000, { kind: 'exited', code: 9 }]);
  });

  test('devices of the machine under other names, and groups of their own', async () => {
    const target = '/dev/some/where';
    const [zero, full, bound, file, groups, beyond] = await runAll(who, [
      {
        command: `head -c 2 ${target} | wc -c; stat -c "%t:%T" ${target}; ls /new`,
        spec: {
          mounts: [
            { type: 'device', source: '/dev/zero', target },
            { type: 'device', source: '/dev/null', target: '/new/null' },
          ],
        },
      },
      {
        command: 'echo x > /dev/zero',
        spec: { mounts: [{ type: 'device', source: '/dev/full', target: '/dev/zero' }] },
      },
      { command: `head -c 2 ${target}`, spec: { mounts: [{ type: 'bind', source: '/dev/zero', target }] } },
      { command: 'true', spec: { mounts: [{ type: 'device', source: '/etc/passwd', target }] } },
      { command: 'id -G', spec: { user: 'bob', groups: [44, 50, 7] } },
      { command: 'true', spec: { groups: [4_000_000_000] } },
    ]);
    expect(zero?.out).toBe('2\n1:5\nnull\n');
    expect(full?.err).toMatch(/No space left/);
    // Other mounts show no devices, whatever they are of.
    expect([bound?.out, bound?.err]).toEqual(['', expect.stringMatching(/Permission denied/)]);
    expect(file?.error).toMatch(/"\/etc\/passwd" is not a device/);
    expect(groups?.out).toBe('50 7 44\n');
    expect(beyond?.error).toMatch(/additional group 4000000000/);
  });

  test('NUL bytes and unknown limits are errors before anything runs', async () => {
    const results = await runAll(who, [
      { command: ['/bin/echo', 'a\0b'] },
      { command: ['/bin/true'], spec: { env: ['A=b\0c'] } },
      { command: ['/bin/true'], spec: { ulimits: [{ name: 'nonsense', soft: 1, hard: 1 }] } },
    ]);
    for (const { status, error } of results) {
      expect(status).toBeUndefined();
      expect(error).toBeDefined();
    }
  });

  test('a step whose group is gone does not run', async () => {
    const [lost] = await runAll(who, [
      { command: ['/bin/echo', 'ran'], spec: { cgroups: ['/sys/fs/cgroup/tsbuild-was-here'] } },
    ]);
    expect(lost).toMatchObject({ out: '', code: 'TSB_SANDBOX' });
    expect(lost?.error).toBe(
      'Cannot set up the step (cgroup): cannot put the step into "/sys/fs/cgroup/tsbuild-was-here" (ENOENT)',
    );
  });

  test('the helper’s own file cannot be written from a step (CVE-2019-5736)', async () => {
    const hash = (): string => createHash('sha256').update(readFileSync(findHelper())).digest('hex');
    const before = hash();
    const command = `exec 2>&1; echo x > /proc/1/exe; exec 9< /proc/1/exe && echo opened; echo x > /proc/self/fd/9; readlink /proc/1/exe; ls /proc/1/fd`;
    const [init, plain, itself] = await runAll(who, [
      { command, spec: { init: true } },
      { command: 'readlink /proc/1/exe' },
      { command: ['/proc/self/exe'] },
    ]);
    expect(init?.out).not.toMatch(/opened|tsbuild-helper/);
    expect(plain?.out).toBe(testedRung === 'userns-noproc' ? '' : '/bin/busybox\n');
    expect(itself?.status).toEqual({ kind: 'exited', code: 2 });
    expect(hash()).toBe(before);
  });

  // The kernel takes 500; 998 are the most with one portion merged.
  test('500, 998 and 1301 layers', async () => {
    const counts = [500, 998, 1301];
    const results = await runScenario<readonly StepResult[]>(who, 'manyLayers', counts);
    for (const [at, count] of counts.entries()) {
      const result = results[at];
      expect([count, result?.error, result?.err]).toEqual([
        count,
        undefined,
        'find: /own: No such file or directory\nfind: /hidden: No such file or directory\n',
      ]);
      // Hidden files stay hidden across the boundaries, and those beneath can be changed.
      expect(result?.out).toBe(
        `${count - 4}${count - 3}\n/hidden\n/hidden/deep\n/hidden/deep/new\n/again\n/again/new\n/keep/moved 2\nlow\n`,
      );
      // Not /etc, which the kernel copied up for the mounts in it.
      expect(result?.upper).toEqual(['hidden', 'keep', 'keep/hard', 'keep/low', 'keep/moved', 'own']);
    }
  });

  test('steps at the same time do not see each other', async () => {
    const results = await runScenario<readonly StepResult[]>(who, 'parallel', 8);
    for (const [index, { out, status }] of results.entries()) {
      expect(status).toEqual({ kind: 'exited', code: 0 });
      // Where the /proc is not their own they see that there are others.
      expect(out).toMatch(new RegExp(`^${index}\n${testedRung === 'userns-noproc' ? '\\d+' : '[1-4]'}\n$`));
    }
  });

  test('a canceled step ends with everything that it started (REL-24)', async () => {
    const { code, ms, started, left } = await runScenario<{ code: string; ms: number; started: number; left: number }>(
      who,
      'cancel',
    );
    expect(started).toBe(4);
    expect(code).toBe('TSB_CANCELED');
    expect(left).toBe(0);
    // The step itself would sleep for hours.
    expect(ms).toBeLessThan(60_000);
  });
});
