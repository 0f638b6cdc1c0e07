import { beforeAll, describe, expect, test } from 'vitest';
import type { ExecutorStep } from '../sandbox/support/executor-scenarios.ts';
import type { StepResult } from '../sandbox/support/kit.ts';

/** Runs steps one after the other on the base of the tests, each on a layer of its own. */
export type RunSteps = (steps: Readonly<Record<string, ExecutorStep>>) => Promise<Readonly<Record<string, StepResult>>>;

/** What the machine of the executor allows: namespaces and overlays, namespaces and copies of layers, or neither. */
export type Rung = 'userns' | 'copy' | 'chroot';

/** What a step does, what it gives, and what the suite wants to see of it. */
interface Row extends ExecutorStep {
  readonly want: Partial<StepResult>;
  /** What it gives without namespaces and mounts, where that is something else. */
  readonly bare?: Partial<StepResult>;
}

const exited = (code: number) => ({ kind: 'exited', code }) as const;
const ok = (out: string, more: Partial<StepResult> = {}): Partial<StepResult> => ({
  status: exited(0),
  out,
  err: '',
  ...more,
});
const ids = 'id -u; id -g; id -G';

/** One row for each promise of `StepSpec` and `ExitStatus`. */
const ROWS: Readonly<Record<string, Row>> = {
  'success': { command: 'true', want: ok('') },
  'an exit code': { command: 'exit 7', want: { status: exited(7) } },
  'the highest exit code': { command: 'exit 255', want: { status: exited(255) } },
  'an end by a signal': { command: ['/bin/sh', '-c', 'kill -9 $$; sleep 9'], spec: { init: true }, want: { status: { kind: 'signaled', signal: 'SIGKILL' } } },
  'a program that is not there': { command: ['/nowhere'], want: { status: { kind: 'not-executed', path: '/nowhere', errno: 'ENOENT' } } },
  'a program that is no program': { command: ['/etc/passwd'], want: { status: { kind: 'not-executed', path: '/etc/passwd', errno: 'EACCES' } } },
  'a program from PATH of its environment': { command: ['echo', 'found'], spec: { env: ['PATH=/nowhere:/bin'] }, want: ok('found\n') },
  'output and errors apart, byte by byte': { command: String.raw`printf 'a\000b'; printf 'c\377' >&2`, want: { status: exited(0), out: 'a\0b', err: 'c\uFFFD' } },
  'no standard input': { command: 'cat; echo end', want: ok('end\n') },
  'its environment, HOME, and nothing else': { command: ['/bin/env'], spec: { env: ['A=1', 'B=x y=z'] }, want: ok('A=1\nB=x y=z\nHOME=/root\n') },
  'arguments as they are': { command: ['/bin/echo', 'a b', '$HOME', '*', "'"], want: ok("a b $HOME * '\n") },
  'a working directory, made where it is missing': { command: 'pwd; stat -c %u .', spec: { cwd: '/new/dir', user: '1000' }, want: ok('/new/dir\n1000\n') },
  'root where no user is said, with its groups of the image': { command: ids, want: ok('0\n0\n0 10\n') },
  'a user by name, with all groups': { command: ids, spec: { user: 'alice' }, want: ok('1000\n1000\n1000 10 50\n') },
  'a user by number, of another group': { command: ids, spec: { user: '1234:50' }, want: ok('1234\n50\n50\n') },
  'a user that the image does not have': { command: 'true', spec: { user: 'carol' }, want: { code: 'TSB_STEP' } },
  'a name of the machine': { command: 'hostname; grep -c here /etc/hosts', spec: { hostname: 'here' }, want: ok('here\n1\n'), bare: { status: exited(0), out: expect.stringMatching(/^.+\n1\n$/) as string } },
  'lines of /etc/hosts': { command: 'grep -c "^10.1.2.3.*there" /etc/hosts', spec: { extraHosts: [{ host: 'there', ip: '10.1.2.3' }] }, want: ok('1\n') },
  'no network but its own loopback': { command: 'ls /sys/class/net; grep -c : /proc/net/dev', spec: { network: 'none' }, want: ok('lo\n1\n'), bare: { status: exited(2), out: '' } },
  'writes that stay in its layer': { command: 'echo x > /made; rm /etc/group', want: ok('', { upper: ['etc', 'etc/group', 'made'] }) },
  'a root that is read-only': { command: '(echo x > /made) 2>/dev/null || echo refused', spec: { readonlyRoot: true }, want: ok('refused\n'), bare: ok('') },
  'a directory of the machine': { command: 'cat /m/given; echo x > /m/written && cat /m/written', spec: { mounts: [{ type: 'bind', source: '@dir', target: '/m' }] }, want: ok('from the machinex\n'), bare: { code: 'TSB_STEP', error: expect.stringMatching(/without mounts \(rung 5\)/) as string } },
  'the same read-only': { command: 'cat /m/given; (echo x > /m/given) 2>/dev/null || echo " refused"', spec: { mounts: [{ type: 'bind', source: '@dir', target: '/m', readonly: true }] }, want: ok('from the machine refused\n'), bare: { code: 'TSB_STEP' } },
  'memory at a path': { command: 'stat -c %a /m; echo x > /m/f && df /m | grep -c /m', spec: { mounts: [{ type: 'tmpfs', target: '/m', mode: 0o750 }] }, want: ok('750\n1\n'), bare: { out: '750\n0\n' } },
  'a mount whose source is not there': { command: 'true', spec: { mounts: [{ type: 'bind', source: '@dir/nothing', target: '/m' }] }, want: { code: 'TSB_STEP' }, bare: { code: 'TSB_STEP' } },
  'a limit': { command: 'ulimit -n', spec: { ulimits: [{ name: 'nofile', soft: 99, hard: 99 }] }, want: ok('99\n') },
  'no capability to mount': { command: 'mount -t tmpfs x /tmp 2>/dev/null || echo refused', want: ok('refused\n') },
  'a network that is none, without namespaces': { command: 'nc -w 1 127.0.0.1 9; nc -w 1 ::1 9', spec: { network: 'none' }, want: { status: exited(1) }, bare: { status: exited(1), err: expect.stringMatching(/not supported/) as string } },
  'its own processes alone': { command: 'kill -0 2 2>/dev/null || echo alone $$', want: ok('alone 1\n'), bare: { status: exited(0) } },
}; // oxfmt-ignore

/**
 * The contract of a step, for whoever runs it and on every rung: what it sees, what it may do, how its end is told. What a rung cannot keep
 * of it is written down in the rows.
 */
export function stepExecutorSuite(name: string, rung: Rung, run: RunSteps): void {
  describe(`step executor: ${name}`, () => {
    let results: Readonly<Record<string, StepResult>>;
    // All in one process: most of the time of a step of these would go into starting one.
    beforeAll(async () => {
      results = await run(
        Object.fromEntries(Object.entries(ROWS).map(([row, { command, spec = {} }]) => [row, { command, spec }])),
      );
    }, 120_000);

    test.each(Object.entries(ROWS))('%s', (row, { want, bare }) => {
      expect(results[row]).toMatchObject(rung === 'chroot' && bare ? bare : want);
    });
  });
}
