import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { describeAsEveryone, useBench } from '../support/e2e.ts';
import { casesOf, timeOf } from './support/options.ts';
import type { Random } from './support/random.ts';
import { expectClear, Rig } from './support/rig.ts';

describeAsEveryone('kills', (who) => {
  const use = useBench(who, { base: false });

  test(
    'of a build, of its worker, of anything it started, at any moment',
    async () => {
      const { bench } = use;
      const rig = await Rig.make(bench);
      const whole = await rig.start(true, '--no-cache').ended;
      expect(whole.code, whole.err).toBe(0);
      for (const { at, random } of casesOf('TORTURE_KILLS', who)) {
        const isNew = random.below(2) === 0;
        await rig.attempt(`case ${at}`, () => killBuild(rig, random, whole.ms), isNew);
      }
      rig.expectAllHealed();
    },
    timeOf('TORTURE_KILLS'),
  );
});

/**
 * Kills a build, or something that it started, at some moment.
 * @param whole how long a whole build takes, in ms
 * @returns what was done
 */
async function killBuild(rig: Rig, random: Random, whole: number): Promise<string> {
  const { bench } = rig;
  const isWhole = random.below(3) > 0;
  const victim = random.pick(['build', 'part', 'all'] as const);
  const delay = random.below(Math.ceil(whole * (isWhole ? 1.05 : 0.5)));
  const before = Buffer.from('old');
  writeFileSync(bench.path('out.tar'), before);
  const running = rig.start(true, ...(isWhole ? ['--no-cache'] : []));
  await sleep(delay);
  // The worker and the helpers, not what steps started: a step whose program was killed may go on, and do another thing.
  const others = bench
    .processes()
    .filter(({ pid, command }) => pid !== running.child.pid && command.includes('/dist/'));
  const some = victim === 'part' && others.length > 0 ? [random.pick(others)] : others;
  const victims = victim === 'build' ? [] : some;
  for (const { pid } of victims) killIfThere(pid);
  if (victim !== 'part') running.child.kill('SIGKILL');
  const outcome = await running.ended;
  expect(await bench.leftovers()).toEqual([]);
  // The build lives on where only a part was killed: it says so, unless the part was not needed any more.
  if (outcome.code !== 0 && outcome.signal === null && victim === 'part') expectClear(outcome);
  await rig.expectWrittenIsWhole(before);
  return `${victim} killed after ${delay} of ${Math.round(whole)} ms (${victims.map(({ command }) => command.slice(-60)).join(', ')})`;
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended meanwhile.
  }
}
