import { readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { Bench } from '../support/bench.ts';
import { describeAsEveryone, useBench } from '../support/e2e.ts';
import { expectFailure } from '../support/sound.ts';

/** A machine whose vendor has installed a specification of two devices that zeros come from. */
function install(bench: Bench): NodeJS.ProcessEnv {
  const library = join(bench.write('driver', { 'lib.so': 'library' }), 'lib.so');
  const zeros = {
    cdiVersion: '0.6.0',
    kind: 'nvidia.com/gpu',
    containerEdits: { mounts: [{ hostPath: library, containerPath: '/usr/lib/lib.so', options: ['ro'] }] },
    devices: ['0', '1', 'all'].map((name) => ({
      name,
      containerEdits: {
        env: [`GPU_${name}=yes`, 'TYPED=device'],
        deviceNodes: [{ path: `/dev/gpu${name}`, hostPath: '/dev/zero', type: 'c', major: 1, minor: 5 }],
      },
    })),
  };
  return { TSBUILD_CDI_SPEC_DIRS: bench.write('cdi', { 'nvidia.json': JSON.stringify(zeros) }) };
}

describeAsEveryone('flags of docker’s containers', (who) => {
  const use = useBench(who);
  afterAll(async () => {
    const { out } = await use.bench.ok(['ps', '-aq']);
    if (out !== '') await use.bench.ok(['rm', '-f', ...out.trim().split('\n')]);
    expect(await use.bench.leftovers()).toEqual([]);
  });

  test('--gpus and --device with a name: what the specification says, also after a restart', async () => {
    const { bench } = use;
    const env = install(bench);
    const seen =
      'echo $GPU_0 $GPU_1 $GPU_all $TYPED; ls /dev | grep gpu; cat /usr/lib/lib.so; head -c 2 /dev/gpu* | wc -c';
    const { out } = await bench.ok(['run', '-q', '--gpus', 'all', '-e', 'TYPED=user', 'base:1', 'sh', '-c', seen], {
      env,
    });
    expect(out).toBe('yes device\ngpuall\nlibrary2\n');
    await bench.ok(['create', '--name', 'gpus', '--device', 'nvidia.com/gpu=1', 'base:1', 'sh', '-c', seen], { env });
    for (let run = 0; run < 2; run++)
      expect((await bench.ok(['start', '-a', 'gpus'])).out).toBe('yes device\ngpu1\nlibrary2\n');
    expectFailure(await bench.tsbuild(['run', '--gpus', '"device=0,7"', 'base:1', 'true'], { env }), {
      code: 125,
      says: ['nvidia.com/gpu=7', 'is not registered', 'nvidia-ctk cdi generate'],
    });
    await bench.ok(['rm', 'gpus']);
  });

  test('run -a: only the named streams, and the log has all', async () => {
    const { bench } = use;
    const both = ['base:1', 'sh', '-c', 'echo out; echo err >&2; cat; exit 4'];
    const run = (...options: string[]) => bench.tsbuild(['run', '-q', ...options, ...both], { stdin: 'typed\n' });
    expect(await run('-a', 'stdout')).toMatchObject({ code: 4, out: 'out\n', err: '' });
    expect(await run('-a', 'STDERR')).toMatchObject({ code: 4, out: '', err: 'err\n' });
    expect(await run('-i', '-a', 'stdout')).toMatchObject({ code: 4, out: 'out\ntyped\n', err: '' });
    expect(await run('-a', 'stdin')).toMatchObject({ code: 4, out: '', err: '' });
    expect(await run('--name', 'heard', '-a', 'stderr')).toMatchObject({ code: 4, out: '', err: 'err\n' });
    expect(await bench.ok(['logs', 'heard'])).toMatchObject({ out: 'out\n', err: 'err\n' });
    const attached = '{{.Config.AttachStdin}} {{.Config.AttachStdout}} {{.Config.AttachStderr}}';
    expect((await bench.ok(['inspect', '-f', attached, 'heard'])).out).toBe('false false true\n');
    expectFailure(await run('-d', '-a', 'stdout'), {
      code: 125,
      says: ['conflicting options: cannot specify both --attach and --detach'],
    });
    await bench.ok(['rm', 'heard']);
  });

  test('ps -s and inspect -s: what a container has written, and that with its image', async () => {
    const { bench } = use;
    const megabyte = 'head -c 1000000 /dev/urandom > /big; mkdir /mine; chmod 700 /mine; chown alice /mine';
    await bench.ok(['run', '-q', '--name', 'little', 'base:1', 'true']);
    await bench.ok(['run', '-q', '--name', 'large', 'base:1', 'sh', '-c', megabyte]);
    const { out } = await bench.ok(['inspect', '-s', 'little', 'large']);
    const [little, large] = JSON.parse(out) as readonly { readonly SizeRw: number; readonly SizeRootFs: number }[];
    // Bytes on disk: of what is there and of directories above it.
    expect(large!.SizeRw - little!.SizeRw).toBeGreaterThanOrEqual(1_000_000);
    expect(large!.SizeRw - little!.SizeRw).toBeLessThan(1_100_000);
    // The image is one that both have.
    expect(large!.SizeRootFs - large!.SizeRw).toBe(little!.SizeRootFs - little!.SizeRw);
    expect(little!.SizeRootFs - little!.SizeRw).toBeGreaterThan(500_000);
    const { out: table } = await bench.ok(['ps', '-as']);
    expect(table).toMatch(/ SIZE\n/);
    expect(table).toMatch(/ large +1\.0\dMB \(virtual \d+\.\d\dMB\)\n/);
    // A template that names the size asks for it.
    expect((await bench.ok(['ps', '-a', '--format', '{{.Names}} {{.Size}}'])).out).toContain('large 1.0');
    expect((await bench.ok(['ps', '-a'])).out).not.toContain('SIZE');
    expect((await bench.ok(['inspect', 'large'])).out).not.toContain('SizeRw');
    await bench.ok(['rm', 'little', 'large']);
  });

  test('exec --privileged: all capabilities of the container’s own namespace, and no filter', async () => {
    const { bench } = use;
    await bench.ok(['run', '-d', '--name', 'plain', 'base:1', 'sleep', '1000']);
    const mount = ['sh', '-c', 'mount -t tmpfs none /mnt && echo mounted; grep -c . /proc/self/status >/dev/null'];
    const status = ['grep', '-E', '^(CapEff|Seccomp):', '/proc/self/status'];
    await bench.ok(['exec', 'plain', 'mkdir', '/mnt']);
    expect((await bench.ok(['exec', 'plain', ...mount])).out).toBe('');
    expect((await bench.ok(['exec', '--privileged', 'plain', ...mount])).out).toBe('mounted\n');
    const lines = async (...options: string[]) => (await bench.ok(['exec', ...options, 'plain', ...status])).out;
    // Docker's default capabilities (moby: oci/caps/defaults.go).
    expect(await lines()).toBe('CapEff:\t00000000a80425fb\nSeccomp:\t2\n');
    expect(await lines('--privileged')).toMatch(/^CapEff:\t0+1ffffffffff\nSeccomp:\t0\n$/);
    // The next one is as the container is.
    expect(await lines()).toContain('a80425fb');
    await bench.ok(['rm', '-f', 'plain']);
  });

  test('who stops reading ends the client, as SIGPIPE does docker’s', async () => {
    const { bench } = use;
    await bench.ok(['run', '-d', '--name', 'talks', 'base:1', 'sleep', '1000']);
    const piped = (...args: string[]) =>
      bench
        .command(args)
        .map((word) => `'${word}'`)
        .join(' ');
    const head = (...args: string[]) =>
      bench.start(['bash', '-c', `${piped(...args)} | head -n 1; echo "\${PIPESTATUS[0]}"`]).ended;
    expect(await head('exec', 'talks', 'yes')).toMatchObject({ out: 'y\n141\n', err: '' });
    // Its program is not left behind: it gets SIGHUP.
    await expect.poll(async () => (await bench.ok(['top', 'talks'])).out).not.toContain('yes');
    // A container with a name goes on; one without ends with the command.
    const endless = ['base:1', 'sh', '-c', 'while :; do echo y; sleep .01; done'];
    expect(await head('run', '--pid', 'host', ...endless)).toMatchObject({ out: 'y\n141\n' });
    expect(await head('run', '--pid', 'container:talks', ...endless)).toMatchObject({ out: 'y\n141\n' });
    expect(await head('run', '--name', 'goes-on', ...endless)).toMatchObject({ out: 'y\n141\n' });
    expect((await bench.ok(['ps', '--format', '{{.Names}}'])).out.trim().split('\n').toSorted()).toEqual([
      'goes-on',
      'talks',
    ]);
    expect(await head('attach', 'goes-on')).toMatchObject({ out: 'y\n141\n' });
    await bench.ok(['rm', '-f', 'goes-on', 'talks']);
  });

  test('names of groups', async () => {
    const { bench } = use;
    const run = async (...args: string[]) => (await bench.ok(['run', '--rm', '-q', ...args])).out;
    const groups = await run('-u', 'alice', '--group-add', 'wheel', '--group-add', '99', 'base:1', 'id', '-G');
    expect(
      groups
        .trim()
        .split(' ')
        .map(Number)
        .toSorted((a, b) => a - b),
    ).toEqual([10, 50, 99, 1000]);
    expectFailure(await bench.tsbuild(['run', '--group-add', 'nobody-knows', 'base:1', 'true']), {
      code: 125,
      says: ['additional group "nobody-knows" is not in the image\'s /etc/group'],
    });
  });

  test('owners of tmpfs, directories that -v makes, and parts of volumes', async () => {
    const { bench } = use;
    const run = async (...args: string[]) => (await bench.ok(['run', '--rm', '-q', ...args])).out;
    const look =
      'stat -c "%u:%g %a" /t; grep " /t " /proc/mounts | cut -d" " -f1-3; cp /bin/busybox /t/echo && /t/echo ran';
    const denied = await bench.tsbuild([
      'run',
      '--rm',
      '--tmpfs',
      '/t:uid=1000,gid=50,mode=750',
      'base:1',
      'sh',
      '-c',
      look,
    ]);
    expect(denied).toMatchObject({ code: 126, out: '1000:50 750\ntmpfs /t tmpfs\n' });
    expect((await bench.tsbuild(['run', '--rm', '--tmpfs', '/t:ro', 'base:1', 'touch', '/t/x'])).code).toBe(1);
    expect(await run('--tmpfs', '/t:exec', 'base:1', 'sh', '-c', look)).toBe('0:0 1777\ntmpfs /t tmpfs\nran\n');
    // Docker's tutorials name directories that are not there yet.
    const cwd = bench.write('project', { kept: '' });
    symlinkSync('nowhere', join(cwd, 'dangling'));
    expectFailure(await bench.tsbuild(['run', '-v', './dangling:/x', 'base:1', 'true'], { cwd }), {
      code: 125,
      says: ['dangling', 'cannot be made'],
    });
    await bench.ok(['run', '--rm', '-q', '-v', './data/db:/db', 'base:1', 'touch', '/db/file'], { cwd });
    expect(readdirSync(join(cwd, 'data/db'))).toEqual(['file']);
    await run('-v', 'parts:/p', 'base:1', 'mkdir', '-p', '/p/one/two');
    const part = (path: string) => [
      'run',
      '--rm',
      '-q',
      '--mount',
      `src=parts,dst=/s,volume-subpath=${path}`,
      'base:1',
      'sh',
      '-c',
      'ls /s; touch /s/in',
    ];
    expect((await bench.ok(part('one'))).out).toBe('two\n');
    expect(await run('-v', 'parts:/p', 'base:1', 'ls', '/p/one')).toBe('in\ntwo\n');
    expectFailure(await bench.tsbuild(part('none')), { code: 125, says: ['cannot open "none"'] });
    await run('-v', 'parts:/p', 'base:1', 'ln', '-s', '/', '/p/out');
    // A link in a volume leads nowhere but into it.
    expect((await bench.ok(part('out'))).out).toBe('one\nout\n');
    await bench.ok(['volume', 'rm', 'parts']);
  });

  test('a container has its names in files that it may write to', async () => {
    const { bench } = use;
    const { out } = await bench.ok([
      'run',
      '--rm',
      '-q',
      '-h',
      'web.test',
      '--domainname',
      'example.org',
      'base:1',
      'sh',
      '-c',
      'cat /etc/hostname /proc/sys/kernel/domainname; echo 192.0.2.9 added >> /etc/hosts; grep added /etc/hosts',
    ]);
    expect(out).toBe('web.test\nexample.org\n192.0.2.9 added\n');
    // Docker's name of --dns-option.
    const dns = ['run', '--rm', '-q', '--dns', '192.0.2.1', '--dns-opt', 'ndots:2', '--dns-opt', 'rotate'];
    const lookup = (await bench.ok([...dns, 'base:1', 'cat', '/etc/resolv.conf'])).out;
    expect(lookup).toContain('nameserver 192.0.2.1');
    expect(lookup).toMatch(/^options ndots:2 rotate$/m);
    const { code } = await bench.tsbuild([
      'run',
      '--rm',
      '-q',
      '--read-only',
      'base:1',
      'sh',
      '-c',
      'echo x >> /etc/hosts',
    ]);
    expect(code).not.toBe(0);
    await bench.ok(['run', '-d', '--name', 'own', '--network', 'none', '-h', 'first', 'base:1', 'sleep', '1000']);
    // Who shares a network has its name, too: programs look that up.
    expect((await bench.ok(['run', '--rm', '--network', 'container:own', 'base:1', 'hostname'])).out).toBe('first\n');
    await bench.ok(['rm', '-f', 'own']);
  });

  test('--log-driver none keeps nothing; options of docker’s files are taken', async () => {
    const { bench } = use;
    await bench.ok(['run', '-q', '--name', 'mute', '--log-driver', 'none', 'base:1', 'echo', 'said']);
    expectFailure(await bench.tsbuild(['logs', 'mute']), { says: ['keeps none (--log-driver none)'] });
    expect((await bench.ok(['inspect', '-f', '{{.HostConfig.LogConfig.Type}}', 'mute'])).out).toBe('none\n');
    await bench.ok([
      'run',
      '-q',
      '--name',
      'tagged',
      '--log-opt',
      'tag=x',
      '--log-opt',
      'labels=y',
      '--log-opt',
      'max-size=1m',
      'base:1',
      'echo',
      'said',
    ]);
    expect((await bench.ok(['logs', '--details', 'tagged'])).out).toBe(' said\n');
    expectFailure(await bench.tsbuild(['run', '--log-opt', 'tga=x', 'base:1', 'true']), { code: 125, says: ['tga'] });
    await bench.ok(['rm', 'mute', 'tagged']);
  });

  test('top with options of ps, and empty lists for what is not there', async () => {
    const { bench } = use;
    await bench.ok([
      'run',
      '-d',
      '--name',
      'busy',
      '-v',
      'one:/one',
      'base:1',
      'sh',
      '-c',
      'sleep 1000 & exec sleep 2000',
    ]);
    const { out } = await bench.ok(['top', 'busy', '-eo', 'pid,args']);
    const [header, ...lines] = out
      .trim()
      .split('\n')
      .map((line) => line.trim().replace(/^(\S+) +/, '$1 '));
    expect(header).toBe('PID COMMAND');
    expect(lines.map((line) => line.replace(/^\d+ /, '')).toSorted()).toEqual(['sleep 1000', 'sleep 2000']);
    expect((await bench.ok(['top', 'busy', 'aux'])).out).toMatch(/^USER +PID /);
    expectFailure(await bench.tsbuild(['top', 'busy', '-eo', 'args']), { code: 2, says: ['no column PID'] });
    expectFailure(await bench.tsbuild(['top', 'busy', '--no-such']), { code: 2, says: ['options --no-such of ps'] });
    expect((await bench.ok(['ps', '--format', '{{.LocalVolumes}}'])).out).toBe('1\n');
    await bench.ok(['rm', '-f', 'busy']);
    await bench.ok(['volume', 'rm', 'one']);
    for (const command of [['inspect'], ['container', 'inspect'], ['volume', 'inspect'], ['network', 'inspect']])
      expect(await bench.tsbuild([...command, 'none-such'])).toMatchObject({ code: 1, out: '[]\n' });
  });
});
