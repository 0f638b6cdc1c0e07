import {
  chooseIsolation,
  currentUser,
  findHelper,
  findSeccompFilter,
  isolationNotice,
  type Isolation,
  type NamespacePlan,
} from '../sandbox/index.ts';

/** What of a session's options it depends on. */
interface PlanOptions {
  readonly root: string;
  readonly isolation?: Isolation;
  readonly helper?: string;
}

/**
 * How the files and steps of this process's user are kept apart.
 * @throws TsbuildError `TSB_SANDBOX` where the machine does not allow what is asked for
 */
export function ownPlan({ isolation = 'auto', root, helper }: PlanOptions): Promise<NamespacePlan> {
  return chooseIsolation({
    isolation,
    user: currentUser(),
    helperPath: findHelper(helper),
    seccompPath: findSeccompFilter(),
    storeRoot: root,
  });
}

/** What is to be said of a plan that is not the strongest, once for each command. */
export function noticeOf(plan: NamespacePlan): string | undefined {
  return isolationNotice(plan);
}
