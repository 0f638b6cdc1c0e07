import { messageOf, TsbuildError } from '../util/index.ts';
import { currentUser } from './current-user.ts';
import { findHelper, findSeccompFilter } from './helper-path.ts';
import type { Isolation } from './isolation-name.ts';
import { chooseIsolation, type IsolationOptions } from './isolation.ts';
import { type PlanInputs, readPlanInputs } from './namespace-plan.ts';
import { tryStep } from './trial-step.ts';

/** What of a command's options its isolation depends on. */
export interface OwnIsolation {
  readonly isolation?: Isolation;
  /** The store; it exists. */
  readonly root: string;
  /** What the user chose as helper. */
  readonly helper?: string;
  /** What a plan is made from, where that has been read. */
  readonly inputs?: PlanInputs;
}

/** The same with what this process is and has. */
export function ownIsolation({ isolation = 'auto', root, helper, inputs }: OwnIsolation): IsolationOptions {
  return {
    isolation,
    inputs: inputs ?? readPlanInputs(currentUser()),
    helperPath: findHelper(helper),
    seccompPath: findSeccompFilter(),
    storeRoot: root,
  };
}

/**
 * Tries the rung that was asked for by a step that does nothing; with `auto` and `none` there is nothing to try. Steps that are in
 * the cache and Dockerfiles without any would not tell: what a command line may ask for must not depend on what was built before.
 * @throws TsbuildError `TSB_SANDBOX` where this machine lacks it
 */
export async function requireRung(asked: OwnIsolation): Promise<void> {
  const { isolation = 'auto' } = asked;
  if (isolation === 'auto' || isolation === 'none') return;
  const options = ownIsolation(asked);
  const { storeRoot, helperPath: helper, seccompPath } = options;
  const problem = await tryStep({ storeRoot, helper, seccompPath, plan: await chooseIsolation(options) });
  if (problem === undefined) return;
  throw new TsbuildError('TSB_SANDBOX', `Cannot build with the isolation "${isolation}" here: ${messageOf(problem)}`, {
    hint: '"tsbuild doctor" says which rung this machine has, and what lifts it; --isolation=auto takes that one',
    cause: problem,
  });
}
