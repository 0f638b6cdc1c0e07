import type { VisitedStep } from '../ops/index.ts';
import { encodeStep, findHelper, findSeccompFilter, runAlone, type StepSpec } from '../sandbox/index.ts';
import { TsbuildError } from '../util/index.ts';
import { ownPlan } from './own-plan.ts';
import type { Session } from './session.ts';

/** bash where there is one. */
const SHELL = ['/bin/sh', '-c', 'command -v bash >/dev/null 2>&1 && exec bash -i; exec sh -i'];

/** What a shell is typed into. */
export interface ShellTerminal {
  /** Whether standard input is a terminal; else it is read like a file. */
  readonly isTerminal: boolean;
  /** Its type, `$TERM`. */
  readonly term: string | undefined;
}

/**
 * Opens a shell in the sandbox of a step, on this process's own terminal: with the step's files as they are, its mounts, environment, user
 * and directory. Returns when the shell has ended.
 * @throws TsbuildError `TSB_SANDBOX` when it cannot be had
 */
export async function openStepShell(session: Session, { spec }: VisitedStep, terminal: ShellTerminal): Promise<void> {
  const plan = ownPlan();
  const formatsDir = session.remote.temporary();
  const { term } = terminal;
  const hasTerm = term === undefined || spec.env.some((entry) => entry.startsWith('TERM='));
  const shell: StepSpec = {
    ...spec,
    args: terminal.isTerminal ? SHELL : ['/bin/sh'],
    env: hasTerm ? spec.env : [...spec.env, `TERM=${term}`],
    tty: terminal.isTerminal,
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
