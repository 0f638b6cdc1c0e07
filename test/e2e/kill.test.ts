import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { describeAsEveryone, useBench } from '../support/e2e.ts';
import { sameParts, writeSlowContext } from '../support/slow-build.ts';
import { expectNoDebris } from '../support/sound.ts';
import { readOciArchive } from '../support/tree.ts';

const BUILD = ['build', '--progress=plain', '-o', 'type=oci,dest=out.tar'];

describeAsEveryone('a killed build', (who) => {
  const use = useBench(who);

  test('costs time only, whenever it is killed (REL-01, REL-04)', async () => {
    const { bench } = use;
    const context = writeSlowContext(bench);
    const clean = await bench.ok([...BUILD, '--no-cache', context]);
    const reference = sameParts(await readOciArchive(bench.path('out.tar')));
    const moments = 12;
    for (let at = 0; at < moments; at++) {
      const store = bench.path(`store-${at % 3}`);
      if (at < 3) await bench.importBase('base:1', { store });
      writeFileSync(bench.path('out.tar'), 'old');
      const running = bench.tsbuildStart([...BUILD, ...(at < 3 ? [] : ['--no-cache']), context], { store });
      await sleep((clean.ms * 1.05 * (at + 0.5)) / moments);
      running.child.kill('SIGKILL');
      await running.ended;
      expect(await bench.leftovers(), `killed at ${at} of ${moments}`).toEqual([]);
      expect(bench.mounts()).toEqual([]);
      // What was there stays, until all of the new is there.
      const written = readFileSync(bench.path('out.tar'));
      if (written.length !== 3) expect(sameParts(await readOciArchive(written))).toEqual(reference);
      if (at < 6) continue;
      if (at >= 10) expect(await bench.damage(store)).toEqual([]);
      await bench.ok([...BUILD, context], { store });
      expect(sameParts(await readOciArchive(bench.path('out.tar')))).toEqual(reference);
    }
    for (const store of [0, 1, 2].map((at) => bench.path(`store-${at}`))) {
      expect(await bench.damage(store)).toEqual([]);
      await expectNoDebris(bench, store);
    }
  }, 120_000);

  test('an import and a run that are killed too', async () => {
    const { bench } = use;
    await bench.ok(['save', 'base:1', '-o', 'base.tar']);
    for (const delay of [60, 90, 120, 150, 180]) {
      const running = bench.tsbuildStart(['import', 'base.tar', '-t', `copy:${delay}`]);
      await sleep(delay);
      running.child.kill('SIGKILL');
      await running.ended;
    }
    for (const delay of [150, 250, 350, 500]) {
      const running = bench.tsbuildStart([
        'run',
        '-e',
        `MARK=${bench.mark}`,
        'base:1',
        'sh',
        '-c',
        '(setsid sleep 31 &); sleep 32',
      ]);
      await sleep(delay);
      running.child.kill('SIGKILL');
      await running.ended;
      expect(await bench.leftovers()).toEqual([]);
      expect(bench.mounts()).toEqual([]);
    }
    expect(await bench.damage()).toEqual([]);
    await expectNoDebris(bench);
  });
});
