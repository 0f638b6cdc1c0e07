import { test } from 'vitest';
import { describeAsEveryone, useBench } from '../support/e2e.ts';
import { casesOf, timeOf } from './support/options.ts';
import { Rig } from './support/rig.ts';
import { harmIndex } from './support/row-damage.ts';

describeAsEveryone('rows of the index', (who) => {
  const use = useBench(who, { base: false });

  test(
    'that were edited, and flipped bits of it, give no wrong image',
    async () => {
      const rig = await Rig.make(use.bench);
      for (const { at, random } of casesOf('TORTURE_ROWS', who))
        await rig.attempt(`case ${at}`, () => harmIndex(rig.store, random), random.below(3) > 0);
      rig.expectAllHealed();
    },
    timeOf('TORTURE_ROWS'),
  );
});
