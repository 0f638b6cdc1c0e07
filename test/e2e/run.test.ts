import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeAsEveryone, useBench } from '../support/e2e.ts';
import { expectFailure, expectSound } from '../support/sound.ts';
import { onTerminal } from '../support/terminal.ts';

describeAsEveryone('tsbuild run', (who) => {
  const use = useBench(who);

  beforeAll(async () => {
    const context = use.bench.context(`FROM base:1
ENV FROM_IMAGE=yes
WORKDIR /work
RUN echo image > file
FROM base:1 AS entry
ENTRYPOINT ["echo", "entry"]
CMD ["default"]
`);
    await use.bench.ok(['build', '-q', '-t', 'app', '--target=0', context]);
    await use.bench.ok(['build', '-q', '-t', 'entry', context]);
  });
  afterAll(async () => {
    await expectSound(use.bench);
    expect(await use.bench.leftovers()).toEqual([]);
  });

  const sh = (script: string, ...options: string[]): readonly string[] => [
    'run',
    '--rm',
    ...options,
    'app',
    'sh',
    '-c',
    script,
  ];

  test('passes the exit code on, and those of docker where nothing ran', async () => {
    const { bench } = use;
    for (const code of [0, 1, 42, 255]) expect((await bench.tsbuild(sh(`exit ${code}`))).code).toBe(code);
    expect((await bench.tsbuild(sh("sh -c 'kill -9 $$'; exit $?"))).code).toBe(137);
    expectFailure(await bench.tsbuild(['run', 'app', '/not/there']), { code: 127, says: ['/not/there', 'not found'] });
    expectFailure(await bench.tsbuild(['run', 'app', '/etc/passwd']), { code: 126, says: ['/etc/passwd'] });
    expectFailure(await bench.tsbuild(['run', 'oci-archive:none.tar']), { code: 125, says: ['none.tar'] });
    expectFailure(await bench.tsbuild(['run', '-v', 'x:relative', 'app']), { code: 125, says: ['x:relative'] });
  });

  test('an image for another platform than the one that was asked for is refused; the machine’s own is taken', async () => {
    const { bench } = use;
    const other = process.arch === 'arm64' ? 'linux/amd64' : 'linux/arm64';
    const own = process.arch === 'arm64' ? 'linux/arm64' : 'linux/amd64';
    expect((await bench.ok(['run', '--rm', '--platform', own, 'base:1', 'echo', 'ran'])).out).toBe('ran\n');
    for (const platform of [other, 'windows/amd64'])
      for (const words of [['run', '--rm'], ['run', '-d', '--name', 'foreign'], ['create']])
        expectFailure(await bench.tsbuild([...words, '--platform', platform, 'base:1', 'echo', 'ran']), {
          code: 125,
          says: [`"base:1" for ${platform}`, `the image is for ${own}`],
        });
    expect((await bench.ok(['ps', '-aq'])).out).toBe('');
  });

  test('entrypoint and command', async () => {
    const { bench } = use;
    const out = async (...args: string[]): Promise<string> => (await bench.ok(['run', ...args])).out;
    expect(await out('entry')).toBe('entry default\n');
    expect(await out('entry', 'other', '--rm', '-e')).toBe('entry other --rm -e\n');
    expect(await out('--entrypoint', 'id', 'entry', '-u')).toBe('0\n');
    expect(await out('--entrypoint', '', 'entry', 'pwd')).toBe('/\n');
    expectFailure(await bench.tsbuild(['run', '--entrypoint', '', 'entry']), { code: 125, says: ['no command'] });
  });

  test('environment, directory, user, host name', async () => {
    const { bench } = use;
    bench.write('.', { 'vars.env': '# comment\nONE=1\nFROM_CALLER\nTWO=two words\n' });
    const { out } = await bench.ok(
      sh(
        'env | sort; pwd; id -u; id -G; hostname; cat file',
        '-e',
        'TWO=given',
        '-e',
        'CALLER',
        '--env-file',
        'vars.env',
        '-w',
        '/work',
        '-u',
        'bob',
        '-h',
        'named',
        '--add-host',
        'x.test=192.0.2.1',
      ),
      { env: { CALLER: 'caller', FROM_CALLER: 'passed', SECRET: 'kept' } },
    );
    expect(out).toBe(
      'CALLER=caller\nFROM_CALLER=passed\nFROM_IMAGE=yes\nHOME=/\nHOSTNAME=named\nONE=1\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nPWD=/work\nSHLVL=1\nTWO=given\n/work\n1001\n50\nnamed\nimage\n',
    );
    expect(
      (
        await bench.ok(
          sh('grep x.test /etc/hosts; ls /sys/class/net', '--add-host', 'x.test=192.0.2.1', '--network', 'none'),
        )
      ).out,
    ).toBe('192.0.2.1\tx.test\nlo\n');
  });

  test('what it writes is gone; --read-only lets it write nothing', async () => {
    const { bench } = use;
    await bench.ok(sh('echo changed > file; mkdir -p /deep/dir; chmod 000 /deep; rm /etc/passwd'));
    expect((await bench.ok(sh('cat file; test -e /deep || test ! -e /etc/passwd || echo untouched'))).out).toBe(
      'image\nuntouched\n',
    );
    expect(await bench.tsbuild(sh('touch /x', '--read-only'))).toMatchObject({
      code: 1,
      err: expect.stringContaining('Read-only') as string,
    });
    expect((await bench.ok(sh('touch /dev/shm/x && echo ok', '--read-only'))).out).toBe('ok\n');
    expect(
      readdirSync(`${bench.store}/snapshots`).every(
        (id) => !readdirSync(`${bench.store}/snapshots/${id}`).includes('merged'),
      ),
    ).toBe(true);
  });

  test('volumes: what is written there belongs to the caller and stays', async () => {
    const { bench } = use;
    const dir = bench.write('volume', { file: 'mine' });
    // Root of root's containers is no root of the machine: it writes where it was allowed to.
    if (who.uid === 0) chmodSync(dir, 0o777);
    const { out } = await bench.ok(
      sh(
        'cat /v/file; echo new > /v/new; touch /ro/x 2>/dev/null || echo read-only',
        '-v',
        './volume:/v',
        '-v',
        `${dir}:/ro:ro`,
      ),
    );
    expect(out).toBe('mineread-only\n');
    expect(readFileSync(`${dir}/new`, 'utf8')).toBe('new\n');
  });

  test('-i passes standard input on; without it there is none', async () => {
    const { bench } = use;
    const large = 'line\n'.repeat(300_000);
    expect((await bench.ok(sh('wc -l', '-i'), { stdin: large })).out.trim()).toBe('300000');
    expect((await bench.ok(sh('wc -c'), { stdin: large })).out.trim()).toBe('0');
    expect((await bench.ok(sh('head -c 3', '-i'), { stdin: large })).out).toBe('lin');
    expect((await bench.ok(sh('cat; echo err >&2', '-q'))).err).toBe('err\n');
  });

  test('signals reach the container, and its answer is the exit code', async () => {
    const { bench } = use;
    for (const [signal, code] of [
      ['SIGTERM', 3],
      ['SIGINT', 4],
      ['SIGHUP', 5],
      ['SIGUSR1', 6],
    ] as const) {
      const running = bench.tsbuildStart(
        sh(`trap 'echo got; exit ${code}' ${signal.slice(3)}; echo ready; while :; do sleep 0.05; done`),
      );
      await running.prints(/ready/);
      running.child.kill(signal);
      expect(await running.ended).toMatchObject({ code, out: 'ready\ngot\n' });
    }
    const stubborn = bench.tsbuildStart(
      sh(
        "trap 'echo got' TERM INT; (setsid sleep 31 &); echo ready; while :; do sleep 0.05; done",
        '-e',
        `MARK=${bench.mark}`,
      ),
    );
    await stubborn.prints(/ready/);
    // Two signals that come before the first was looked at are one.
    for (const heard of [/got/, /got\ngot/]) {
      stubborn.child.kill('SIGTERM');
      await stubborn.prints(heard);
    }
    stubborn.child.kill('SIGTERM');
    expect((await stubborn.ended).code).toBe(137);
    expect(await bench.leftovers()).toEqual([]);
  });

  test('layers of earlier commands are looked at without a worker, which would take longer than all the rest', async () => {
    const running = use.bench.tsbuildStart(sh('echo ready; cat', '-i'), { stdio: ['pipe', 'pipe', 'pipe'] });
    await running.prints(/ready/);
    const workers = use.bench.processes().filter(({ command }) => /dist\/worker\.cjs/.test(command));
    running.child.stdin?.end();
    expect((await running.ended).code).toBe(0);
    expect(workers).toEqual([]);
  });

  test('-t gives it a terminal: size, resizing, keys, job control', async () => {
    const { bench } = use;
    const { code, out, err } = await onTerminal(
      bench,
      ['run', '-i', '-t', 'app', 'sh'],
      [
        { expect: '# ' },
        { type: 'tty; stty size; test -t 0 -a -t 1 -a -t 2 && echo is"-"tty; echo $TERM\n' },
        { expect: 'is-tty' },
        { expect: '# ' },
        { resize: [40, 132] },
        { type: 'until [ "$(stty size)" = "40 132" ]; do sleep 0.05; done; echo now "it is" $(stty size)\n' },
        { expect: 'now it is 40 132' },
        { type: 'echo as"l"eep; sleep 30\n' },
        { expect: 'asleep' },
        { wait: 0.3 },
        { type: '\u0003' },
        { expect: '# ' },
        { type: 'echo $?; exit 7\n' },
      ],
    );
    expect(err).toBe('');
    expect(code).toBe(7);
    expect(out).toContain('24 80');
    expect(out).toMatch(/\/dev\/(pts\/|console)/);
    expect(out).toContain('130');
    expectFailure(await bench.tsbuild(['run', '-it', 'app', 'sh'], { stdin: '' }), { code: 125, says: ['terminal'] });
    expect(await bench.leftovers()).toEqual([]);
  });

  test('a directory of the image that is gone, or another one, is made again', async () => {
    const { bench } = use;
    const directories = readdirSync(`${bench.store}/snapshots`).map((id) => `${bench.store}/snapshots/${id}/fs`);
    const base = directories.find((path) => existsSync(`${path}/bin/busybox`)) ?? '';
    for (const another of [false, true]) {
      // Made while the first is there: it would get the same inode.
      if (another) mkdirSync(`${base}.another`, { mode: 0o755 });
      rmSync(base, { recursive: true });
      if (another) renameSync(`${base}.another`, base);
      const { out, err } = await bench.ok(['run', '--rm', 'base:1', 'echo', 'there']);
      expect(out).toBe('there\n');
      expect(err).toContain('is made again');
    }
    const { err } = await bench.ok(['run', '--rm', 'base:1', 'echo', 'there']);
    expect(err).not.toContain('is made again');
  });

  test('containers run side by side', async () => {
    const { bench } = use;
    const outcomes = await Promise.all(
      [1, 2, 3, 4].map((at) => bench.ok(sh(`echo ${at} > /mine; sleep 0.2; cat /mine`))),
    );
    expect(outcomes.map(({ out }) => out)).toEqual(['1\n', '2\n', '3\n', '4\n']);
  });
});
