import { hostname } from 'node:os';
import { afterEach, describe, expect, test } from 'vitest';
import { isAlive } from '../support/alive.ts';
import { chainOf } from '../support/container-chain.ts';
import { describeAsEveryone, describeAsUser, useBench } from '../support/e2e.ts';
import { useLonelyBench } from '../support/one-id.ts';
import { expectFailure } from '../support/sound.ts';
import { until } from '../support/until.ts';

/** Two programs in the background beside that which holds the container: one of them in namespaces of its own, which takes a container without a filter. */
const leaves = (namespaces: string): string => `sleep 1001 & unshare ${namespaces} sleep 1002 & exec sleep 1003`;
const UNFILTERED = ['--security-opt', 'seccomp=unconfined'];

describeAsEveryone('namespaces that containers share', (who) => {
  const use = useBench(who);
  const sh = (script: string): readonly string[] => ['base:1', 'sh', '-c', script];
  const start = async (name: string, ...words: readonly string[]): Promise<void> => {
    // What is left of it is found by its environment.
    await use.bench.ok(['run', '-d', '--name', name, '-e', `MARK=${use.bench.mark}`, ...words]);
  };
  const exec = async (name: string, script: string): Promise<string> =>
    (await use.bench.ok(['exec', name, 'sh', '-c', script])).out;
  /** Seconds that sleeping programs of a container's processes were told. */
  const sleepers = async (name: string): Promise<readonly string[]> => {
    const out = await exec(name, 'for f in /proc/[0-9]*/cmdline; do tr "\\0" " " < $f; echo; done 2>/dev/null');
    return [...out.matchAll(/^sleep (\d+) $/gm)].map(([, seconds = '']) => seconds).toSorted();
  };
  const inspect = async (name: string, format: string): Promise<string> =>
    (await use.bench.ok(['inspect', '-f', format, name])).out.trim();

  afterEach(async () => {
    const { out } = await use.bench.ok(['ps', '-aq']);
    if (out !== '') await use.bench.ok(['rm', '-f', ...out.trim().split('\n')]);
    expect(await use.bench.leftovers()).toEqual([]);
    expect(use.bench.processes()).toEqual([]);
  });

  test('--pid container: both see and signal each other’s processes; each ends with its own', async () => {
    const { bench } = use;
    await start('first', ...sh("trap 'touch /hup' HUP; sleep 1000 & while :; do wait; done"));
    await start('second', '--pid', 'container:first', ...UNFILTERED, ...sh(leaves('-Ur')));
    await until('all are there', async () => (await sleepers('first')).length === 4);
    expect(await sleepers('second')).toEqual(['1000', '1001', '1002', '1003']);
    const id = await inspect('first', '{{.Id}}');
    expect(await inspect('second', '{{.HostConfig.PidMode}}')).toBe(`container:${id}`);
    // As with docker, the processes of each are told apart from outside.
    expect((await bench.ok(['top', 'second'])).out).not.toContain('sleep 1000');
    expect((await bench.ok(['top', 'second'])).out).toContain('sleep 1003');

    // The sidecar's most frequent use: PID 1 is to read its configuration again.
    const reload = await bench.ok([
      'run',
      '--rm',
      '-q',
      '--pid',
      'container:first',
      ...sh('kill -HUP 1; ls -d /proc/1'),
    ]);
    expect(reload.out).toBe('/proc/1\n');
    await until('it has the signal', async () => (await exec('first', 'ls /')).includes('hup'));

    await bench.ok(['pause', 'second']);
    const states = await exec(
      'first',
      'cat /proc/[0-9]*/stat | grep -F "(sleep)" | cut -d" " -f3 | sort | tr -d "\\n"',
    );
    // What is in a user namespace of its own is another's to stop, too.
    expect(states).toMatch(/^ST+$/);
    await bench.ok(['unpause', 'second']);

    await bench.ok(['stop', '-t', '0', 'second']);
    expect(await sleepers('first')).toEqual(['1000']);
    await bench.ok(['start', 'second']);
    await until('it is back', async () => (await sleepers('first')).includes('1003'));

    const pid = Number(await inspect('second', '{{.State.Pid}}'));
    await bench.ok(['stop', '-t', '0', 'first']);
    expect((await bench.ok(['wait', 'second'])).out).toBe('137\n');
    expect(isAlive(pid)).toBe(false);
    expectFailure(await bench.tsbuild(['start', 'second']), {
      code: 1,
      says: ['Cannot start second: it shares the processes of first, which is not running', 'tsbuild start first'],
    });
    await bench.ok(['start', 'first']);
    await bench.ok(['start', 'second']);
    await until('it has joined again', async () => (await sleepers('first')).includes('1003'));
    await bench.ok(['rm', '-f', 'first']);
    expectFailure(await bench.tsbuild(['start', 'second']), { code: 1, says: ['which is not there any more'] });
  });

  test('--pid container: of one that shares, that does not run, that there is not, and itself', async () => {
    const { bench } = use;
    const run = (...options: string[]) => bench.tsbuild(['run', '-q', ...options, ...sh('sleep 0')]);
    await start('first', ...sh('exec sleep 1000'));
    await start('second', '--pid', 'container:first', ...sh('exec sleep 1001'));
    await start('third', '--pid', 'container:second', ...sh('exec sleep 1002'));
    expect(await sleepers('first')).toEqual(['1000', '1001', '1002']);
    await bench.ok(['create', '--name', 'made', 'base:1', 'true']);
    const refused = { code: 125, says: ['it shares the processes of made, which is not running'] };
    expectFailure(await run('--pid', 'container:made'), refused);
    expectFailure(await run('-d', '--name', 'gone', '--pid', 'container:made'), refused);
    expectFailure(await run('--pid', 'container:nope'), { code: 125, says: ['No such container: nope'] });
    expectFailure(await run('--name', 'self', '--pid', 'container:self'), {
      code: 125,
      says: ['No such container: self'],
    });
    expectFailure(await run('--pid', 'container:first', '--network', 'private'), {
      code: 125,
      says: ['--pid with --network private'],
    });
    expect((await bench.ok(['ps', '-a', '--format', '{{.Names}}'])).out.split('\n')).not.toContain('gone');
  });

  test('--pid container: with a network that is not the machine’s, and the capability, it traces the other', async () => {
    await start('first', '-e', 'MINE=of first', '--network', 'none', ...sh('exec sleep 1000'));
    const look = (...options: string[]) =>
      use.bench.tsbuild([
        'run',
        '-q',
        '--pid',
        'container:first',
        ...options,
        ...sh('tr "\\0" "\\n" < /proc/1/environ | grep MINE; ls -d /proc/1/root/bin'),
      ]);
    expect(await look('--network', 'none', '--cap-add', 'SYS_PTRACE')).toMatchObject({
      code: 0,
      out: 'MINE=of first\n/proc/1/root/bin\n',
    });
    expect(await look('--network', 'container:first', '--cap-add', 'SYS_PTRACE')).toMatchObject({ code: 0 });
  });

  test('--pid container: in networks, those that are in one; others are refused', async () => {
    const { bench } = use;
    await bench.ok(['network', 'create', 'shared']);
    await start('inside', '--network', 'shared', ...sh('exec sleep 1000'));
    await start('outside', ...sh('exec sleep 1001'));
    const run = (...options: string[]) => bench.tsbuild(['run', '-q', ...options, ...sh('cat /proc/1/cmdline')]);
    expect(await run('--network', 'shared', '--pid', 'container:inside')).toMatchObject({ out: 'sleep\x001000\0' });
    expect(await run('--network', 'container:inside', '--pid', 'container:inside')).toMatchObject({ code: 0 });
    expect(await run('--pid', 'container:inside')).toMatchObject({ code: 0 });
    expectFailure(await run('--network', 'shared', '--pid', 'container:outside'), {
      code: 125,
      says: ['not all in one user namespace', 'outside'],
    });
    await bench.ok(['rm', '-f', 'inside', 'outside']);
    await bench.ok(['network', 'rm', 'shared']);
  });

  test('--pid host: the processes of the machine, and none of its own stays', async () => {
    const { bench } = use;
    const see = 'cat /proc/$$/comm; echo $$; ls -d /proc/self/ns; cat /proc/1/environ >/dev/null 2>&1 || echo refused';
    const { out } = await bench.ok(['run', '-q', '--pid', 'host', ...sh(see)]);
    expect(out).toMatch(/^sh\n\d+\n\/proc\/self\/ns\nrefused\n$/);
    await start('host', '--pid', 'host', ...UNFILTERED, ...sh(leaves('-Urm')));
    expect(await inspect('host', '{{.HostConfig.PidMode}}')).toBe('host');
    // Numbers are those of the machine.
    const pid = await inspect('host', '{{.State.Pid}}');
    expect(await exec('host', `tr "\\0" " " < /proc/${pid}/cmdline`)).toBe('sleep 1003 ');
    const top = async () => (await bench.ok(['top', 'host'])).out;
    await until('all are there', async () => (await top()).includes('sleep 1001'));
    expect(await top()).not.toContain('tsbuild-helper');
    // This one is of the user, and not of the container.
    const other = bench.start(['sleep', '1004']);
    await bench.ok(['pause', 'host']);
    expect(isAlive(other.child.pid ?? 0)).toBe(true);
    await bench.ok(['unpause', 'host']);
    await bench.ok(['stop', '-t', '0', 'host']);
    expect(other.child.exitCode).toBeNull();
    other.child.kill('SIGKILL');
    await other.ended;
    expectFailure(await bench.tsbuild(['run', '--pid', 'bogus', ...sh('')]), { code: 125, says: ['invalid PID mode'] });
  });

  test.each([1, 2, 3])('--pid host, and its process %i outwards is killed: nothing of it is left', async (outwards) => {
    const { bench } = use;
    await start('host', '--pid', 'host', ...UNFILTERED, ...sh(leaves('-Urm')));
    await until('all are there', async () => (await bench.ok(['top', 'host'])).out.includes('sleep 1001'));
    const chain = chainOf(Number(await inspect('host', '{{.State.Pid}}')));
    process.kill(chain[outwards - 1] ?? 0, 'SIGKILL');
    expect((await bench.ok(['wait', 'host'])).out).toBe('137\n');
    expect(await bench.leftovers()).toEqual([]);
  });

  test('--ipc: shared memory of one that lets others have it, of nobody, and of the machine', async () => {
    const { bench } = use;
    const run = async (...options: string[]) =>
      (await bench.ok(['run', '-q', ...options, ...sh('readlink /proc/self/ns/ipc; cat /dev/shm/f; ls /dev')])).out;
    const readonlyRun = (...options: string[]) => bench.tsbuild(['run', '-q', ...options, ...sh(':')]);
    await start('donor', '--ipc', 'shareable', ...sh('echo shared > /dev/shm/f; exec sleep 1000'));
    await start('private', ...sh('exec sleep 1001'));
    await until('it is written', async () => (await exec('donor', 'cat /dev/shm/f || :')) !== '');
    const namespace = await exec('donor', 'readlink /proc/self/ns/ipc');
    expect(await run('--ipc', 'container:donor')).toContain(`${namespace}shared\n`);
    await start('second', '--ipc', 'container:donor', ...sh('echo more >> /dev/shm/f; exec sleep 1002'));
    const id = await inspect('donor', '{{.Id}}');
    expect(await inspect('second', '{{.HostConfig.IpcMode}}')).toBe(`container:${id}`);
    expect(await inspect('donor', '{{.HostConfig.IpcMode}}')).toBe('shareable');
    expect(await inspect('private', '{{.HostConfig.IpcMode}}')).toBe('private');
    await until('both write', async () => (await exec('donor', 'cat /dev/shm/f')) === 'shared\nmore\n');
    // With who shares it, what is shared does not go.
    await bench.ok(['rm', '-f', 'second']);
    expect(await exec('donor', 'cat /dev/shm/f')).toBe('shared\nmore\n');
    expectFailure(await readonlyRun('--ipc', 'container:private'), {
      code: 125,
      says: ['non-shareable IPC', '--ipc shareable'],
    });
    expect((await bench.ok(['run', '-q', '--ipc', 'none', ...sh('ls /dev')])).out.split('\n')).not.toContain('shm');
    const machine = await bench.ok(['run', '-q', '--ipc', 'host', ...sh('readlink /proc/self/ns/ipc')]);
    expect(machine.out).toBe(await bench.tool(['readlink', '/proc/self/ns/ipc']));
    expectFailure(await readonlyRun('--ipc', 'bogus'), { code: 125, says: ['invalid IPC mode'] });
  });

  test('--uts host: the host name of the machine', async () => {
    const { bench } = use;
    const { out } = await bench.ok(['run', '-q', '--uts', 'host', ...sh('hostname; echo $HOSTNAME')]);
    expect(out).toBe(`${hostname()}\n${hostname()}\n`);
    await bench.ok(['create', '--name', 'named', '--uts', 'host', 'base:1', 'true']);
    expect(await inspect('named', '{{.HostConfig.UTSMode}} {{.Config.Hostname}}')).toBe(`host ${hostname()}`);
    expectFailure(await bench.tsbuild(['run', '--uts', 'host', '--hostname', 'x', ...sh('')]), {
      code: 125,
      says: ['conflicting options: hostname and the UTS mode'],
    });
  });
});

describe('processes and memory that containers of one id share', () => {
  const use = useLonelyBench();

  test('they are those of the other container', async () => {
    const { bench } = use;
    const donor = 'echo shared > /dev/shm/f; exec sleep 1000';
    await bench.ok(['run', '-d', '--name', 'donor', '--ipc', 'shareable', 'base:1', 'sh', '-c', donor]);
    const see = 'until cat /dev/shm/f 2>/dev/null; do sleep 0.05; done; cat /proc/1/cmdline; kill -0 1 && id -u';
    const both = ['--pid', 'container:donor', '--ipc', 'container:donor'];
    const { out } = await bench.ok(['run', '-q', ...both, '-u', 'alice', 'base:1', 'sh', '-c', see]);
    expect(out).toBe('shared\nsleep\x001000\x001000\n');
    await bench.ok(['rm', '-f', 'donor']);
    expect(await bench.leftovers()).toEqual([]);
  });

  test('what answers for owners is nothing that the other could end', async () => {
    const { bench } = use;
    const seen = 'for p in /proc/[0-9]*; do tr "\\0" " " < $p/cmdline; echo; done';
    await bench.ok(['run', '-d', '--name', 'donor', 'base:1', 'sleep', '1000']);
    await bench.ok(['run', '-d', '--name', 'guest', '--pid', 'container:donor', 'base:1', 'sleep', '1001']);
    const { out } = await bench.ok(['exec', 'donor', 'sh', '-c', seen]);
    const foreign = out.split('\n').filter((line) => line !== '' && !/^(?:sleep|sh|tr) /.test(line));
    expect(foreign).toEqual([]);
    await bench.ok(['rm', '-f', 'guest', 'donor']);
    expect(await bench.leftovers()).toEqual([]);
  });
});

describeAsUser('namespaces of others on rungs that lack what it takes', (who) => {
  const use = useBench(who);
  const run = (rung: string, ...options: readonly string[]) =>
    use.bench.tsbuild(['run', '-q', ...options, 'base:1', 'sh', '-c', 'kill -0 $PARENT && echo seen'], {
      env: { TSBUILD_ISOLATION: rung },
    });

  test('with the /proc around, processes of the other are there all the same', async () => {
    await use.bench.ok(['run', '-d', '--name', 'other', 'base:1', 'sleep', '1000']);
    expect(await run('userns-noproc', '-e', 'PARENT=1', '--pid', 'container:other')).toMatchObject({ out: 'seen\n' });
    await use.bench.ok(['rm', '-f', 'other']);
  });

  test('with copies of layers there is no supervisor, and the error says so', async () => {
    for (const options of [
      ['--pid', 'host'],
      ['--pid', 'container:other'],
      ['--ipc', 'container:other'],
    ])
      expectFailure(await run('copy', ...options), {
        code: 125,
        says: ['Cannot share the namespaces of others', 'takes no overlays', 'tsbuild doctor'],
      });
  });
});
