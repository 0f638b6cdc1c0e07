import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { describeAsEveryone, useBench } from '../support/e2e.ts';
import { expectSound } from '../support/sound.ts';
import { readOciArchive } from '../support/tree.ts';
import { Victim } from './victim.ts';

const ARCHIVE = ['build', '--progress=plain', '-o', 'type=oci,compression=uncompressed,dest=-'];

describeAsEveryone('mounts of steps', (who) => {
  const use = useBench(who);
  let victim: Victim;
  beforeAll(() => void (victim = new Victim(use.bench)));

  test('sources lead nowhere but into what is mounted (MNT-01, MNT-02, MNT-05)', async () => {
    const { bench } = use;
    const traps = `FROM base:1 AS traps
RUN ln -s / /rootdir && ln -s ${victim.dir} /out && ln -s ${victim.up} /up
`;
    const context = bench.context(`${traps}FROM base:1
RUN --mount=type=bind,from=traps,source=/rootdir,target=/x,rw touch /x/BREAK && ls /x > /root-of-stage
RUN --mount=type=cache,id=${victim.up},target=/m ls -A /m > /id; touch /m/new
RUN --mount=type=cache,target=${victim.dir} ls -A ${victim.dir} > /target; touch ${victim.dir}/new
RUN --mount=type=cache,id=links,target=/m ln -s /etc /m/sel && ln -s ${victim.dir} /m/out && ln -s ${victim.up} /m/up
RUN --mount=type=bind,from=named,source=/,target=/m ls -A /m > /named
`);
    const named = bench.write('named', { file: '', out: { link: victim.dir } });
    const { stdout, err } = await bench.ok([...ARCHIVE, `--build-context=named=${named}`, context]);
    const { tree } = await readOciArchive(stdout);
    expect(tree['/root-of-stage']?.content).toMatch(/^BREAK\nbin\n[^]*rootdir\n/);
    expect([tree['/id']?.content, tree['/target']?.content]).toEqual(['', '']);
    expect(tree['/named']?.content).toBe('file\nout\n');
    expect(existsSync('/BREAK')).toBe(false);
    victim.expectUntouched(stdout, err);

    const refused = [
      ...['/out', '/up'].map((source) => `from=traps,source=${source}`),
      ...['/out', '../victim'].map((source) => `from=named,source=${source}`),
      'source=../victim',
      ...['sel', 'out', 'up', '../../../../victim'].map((source) => `type=cache,id=links,source=${source}`),
    ];
    const outcomes = await Promise.all(
      refused.map(async (mount) => {
        const dir = bench.context(`${traps}FROM base:1\nRUN --mount=${mount},target=/m cat /m/hello /m/hostname\n`);
        const outcome = await bench.tsbuild(['build', `--build-context=named=${named}`, dir]);
        victim.expectUntouched(outcome.err, outcome.out);
        return [mount, outcome.code, /cannot open ".*" in the source of the mount \(?.*ENOENT/.test(outcome.err)];
      }),
    );
    expect(outcomes).toEqual(refused.map((mount) => [mount, 1, true]));
  });

  test('cache ids are names and no paths, and projects can keep theirs apart (MNT-16)', async () => {
    const { bench } = use;
    const ids = ['..', 'a/b', '__proto__', 'x'.repeat(10_000), '☃ %2e%2e'];
    const context = bench.context(
      `FROM base:1\n${ids.map((id, at) => `RUN --mount=type=cache,"id=${id}",target=/m ls -A /m > /seen${at}; touch /m/of-${at}\n`).join('')}`,
    );
    const build = async (...args: readonly string[]) => {
      const { tree } = await readOciArchive((await bench.ok([...ARCHIVE, ...args, '--no-cache', context])).stdout);
      return ids.map((_id, at) => tree[`/seen${at}`]?.content);
    };
    const nothing = ids.map(() => '');
    const before = new Set(readdirSync(join(bench.store, 'mounts')));
    expect(await build('--build-arg=BUILDKIT_CACHE_MOUNT_NS=one')).toEqual(nothing);
    const made = readdirSync(join(bench.store, 'mounts')).filter((name) => !before.has(name));
    expect(made).toHaveLength(ids.length);
    for (const name of made) expect(name).toMatch(/^[0-9a-f]{64}$/);
    expect(await build('--build-arg=BUILDKIT_CACHE_MOUNT_NS=two')).toEqual(nothing);
    // What --no-cache emptied is not left; without it the files are those that were written under the same id.
    const again = bench.context(
      `FROM base:1\n${ids.map((id, at) => `RUN --mount=type=cache,"id=${id}",target=/m ls -A /m > /again${at}\n`).join('')}`,
    );
    const { stdout } = await bench.ok([...ARCHIVE, '--build-arg=BUILDKIT_CACHE_MOUNT_NS=two', again]);
    const { tree } = await readOciArchive(stdout);
    expect(ids.map((_id, at) => tree[`/again${at}`]?.content)).toEqual(ids.map((_id, at) => `of-${at}\n`));
    victim.expectUntouched();
    expect(
      await bench.tsbuild(['build', bench.context('FROM base:1\nRUN --mount=type=cache,id=a\0b,target=/m true\n')]),
    ).toMatchObject({ code: 1 });
  });

  test('a locked cache is free again as soon as its holder is killed (MNT-19)', async () => {
    const { bench } = use;
    const mount = '--mount=type=cache,id=held,target=/m,sharing=locked';
    const holder = bench.tsbuildStart(
      ['build', '--progress=plain', bench.context(`FROM base:1\nRUN ${mount} echo begun; sleep 31\n`)],
      { detached: true },
    );
    await holder.prints(/^#\d+ [\d.]+ begun$/m);
    const next = bench.tsbuildStart([
      'build',
      '--progress=plain',
      bench.context(`FROM base:1\nRUN ${mount} echo mine\n`),
    ]);
    await next.prints(/RUN --mount.* echo mine/);
    const killed = performance.now();
    holder.child.kill('SIGKILL');
    expect((await next.ended).err).toMatch(/ mine$/m);
    // Its holder would have slept for 31 s.
    expect(performance.now() - killed).toBeLessThan(30_000);
    await holder.ended;
    await expectSound(bench);
  });
});
