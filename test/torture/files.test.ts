import { test } from 'vitest';
import { describeAsEveryone, useBench } from '../support/e2e.ts';
import { harmFile } from './support/file-damage.ts';
import { casesOf, timeOf } from './support/options.ts';
import { Rig } from './support/rig.ts';

describeAsEveryone('files of the store', (who) => {
  const use = useBench(who, { base: false });

  test(
    'that were changed, cut, deleted or replaced give no wrong image',
    async () => {
      const rig = await Rig.make(use.bench);
      for (const { at, random } of casesOf('TORTURE_FILES', who))
        await rig.attempt(`case ${at}`, () => harmFile(rig.store, random), random.below(3) > 0);
      rig.expectAllHealed();
    },
    timeOf('TORTURE_FILES'),
  );
});
