import type { Executor } from '../sandbox/support/executor-scenarios.ts';
import { everyone, runScenario, type Who } from '../sandbox/support/run-as.ts';
import { type Rung, stepExecutorSuite } from './step-executor.ts';

const executors: readonly Executor[] = ['worker', 'alone'];

/** Where there are namespaces, everybody has copies; the rung without any is root's. */
const rungsOf = (who: Who): readonly Rung[] => (who === 'root' ? ['userns', 'copy', 'chroot'] : ['userns', 'copy']);

for (const who of everyone)
  for (const rung of rungsOf(who))
    for (const executor of executors) {
      const choice = rung === 'userns' ? {} : { choice: rung };
      stepExecutorSuite(`${executor}, as ${who}, ${rung}`, rung, (steps) =>
        runScenario(who, 'runSteps', { executor, steps, ...choice }),
      );
    }
