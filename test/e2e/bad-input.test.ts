import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { baseImageTar } from '../support/base-image.ts';
import type { Outcome } from '../support/bench.ts';
import { describeAsEveryone, onceAsUser, useBench } from '../support/e2e.ts';
import { startScriptedRegistry } from '../support/registry-script.ts';
import { programPath } from '../support/program.ts';
import { expectFailure, expectSound } from '../support/sound.ts';

describeAsEveryone('bad input', (who) => {
  const use = useBench(who);
  afterEach(async () => {
    await expectSound(use.bench);
  });
  const once = onceAsUser(who);

  once('wrong arguments: exit code 2 and a suggestion', async () => {
    const { bench } = use;
    const context = bench.context('FROM scratch\n');
    const cases: readonly (readonly [readonly string[], readonly (string | RegExp)[]])[] = [
      [
        ['build', '--taget=x', context],
        ['--taget', '--target'],
      ],
      [['build', '--no-cahe', context], ['--no-cache']],
      [['biuld', '.'], ['build']],
      [['imags'], ['images']],
      [['build', 'one', 'two'], [/argument/]],
      [
        ['build', '--progress=loud', context],
        ['loud', 'plain'],
      ],
      [
        ['build', '-o', 'type=zip,dest=x', context],
        ['zip', 'oci'],
      ],
      [['build', '--platform=penguin', context], ['penguin']],
      [['build', '-t', 'UPPER', context], ['UPPER']],
      [['build', '--secret', 'src=x', context], ['id']],
      [['build', '--build-arg', '=x', context], ['--build-arg']],
      [['build', '--ulimit', 'x', context], ['nofile=1024']],
      [['build', '--shm-size', 'big', context], ['big']],
      [
        ['build', '--network', 'bridge', context],
        ['bridge', 'none'],
      ],
      [['build', '--add-host', 'x', context], ['NAME=IP']],
      [['build', '--allow', 'all', context], ['network.host']],
      [['build', '--source-date-epoch', 'now', context], ['SOURCE_DATE_EPOCH']],
      [['build', '--jobs', '0', context], ['--jobs']],
      [['build', '--annotation', 'x', context], ['NAME=VALUE']],
      [
        ['build', 'nowhere'],
        ['"nowhere"', /no such directory/],
      ],
      [['build', join(context, 'Dockerfile')], [/not a directory/]],
      [['prune', '--filter', 'x=y'], ['until=']],
      [['prune', '--keep-storage', 'x'], ['"x"']],
      [['rmi'], [/image/]],
    ];
    await Promise.all(cases.map(async ([args, says]) => expectFailure(await bench.tsbuild(args), { code: 2, says })));
    // As docker has it: 2 may be what a container ended with.
    expectFailure(await bench.tsbuild(['run']), { code: 125, says: [/image/] });
  });

  once('a Dockerfile that is missing, not a file, too large, or wrong', async () => {
    const { bench } = use;
    const empty = bench.write('empty', {});
    expectFailure(await bench.tsbuild(['build', empty]), { says: ['Dockerfile'] });
    expectFailure(await bench.tsbuild(['build', '-f', 'None.Dockerfile', empty]), {
      says: ['None.Dockerfile', 'does not exist'],
    });
    const odd = bench.write('odd', {
      'dir/x': '',
      zero: { link: '/dev/zero' },
      out: { link: '/etc/shadow' },
      large: '',
    });
    execFileSync('mkfifo', [join(odd, 'fifo')]);
    truncateSync(join(odd, 'large'), 200 << 20);
    for (const name of ['dir', 'zero', 'out', 'large', 'fifo']) {
      const outcome = await bench.tsbuild(['build', '-f', join(odd, name), empty]);
      expectFailure(outcome, { says: [name] });
      // Reading /dev/zero, or waiting at a pipe, would have no end.
      expect(outcome.ms).toBeLessThan(30_000);
      expect(outcome.err).not.toContain('root:');
    }
    const wrong = bench.context('FROM base:1\nRUN true\nCOYP a b\n');
    expectFailure(await bench.tsbuild(['build', wrong]), { says: ['Dockerfile:3', '>>> COYP a b', 'COYP', 'COPY'] });
    expectFailure(await bench.tsbuild(['build', bench.context('')]), { says: [/empty/] });
    expectFailure(await bench.tsbuild(['build', bench.context('RUN true\n')]), { says: ['Dockerfile:1'] });
    expectFailure(await bench.tsbuild(['build', bench.context('FROM base:1\nCOPY --from=later x y\n')]), {
      says: [/later/],
    });
    const bytes = bench.context('', { Dockerfile: Buffer.from([0xff, 0xfe, 0, 0x46]) });
    expectFailure(await bench.tsbuild(['build', bytes]), { says: [] });
  });

  test('a failing step: its output, its place, its exit code', async () => {
    const { bench } = use;
    const context = bench.context('FROM base:1\nRUN echo before\nRUN echo "said this" && exit 42\nRUN echo after\n');
    const outcome = await bench.tsbuild(['build', '--progress=plain', context]);
    expectFailure(outcome, { says: ['said this', 'exit code: 42', 'Dockerfile:3', '>>> RUN echo "said this"'] });
    expect(outcome.err).not.toContain('echo after"');
    const quiet = await bench.tsbuild(['build', '-q', context]);
    expectFailure(quiet, { says: ['exit code: 42'] });
    expect(quiet.out).toBe('');
    expectFailure(await bench.tsbuild(['build', bench.context('FROM base:1\nRUN ["/not/there"]\n')]), {
      says: ['/not/there', 'Dockerfile:2'],
    });
    expectFailure(await bench.tsbuild(['build', bench.context("FROM base:1\nRUN sh -c 'kill -9 $$'; exit $?\n")]), {
      says: ['137'],
    });
    expectFailure(await bench.tsbuild(['build', bench.context('FROM scratch\nRUN true\n')]), { says: ['/bin/sh'] });
  });

  once('what went wrong is the last thing said, also to a slow reader and of a line without end', async () => {
    const { bench } = use;
    const loud = bench.context('FROM base:1\nRUN yes "a line of output" | head -c 300000; exit 3\n');
    const endless = bench.context(`FROM scratch\nRUN echo ${'<<A '.repeat(100_000)}\n`);
    const warned = bench.context(`FROM scratch\n${Array.from({ length: 1500 }, (_, n) => `Label l${n} v\n`).join('')}`);
    const cases = [
      [loud, 'exit code: 3'],
      [warned, '(line 1501)'],
      [endless, 'line greater than max allowed size'],
    ] as const;
    const read = async ([context, says]: (typeof cases)[number]): Promise<void> => {
      const command = `${bench.command(['build', '--progress=plain', context]).join(' ')} 2>&1 | (sleep 2; cat)`;
      const said = await bench.tool(['sh', '-c', command], { env: { BUILDKIT_STEP_LOG_MAX_SPEED: '-1' } });
      expect(said.trimEnd().split('\n').slice(-2).join('\n')).toContain(says);
    };
    await Promise.all(cases.map(read));
    const { err } = await bench.tsbuild(['build', '--progress=quiet', endless]);
    expect(err.length).toBeLessThan(5000);
  });

  once('a missing COPY source, also one that is only ignored', async () => {
    const { bench } = use;
    const context = bench.context('FROM scratch\nCOPY there missing.txt /x/\n', {
      there: '',
      'missing.txt': '',
      '.dockerignore': 'missing.txt',
    });
    expectFailure(await bench.tsbuild(['build', context]), {
      says: ['missing.txt', 'not found', 'Dockerfile:2', '.dockerignore'],
    });
    expectFailure(
      await bench.tsbuild(['build', bench.context('FROM base:1 AS a\nFROM scratch\nCOPY --from=a /nope /\n')]),
      { says: ['"/nope"', 'Dockerfile:3'] },
    );
  });

  once('a base image whose name is not quite right, or that no network brings', async () => {
    const { bench } = use;
    await bench.importBase('127.0.0.1:9/team/service:1');
    const near = { says: ['did you mean "127.0.0.1:9/team/service:1"'] };
    const typo = '127.0.0.1:9/team/servise:1';
    expectFailure(await bench.tsbuild(['build', bench.context(`FROM ${typo}\n`)]), near);
    expectFailure(await bench.tsbuild(['build', bench.context(`FROM scratch\nCOPY --from=${typo} / /\n`)]), near);
    expectFailure(await bench.tsbuild(['run', typo]), { code: 125, ...near });
    expectFailure(await bench.tsbuild(['build', bench.context('FROM 127.0.0.1:9/other:7\n')]), {
      says: ['tsbuild import FILE -t NAME', 'registries.conf'],
    });
    await bench.ok(['rmi', '127.0.0.1:9/team/service:1']);
  });

  once('a failed step shows as much of its output as there is room for', async () => {
    const { bench } = use;
    const context = bench.context('FROM base:1\nRUN echo the cause; seq 1 30; exit 1\n');
    const { err } = await bench.tsbuild(['build', '-q', context]);
    expect(err).toContain('the cause');
  });

  once('--debug expands warnings', async () => {
    const { bench } = use;
    const context = bench.context('FROM base:1\nMAINTAINER me\n');
    expect((await bench.ok(['build', context])).err).toContain('use --debug to expand');
    for (const args of [
      ['build', '-D', context],
      ['--debug', 'build', context],
      ['--debug', context],
    ]) {
      const { err } = await bench.ok(args);
      expect(err).toMatch(/More info: https:/);
      expect(err).not.toContain('use --debug');
    }
  });

  once('a base image that cannot be had', async () => {
    const { bench } = use;
    expectFailure(await bench.tsbuild(['build', bench.context('FROM 127.0.0.1:9/some/image:1\n')]), {
      says: ['127.0.0.1:9', /refused|reach/, 'Dockerfile:1'],
    });
    await using registry = await startScriptedRegistry();
    bench.write('.', { 'registries.conf': `[[registry]]\nlocation = "${registry.host}"\ninsecure = true\n` });
    const env = { CONTAINERS_REGISTRIES_CONF: bench.path('registries.conf') };
    registry.on('/v2/', { status: 200 });
    const context = bench.context(`FROM ${registry.host}/some/image:1\n`);
    expectFailure(await bench.tsbuild(['build', context], { env }), {
      says: [`${registry.host}/some/image:1`, /not found|does not exist|no such/i],
    });
    registry.on('/v2/some/image/manifests/1', {
      status: 200,
      headers: { 'content-type': 'application/vnd.oci.image.manifest.v1+json' },
      body: '{"half":',
    });
    expectFailure(await bench.tsbuild(['build', context], { env }), { says: ['some/image'] });
    registry.on('/v2/some/image/manifests/1', {
      status: 403,
      body: '{"errors":[{"code":"DENIED","message":"go away"}]}',
    });
    expectFailure(await bench.tsbuild(['build', context], { env }), { says: ['go away'] });
    expectFailure(await bench.tsbuild(['run', '127.0.0.1:9/some/image:1']), { code: 125, says: ['127.0.0.1:9'] });
  });

  test('files of the context that cannot be read or are no files', async () => {
    const { bench } = use;
    const context = bench.context('FROM scratch\nCOPY . /\n', { secret: { text: 'x', mode: 0 }, file: '' });
    const outcome = await bench.tsbuild(['build', context]);
    // Root reads everything.
    if (who.uid === 0) expect(outcome.code).toBe(0);
    else expectFailure(outcome, { says: ['"secret"', /permission denied/i, '.dockerignore'] });
    writeFileSync(join(context, '.dockerignore'), 'secret\n');
    expect((await bench.tsbuild(['build', context])).code).toBe(0);
    if (who.uid !== 0) {
      // The worker, root in its namespace, could read it: it must not come to that, also where it does the hashing.
      const files = Object.fromEntries(Array.from({ length: 600 }, (_, n) => [`f${n}`, `${n}`]));
      const large = bench.context('FROM scratch\nCOPY . /\n', { ...files, secret: { text: 'closed', mode: 0 } });
      expectFailure(await bench.tsbuild(['build', large]), { says: ['"secret"', /permission denied/i] });
      const closed = bench.context('FROM scratch\nCOPY . /\n', { 'dir/file': '' });
      chmodSync(join(closed, 'dir'), 0);
      expectFailure(await bench.tsbuild(['build', closed]), { says: ['dir', /permission denied/i] });
      chmodSync(join(closed, 'dir'), 0o755);
      chmodSync(closed, 0o111);
      expectFailure(await bench.tsbuild(['build', closed]), { says: [/permission denied/i] });
      chmodSync(closed, 0o755);
    }
    const special = bench.context('FROM scratch\nCOPY . /\n');
    execFileSync('mkfifo', [join(special, 'fifo')]);
    const copied = await bench.tsbuild(['build', special]);
    expect(copied.code, copied.err).toBe(0);
  });

  once('archives that were cut short', async () => {
    const { bench } = use;
    const whole = baseImageTar();
    bench.write('.', {
      'cut.tar': whole.subarray(0, 1_000_000),
      'empty.tar': '',
      'text.tar': 'this is no archive\n'.repeat(100),
    });
    for (const name of ['cut.tar', 'empty.tar', 'text.tar'])
      expectFailure(await bench.tsbuild(['import', name, '-t', 'cut:1']), { says: [name] });
    await bench.ok(['save', 'base:1', '-o', 'saved.tar']);
    for (const part of [0.1, 0.5, 0.99]) {
      const bytes = readFileSync(bench.path('saved.tar'));
      bench.write('.', { 'saved-cut.tar': bytes.subarray(0, Math.floor(bytes.length * part)) });
      expectFailure(await bench.tsbuild(['import', 'saved-cut.tar', '-t', 'cut:1']), { says: ['saved-cut.tar'] });
      expectFailure(await bench.tsbuild(['run', 'oci-archive:saved-cut.tar', 'true']), {
        code: 125,
        says: ['saved-cut.tar'],
      });
    }
    expectFailure(await bench.tsbuild(['import', 'none.tar']), { says: ['none.tar'] });
    expect((await bench.ok(['images'])).out).not.toContain('cut');
    bench.write('adding', { Dockerfile: 'FROM scratch\nADD cut.tar /x/\n', 'cut.tar': whole.subarray(0, 1_000_000) });
    expectFailure(await bench.tsbuild(['build', 'adding']), { says: ['cut.tar', 'Dockerfile:2'] });
  });

  test('an output that cannot be written', async () => {
    const { bench } = use;
    const context = bench.context('FROM base:1\n');
    bench.write('.', { file: 'old' });
    expectFailure(await bench.tsbuild(['build', '-o', 'type=oci,dest=no/such/dir.tar', context]), {
      says: ['no/such/dir.tar'],
    });
    expectFailure(await bench.tsbuild(['build', '-o', 'file', context]), { code: 2, says: ['file', 'directory'] });
    expectFailure(await bench.tsbuild(['build', '-o', `type=oci,dest=${bench.dir}`, context]), {
      code: 2,
      says: [/director/],
    });
    expectFailure(await bench.tsbuild(['build', '-o', 'type=oci,dest=/dev/full', context]), { says: ['/dev/full'] });
    expectFailure(await bench.tsbuild(['build', '-o', 'type=oci,dest=/proc/x.tar', context]), {
      says: ['/proc/x.tar'],
    });
    expect(readFileSync(bench.path('file'), 'utf8')).toBe('old');
    expect(statSync('/dev/full').isCharacterDevice()).toBe(true);
  });

  test('a store that cannot be used', async () => {
    const { bench } = use;
    bench.write('.', { occupied: 'a file' });
    expectFailure(await bench.tsbuild(['images'], { store: bench.path('occupied') }), { says: ['occupied'] });
    expectFailure(await bench.tsbuild(['images'], { store: '/proc/store' }), { says: ['/proc/store'] });
    if (who.uid !== 0)
      expectFailure(await bench.tsbuild(['images'], { store: '/usr/share' }), { says: ['/usr/share', 'user 0'] });
    bench.write('newer', { 'store.json': '{"format":99,"index":"index.sqlite"}' });
    chmodSync(bench.path('newer'), 0o700);
    expectFailure(await bench.tsbuild(['images'], { store: bench.path('newer') }), { says: ['format 99'] });
    expect(readdirSync(bench.path('newer'))).toEqual(['store.json']);
  });
});

describeAsEveryone('a damaged store', (who) => {
  const use = useBench(who);

  test('a blob with other content is noticed, named, and repaired by the next import', async () => {
    const { bench } = use;
    const blobs = join(bench.store, 'blobs/sha256');
    const largest =
      readdirSync(blobs).toSorted((a, b) => statSync(join(blobs, b)).size - statSync(join(blobs, a)).size)[0] ?? '';
    const path = join(blobs, largest);
    const bytes = readFileSync(path);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
    chmodSync(path, 0o644);
    writeFileSync(path, bytes);
    const context = bench.context('FROM base:1\nRUN true\n');
    expectFailure(await bench.tsbuild(['build', context]), { says: [largest.slice(0, 12), /digest/] });
    expectFailure(await bench.tsbuild(['build', context]), { says: [largest.slice(0, 12), /import/] });
    expect(await bench.leftovers()).toEqual([]);
    expect((await bench.damage()).join()).toContain(largest.slice(0, 12));
    expect((await bench.tsbuild(['store', 'check', '--repair'])).code).toBe(0);
    expect(await bench.damage()).toEqual([]);
    await bench.importBase();
    await bench.ok(['build', context]);
    await expectSound(bench);
  });

  test('a lost index is made again: images stay', async () => {
    const { bench } = use;
    const before = (await bench.ok(['images', '--format=json'])).out;
    for (const name of readdirSync(bench.store))
      if (name.startsWith('index')) writeFileSync(join(bench.store, name), 'garbage');
    const { out, err } = await bench.ok(['images', '--format=json']);
    expect(err).toMatch(/warning/);
    expect(JSON.parse(out)).toMatchObject(JSON.parse(before) as object);
    rmSync(join(bench.store, 'blobs/sha256'), { recursive: true });
    await bench.tsbuild(['store', 'check', '--repair']);
    await bench.importBase();
    await bench.ok(['build', bench.context('FROM base:1\nRUN true\n')]);
    await expectSound(bench);
  });
});

describeAsEveryone('a machine that does not allow it', (who) => {
  const use = useBench(who);

  test('a full disk', async () => {
    const { bench } = use;
    const context = bench.context('FROM base:1\nCOPY large /large\nRUN cp /large /again && cp /large /more\n', {
      large: Buffer.alloc(3 << 20, 'x'),
    });
    bench.write('disk', {});
    bench.write('.', { 'base.tar': baseImageTar() });
    const tsbuild = [...who.prefix, programPath()].join(' ');
    const onDisk = (kibibytes: number, script: string): Promise<Outcome> => {
      const mount = `mount -t tmpfs -o size=${kibibytes}k,uid=${process.getuid?.() === 0 ? who.uid : 0} tmpfs disk`;
      const unshare =
        process.getuid?.() === 0 ? ['unshare', '--mount'] : ['unshare', '--user', '--map-root-user', '--mount'];
      return bench.start([...unshare, 'sh', '-c', `${mount} && ${script}`], {
        store: bench.path('disk/store'),
        asSelf: true,
      }).ended;
    };
    for (const size of [100, 500]) {
      const outcome = await onDisk(size, `${tsbuild} import base.tar -t base:1`);
      expectFailure(outcome, { says: [/no space left|disk is full/i, 'disk/store', 'prune'] });
    }
    // A namespace that an ordinary user makes has one id only, in which no steps run.
    if (process.getuid?.() !== 0) return;
    for (const size of [1000, 2500, 4000, 6000, 8000]) {
      const outcome = await onDisk(
        size,
        `{ ${tsbuild} import base.tar -t base:1 && ${tsbuild} build ${context}; }; code=$?; ${tsbuild} store check >/dev/null 2>check.err || echo UNSOUND >&2; exit $code`,
      );
      expect(outcome.err).not.toContain('UNSOUND');
      expectFailure(outcome, { says: [/no space left|disk is full/i] });
    }
    expect(await bench.leftovers()).toEqual([]);
  });

  test('no subordinate ids: steps run all the same, and what to type for more is said', async () => {
    const { bench } = use;
    if (who.uid !== 0) return;
    // A user that is in no file, one without a range, with stores of their own.
    for (const [id, name, why] of [
      ['54321', 'unknown', /rung 4\): user 54321 has no name .*tee -a \/etc\/subuid/],
      ['65534', 'nobody', /rung 4\): \/etc\/subuid .*usermod --add-subuids/],
    ] as const) {
      const store = bench.path(`of-${name}`);
      mkdirSync(store, { mode: 0o700 });
      execFileSync('chown', [id, store]);
      chmodSync(bench.dir, 0o755);
      const as = ['setpriv', `--reuid=${id}`, `--regid=${id}`, '--clear-groups', programPath()];
      bench.write('.', { 'base.tar': baseImageTar() });
      const env = { HOME: '/nonexistent' };
      const imported = await bench.start([...as, 'import', bench.path('base.tar'), '-t', 'base:1'], { store, env })
        .ended;
      expect(imported.code, imported.err).toBe(0);
      const context = bench.context('FROM base:1\nRUN true\n');
      const built = await bench.start([...as, 'build', context], { store, env }).ended;
      expect(built, built.err).toMatchObject({
        code: 0,
        err: expect.stringMatching(why) as string,
      });
      const doctor = await bench.start([...as, 'doctor'], { store, env }).ended;
      expect(doctor.code).toBe(0);
      expect(doctor.out).toMatch(/subuid[^]*RUN steps work here \(rung 4: /);
      expect(await bench.leftovers()).toEqual([]);
    }
  });

  test('no user namespaces', async () => {
    const { bench } = use;
    const context = bench.context('FROM base:1\nRUN true\n');
    const closed = (...args: string[]): readonly string[] => [
      'unshare', '--user', '--map-root-user', 'sh', '-c', 'echo 0 > /proc/sys/user/max_user_namespaces; exec "$@"', 'sh', programPath(), ...args,
    ]; // oxfmt-ignore
    expectFailure(await bench.start(closed('build', context)).ended, { says: [/namespace/i] });
    const doctor = await bench.start(closed('doctor')).ended;
    expect(doctor.code).toBe(1);
    expect(doctor.out).toMatch(/max_user_namespaces|namespace/);
    // What needs no step works.
    expect((await bench.start(closed('build', '-q', bench.context('FROM base:1\n'))).ended).code).toBe(0);
    await expectSound(bench);
  });

  test('a program that is started without newuidmap on its path', async () => {
    const { bench } = use;
    if (who.uid === 0) return;
    bench.write('tools', {});
    const node = (await bench.tool(['sh', '-c', 'command -v node'])).trim();
    for (const [name, target] of [
      ['node', node],
      ['sh', '/bin/sh'],
      ['readlink', '/usr/bin/readlink'],
      ['dirname', '/usr/bin/dirname'],
    ] as const)
      symlinkSync(target, bench.path(`tools/${name}`));
    const context = bench.context('FROM base:1\nRUN true\n');
    const bare = ['env', `PATH=${bench.path('tools')}`, programPath(), 'build', context];
    const outcome = await bench.start(bare).ended;
    // The usual places are looked at too.
    expect([0, 1]).toContain(outcome.code);
    if (outcome.code === 1) expectFailure(outcome, { says: ['newuidmap', 'uidmap'] });
  });
});
