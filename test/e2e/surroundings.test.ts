import { execFileSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { describeAsEveryone, useBench } from '../support/e2e.ts';
import { expectFailure, expectSound } from '../support/sound.ts';
import { readOciArchive } from '../support/tree.ts';

describeAsEveryone('whatever surrounds a build', (who) => {
  const use = useBench(who);
  const dockerfile =
    'FROM base:1\nCOPY . /files/\nRUN mkdir /made && echo x > /made/file && date +%Z > /zone\nWORKDIR /new/dir\nADD --chown=bob file /added\n';

  test('umask, time zone, language and order of arguments do not show in the image (REP-02)', async () => {
    const { bench } = use;
    const context = bench.context(dockerfile, { file: 'x', 'dir/sub/file': { text: 'y', mode: 0o640 } });
    const images = new Set<string>();
    for (const [umask, env] of [
      ['022', {}],
      ['077', { TZ: 'Asia/Kathmandu', LANG: 'tr_TR.UTF-8', LC_ALL: 'C' }],
      ['000', { TZ: 'America/St_Johns', NODE_OPTIONS: '--no-warnings' }],
    ] as const) {
      const store = bench.path(`store-${umask}`);
      await bench.importBase('base:1', { store });
      const build = bench.command(['build', '-q', '-o', 'type=oci,dest=-,rewrite-timestamp=true', context]);
      const { code, stdout, err } = await bench.start(['sh', '-c', `umask ${umask}; exec "$@"`, 'sh', ...build], {
        store,
        env: { ...env, SOURCE_DATE_EPOCH: '1700000000' },
      }).ended;
      expect(code, err).toBe(0);
      images.add((await readOciArchive(stdout)).digest);
    }
    expect(images.size).toBe(1);
  });

  test('names of every kind come through unchanged', async () => {
    const { bench } = use;
    const context = bench.context('FROM base:1\nCOPY odd /odd\nRUN cp -r /odd /copied && ls /odd | wc -l > /count\n', {
      odd: null,
    });
    const names = [
      'new\nline',
      'sp ace',
      '"quote"',
      "'single'",
      '-dash',
      '.hidden',
      'ünï',
      'back\\slash',
      '*',
      '[a]',
      '$HOME',
      'x'.repeat(255),
      '\u202e',
      'tab\t',
    ];
    for (const name of names) writeFileSync(join(context, 'odd', name), 'x');
    const bytes = Buffer.concat([Buffer.from(`${context}/odd/`), Buffer.from([0xff, 0xfe, 0x80])]);
    writeFileSync(bytes, 'not utf-8');
    const { stdout } = await bench.ok(['build', '-q', '-o', 'type=oci,dest=-', context]);
    const { tree } = await readOciArchive(stdout);
    for (const name of names) {
      expect(tree[`/odd/${name}`]?.content, name).toBe('x');
      expect(tree[`/copied/${name}`]?.content, name).toBe('x');
    }
    await bench.ok(['build', '-q', '-o', 'type=local,dest=odd-out', context]);
    expect(
      execFileSync('sh', ['-c', 'cat odd-out/odd/$(printf "\\377\\376\\200")'], { cwd: bench.dir, encoding: 'utf8' }),
    ).toBe('not utf-8');
    // Once more, from the cache.
    expect(
      (await readOciArchive((await bench.ok(['build', '-q', '-o', 'type=oci,dest=-', context])).stdout)).tree,
    ).toEqual(tree);
  });

  test('files that change meanwhile: what was read under one key, or an error (REL-29)', async () => {
    const { bench } = use;
    const context = bench.context(
      'FROM base:1\nCOPY . /c/\nRUN cat /c/* | sort -u | wc -l > /kinds\n',
      Object.fromEntries(Array.from({ length: 60 }, (_, at) => [`f${at}`, 'a'.repeat(20_000)])),
    );
    const writer = bench.start(
      [
        'sh',
        '-c',
        'i=0; while :; do i=$((i+1)); head -c 20000 /dev/zero | tr "\\0" $((i % 10)) > f$((i % 60)); rm -f f$((i * 7 % 60)); echo x > f$((i * 7 % 60)); done',
      ],
      { cwd: context },
    );
    try {
      for (let tries = 0; tries < 6; tries++) {
        const outcome = await bench.tsbuild(['build', context]);
        if (outcome.code !== 0) expectFailure(outcome, { says: [/changed|not found|does not exist/] });
      }
    } finally {
      writer.child.kill('SIGKILL');
      await writer.ended;
    }
    await sleep(20);
    const { stdout } = await bench.ok(['build', '-q', '-o', 'type=oci,dest=-', context]);
    const { tree } = await readOciArchive(stdout);
    const { stdout: again } = await bench.ok(['build', '-q', '--no-cache', '-o', 'type=oci,dest=-', context]);
    expect((await readOciArchive(again)).tree).toEqual(tree);
    await expectSound(bench);
  });

  test('closed and broken standard streams, no HOME, no PATH to speak of (REL-10, TTY-05)', async () => {
    const { bench } = use;
    const context = bench.context('FROM base:1\nRUN echo a; yes | head -n 20000\n');
    const shell = (script: string, env: Record<string, string | undefined> = {}) =>
      bench.start(['sh', '-c', script, 'sh', ...bench.command([])], { env }).ended;
    for (const script of [
      `"$@" build --progress=plain --no-cache ${context} </dev/null 2>/dev/full`,
      `"$@" build -q ${context} <&-`,
      `"$@" build ${context} 2>&-`,
      `"$@" build ${context} >&- 2>&-`,
    ]) {
      const { code, err } = await shell(script);
      expect(code, `${script}: ${err}`).toBe(0);
    }
    for (const script of [
      `"$@" build -o - ${context} | head -c 10 >/dev/null`,
      `"$@" images | true`,
      `"$@" save base:1 | head -c 10 >/dev/null`,
      `"$@" --help | head -n 1 >/dev/null`,
    ]) {
      const { err } = await shell(script);
      expect(err).not.toMatch(/fault of tsbuild|^\s+at /m);
    }
    expectFailure(await shell(`"$@" build -o type=oci,dest=- ${context} >/dev/full`), { says: [/no space|write/i] });
    const bare = await shell(`exec env -i TSBUILD_ROOT=${bench.store} PATH=/usr/bin:/bin "$@" build -q ${context}`);
    expect(bare.code, bare.err).toBe(0);
    const homeless = await shell(`"$@" build -q ${context}`, {
      HOME: '/nonexistent',
      XDG_CACHE_HOME: '/dev/null/none',
    });
    expect(homeless.code, homeless.err).toBe(0);
    rmSync(bench.path('gone'), { recursive: true, force: true });
    const gone = bench.write('gone', {});
    const lost = await shell(`cd ${gone} && rmdir ${gone} && "$@" build -q ${context}`);
    expect(lost).toMatchObject({ code: 1, err: expect.stringContaining('error: The working directory') as string });
    expect(lost.err).not.toMatch(/fault of tsbuild|^\s+at /m);
    await expectSound(bench);
  });

  test('few descriptors, little memory (REL-08)', async () => {
    const { bench } = use;
    const context = bench.context(
      `FROM base:1 AS a\nCOPY . /c\nRUN echo a\n${Array.from({ length: 20 }, (_, at) => `RUN echo ${at} > /r${at}`).join('\n')}\n`,
      Object.fromEntries(Array.from({ length: 300 }, (_, at) => [`d${at % 10}/s/f${at}`, String(at)])),
    );
    const command = bench.command(['build', '--no-cache', '-o', 'type=oci,dest=few.tar', context]);
    const few = await bench.start(['prlimit', '--nofile=128', '--core=0', ...command]).ended;
    expect(few.code, few.err).toBe(0);
    const fewer = await bench.start(['prlimit', '--nofile=24', ...command]).ended;
    if (fewer.code !== 0) {
      expect(fewer.err).not.toMatch(/^\s+at /m);
      expect(fewer.err).toMatch(/too many|EMFILE|files/i);
    }
    await expectSound(bench);
  });

  test('output of steps cannot do anything to the terminal', async () => {
    const { bench } = use;
    const context = bench.context(
      "FROM base:1\nRUN printf '\\033]0;title\\007\\033[2J\\033[31mred\\033[0m\\010\\r::set-output name=x::y\\n\\302\\233evil\\n'\n",
    );
    const { err } = await bench.ok(['build', '--progress=plain', '--no-cache', context]);
    // oxlint-disable-next-line no-control-regex
    expect(err).not.toMatch(/[\u0000-\u0008\u000b-\u001a\u001c-\u001f\u007f-\u009f]/);
    expect(err).not.toContain('\u001b]');
    expect(err).not.toContain('\u001b[2J');
    expect(err).not.toMatch(/^::/m);
    const loud = bench.context("FROM base:1\nRUN yes 'a line of output that is repeated' | head -n 200000\n");
    const quick = await bench.ok(['build', '--progress=plain', '--no-cache', loud]);
    expect(quick.err.length).toBeLessThan(12 << 20);
    expect(quick.ms).toBeLessThan(60_000);
  });
});
