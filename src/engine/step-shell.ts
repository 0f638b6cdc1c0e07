import { isatty } from 'node:tty';
import type { VisitedStep } from '../ops/index.ts';
import { encodeStep, findHelper, findSeccompFilter, runAlone, type StepSpec } from '../sandbox/index.ts';
import { TsbuildError } from '../util/index.ts';
import { ownPlan } from './own-plan.ts';
import type { Session } from './session.ts';

/** bash where there is one. */
const SHELL = ['/bin/sh', '-c', 'command -v bash >/dev/null 2>&1 && exec bash -i; exec sh -i'];

/**
 * Opens a shell in the sandbox of a step, on this process's own terminal: with the step's files as they are, its mounts, environment, user
 * and directory. Returns when the shell has ended.
 * @param term the terminal's type, `$TERM`
 * @throws TsbuildError `TSB_SANDBOX` when it cannot be had
 */
export async function openStepShell(session: Session, { spec }: VisitedStep, term: string | undefined): Promise<void> {
  const plan = ownPlan();
  const formatsDir = session.remote.temporary();
  const hasTerm = term === undefined || spec.env.some((entry) => entry.startsWith('TERM='));
  const shell: StepSpec = {
    ...spec,
    args: isatty(0) ? SHELL : ['/bin/sh'],
    env: hasTerm ? spec.env : [...spec.env, `TERM=${term}`],
    tty: isatty(0),
    stdin: true,
  };
  const { ended } = runAlone({
    helperPath: findHelper(session.options.helper),
    plan,
    encoded: encodeStep(shell, { plan, seccompPath: findSeccompFilter(), formatsDir }),
    stdio: ['inherit', 'inherit', 'inherit'],
    onBoundProc: () => session.boundProc(),
  });
  const status = await ended.finally(() => session.remote.discard(formatsDir));
  if (status.kind === 'not-executed')
    throw new TsbuildError('TSB_SANDBOX', `Cannot open a shell in the step: its image has no ${status.path}`, {
      hint: 'copy one into the stage for the time of looking: COPY --from=busybox /bin/busybox /bin/sh',
    });
}
