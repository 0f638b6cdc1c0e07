import { chownSync, mkdirSync } from 'node:fs';
import type { VisitedStep } from '../../ops/index.ts';
import { loneNetwork } from '../../network/index.ts';
import {
  encodeStep,
  type EncodeOptions,
  findHelper,
  findSeccompFilter,
  LoneRemover,
  type NamespacePlan,
  resolvConfOfHost,
  runAlone,
  type RunAloneOptions,
  type StepSpec,
} from '../../sandbox/index.ts';
import { randomHex, TsbuildError } from '../../util/index.ts';
import type { Session } from '../session.ts';

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
  const plan = await session.plan();
  const formatsDir = session.remote.temporary();
  const { term } = terminal;
  const network = networkOf(spec, plan, formatsDir);
  const hasTerm = term === undefined || spec.env.some((entry) => entry.startsWith('TERM='));
  const shell: StepSpec = {
    ...spec,
    ...network.spec,
    args: terminal.isTerminal ? SHELL : ['/bin/sh'],
    env: hasTerm ? spec.env : [...spec.env, `TERM=${term}`],
    tty: terminal.isTerminal,
    stdin: true,
  };
  const helperPath = findHelper(session.options.helper);
  await using files = copiesForShell(session, plan, shell);
  const { ended } = runAlone({
    helperPath,
    plan,
    encoded: encodeStep(
      { ...shell, ...files.step },
      { plan, seccompPath: findSeccompFilter(), formatsDir, ...files.tree },
    ),
    stdio: ['inherit', 'inherit', 'inherit'],
    onBoundProc: () => session.boundProc(),
    ...network.options,
  });
  const status = await ended.finally(() => session.remote.discard(formatsDir));
  if (status.kind === 'not-executed')
    throw new TsbuildError('TSB_SANDBOX', `Cannot open a shell in the step: its image has no ${status.path}`, {
      hint: 'copy one into the stage for the time of looking: COPY --from=busybox /bin/busybox /bin/sh',
    });
}

/** What a shell works in. */
interface ShellFiles extends AsyncDisposable {
  readonly step: Partial<StepSpec>;
  readonly tree: Pick<EncodeOptions, 'tree'>;
}

/**
 * Where nothing can be mounted, what the step has written so far is one more layer of a copy, and what is written in the shell goes with it.
 */
function copiesForShell(session: Session, plan: NamespacePlan, { lowers, upper }: StepSpec): ShellFiles {
  if (!plan.copies) return { step: {}, tree: {}, [Symbol.asyncDispose]: () => Promise.resolve() };
  const dir = `${session.treesDir()}/shell-${randomHex(8)}`;
  const written = `${dir}/written`;
  mkdirSync(written, { recursive: true });
  if (plan.idShift > 0) for (const path of [dir, written]) chownSync(path, plan.idShift, plan.idShift);
  return {
    step: { upper: written, prepareUpper: false },
    tree: { tree: { dir, apply: [...lowers, upper] } },
    async [Symbol.asyncDispose]() {
      await new LoneRemover({ helperPath: findHelper(session.options.helper), plan }).remove([dir]);
    },
  };
}

/** A network like the step's. The build's own belongs to another namespace, which a shell cannot join. */
function networkOf(
  { network, proxy }: StepSpec,
  plan: NamespacePlan,
  directory: string,
): { readonly spec: Partial<StepSpec>; readonly options: Pick<RunAloneOptions, 'beside'> } {
  if (network === 'proxied') {
    const { path, arguments: beside } = loneNetwork(plan, directory, { proxy });
    return { spec: { networkPath: path }, options: { beside } };
  }
  if (network !== 'isolated') return { spec: {}, options: {} };
  const { path, resolvConf, arguments: beside, leadsNowhere } = loneNetwork(plan, directory);
  const own = resolvConf === undefined ? {} : { resolvConf };
  if (leadsNowhere === undefined && plan.how !== 'none')
    return { spec: { networkPath: path, ...own }, options: { beside } };
  // As the step itself had it, and its user was told.
  const shared = resolvConfOfHost();
  return { spec: { network: 'host', ...(shared === undefined ? {} : { resolvConf: shared }) }, options: {} };
}
