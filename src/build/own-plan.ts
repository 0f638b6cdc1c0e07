import { userInfo } from 'node:os';
import { type NamespacePlan, readPlanInputs, requirePlan } from '../sandbox/index.ts';

/** How the namespace of this process's user is made. @throws TsbuildError `TSB_SANDBOX` */
export function ownPlan(): NamespacePlan {
  const { uid, gid, username } = userInfo();
  return requirePlan(readPlanInputs({ uid, gid, name: username }));
}
