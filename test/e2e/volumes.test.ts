import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Outcome } from '../support/bench.ts';
import { describeAsEveryone, useBench } from '../support/e2e.ts';
import { isRealRoot } from '../support/real-root.ts';
import { expectFailure, expectSound } from '../support/sound.ts';

describeAsEveryone('volumes and mounts', (who) => {
  const use = useBench(who);
  const run = (script: string, ...options: string[]): readonly string[] => [
    'run',
    '--rm',
    ...options,
    'filled',
    'sh',
    '-c',
    script,
  ];

  beforeAll(async () => {
    const context = use.bench.context(
      'FROM base:1\nRUN mkdir -m 750 /data && echo from the image > /data/file && chmod 640 /data/file && ln -s file /data/link && chown -R 1000:50 /data\n',
    );
    await use.bench.ok(['build', '-q', '-t', 'filled', context]);
  });
  afterAll(async () => {
    expect(await use.bench.leftovers()).toEqual([]);
    await expectSound(use.bench);
  });

  test('a named volume is filled once, with owners and modes, and outlives its containers', async () => {
    const { bench } = use;
    const { out } = await bench.ok(
      run('stat -c "%n %u:%g %a" /data /data/file; cat /data/link; echo mine > /data/new', '-v', 'kept:/data'),
    );
    expect(out).toBe('/data 1000:50 750\n/data/file 1000:50 640\nfrom the image\n');
    expect((await bench.ok(run('cat /data/new; rm /data/file; ls /data', '-v', 'kept:/data'))).out).toBe(
      'mine\nlink\nnew\n',
    );
    // What was taken out stays out, and elsewhere in a container it is the same.
    expect((await bench.ok(run('ls /other', '--mount', 'source=kept,target=/other,readonly'))).out).toBe('link\nnew\n');
    expect(await bench.tsbuild(run('touch /data/x', '-v', 'kept:/data:ro'))).toMatchObject({
      code: 1,
      err: expect.stringContaining('Read-only'),
    });
    expect((await bench.ok(['volume', 'ls', '-q'])).out).toBe('kept\n');
    const [facts] = JSON.parse((await bench.ok(['volume', 'inspect', 'kept'])).out) as [{ Mountpoint: string }];
    expect(facts).toMatchObject({
      Name: 'kept',
      Driver: 'local',
      Mountpoint: join(bench.store, 'volumes', 'kept', 'data'),
    });

    await bench.ok(['create', '--name', 'user', '-v', 'kept:/data', 'filled', 'true']);
    expectFailure(await bench.tsbuild(['volume', 'rm', 'kept']), { code: 1, says: ['container user'] });
    await bench.ok(['rm', '-v', 'user']);
    expect((await bench.ok(['volume', 'rm', 'kept'])).out).toBe('kept\n');
    expectFailure(await bench.tsbuild(['volume', 'rm', 'kept']), { code: 1, says: ['No such volume: kept'] });
  });

  test('what has several names in the image has them in a volume, too', async () => {
    const { bench } = use;
    const linked =
      'FROM filled\nRUN mkdir -p /data/a/b && cd /data && echo x > one && ln one a/two && ln one a/b/three && ln one /outside && ln -s one l && ln l a/l\n';
    await bench.ok(['build', '-q', '-t', 'linked', bench.context(linked)]);
    const look = ['sh', '-c', 'cd /data && stat -c "%h %i" one a/two a/b/three && cat a/b/three && readlink a/l'];
    const { out } = await bench.ok(['run', '--rm', '-v', 'links:/data', 'linked', ...look]);
    // The fourth name is not in the volume.
    expect(out).toMatch(/^3 (\d+)\n3 \1\n3 \1\nx\none\n$/);
    await bench.ok(['volume', 'rm', 'links']);
  });

  test('one that is to be filled by two at once is filled once', async () => {
    const { bench } = use;
    const ends = await Promise.all(
      [1, 2, 3].map(() => bench.ok(run('ls /data; echo x >> /data/count', '-v', 'shared:/data'))),
    );
    for (const { out } of ends) expect(out).toMatch(/^(count\n)?file\nlink\n$/);
    expect((await bench.ok(run('cat /data/count', '-v', 'shared:/data'))).out).toBe('x\nx\nx\n');
    await bench.ok(['volume', 'rm', 'shared']);
  });

  test('volumes without a name go with their container where that is asked for', async () => {
    const { bench } = use;
    await bench.ok(run('echo > /x/y', '-v', '/x'));
    await bench.ok(run('echo > /x/y', '-v', '/x', '--name', 'named'));
    await bench.ok(['run', '-d', '--rm', '--name', 'away', '-v', '/x', 'filled', 'sleep', '1000']);
    expect((await bench.ok(['volume', 'ls', '-q'])).out).toMatch(/^[0-9a-f]{64}\n$/);
    await bench.ok(['stop', '-t', '0', 'away']);
    await bench.ok(['create', '--name', 'stays', '-v', '/x', 'filled', 'true']);
    await bench.ok(['create', '--name', 'goes', '-v', '/x', 'filled', 'true']);
    await bench.ok(['rm', '-v', 'goes']);
    await bench.ok(['rm', 'stays']);
    expect((await bench.ok(['volume', 'ls', '-q', '--filter', 'dangling=true'])).out).toMatch(/^[0-9a-f]{64}\n$/);
    await bench.ok(['volume', 'create', 'named']);
    await bench.ok(['volume', 'prune']);
    expect((await bench.ok(['volume', 'ls', '-q'])).out).toBe('named\n');
    expectFailure(await bench.tsbuild(['volume', 'prune', '-a']), { code: 2, says: ['--force'] });
    await bench.ok(['volume', 'prune', '-a', '-f']);
    expect(readdirSync(join(bench.store, 'volumes'))).toEqual([]);
  });

  test('memory, binds and a root that cannot be written to', async () => {
    const { bench } = use;
    bench.write('host', { 'file.txt': 'host\n' });
    const { out } = await bench.ok(
      run(
        'df -k /mem /mem2 | tail -n 2 | while read a b c; do echo $b; done; stat -c %a /mem; touch /tmp/x /run/x && echo scratch; touch /x 2>/dev/null || echo no; cat /host/file.txt; touch /host/x 2>/dev/null || echo no',
        '--read-only',
        '--tmpfs',
        '/mem:size=1m,mode=700',
        '--mount',
        'type=tmpfs,dst=/mem2,tmpfs-size=2m',
        '--mount',
        `type=bind,src=${bench.path('host')},dst=/host,ro`,
      ),
    );
    expect(out).toBe('1024\n2048\n700\nscratch\nno\nhost\nno\n');
  });

  test('capabilities, groups, limits, names and name servers', async () => {
    const { bench } = use;
    const { out } = await bench.ok(
      run(
        'grep CapEff /proc/self/status; id -G; ulimit -n; hostname; cat /etc/resolv.conf; grep x.test /etc/hosts; df -k /dev/shm | tail -n 1 | while read a b c; do echo $b; done',
        '--cap-add',
        'net_admin',
        '--cap-drop',
        'CAP_CHOWN',
        '--group-add',
        '77',
        '--ulimit',
        'nofile=99',
        '--hostname',
        'box',
        '--dns',
        '192.0.2.1',
        '--dns-search',
        'in.test',
        '--add-host',
        'x.test=192.0.2.2',
        '--shm-size',
        '1m',
      ),
    );
    expect(out).toBe(
      'CapEff:\t00000000a80435fa\n0 10 77\n99\nbox\nnameserver 192.0.2.1\nsearch in.test\n192.0.2.2\tx.test\n1024\n',
    );
    expect(
      (
        await bench.ok(
          run(
            'grep -E "CapEff|NoNewPrivs" /proc/self/status',
            '--cap-drop',
            'ALL',
            '--security-opt',
            'no-new-privileges',
          ),
        )
      ).out,
    ).toBe('CapEff:\t0000000000000000\nNoNewPrivs:\t1\n');
    expect((await bench.ok(run('grep -E "Seccomp:" /proc/self/status', '--privileged'))).out).toBe('Seccomp:\t0\n');
    // Each option lifts one thing: the filter, or what hides parts of /proc. Capabilities stay docker's.
    const held = 'grep -E "Seccomp:|CapEff" /proc/self/status; grep -q " /proc/sys " /proc/self/mountinfo; echo $?';
    const heldWith = async (...options: readonly string[]) => (await bench.ok(run(held, ...options))).out;
    const caps = 'CapEff:\t00000000a80425fb\n';
    expect(await heldWith('--security-opt', 'seccomp=unconfined')).toBe(`${caps}Seccomp:\t0\n0\n`);
    expect(await heldWith('--security-opt', 'systempaths=unconfined')).toBe(`${caps}Seccomp:\t2\n1\n`);
  });

  test('wrong words are told, and leave no volume', async () => {
    const { bench } = use;
    for (const [options, ...says] of [
      [['-v', 'a b:/x'], 'a b'],
      [['-v', 'name:relative'], 'absolute'],
      [['-v', 'name:/'], 'root directory'],
      [['-v', 'name:/x:odd'], 'odd'],
      [['-v', '/x', '--tmpfs', '/x/'], '/x'],
      [['--mount', 'type=nfs,target=/x'], 'nfs'],
      [['--mount', 'type=bind,target=/x'], 'source'],
      [['--mount', 'type=tmpfs,target=/x,colour=red'], 'colour'],
      [['--tmpfs', '/x:uid=me'], 'uid'],
      [['-v', './new-one:/x:odd'], 'odd'],
      [['--mount', 'type=bind,source=./new-one,target=/x'], 'new-one'],
      [['--device', '/dev/not-there'], '/dev/not-there'],
      [['--cap-add', 'NET_ADMN'], 'NET_ADMN', 'NET_ADMIN'],
      [['--dns', 'example.test'], 'example.test'],
      [['--security-opt', 'apparmor=x'], 'no-new-privileges'],
    ] as const)
      expectFailure(await bench.tsbuild(run('true', ...options)), { code: 125, says });
    expectFailure(await bench.tsbuild(['run', '-d', '-v', '/anon', '--restart', 'odd', 'filled']), {
      code: 125,
      says: ['odd'],
    });
    expectFailure(await bench.tsbuild(['run', '--rm', '-v', '/anon', 'filled', '/not/there']), {
      code: 127,
      says: ['/not/there'],
    });
    await bench.ok(['volume', 'prune', '-a', '-f']);
  });

  test('everything of a scope goes at once', async () => {
    const { bench } = use;
    const env = { TSBUILD_SCOPE: 'job-1' };
    await bench.ok(['run', '-d', '--name', 'one', '-v', '/x', 'filled', 'sleep', '1000'], { env });
    await bench.ok(['run', '-d', '--name', 'two', 'filled', 'true'], { env });
    await bench.ok(['wait', 'two']);
    await bench.ok(['run', '-d', '--name', 'other', '--scope', 'job-2', 'filled', 'sleep', '1000'], { env });
    expect((await bench.ok(['stats', '--no-stream', '--format', '{{.Name}} {{.PIDs}}'])).out).toBe('other 1\none 1\n');
    const { out } = await bench.ok(['down', '-t', '0'], { env });
    expect(out.split('\n').toSorted()).toEqual(['', 'one', 'two']);
    expect((await bench.ok(['ps', '-a', '--format', '{{.Names}}'])).out).toBe('other\n');
    expect((await bench.ok(['volume', 'ls', '-q'])).out).toBe('');
    expectFailure(await bench.tsbuild(['down']), { code: 2, says: ['--scope'] });
    await bench.ok(['down', '--scope', 'job-2', '-t', '0']);
  });

  test('VOLUME of an image is a place to write to on copies of layers, too, and where nothing can be mounted that is said', async () => {
    const { bench } = use;
    const before = (await bench.ok(['volume', 'ls', '-q'])).out;
    await bench.ok(['build', '-q', '-t', 'place', bench.context('FROM filled\nVOLUME /data\n')]);
    const write = ['place', 'sh', '-c', 'cat /data/link; echo x > /data/y && echo wrote; echo x > /y && echo root'];
    const copied = await bench.tsbuild(['run', '--isolation=copy', '--read-only', ...write]);
    expect(copied).toMatchObject({ code: 1, out: 'from the image\nwrote\n' });
    expect(copied.err).toContain('Read-only file system');
    if (isRealRoot && who.uid === 0) {
      const bare = await bench.ok(['run', '--isolation=chroot', '--read-only', ...write]);
      expect(bare.out).toBe('from the image\nwrote\nroot\n');
      expect(bare.err.match(/^warning: (?!Less isolation).*$/gm)).toEqual([
        expect.stringMatching(/can write to all of its files: .*rung 5.*--read-only does not hold/),
        expect.stringMatching(/no volume is made for \/data: .*rung 5/),
      ]);
      const without = await bench.ok(['run', '--isolation=chroot', 'filled', 'true']);
      expect(without.err).not.toMatch(/no volume|--read-only/);
    }
    expect((await bench.ok(['volume', 'ls', '-q'])).out).toBe(before);
  });

  test('VOLUME of an image makes one without a name, which goes with the container when that is said', async () => {
    const { bench } = use;
    const context = bench.context('FROM filled\nVOLUME /data/ /data/../fresh\nCMD ["sh", "-c", "cat /data/link"]\n');
    await bench.ok(['build', '-q', '-t', 'volumes', context]);
    const volumes = async (): Promise<readonly string[]> =>
      (await bench.ok(['volume', 'ls', '-q'])).out.split('\n').filter(Boolean);
    const before = await volumes();
    const mounted = ['sh', '-c', 'stat -c "%u:%g %a" /data; grep -c -E " /(data|fresh) " /proc/mounts'];
    for (const options of [['--rm'], [], ['--rm', '--name', 'with-volumes']])
      expect((await bench.ok(['run', ...options, 'volumes', ...mounted])).out).toBe('1000:50 750\n2\n');
    expect(await volumes()).toEqual(before);
    // Whoever is told of the end finds none, however long it takes to delete what was in it.
    await bench.ok(['run', '--rm', '--name', 'much', 'volumes', 'sh', '-c', 'cd /data && seq 20000 | xargs touch']);
    expect(await volumes()).toEqual(before);
    // What is mounted there by the user comes first.
    const { out } = await bench.ok(['run', '--rm', '--tmpfs', '/data', '-v', 'own:/fresh', 'volumes', 'ls', '/data']);
    expect(out).toBe('');
    expect(await volumes()).toEqual([...before, 'own'].toSorted());
    await bench.ok(['volume', 'rm', 'own']);

    await bench.ok(['create', '--name', 'keeps', 'volumes', 'sh', '-c', 'echo more >> /data/file; cat /data/file']);
    expect((await volumes()).length).toBe(before.length + 2);
    expect((await bench.ok(['start', '-a', 'keeps'])).out).toBe('from the image\nmore\n');
    expect((await bench.ok(['start', '-a', 'keeps'])).out).toBe('from the image\nmore\nmore\n');
    const [facts] = JSON.parse((await bench.ok(['inspect', 'keeps'])).out) as [{ Mounts: { Destination: string }[] }];
    expect(facts.Mounts.map(({ Destination }) => Destination)).toEqual(['/data', '/fresh']);
    await bench.ok(['rm', 'keeps']);
    // As with docker: only -v takes them along.
    expect((await volumes()).length).toBe(before.length + 2);
    await bench.ok(['volume', 'prune', '-f']);
    await bench.ok(['create', '--name', 'goes', 'volumes']);
    await bench.ok(['rm', '-v', 'goes']);
    expectFailure(await bench.tsbuild(['run', '--name', 'UPPER CASE', 'volumes']), { code: 125, says: ['name'] });
    expect(await volumes()).toEqual(before);
  });

  test('--volumes-from mounts what another container has, which then goes with neither', async () => {
    const { bench } = use;
    const names = async (): Promise<readonly string[]> =>
      (await bench.ok(['volume', 'ls', '-q'])).out.split('\n').filter(Boolean);
    const before = await names();
    const directory = bench.path('from');
    mkdirSync(directory);
    const first = ['--rm', '--name', 'first', '-v', '/data', '-v', `${directory}:/machine:ro`, '-v', 'named:/named'];
    await bench.ok(['run', '-d', ...first, '--tmpfs', '/memory', 'filled', 'sleep', '1000']);
    const seen = 'cat /data/link; grep -c -E " /(data|machine|named|memory) " /proc/mounts; echo more > /data/more';
    expect((await bench.ok(run(seen, '--volumes-from', 'first'))).out).toBe('from the image\n3\n');
    expect((await bench.ok(['exec', 'first', 'cat', '/data/more'])).out).toBe('more\n');
    const refused = 'for place in /data /machine /named; do touch $place/x 2>/dev/null && echo $place; done; true';
    expect((await bench.ok(run(refused, '--volumes-from', 'first:rw'))).out).toBe('/data\n/named\n');
    expect((await bench.ok(run(refused, '--volumes-from', 'first:ro'))).out).toBe('');
    // What the user says of a place comes first.
    expect((await bench.ok(run('ls /data', '--volumes-from', 'first', '--tmpfs', '/data'))).out).toBe('');
    await bench.ok(['create', '--rm', '--name', 'second', '--volumes-from', 'first', 'filled', 'cat', '/data/more']);
    // The first one, and its supervisor that removes what it had.
    await bench.ok(['rm', '-f', '-v', 'first']);
    expect((await bench.ok(['start', '-a', 'second'])).out).toBe('more\n');
    expect((await names()).length).toBe(before.length + 2);
    await bench.ok(['volume', 'prune', '-f']);
    await bench.ok(['volume', 'rm', 'named']);
    expect(await names()).toEqual(before);
    const wrong = (text: string): Promise<Outcome> => bench.tsbuild(['run', '--volumes-from', text, 'filled', 'true']);
    expectFailure(await wrong('first'), { code: 125, says: ['No such container: first'] });
    expectFailure(await wrong('first:loud'), { code: 125, says: ['--volumes-from', 'CONTAINER:ro'] });
  });
});
