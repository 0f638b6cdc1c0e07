import { chmodSync, existsSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { Bench, RunOptions } from '../support/bench.ts';
import { describeAsEveryone, useBench } from '../support/e2e.ts';
import { expectFailure, expectSound } from '../support/sound.ts';
import { readOciArchive, readTar } from '../support/tree.ts';
import { until } from '../support/until.ts';

/** No worker can be started with this: a build that needs none succeeds. */
const NO_WORKER = { env: { TSBUILD_HELPER: '/nonexistent' } };

const names = async (bench: Bench): Promise<readonly string[]> =>
  (JSON.parse((await bench.ok(['images', '--format=json'])).out) as { familiar: string }[])
    .map(({ familiar }) => familiar)
    .toSorted();

describeAsEveryone('the image store', (who) => {
  const use = useBench(who);

  test('build -t, images, save, rmi, import, build again: the same image', async () => {
    const { bench } = use;
    const context = bench.context('FROM base:1\nRUN echo a > /a\nCMD ["cat", "/a"]\n');
    await bench.ok(['build', '-t', 'one', '-t', 'reg.example/two:x', context]);
    expect(await names(bench)).toEqual(['base:1', 'one:latest', 'reg.example/two:x']);
    const table = (await bench.ok(['images'])).out;
    expect(table).toMatch(/^IMAGE +ID +PLATFORM +CREATED +SIZE\n/);
    const { out: id } = await bench.ok(['images', '-q', 'one']);
    await bench.ok(['save', 'one', '-o', 'one.tar']);
    await bench.ok(['save', '--format=docker', 'one', 'reg.example/two:x', '-o', 'docker.tar']);
    const saved = await readOciArchive(bench.path('one.tar'));
    expect(saved.manifest.config.digest).toBe(id.trim());
    expect((await readOciArchive((await bench.ok(['save', 'one'])).stdout)).digest).toBe(saved.digest);
    const manifest = (await readTar(readFileSync(bench.path('docker.tar')))).find(
      ({ header }) => header.name === 'manifest.json',
    );
    expect(JSON.parse(manifest?.body.toString() ?? '')).toMatchObject([
      { RepoTags: ['one:latest', 'reg.example/two:x'] },
    ]);
    await bench.ok(['rmi', 'one', 'reg.example/two:x']);
    expect(await names(bench)).toEqual(['base:1']);
    for (const [archive, as] of [
      ['one.tar', 'from-oci'],
      ['docker.tar', undefined],
    ] as const) {
      await bench.ok(['import', archive, ...(as === undefined ? [] : ['-t', as])]);
    }
    expect(await names(bench)).toEqual(['base:1', 'from-oci:latest', 'one:latest', 'reg.example/two:x']);
    for (const image of ['from-oci', 'one', 'reg.example/two:x'])
      expect((await bench.ok(['run', image])).out).toBe('a\n');
    expect((await bench.ok(['images', '-q', 'from-oci'])).out).toBe(id);
    bench.write('layout', {});
    await bench.tool(['tar', '-C', 'layout', '-xf', 'one.tar']);
    await bench.ok(['import', 'layout', '-t', 'from-layout']);
    expect((await bench.ok(['run', 'from-layout'])).out).toBe('a\n');
    expectFailure(await bench.tsbuild(['rmi', 'none']), { says: ['none'] });
    expectFailure(await bench.tsbuild(['save', 'none', '-o', 'x.tar']), { says: ['none'] });
    expect(existsSync(bench.path('x.tar'))).toBe(false);
    await expectSound(bench);
  });

  test('what was exported with other times once is not packed again', async () => {
    const { bench } = use;
    const context = bench.context('FROM base:1\nRUN echo timed > /t\n');
    const build = (dest: string, epoch: string, options: RunOptions = {}): ReturnType<Bench['tsbuild']> =>
      bench.tsbuild(
        ['build', `--source-date-epoch=${epoch}`, '-o', `type=oci,dest=${dest},rewrite-timestamp=true`, context],
        options,
      );
    const digest = async (file: string): Promise<string> => (await readOciArchive(bench.path(file))).digest;
    expect((await build('first.tar', '1600000000')).code).toBe(0);
    expect((await build('second.tar', '1600000000', NO_WORKER)).code).toBe(0);
    expect(await digest('second.tar')).toBe(await digest('first.tar'));
    expect((await build('other.tar', '1500000000')).code).toBe(0);
    expect(await digest('other.tar')).not.toBe(await digest('first.tar'));
    await expectSound(bench);
  });

  test('prune keeps what a build just used, also when its output was an archive, and says what goes', async () => {
    const { bench } = use;
    const context = bench.context('FROM base:1\nRUN echo archived > /u\n');
    const build = ['build', '--progress=plain', '-o', `type=oci,dest=${bench.path('kept.tar')}`, context];
    await bench.ok(build);
    expect((await bench.ok(['prune'])).out).toMatch(/To be freed: +0B\nFreed: +0B/);
    expect((await bench.ok(build)).err).toMatch(/RUN echo archived > \/u\n#\d+ CACHED/);
    const dry = await bench.ok(['prune', '--filter=until=0s', '--dry-run']);
    expect(dry.out).toMatch(/RUN echo archived[^]*Would free: +[^0]/);
    expect((await bench.ok(build)).err).toMatch(/RUN echo archived > \/u\n#\d+ CACHED/);
    const real = await bench.ok(['prune', '--filter=until=0s']);
    expect(real.out).toMatch(/RUN echo archived[^]*To be freed: +[^0][^]*Freed: +[^0]/);
    expect((await bench.ok(build)).err).not.toMatch(/RUN echo archived > \/u\n#\d+ CACHED/);
    await expectSound(bench);
  });

  test('du and prune: what an image needs stays, the rest goes', async () => {
    const { bench } = use;
    const context = bench.context(
      'FROM base:1 AS one\nRUN --mount=type=cache,target=/c dd if=/dev/zero of=/c/x bs=1M count=2; echo a > /a\nFROM base:1\nRUN echo b > /b\nCOPY --from=one /a /a\nCMD ["cat", "/a", "/b"]\n',
    );
    await bench.ok(['build', '-t', 'kept', context]);
    await bench.ok(['build', bench.context('FROM base:1\nRUN echo untagged > /u\n')]);
    const before = JSON.parse((await bench.ok(['du', '--format=json'])).out) as {
      totalBytes: number;
      records: unknown[];
    };
    expect(before.totalBytes).toBeGreaterThan(1 << 20);
    expect((await bench.ok(['du'])).out).toMatch(/Reclaimable:.*\nTotal:/);
    await bench.ok(['prune', '--filter=until=24h']);
    expect((await bench.ok(['prune', '--keep-storage=100g'])).out).toMatch(/Freed: +0B/);
    const pruned = await bench.ok(['prune', '--all']);
    expect(pruned.out).toMatch(/Freed: +[^0]/);
    const after = JSON.parse((await bench.ok(['du', '--format=json'])).out) as { totalBytes: number };
    expect(after.totalBytes).toBeLessThan(before.totalBytes);
    expect((await bench.ok(['run', 'kept'])).out).toBe('a\nb\n');
    const again = await bench.ok(['build', '--progress=plain', '-t', 'kept', context]);
    expect(again.err).toMatch(/RUN echo b/);
    await bench.ok(['prune', '--all', '--images', '-f']);
    expect(await names(bench)).toEqual([]);
    const empty = JSON.parse((await bench.ok(['du', '--format=json'])).out) as { records: { type: string }[] };
    expect(empty.records.map(({ type }) => type)).toEqual(['internal']);
    await expectSound(bench);
    await bench.importBase();
  });
});

/** Whether a store knows how the directory of a layer was when it was made. */
function isMeasured(store: string, step: string): boolean {
  using db = new DatabaseSync(join(store, 'index.sqlite'), { readOnly: true, timeout: 10_000 });
  const row = db.prepare('SELECT stamp FROM layers WHERE description LIKE ?').get(`%${step}`);
  // Until then it says whose it is.
  return typeof row?.['stamp'] === 'string' && !row['stamp'].startsWith('by ');
}

describeAsEveryone('a damaged store', (who) => {
  const use = useBench(who);
  const snapshots = (bench: Bench): readonly string[] =>
    readdirSync(join(bench.store, 'snapshots')).map((id) => join(bench.store, 'snapshots', id, 'fs'));
  const dockerfile = 'FROM base:1 AS one\nRUN echo good > /made\nFROM one\nRUN cat /made > /read; echo TAIL > /tail\n';
  const read = async (
    bench: Bench,
    tail: string,
  ): Promise<{ readonly content: string | undefined; readonly said: string }> => {
    const { err } = await bench.ok([
      'build',
      '-o',
      'type=oci,dest=out.tar',
      bench.context(dockerfile.replace('TAIL', tail)),
    ]);
    return { content: (await readOciArchive(bench.path('out.tar'))).tree['/read']?.content, said: err };
  };

  test.each(['build', 'store check'])(
    'nor is that of a build that was killed, once a %s has looked at it',
    async (command) => {
      const { bench } = use;
      const store = { store: bench.path(`killed-${command.replace(' ', '-')}`) };
      await bench.importBase('base:1', store);
      const first = 'FROM base:1\nRUN echo first > /first\n';
      const building = bench.tsbuildStart(
        ['build', '--progress=plain', bench.context(`${first}RUN echo going; sleep 1000\n`)],
        store,
      );
      await building.prints(/\d going/);
      // What is not measured yet is worth nothing when its maker is dead.
      await until('the first layer is measured', () => isMeasured(store.store, 'RUN echo first > /first'));
      building.child.kill('SIGKILL');
      await building.ended;
      if (command === 'build') await bench.ok(['build', '-q', bench.context(`${first}RUN cat /first\n`)], store);
      else await bench.ok(command.split(' '), store);
      await bench.tool(['sh', '-c', `echo changed | tee ${store.store}/snapshots/*/fs/first`]);
      const { err } = await bench.ok(
        ['build', '--progress=plain', bench.context(`${first}RUN cat /first; cat /first\n`)],
        store,
      );
      expect(err).toMatch(/was changed after it was made/);
      // A step may have begun beside the look; what counts is what it is run on in the end.
      expect(err).toMatch(/^#\d+ [\d.]+ first$/m);
      expect(err.lastIndexOf(' first\n')).toBeGreaterThan(err.lastIndexOf(' changed\n'));
    },
  );

  test('a file that was changed in the directory of a layer is not built upon, and store check finds it', async () => {
    const { bench } = use;
    expect((await read(bench, 'first')).content).toBe('good\n');
    for (const fs of snapshots(bench)) {
      const made = join(fs, 'made');
      if (!existsSync(made)) continue;
      // Same size, and the times that a program can set.
      const { atime, mtime } = statSync(made);
      writeFileSync(made, 'evil\n');
      utimesSync(made, atime, mtime);
    }
    const check = await bench.tsbuild(['store', 'check']);
    expect(check).toMatchObject({ code: 1, out: expect.stringContaining('was changed after it was made') as string });
    const again = await read(bench, 'second');
    expect(again.content).toBe('good\n');
    expect(again.said).toMatch(/was changed after it was made/);
    await expectSound(bench);
  });

  test.each(['store.json', 'index.sqlite'])('%s that lost its mode is given it back', async (name) => {
    const { bench } = use;
    const made = await read(bench, `before ${name}`);
    for (const mode of [0o200, 0]) {
      chmodSync(join(bench.store, name), mode);
      const again = await read(bench, `${name} ${mode}`);
      expect(again.content).toBe(made.content);
      // Root reads it as it is.
      if (who.uid !== 0) expect(statSync(join(bench.store, name)).mode & 0o777).toBe(0o600);
    }
    expect(readdirSync(bench.store).filter((file) => /^index.*\.sqlite$/.test(file))).toHaveLength(1);
    await expectSound(bench);
  });

  test('a damaged blob is made again in the same build', async () => {
    const { bench } = use;
    const context = bench.context('FROM base:1\nRUN echo blob > /b\nCOPY f /\n', { f: 'text' });
    const build = (dest: string): ReturnType<Bench['ok']> =>
      bench.ok(['build', '-o', `type=oci,dest=${dest}`, context]);
    await build('before.tar');
    const before = await readOciArchive(bench.path('before.tar'));
    for (const { digest } of before.manifest.layers.slice(-2)) {
      const path = join(bench.store, 'blobs', 'sha256', digest.slice('sha256:'.length));
      const bytes = readFileSync(path);
      bytes[bytes.length - 5] = (bytes[bytes.length - 5] ?? 0) ^ 1;
      chmodSync(path, 0o644);
      writeFileSync(path, bytes);
      chmodSync(path, 0o444);
    }
    const { err } = await build('after.tar');
    expect(err).toMatch(/damaged/);
    expect((await readOciArchive(bench.path('after.tar'))).tree['/b']?.content).toBe('blob\n');
    await expectSound(bench);
  });

  test('what a killed build left is in du, and the next build deletes it', async () => {
    const { bench } = use;
    const total = async (): Promise<number> =>
      (JSON.parse((await bench.ok(['du', '--format=json'])).out) as { totalBytes: number }).totalBytes;
    const onDisk = async (): Promise<number> =>
      // An ordinary user's du says that it may not look into overlay's own directory, which is empty, and fails when it is done.
      Number(
        /^\d+/.exec((await bench.start(['du', '-s', '--block-size=1', bench.store], { asSelf: true }).ended).out)?.[0],
      );
    await bench.ok(['build', '-t', 'some', bench.context('FROM base:1\nRUN head -c 3000000 /dev/urandom > /f\n')]);
    const running = bench.tsbuildStart([
      'build',
      '--progress=plain',
      bench.context('FROM base:1\nRUN head -c 30000000 /dev/urandom > /big; echo WRITTEN; sleep 60\n'),
    ]);
    await running.prints(/^#\d+ [\d.]+ WRITTEN/m);
    process.kill(running.child.pid ?? 0, 'SIGKILL');
    await running.ended;
    const [said, there] = [await total(), await onDisk()];
    expect(there).toBeGreaterThan(30_000_000);
    expect(Math.abs(said - there) / there).toBeLessThan(0.02);
    expect((await bench.ok(['du'])).out).toMatch(/left by killed builds/);
    const { err } = await bench.ok([
      'build',
      '--progress=plain',
      bench.context('FROM scratch\nCOPY f /\n', { f: 'x' }),
    ]);
    expect(err).toMatch(/deleting what killed builds left behind/);
    // The index has grown meanwhile.
    expect(await onDisk()).toBeLessThan(there - 29_000_000);
    await expectSound(bench);
  });

  test('a store that was copied, with its times, is believed', async () => {
    const { bench } = use;
    await read(bench, 'copied');
    await bench.tool([
      'sh',
      '-c',
      `cp -a ${bench.store} ${bench.store}.copy && rm -rf ${bench.store} && mv ${bench.store}.copy ${bench.store}`,
    ]);
    const { said } = await read(bench, 'from the copy');
    expect(said).not.toMatch(/was changed/);
    expect(said).toMatch(/CACHED/);
    await expectSound(bench);
  });
});

describeAsEveryone('several builds on one store', (who) => {
  const use = useBench(who);
  const dockerfile = (n: number): string => `FROM base:1 AS shared
COPY data /data
RUN sleep 0.2; cat /proc/sys/kernel/random/uuid > /shared
FROM base:1
COPY --from=shared /shared /data /
RUN echo ${n} > /own
`;

  test('equal builds at once run each step once (REL-11)', async () => {
    const { bench } = use;
    const steps = [1, 2, 3, 4].map((n) => `RUN echo "ran-$((${n}))"; sleep 0.1`).join('\n');
    const context = bench.context(`FROM base:1\nCOPY f /\n${steps}\n`, { f: 'one' });
    const logs = await Promise.all(
      Array.from({ length: 8 }, () => bench.ok(['build', '--progress=plain', '-o', 'type=cacheonly', context])),
    );
    const ran = logs.flatMap(({ err }) => err.match(/ran-\d$/gm) ?? []).toSorted();
    expect(ran).toEqual(['ran-1', 'ran-2', 'ran-3', 'ran-4']);
    await expectSound(bench);
  });

  test('at the same time: all are whole, and what they made is found again (REL-11)', async () => {
    const { bench } = use;
    const contexts = [1, 2, 3, 4].map((n) => bench.context(dockerfile(n), { data: 'x'.repeat(100_000) }));
    await Promise.all(
      contexts.flatMap((context, at) =>
        [0, 1].map((twice) =>
          bench.ok(['build', '-q', '-t', `n${at}`, '-o', `type=oci,dest=${at}-${twice}.tar`, context]),
        ),
      ),
    );
    const images = await Promise.all(
      [0, 1, 2, 3].flatMap((at) => [0, 1].map((twice) => readOciArchive(bench.path(`${at}-${twice}.tar`)))),
    );
    for (const [at, { tree }] of images.entries()) {
      expect(tree['/own']?.content).toBe(`${Math.floor(at / 2) + 1}\n`);
      expect(tree['/data']?.content).toMatch(/^sha256:/);
    }
    // A build that comes later finds what one of them made, and needs no worker.
    for (const [at, context] of contexts.entries()) {
      const { stdout } = await bench.ok(['build', '-q', '-o', 'type=oci,dest=-', context], NO_WORKER);
      expect(images.slice(at * 2, at * 2 + 2).map(({ digest }) => digest)).toContain(
        (await readOciArchive(stdout)).digest,
      );
    }
    const { stdout } = await bench.ok([
      'build',
      '-q',
      '-o',
      'type=oci,dest=-',
      bench.context(dockerfile(5), { data: 'x'.repeat(100_000) }),
    ]);
    expect(images.map(({ tree }) => tree['/shared']?.content)).toContain(
      (await readOciArchive(stdout)).tree['/shared']?.content,
    );
    await expectSound(bench);
  });

  test('a first import and builds that begin on an empty store together', async () => {
    const { bench } = use;
    const store = bench.path('fresh');
    await Promise.all([1, 2, 3, 4].map((n) => bench.importBase(`base:${n}`, { store })));
    const context = bench.context('FROM base:3\nRUN echo ok > /ok\n');
    await Promise.all([1, 2, 3].map(() => bench.ok(['build', '-q', context], { store })));
    expect(await bench.damage(store)).toEqual([]);
    expect(await bench.leftovers()).toEqual([]);
  });

  test('prune, check and kill -9 of neighbours meanwhile take nothing from a running build (REL-12)', async () => {
    const { bench } = use;
    const done = new AbortController();
    const pruning = (async () => {
      while (!done.signal.aborted) {
        await bench.ok(['prune', '--all']);
        expect(await bench.damage()).toEqual([]);
      }
    })();
    const killing = (async () => {
      while (!done.signal.aborted) {
        const neighbour = bench.tsbuildStart(['build', '--no-cache', bench.context(dockerfile(9), { data: 'y' })]);
        await sleep(300);
        neighbour.child.kill('SIGKILL');
        await neighbour.ended;
      }
    })();
    try {
      for (let n = 0; n < 4; n++) {
        const context = bench.context(dockerfile(100 + n), { data: `${n}` });
        const { tree } = await readOciArchive(
          (await bench.ok(['build', '-q', '-o', 'type=oci,dest=-', context])).stdout,
        );
        expect(tree['/own']?.content).toBe(`${100 + n}\n`);
        expect(tree['/data']?.content).toBe(`${n}`);
      }
    } finally {
      done.abort();
      await Promise.all([pruning, killing]);
    }
    await expectSound(bench);
  });

  test('a path with spaces, through a link, and far too long for a socket (REL-28)', async () => {
    const { bench } = use;
    bench.write('.', { 'a link': { link: bench.write('real dir', {}) } });
    for (const store of [`a link/store of "quotes" and 'ünïcode'`, `${'long/'.repeat(40)}store`].map((name) =>
      bench.path(name),
    )) {
      await bench.importBase('base:1', { store });
      const context = bench.context('FROM base:1\nCOPY Dockerfile /d\nRUN cat /d\n');
      await bench.ok(['build', '-t', 'x', context], { store });
      expect((await bench.ok(['run', 'x', 'cat', '/d'], { store })).out).toContain('FROM');
      expect(await bench.damage(store)).toEqual([]);
    }
  });
});

describeAsEveryone('rmi', (who) => {
  const use = useBench(who, { base: false });

  test('of an image that a build uses is refused and says which, unless it keeps a name or that is forced', async () => {
    const { bench } = use;
    await bench.importBase('used:1');
    await bench.ok(['tag', 'used:1', 'used:2']);
    const building = bench.tsbuildStart([
      'build',
      '--progress=plain',
      '-t',
      'made:1',
      bench.context(
        'FROM used:1\nRUN --mount=type=cache,target=/seen echo going; until test -e /seen/stop; do sleep 0.1; done\n',
      ),
    ]);
    await building.prints(/\d going/);
    expect((await bench.ok(['rmi', 'used:2'])).out).toContain('Untagged: docker.io/library/used:2');
    const refused = await bench.tsbuild(['rmi', 'used:1']);
    expectFailure(refused, {
      says: [/Cannot remove "used:1": process \d+ \(tsbuild build .*made:1.*\) uses it/, '--force'],
    });
    expect(await names(bench)).toContain('used:1');
    await bench.ok(['image', 'rm', '-f', 'used:1']);
    expect(await names(bench)).not.toContain('used:1');
    await bench.tool(['sh', '-c', `for dir in ${bench.store}/mounts/*/fs; do touch $dir/stop; done`], { asSelf: true });
    expect((await building.ended).code).toBe(0);
    await bench.ok(['rmi', 'made:1']);
    await expectSound(bench);
  });
});
