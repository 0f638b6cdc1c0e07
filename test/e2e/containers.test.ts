import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isAlive } from '../support/alive.ts';
import type { Bench } from '../support/bench.ts';
import { chainOf } from '../support/container-chain.ts';
import { describeAsEveryone, useBench } from '../support/e2e.ts';
import { expectFailure, expectSound } from '../support/sound.ts';
import { onTerminal } from '../support/terminal.ts';
import { until } from '../support/until.ts';

/** Typed into a shell: it goes on once the terminal has the size, however long that takes. */
const WAIT_FOR_SIZE = 'until [ "$(stty size)" = "33 77" ]; do sleep 0.05; done; echo it "is" $(stty size)\n';

interface Inspected {
  readonly State: {
    readonly Status: string;
    readonly Pid: number;
    readonly ExitCode: number;
    readonly Error: string;
    readonly StartedAt: string;
    readonly FinishedAt: string;
    readonly Health?: {
      readonly Status: string;
      readonly Log: readonly { readonly Output: string; readonly ExitCode: number }[];
    };
  };
  readonly RestartCount: number;
}

async function inspect(bench: Bench, name: string): Promise<Inspected> {
  const { out } = await bench.ok(['inspect', '--type', 'container', name]);
  return (JSON.parse(out) as [Inspected])[0];
}

/** Lines of `ps`: name and status. */
async function ps(bench: Bench, ...options: string[]): Promise<readonly string[]> {
  const { out } = await bench.ok(['ps', '--format', '{{.Names}} {{.Status}}', ...options]);
  return out.split('\n').filter(Boolean);
}

describeAsEveryone('containers', (who) => {
  const use = useBench(who);

  beforeAll(async () => {
    const context = use.bench.context(`FROM base:1
CMD ["sh", "-c", "trap 'echo got TERM; exit 3' TERM; echo ready; while :; do sleep 0.05; done"]
STOPSIGNAL TERM
`);
    await use.bench.ok(['build', '-q', '-t', 'service', context]);
  });
  afterAll(async () => {
    const { out } = await use.bench.ok(['ps', '-aq']);
    if (out !== '') await use.bench.ok(['rm', '-f', ...out.trim().split('\n')]);
    expect(await use.bench.leftovers()).toEqual([]);
    expect(readdirSync(join(use.bench.store, 'containers', 'by-name'))).toEqual([]);
    await expectSound(use.bench);
  });

  test('one in the background: started, listed, read, stopped, started again, removed', async () => {
    const { bench } = use;
    const { out } = await bench.ok(['run', '-d', '--name', 'web', '--label', 'tier=front', 'service']);
    expect(out).toMatch(/^[0-9a-f]{64}\n$/);
    const id = out.trim();
    expect(await ps(bench)).toEqual([expect.stringMatching(/^web Up /)]);
    expect((await bench.ok(['ps', '-q', '--no-trunc', '--filter', 'label=tier=front'])).out).toBe(out);
    await until('it prints', async () => (await bench.ok(['logs', 'web'])).out === 'ready\n');

    const running = await inspect(bench, 'web');
    expect(running.State).toMatchObject({ Status: 'running', ExitCode: 0 });
    expect(isAlive(running.State.Pid)).toBe(true);
    expectFailure(await bench.tsbuild(['run', '-d', '--name', 'web', 'service']), {
      code: 125,
      says: ['web', 'has it'],
    });
    expectFailure(await bench.tsbuild(['rm', 'web']), { code: 1, says: ['web', 'running', '--force'] });

    expect((await bench.ok(['stop', id.slice(0, 8)])).out).toBe(`${id.slice(0, 8)}\n`);
    expect(isAlive(running.State.Pid)).toBe(false);
    expect(await ps(bench)).toEqual([]);
    expect(await ps(bench, '-a')).toEqual([expect.stringMatching(/^web Exited \(3\) /)]);
    expect((await bench.ok(['logs', 'web'])).out).toBe('ready\ngot TERM\n');
    expect((await bench.ok(['wait', 'web'])).out).toBe('3\n');
    await bench.ok(['stop', 'web']);

    expect((await bench.ok(['start', 'web'])).out).toBe('web\n');
    expect(await ps(bench)).toEqual([expect.stringMatching(/^web Up /)]);
    expect((await bench.ok(['kill', 'web'])).out).toBe('web\n');
    expect((await bench.ok(['wait', 'web'])).out).toBe('137\n');
    expectFailure(await bench.tsbuild(['kill', 'web']), { code: 1, says: ['web', 'not running'] });
    expect((await bench.ok(['rm', 'web'])).out).toBe('web\n');
    expect(await ps(bench, '-a')).toEqual([]);
    expectFailure(await bench.tsbuild(['logs', '--follow', 'web']), { code: 1, says: ['No such container: web'] });
  });

  test('what it wrote is there at its next start, and is its own', async () => {
    const { bench } = use;
    const script = 'cat kept 2>/dev/null; echo again >> kept; ls -ld / | cut -c1-10';
    await bench.ok(['create', '--name', 'writes', 'base:1', 'sh', '-c', script]);
    expect(await ps(bench, '-a')).toEqual(['writes Created']);
    const first = (await bench.ok(['start', '-a', 'writes'])).out;
    expect((await bench.ok(['start', '-a', 'writes'])).out).toBe(`again\n${first}`);
    expect((await bench.ok(['run', '--rm', 'base:1', 'ls', '/'])).out).not.toContain('kept');
    await bench.ok(['rm', 'writes']);
  });

  test('in the foreground under a name: streams apart, exit code, nothing left with --rm', async () => {
    const { bench } = use;
    const end = await bench.tsbuild([
      'run',
      '-q',
      '--name',
      'talks',
      'base:1',
      'sh',
      '-c',
      'echo out; echo err >&2; exit 42',
    ]);
    expect(end).toMatchObject({ code: 42, out: 'out\n', err: 'err\n' });
    expect(await ps(bench, '-a')).toEqual([expect.stringMatching(/^talks Exited \(42\)/)]);
    const log = await bench.ok(['logs', '-t', 'talks']);
    expect(log.out).toMatch(/^\d{4}-\d\d-\d\dT[\d:]{8}\.\d{9}Z out\n$/);
    expect(log.err).toMatch(/Z err\n$/);
    await bench.ok(['rm', 'talks']);
    const piped = await bench.ok(['run', '-i', '--rm', '--name', 'piped', 'base:1', 'cat'], {
      stdin: 'x'.repeat(300_000),
    });
    expect(piped.out).toBe('x'.repeat(300_000));
    for (const [command, code] of [
      [['/not/there'], 127],
      [['/etc/passwd'], 126],
    ] as const) {
      for (const options of [['--name', 'bad'], ['-d']])
        expectFailure(await bench.tsbuild(['run', '--rm', ...options, 'base:1', ...command]), {
          code,
          says: [command[0]],
        });
    }
    expect(await ps(bench, '-a')).toEqual([]);
  });

  test('signals of the command reach the container; the third interrupt ends it', async () => {
    const { bench } = use;
    const polite = bench.tsbuildStart(['run', '--rm', '--name', 'polite', 'service']);
    await polite.prints(/ready/);
    polite.child.kill('SIGTERM');
    expect(await polite.ended).toMatchObject({ code: 3, out: 'ready\ngot TERM\n' });
    const stubborn = bench.tsbuildStart([
      'run',
      '--rm',
      '--name',
      'stubborn',
      'base:1',
      'sh',
      '-c',
      "trap 'echo got' INT; echo ready; while :; do sleep 0.05; done",
    ]);
    await stubborn.prints(/ready/);
    // Two signals that come before the first was looked at are one.
    for (const heard of [/got/, /got\ngot/, /killed/]) {
      stubborn.child.kill('SIGINT');
      await stubborn.prints(heard);
    }
    const end = await stubborn.ended;
    expect(end.code).toBe(137);
    expect(end.err).toContain('killed');
    expect(await ps(bench, '-a')).toEqual([]);
  });

  test('stop waits as long as it was told, and no longer', async () => {
    const { bench } = use;
    await bench.ok([
      'run',
      '-d',
      '--name',
      'deaf',
      '--stop-timeout',
      '1',
      'base:1',
      'sh',
      '-c',
      "trap '' TERM; while :; do sleep 0.1; done",
    ]);
    // One that fails at once waits for its turn.
    const end = await bench.tsbuild(['stop', 'deaf', 'nobody']);
    expectFailure(end, { code: 1, says: ['No such container: nobody'] });
    expect(end.out).toBe('deaf\n');
    expect(end.ms).toBeGreaterThan(1000);
    expect(await ps(bench, '-a')).toEqual([expect.stringMatching(/^deaf Exited \(137\)/)]);
    await bench.ok(['start', 'deaf']);
    await bench.ok(['stop', '-t', '0', 'deaf']);
    await bench.ok(['rm', 'deaf']);
  });

  test('logs are followed to the end, and cut by time, lines and size', async () => {
    const { bench } = use;
    bench.write('go', { wait: '' });
    await bench.ok([
      'run',
      '-d',
      '--name',
      'counts',
      '-v',
      `${bench.path('go')}:/go`,
      'base:1',
      'sh',
      '-c',
      'echo one; echo two; while [ -e /go/wait ]; do sleep 0.05; done; echo three; printf end',
    ]);
    const follow = bench.tsbuildStart(['logs', '-f', 'counts']);
    await follow.prints(/two/);
    await bench.tool(['rm', bench.path('go/wait')]);
    expect((await follow.ended).out).toBe('one\ntwo\nthree\nend');
    expect((await bench.ok(['logs', '-n', '2', 'counts'])).out).toBe('three\nend');
    const times = (await bench.ok(['logs', '-t', 'counts'])).out.split('\n').map((line) => line.split(' ')[0] ?? '');
    expect((await bench.ok(['logs', '--since', times[2] ?? '', 'counts'])).out).toBe('three\nend');
    expect((await bench.ok(['logs', '--until', times[1] ?? '', 'counts'])).out).toBe('one\ntwo\n');
    expectFailure(await bench.tsbuild(['logs', '--since', 'never', 'counts']), { code: 2, says: ['--since', 'never'] });
    await bench.ok(['rm', 'counts']);

    // Two files of 4 KiB each: what is older is gone, and what is left is whole.
    await bench.ok([
      'run',
      '--name',
      'long',
      '--log-opt',
      'max-size=4k',
      '--log-opt',
      'max-file=2',
      'base:1',
      'sh',
      '-c',
      'i=0; while [ $i -lt 400 ]; do echo line $i; i=$((i+1)); [ $((i % 20)) -ne 0 ] || sleep 0.01; done',
    ]);
    const lines = (await bench.ok(['logs', 'long'])).out.trimEnd().split('\n');
    expect(lines.at(-1)).toBe('line 399');
    expect(lines).toEqual(Array.from({ length: lines.length }, (_, at) => `line ${400 - lines.length + at}`));
    expect(lines.length).toBeLessThan(250);
    await bench.ok(['rm', 'long']);
  });

  test('logs end when nobody reads them any more', async () => {
    const { bench } = use;
    const say = 'seq 300000; while :; do echo on; sleep 0.05; done';
    await bench.ok(['run', '-d', '--name', 'talks', 'base:1', 'sh', '-c', say]);
    await until('it has said much', async () => (await bench.ok(['logs', '--tail', '1', 'talks'])).out === 'on\n');
    for (const options of [[], ['-f']]) {
      const logs = bench.command(['logs', ...options, 'talks']).join(' ');
      const script = `{ timeout 20 ${logs}; echo "code $?" >&2; } | head -n 1`;
      const { out, err } = await bench.start(['sh', '-c', script]).ended;
      expect([out, err]).toEqual(['1\n', 'code 0\n']);
    }
    await bench.ok(['rm', '-f', 'talks']);
  });

  test('starts again what fails, as often as it was told', async () => {
    const { bench } = use;
    await bench.ok([
      'run',
      '-d',
      '--name',
      'tries',
      '--restart',
      'on-failure:2',
      'base:1',
      'sh',
      '-c',
      'echo run; exit 9',
    ]);
    expect((await bench.ok(['wait', 'tries'])).out).toBe('9\n');
    expect((await bench.ok(['logs', 'tries'])).out).toBe('run\nrun\nrun\n');
    expect(await inspect(bench, 'tries')).toMatchObject({ RestartCount: 2, State: { Status: 'exited', ExitCode: 9 } });
    await bench.ok(['run', '-d', '--name', 'always', '--restart', 'always', 'service']);
    await bench.ok(['stop', 'always']);
    expect((await inspect(bench, 'always')).State.Status).toBe('exited');
    await bench.ok(['rm', 'tries', 'always']);
  });

  test('has another restart policy by update, whether it runs or not', async () => {
    const { bench } = use;
    const once = ['sh', '-c', 'until [ -e /tmp/go ]; do sleep 0.05; done; rm /tmp/go; echo over; exit 4'];
    await bench.ok(['run', '-d', '--name', 'policy', 'base:1', ...once]);
    expect((await bench.ok(['update', '--restart', 'on-failure:1', 'policy'])).out).toBe('policy\n');
    await bench.ok(['exec', 'policy', 'touch', '/tmp/go']);
    await until('it runs again', async () => {
      const { RestartCount, State } = await inspect(bench, 'policy');
      return RestartCount === 1 && State.Status === 'running';
    });
    await bench.ok(['container', 'update', '--restart=no', 'policy']);
    await bench.ok(['exec', 'policy', 'touch', '/tmp/go']);
    expect((await bench.ok(['wait', 'policy'])).out).toBe('4\n');
    expect((await inspect(bench, 'policy')).State.Status).toBe('exited');
    await bench.ok(['update', '--restart=always', 'policy']);
    await bench.ok(['start', 'policy']);
    await bench.ok(['exec', 'policy', 'touch', '/tmp/go']);
    await until('it runs again', async () => (await inspect(bench, 'policy')).RestartCount > 0);
    await bench.ok(['rm', '-f', 'policy']);
    await bench.ok(['create', '--rm', '--name', 'goes', 'service']);
    for (const [args, code, ...says] of [
      [['update', 'goes'], 2, '--memory'],
      [['update', '--restart=always', 'goes'], 1, 'goes', '--rm'],
      [['update', '--restart=maybe', 'goes'], 2, 'unless-stopped'],
      [['update', '--memory-swap=64m', 'goes'], 1, '--memory-swap'],
      [['update', '--memory=1k', 'goes'], 2, '6m'],
      [['update', '--cpus=1', 'nobody'], 1, 'nobody'],
    ] as const)
      expectFailure(await bench.tsbuild(args), { code, says });
    await bench.ok(['rm', 'goes']);
  });

  test('says whether it is healthy, and waits for that', async () => {
    const { bench } = use;
    const check = ['--health-interval', '50ms', '--health-retries', '2'];
    await bench.ok(['run', '-d', '--name', 'sick', ...check, '--health-cmd', 'echo because; exit 1', 'service']);
    await until('it is unhealthy', async () => (await inspect(bench, 'sick')).State.Health?.Status === 'unhealthy');
    expect((await inspect(bench, 'sick')).State.Health?.Log.at(-1)).toMatchObject({ ExitCode: 1, Output: 'because\n' });
    expect(await ps(bench, '--filter', 'health=unhealthy')).toEqual([expect.stringMatching(/\(unhealthy\)$/)]);
    expectFailure(
      await bench.tsbuild([
        'run',
        '-d',
        '--wait-healthy',
        '--name',
        'sick2',
        ...check,
        '--health-cmd',
        'false',
        'service',
      ]),
      { code: 125, says: ['sick2', 'unhealthy'] },
    );
    const ready = ['--health-cmd', 'test -e /tmp/ready'];
    await bench.ok([
      'run',
      '-d',
      '--wait-healthy',
      '--name',
      'well',
      ...check,
      '--health-start-period',
      '10s',
      '--health-start-interval',
      '50ms',
      ...ready,
      'base:1',
      'sh',
      '-c',
      'sleep 0.3; touch /tmp/ready; while :; do sleep 0.1; done',
    ]);
    expect(await ps(bench, '--filter', 'name=^well$')).toEqual([expect.stringMatching(/\(healthy\)$/)]);
    await bench.ok(['rm', '-f', 'sick', 'sick2', 'well']);
  });

  test('runs further programs in it, with streams, codes, ids and a terminal', async () => {
    const { bench } = use;
    await bench.ok([
      'run',
      '-d',
      '--name',
      'host',
      '-e',
      'A=1',
      '-w',
      '/tmp',
      'base:1',
      'sh',
      '-c',
      "trap 'echo HUP' HUP; while :; do sleep 0.05; done",
    ]);
    const end = await bench.tsbuild(
      ['exec', '-i', '-e', 'B=2', 'host', 'sh', '-c', 'pwd; echo $A$B; cat; echo err >&2; exit 5'],
      { stdin: 'in\n' },
    );
    expect(end).toMatchObject({ code: 5, out: '/tmp\n12\nin\n', err: 'err\n' });
    const big = await bench.ok(['exec', '-i', 'host', 'cat'], { stdin: 'y'.repeat(1_000_000) });
    // One that ends before it has read all.
    for (let round = 0; round < 5; round++) {
      const first = await bench.tsbuild(['exec', '-i', 'host', 'sh', '-c', 'head -c 1; exit 3'], {
        stdin: 'y'.repeat(1_000_000),
      });
      expect([first.code, first.out]).toEqual([3, 'y']);
    }
    expect(big.out.length).toBe(1_000_000);
    expect(
      (await bench.ok(['exec', '-u', 'bob', '-w', '/', 'host', 'sh', '-c', 'id -un; pwd; echo $HOME'])).out,
    ).toMatch(/^bob\n\/\n/);
    // As little may be done as by the container itself.
    const status = (await bench.ok(['exec', 'host', 'grep', '-E', '^(CapEff|CapBnd|Seccomp):', '/proc/self/status']))
      .out;
    expect(status).toBe(
      (await bench.ok(['exec', 'host', 'grep', '-E', '^(CapEff|CapBnd|Seccomp):', '/proc/1/status'])).out,
    );
    expect(status).toContain('00000000a80425fb');
    expect((await bench.ok(['exec', 'host', 'ls', '/proc/self/fd'])).out.trim().split('\n').length).toBeLessThanOrEqual(
      4,
    );
    await bench.ok(['exec', 'host', 'kill', '-HUP', '1']);
    await until('the signal arrives', async () => (await bench.ok(['logs', 'host'])).out === 'HUP\n');
    for (const [args, code, says] of [
      [['host', '/not/there'], 127, 'not found'],
      [['host', '/etc/passwd'], 126, '/etc/passwd'],
      [['-w', '/not/there', 'host', 'true'], 126, '/not/there'],
      [['-u', 'nobody-here', 'host', 'true'], 126, 'nobody-here'],
      [['nobody', 'true'], 1, 'No such container'],
    ] as const)
      expectFailure(await bench.tsbuild(['exec', ...args]), { code, says: [says] });
    const shell = await onTerminal(
      bench,
      ['exec', '-it', 'host', 'sh', '-c', 'tty; stty size; read line; echo got $line; exit 7'],
      [{ expect: '24 80\r\n' }, { type: 'typed\n' }],
    );
    expect(shell).toMatchObject({ code: 7 });
    expect(shell.out).toMatch(/\/dev\/pts\/\d+\r\n24 80\r\ntyped\r\ngot typed\r\n$/);
    await bench.ok(['exec', '-d', 'host', 'sh', '-c', 'sleep 0.1; touch /tmp/later']);
    await until(
      'the detached program goes on',
      async () => (await bench.tsbuild(['exec', 'host', 'test', '-e', '/tmp/later'])).code === 0,
    );
    expect((await bench.ok(['top', 'host'])).out).toContain("trap 'echo HUP' HUP");
    // A client that is killed takes its program along.
    const orphan = bench.tsbuildStart(['exec', 'host', 'sh', '-c', 'echo begun; exec sleep 12345']);
    await orphan.prints(/begun/);
    orphan.child.kill('SIGKILL');
    await until('the program has ended', async () => !(await bench.ok(['top', 'host'])).out.includes('12345'));
    await bench.ok(['rename', 'host', 'guest']);
    expect(await ps(bench)).toEqual([expect.stringMatching(/^guest /)]);
    await bench.ok(['stop', '-t', '0', 'guest']);
    expectFailure(await bench.tsbuild(['exec', 'guest', 'true']), { code: 1, says: ['guest', 'not running'] });
    await bench.ok(['rm', 'guest']);
  });

  test('a terminal in it can be left and come back to', async () => {
    const { bench } = use;
    const left = await onTerminal(
      bench,
      ['run', '-it', '--name', 'term', 'base:1', 'sh'],
      [{ expect: '#' }, { type: 'echo one$((1+1))\n' }, { expect: 'one2' }, { type: '\u0010\u0011' }],
    );
    expect(left.code).toBe(0);
    expect(await ps(bench)).toEqual([expect.stringMatching(/^term Up/)]);
    const back = await onTerminal(
      bench,
      ['attach', 'term'],
      [{ type: '\n' }, { expect: '#' }, { resize: [33, 77] }, { type: WAIT_FOR_SIZE }, { type: 'exit 9\n' }],
    );
    expect(back.code).toBe(9);
    expect(back.out).toContain('it is 33 77');
    expect((await bench.ok(['logs', 'term'])).out).toContain('one2');
    await bench.ok(['rm', 'term']);
  });

  test('pauses and goes on', async () => {
    const { bench } = use;
    await bench.ok(['run', '-d', '--name', 'ticks', 'base:1', 'sh', '-c', 'while :; do echo tick; sleep 0.02; done']);
    await until('it ticks', async () => (await bench.ok(['logs', 'ticks'])).out !== '');
    await bench.ok(['pause', 'ticks']);
    expect(await ps(bench)).toEqual([expect.stringMatching(/\(Paused\)$/)]);
    const logs = async (): Promise<string> => (await bench.ok(['logs', 'ticks'])).out;
    // What it had printed before may still be on its way to the log.
    let before = '';
    await until('it is still', async () => {
      const last = before;
      before = await logs();
      return before === last;
    });
    expect(await logs()).toBe(before);
    expectFailure(await bench.tsbuild(['pause', 'ticks']), { code: 1, says: ['ticks', 'paused already'] });
    await bench.ok(['unpause', 'ticks']);
    await until('it ticks again', async () => (await logs()).length > before.length);
    await bench.ok(['rm', '-f', 'ticks']);
  });

  test('what was killed is put right by the next command', async () => {
    const { bench } = use;
    await bench.ok(['run', '-d', '--name', 'lost', '--init', 'base:1', 'sh', '-c', 'sleep 1000 & sleep 1000']);
    const { Pid: pid } = (await inspect(bench, 'lost')).State;
    const [, , supervisor = 0] = chainOf(pid);
    process.kill(supervisor, 'SIGKILL');
    await until('everything of it has ended', () => !isAlive(pid));
    expect(await ps(bench, '-a')).toEqual([expect.stringMatching(/^lost Exited \(137\)/)]);
    expect((await inspect(bench, 'lost')).State.Error).toContain('supervisor was killed');
    await bench.ok(['start', 'lost']);
    await bench.ok(['rm', '-f', 'lost']);
  });

  test('those that do not run are removed together', async () => {
    const { bench } = use;
    const made = async (...args: string[]): Promise<string> => (await bench.ok([...args])).out.trim();
    const runs = await made('run', '-d', '--name', 'runs', 'base:1', 'sleep', '1000');
    const kept = await made('create', '--name', 'kept', '--label', 'keep', 'base:1', 'true');
    const ended = await made('run', '-d', '--name', 'ended', '--label', 'old=1', 'base:1', 'true');
    await bench.ok(['wait', 'ended']);
    const refused = await bench.tsbuild(['container', 'prune']);
    expect([refused.code, refused.err]).toEqual([
      2,
      expect.stringMatching(/all containers that do not run[^]*--force/),
    ]);
    expect((await bench.ok(['container', 'prune', '-f', '--filter', 'until=1h'])).out).toBe('');
    expect((await bench.ok(['container', 'prune', '-f', '--filter', 'label=old=1'])).out).toBe(`${ended}\n`);
    expect((await bench.ok(['container', 'prune', '-f'])).out).toBe(`${kept}\n`);
    expect((await bench.ok(['ps', '-aq', '--no-trunc'])).out).toBe(`${runs}\n`);
    await bench.ok(['rm', '-f', 'runs']);
  });

  test('holds its image and layers', async () => {
    const { bench } = use;
    const store = await bench.otherStore();
    await bench.ok(['create', '--name', 'holds', 'base:1', 'echo', 'still here'], { store });
    expectFailure(await bench.tsbuild(['rmi', 'base:1'], { store }), { code: 1, says: ['base:1', 'container'] });
    await bench.ok(['rmi', '-f', 'base:1'], { store });
    await bench.ok(['prune', '-a', '-f', '--images'], { store });
    expect((await bench.ok(['start', '-a', 'holds'], { store })).out).toBe('still here\n');
    // A new index is told by what is in the container's directory.
    for (const name of readdirSync(store).filter((each) => each.startsWith('index')))
      writeFileSync(join(store, name), 'x'.repeat(4096));
    await bench.ok(['prune', '-a', '-f', '--images'], { store });
    await bench.ok(['rm', 'holds'], { store });
    expect((await bench.ok(['prune', '-a', '-f', '--images', '--format', 'json'], { store })).code).toBe(0);
    expect(readdirSync(join(store, 'snapshots'))).toEqual([]);
  });

  test('wrong words are told', async () => {
    const { bench } = use;
    for (const [args, code, ...says] of [
      [['stop', 'nobody'], 1, 'No such container: nobody'],
      [['run', '-d', '--name', '-x', 'service'], 125, 'Cannot name'],
      [['run', '-d', '--restart', 'maybe', 'service'], 125, '--restart', 'unless-stopped'],
      [['run', '-d', '--rm', '--restart', 'always', 'service'], 125, '--rm', '--restart'],
      [['run', '-d', '--stop-signal', 'SIGNOT', 'service'], 125, 'SIGNOT'],
      [['run', '--wait-healthy', 'service'], 125, '-d'],
      [['ps', '--filter', 'colour=red'], 2, 'colour'],
      [['stop', '-t', 'soon', 'nobody'], 1, 'nobody'],
    ] as const)
      expectFailure(await bench.tsbuild(args), { code, says });
    await bench.ok(['run', '-d', '--rm', '--cidfile', 'id', 'base:1', 'true']);
    expect(readFileSync(bench.path('id'), 'utf8')).toMatch(/^[0-9a-f]{64}$/);
    expectFailure(await bench.tsbuild(['run', '-d', '--cidfile', 'id', 'base:1', 'true']), { code: 125, says: ['id'] });
    await until('it is gone', async () => (await ps(bench, '-a')).length === 0);
  });
});
