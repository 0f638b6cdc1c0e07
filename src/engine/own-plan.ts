import { currentUser, type NamespacePlan, readPlanInputs, requirePlan } from '../sandbox/index.ts';

/** How the namespace of this process's user is made. @throws TsbuildError `TSB_SANDBOX` */
export function ownPlan(): NamespacePlan {
  return requirePlan(readPlanInputs(currentUser()));
}
