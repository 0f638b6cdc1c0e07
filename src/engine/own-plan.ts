import {
  chooseIsolation,
  isolationNotice,
  type NamespacePlan,
  type OwnIsolation,
  ownIsolation,
} from '../sandbox/index.ts';

/**
 * How the files and steps of this process's user are kept apart.
 * @throws TsbuildError `TSB_SANDBOX` where the machine does not allow what is asked for
 */
export function ownPlan(options: OwnIsolation): Promise<NamespacePlan> {
  return chooseIsolation(ownIsolation(options));
}

/** What is to be said of a plan that is not the strongest, once for each command. */
export function noticeOf(plan: NamespacePlan): string | undefined {
  return isolationNotice(plan);
}
