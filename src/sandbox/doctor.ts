import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { isTsbuildError, messageOf } from '../util/index.ts';
import { findEmulated, type TrialProgram } from './doctor-emulation.ts';
import { BOUND_PROC, boundProcText } from './bound-proc.ts';
import { encodeStep } from './encode-step.ts';
import { findHelper, findSeccompFilter } from './helper-path.ts';
import { isPlan, planNamespace, type PlanProblem, readPlanInputs, UNSHIFTED, unshiftedRoot } from './namespace-plan.ts';
import { runAlone } from './run-alone.ts';
import type { NamespacePlan, StepSpec } from './types.ts';

/**
 * Kinds of isolation, strongest first: 1 all ids and overlay; 2 the same with the surrounding container's /proc; either unshifted, where
 * root has too few ids, so that a step's root is the root of the container around tsbuild; 3 overlay
 * refused; 4 no subordinate ids; 5 no user namespaces, but root; 6 none. tsbuild runs steps on 1 and 2 and says of the
 * others what is missing; Dockerfiles without RUN need less.
 */
export type Rung = 1 | typeof UNSHIFTED | typeof BOUND_PROC | '2-unshifted' | 3 | 4 | 5 | 6;

const BOUND_PROC_FIX = 'start the container with nothing hidden, for example: podman run --security-opt unmask=ALL';

/** One finding. */
export interface DoctorLine {
  readonly name: string;
  readonly state: 'ok' | 'warning' | 'problem';
  readonly text: string;
  /** A command to type, or what else to do. */
  readonly fix?: string;
}

/** What this machine allows, and what stands in the way of the rest. */
export interface DoctorReport {
  readonly rung: Rung;
  /** Whether RUN steps and `tsbuild run` work. */
  readonly usable: boolean;
  readonly lines: readonly DoctorLine[];
  readonly plan?: NamespacePlan;
}

/** What is tried, and with which helper. */
export interface ProbeOptions {
  readonly user: { readonly uid: number; readonly gid: number; readonly name: string };
  /** An existing directory on the file system of the store. */
  readonly storeRoot: string;
  /** What the user chose as helper. */
  readonly helper?: string;
}

/** Finds out what this machine allows, by running a step that does nothing. */
export async function probe(options: ProbeOptions): Promise<DoctorReport> {
  const lines: DoctorLine[] = [kernelLine()];
  const end = (rung: Rung, more: Partial<DoctorReport> = {}): DoctorReport => ({
    rung,
    usable: typeof rung === 'string' || rung <= 2,
    lines,
    ...more,
  });
  let helper: string;
  let seccompPath: string;
  try {
    helper = findHelper(options.helper);
    seccompPath = findSeccompFilter();
    lines.push({ name: 'helper', state: 'ok', text: helper });
  } catch (error) {
    lines.push(problemLine('helper', error));
    return end(6);
  }
  lines.push(scopeLine(helper));
  const plan = planNamespace(readPlanInputs(options.user));
  lines.push(...userNamespaceLines());
  lines.push(idLine(plan));
  if (!isPlan(plan)) return end(4);
  const trial = { ...options, helper, seccompPath, plan };
  let boundProc = false;
  const problem = await tryStep(trial, () => (boundProc = true));
  if (problem !== undefined) {
    lines.push(problemLine('trial step', problem), ...explain(problem));
    if (failedAt(problem, 'overlay')) return end(3);
    return end(options.user.uid === 0 ? 5 : 6);
  }
  const emulation = await emulationLine(trial);
  const shifted = unshiftedRoot(plan) === undefined;
  if (boundProc) {
    lines.push({ name: 'trial step', state: 'warning', text: boundProcText, fix: BOUND_PROC_FIX }, emulation);
    return end(shifted ? BOUND_PROC : '2-unshifted', { plan });
  }
  lines.push({ name: 'trial step', state: 'ok', text: 'namespaces, overlay and seccomp work' }, emulation);
  return end(shifted ? 1 : UNSHIFTED, { plan });
}

/** The report as text for a terminal, one line per finding. */
export function formatDoctor(report: DoctorReport): string {
  const marks = { ok: 'ok     ', warning: 'warning', problem: 'problem' } as const;
  const verdict = report.usable
    ? `RUN steps work here (rung ${report.rung}: ${RUNGS[report.rung]})`
    : `RUN steps do not work here (rung ${report.rung}: ${RUNGS[report.rung]}); Dockerfiles without RUN can be built`;
  const findings = report.lines.flatMap(({ name, state, text, fix }) => [
    `${marks[state]}  ${name}: ${text}`,
    ...(fix === undefined ? [] : [`         fix: ${fix}`]),
  ]);
  return `${[...findings, verdict].join('\n')}\n`;
}

const RUNGS: Readonly<Record<Rung, string>> = {
  1: 'user namespace with all ids, overlay',
  [UNSHIFTED]: 'as rung 1, but root of a step is root of the container around tsbuild',
  [BOUND_PROC]: 'as rung 1, inside a container that hides parts of /proc',
  '2-unshifted': 'as rung 2, but root of a step is root of the container around tsbuild',
  3: 'the kernel refuses overlay mounts on the store',
  4: 'no subordinate ids for this user',
  5: 'user namespaces are blocked',
  6: 'user namespaces are blocked',
};

function kernelLine(): DoctorLine {
  const [major = 0, minor = 0] = release().split('.').map(Number);
  if (major > 5 || (major === 5 && minor >= 12)) return { name: 'kernel', state: 'ok', text: release() };
  return {
    name: 'kernel',
    state: 'problem',
    text: `${release()} is too old: overlay in user namespaces and mount_setattr came with 5.12`,
    fix: 'run a newer kernel',
  };
}

/** The first version of Landlock that can keep a step from abstract unix sockets. */
const LANDLOCK_WITH_SCOPES = 6;

/** A warning only: steps run without, but share the machine's network, and with it the sockets that lie in no file system. */
function scopeLine(helper: string): DoctorLine {
  const said = spawnSync(helper, ['landlock'], { env: {}, encoding: 'utf8', timeout: 5000 });
  const version = said.status === 0 ? Number(said.stdout) : 0;
  if (version >= LANDLOCK_WITH_SCOPES)
    return { name: 'abstract sockets', state: 'ok', text: `out of reach of steps (Landlock ${version})` };
  const what = version === 0 ? 'no Landlock' : `Landlock ${version}, which has no scopes`;
  return {
    name: 'abstract sockets',
    state: 'warning',
    text: `the kernel has ${what}: steps can connect to abstract unix sockets of this machine`,
    fix: 'run Linux 6.12 or newer with Landlock among the security modules (lsm=landlock,...)',
  };
}

/** Switches of distributions that turn user namespaces off for ordinary programs. */
function userNamespaceLines(): readonly DoctorLine[] {
  const switches = [
    { path: '/proc/sys/user/max_user_namespaces', bad: '0', set: 'user.max_user_namespaces=15000' },
    { path: '/proc/sys/kernel/unprivileged_userns_clone', bad: '0', set: 'kernel.unprivileged_userns_clone=1' },
    {
      path: '/proc/sys/kernel/apparmor_restrict_unprivileged_userns',
      bad: '1',
      set: 'kernel.apparmor_restrict_unprivileged_userns=0',
    },
  ];
  return switches
    .filter(({ path, bad }) => readText(path) === bad)
    .map(({ path, bad, set }) => ({
      name: 'user namespaces',
      state: 'warning',
      text: `${path} is ${bad}, which keeps ordinary programs from using them`,
      fix: `sudo sysctl -w ${set}`,
    }));
}

function idLine(plan: NamespacePlan | PlanProblem): DoctorLine {
  if (!isPlan(plan)) return { name: 'ids', state: 'problem', text: plan.message, fix: plan.fix };
  const unshifted = unshiftedRoot(plan);
  if (unshifted !== undefined) {
    return {
      name: 'ids',
      state: 'warning',
      text: unshifted,
      fix: 'start the container with more ids, for example: podman run --uidmap 0:100000:131072 --gidmap 0:100000:131072',
    };
  }
  const shifted = plan.idShift === 0 ? '' : `, shifted by ${plan.idShift}`;
  return { name: 'ids', state: 'ok', text: `${plan.idCount} ids for images${shifted}` };
}

/** How long a trial step may take. */
const TRIAL_MS = 10_000;

interface Trial extends ProbeOptions {
  readonly helper: string;
  readonly seccompPath: string;
  readonly plan: NamespacePlan;
}

async function emulationLine(trial: Trial): Promise<DoctorLine> {
  const { text, fix } = await findEmulated(
    trial.storeRoot,
    async (program) => (await tryStep(trial, () => undefined, program)) === undefined,
  );
  return { name: 'other platforms', state: 'ok', text, ...(fix === undefined ? {} : { fix }) };
}

/** Runs a program in a step, or the helper itself; undefined when that works. */
async function tryStep(trial: Trial, onBoundProc: () => void, tried?: TrialProgram): Promise<unknown> {
  const { plan } = trial;
  const dir = mkdtempSync(join(trial.storeRoot, 'doctor-'));
  try {
    const paths = {
      lower: join(dir, 'lower'),
      upper: join(dir, 'upper'),
      work: join(dir, 'work'),
      formats: join(dir, 'formats'),
    };
    for (const path of Object.values(paths)) {
      mkdirSync(path);
      if (plan.idShift > 0) chownSync(path, plan.idShift, plan.idShift);
    }
    const program = join(paths.lower, 'program');
    if (tried === undefined) copyFileSync(trial.helper, program);
    else writeFileSync(program, tried.program);
    chmodSync(program, 0o755);
    const spec: StepSpec = {
      lowers: [paths.lower],
      upper: paths.upper,
      work: paths.work,
      args: ['/program'],
      env: [],
      cwd: '/',
      user: '0:0',
      hostname: 'tsbuild',
      network: 'none',
      security: 'sandbox',
      ...(tried?.emulator === undefined ? {} : { emulator: tried.emulator }),
    };
    const encoded = encodeStep(spec, { plan, seccompPath: trial.seccompPath, formatsDir: paths.formats });
    const { helper: helperPath } = trial;
    const step = runAlone({ helperPath, plan, encoded, stdio: ['ignore', 'ignore', 'pipe'], onBoundProc });
    // A program that has no handler for what it does wrong does it for ever, as PID 1.
    const timer = setTimeout(() => step.child.kill('SIGKILL'), TRIAL_MS);
    const status = await step.ended.finally(() => clearTimeout(timer));
    // The helper's answer to being called without arguments.
    return status.kind === 'exited' && status.code === (tried === undefined ? 2 : 0)
      ? undefined
      : new Error(`unexpected end: ${JSON.stringify(status)}`);
  } catch (error) {
    return error;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function failedAt(error: unknown, stage: string): boolean {
  return isTsbuildError(error) && error.message.includes(`(${stage})`);
}

function explain(error: unknown): readonly DoctorLine[] {
  const text = messageOf(error);
  if (/user namespace.*(EPERM|not permitted)/i.test(text))
    return [
      {
        name: 'user namespaces',
        state: 'problem',
        text: 'the kernel or a security module refuses to make one',
        fix: 'in a container: start it with --security-opt seccomp=unconfined --security-opt apparmor=unconfined',
      },
    ];
  if (/user namespace.*(ENOSPC|no space)/i.test(text))
    return [
      {
        name: 'user namespaces',
        state: 'problem',
        text: 'their number is limited to none',
        fix: 'sudo sysctl -w user.max_user_namespaces=15000',
      },
    ];
  return [];
}

function problemLine(name: string, error: unknown): DoctorLine {
  const hint = isTsbuildError(error) ? error.hint : undefined;
  return { name, state: 'problem', text: messageOf(error), ...(hint === undefined ? {} : { fix: hint }) };
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}
