import type { Executor } from '../sandbox/support/executor-scenarios.ts';
import { everyone, runScenario } from '../sandbox/support/run-as.ts';
import { stepExecutorSuite } from './step-executor.ts';

const executors: readonly Executor[] = ['worker', 'alone'];

for (const who of everyone)
  for (const executor of executors)
    stepExecutorSuite(`${executor}, as ${who}`, (steps) => runScenario(who, 'runSteps', { executor, steps }));
