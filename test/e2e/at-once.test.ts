import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { Running } from '../support/bench.ts';
import { describeAsEveryone, useBench } from '../support/e2e.ts';
import { expectNoDebris, expectSound } from '../support/sound.ts';

interface Layout {
  readonly manifests: readonly { readonly digest: string }[];
}

describeAsEveryone('builds that share something', (who) => {
  const use = useBench(who);

  test('an OCI layout that several write, one of them interrupted, is whole at every moment (REL-27)', async () => {
    const { bench } = use;
    const layout = bench.path('layout');
    const context = bench.context(`FROM base:1\nARG N\nENV MARK=${bench.mark}\nRUN echo $N > /n\n`);
    const start = (n: number): Running => {
      const output = `type=oci,tar=false,name=app:${n},dest=${layout}`;
      return bench.tsbuildStart(['build', '-q', `--build-arg=N=${n}`, '-o', output, context]);
    };
    expect((await start(0).ended).code).toBe(0);
    const read = (): Layout => JSON.parse(readFileSync(`${layout}/index.json`, 'utf8')) as Layout;
    const interrupted = start(5);
    setTimeout(() => interrupted.child.kill('SIGINT'), 300);
    const running = [...[1, 2, 3].map(start), interrupted];
    const ended = Promise.all(running.map((one) => one.ended));
    while (running.some(({ child }) => child.exitCode === null && child.signalCode === null)) {
      // Whoever is listed is there.
      for (const { digest } of read().manifests) readFileSync(`${layout}/blobs/${digest.replace(':', '/')}`);
      await sleep(5);
    }
    for (const { code, err } of (await ended).slice(0, -1)) expect(code, err).toBe(0);
    expect(readdirSync(layout).toSorted()).toEqual(['blobs', 'index.json', 'oci-layout']);
    expect(readdirSync(`${layout}/blobs/sha256`).filter((name) => !/^[0-9a-f]{64}$/.test(name))).toEqual([]);
    // What a later build adds takes nothing away.
    const before = read().manifests.length;
    expect((await start(6).ended).code).toBe(0);
    expect(read().manifests).toHaveLength(before + 1);
    await expectSound(bench);
  });

  test('a build that is stopped keeps what it uses from prune, and goes on (REL-13)', async () => {
    const { bench } = use;
    const context = bench.context(
      `FROM base:1\nENV MARK=${bench.mark}\nRUN echo kept > /kept\nRUN echo begun; sleep 1; cat /kept > /read\nRUN cat /read\n`,
    );
    const stopped = bench.tsbuildStart(['build', '--progress=plain', '-t', 'stopped', context]);
    await stopped.prints(/^#\d+ [\d.]+ begun$/m);
    stopped.child.kill('SIGSTOP');
    try {
      for (let time = 0; time < 2; time++) await bench.ok(['prune', '--all', '--force']);
    } finally {
      stopped.child.kill('SIGCONT');
    }
    const { code, err } = await stopped.ended;
    expect(code, err).toBe(0);
    expect(err).toMatch(/^#\d+ [\d.]+ kept$/m);
    await expectSound(bench);
  });

  test('a tree that changes all the time: the store does not grow beyond what is used (REL-30)', async () => {
    const { bench } = use;
    const sizes: number[] = [];
    for (let round = 0; round < 3; round++) {
      for (let build = 0; build < 3; build++) {
        const context = bench.context('FROM base:1\nCOPY tree /tree\nRUN cat /tree/file > /read\n', {
          'tree/file': `${round} ${build}`,
          [`tree/${round}/${build}`]: 'x',
        });
        await bench.ok(['build', '-q', '-t', 'changing', context]);
      }
      await bench.ok(['prune', '--filter=until=0s']);
      const parts = ['blobs', 'snapshots', 'mounts', 'images'].map((name) => `${bench.store}/${name}`);
      sizes.push(parts.flatMap((dir) => readdirSync(dir, { recursive: true, encoding: 'utf8' })).length);
    }
    expect(sizes).toEqual(sizes.map(() => sizes[0]));
    await expectNoDebris(bench);
  });
});
