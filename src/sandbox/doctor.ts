import { kernelFiles, lookAtLimits } from '../limits/index.ts';
import { BOUND_PROC, boundProcText } from './bound-proc.ts';
import { findEmulated } from './doctor-emulation.ts';
import {
  type DoctorLine,
  explainTrial,
  idLine,
  kernelLine,
  problemLine,
  scopeLine,
  userNamespaceLines,
} from './doctor-lines.ts';
import { findHelper, findSeccompFilter } from './helper-path.ts';
import { BARE_TEXT, canListen, COPIES_TEXT, hasCapability, isConfinedRoot, singleText } from './isolation.ts';
import {
  isPlan,
  planBare,
  planNamespace,
  planSingle,
  readPlanInputs,
  UNSHIFTED,
  unshiftedRoot,
} from './namespace-plan.ts';
import { failedAt, type Trial, tryStep } from './trial-step.ts';
import type { NamespacePlan } from './types.ts';

export type { DoctorLine } from './doctor-lines.ts';

/**
 * Kinds of isolation, strongest first: 1 all ids and overlay; 2 the same with the surrounding container's /proc; either unshifted, where
 * root has too few ids, so that a step's root is the root of the container around tsbuild; 3 overlay refused, so that layers are copied; 4 no
 * subordinate ids; 5 no user namespaces, but root of a container; 6 none. Steps run on all but 6; Dockerfiles without RUN need less.
 */
export type Rung = 1 | typeof UNSHIFTED | typeof BOUND_PROC | '2-unshifted' | 3 | 4 | 5 | 6;

const BOUND_PROC_FIX = 'start the container with nothing hidden, for example: podman run --security-opt unmask=ALL';

/** What this machine allows, and what stands in the way of the rest. */
export interface DoctorReport {
  readonly rung: Rung;
  /** Whether RUN steps and `tsbuild run` work without being asked for by `--isolation`. */
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

/** Finds out what this machine allows, by running a step that does nothing: on the strongest rung first, down to one where it runs. */
export async function probe(options: ProbeOptions): Promise<DoctorReport> {
  const lines: DoctorLine[] = [kernelLine()];
  const end = (rung: Rung, usable: boolean, plan?: NamespacePlan): DoctorReport => ({
    rung,
    usable,
    lines,
    ...(plan === undefined ? {} : { plan }),
  });
  let helper: string;
  let seccompPath: string;
  try {
    helper = findHelper(options.helper);
    seccompPath = findSeccompFilter();
    lines.push({ name: 'helper', state: 'ok', text: helper });
  } catch (error) {
    lines.push(problemLine('helper', error));
    return end(6, false);
  }
  lines.push(scopeLine(helper), { name: 'limits', ...lookAtLimits(kernelFiles, process.pid, options.user.uid === 0) });
  const plan = planNamespace(readPlanInputs(options.user));
  lines.push(...userNamespaceLines(helper), idLine(plan));
  if (!isPlan(plan)) return trySingle({ ...options, helper, seccompPath }, lines, end);
  const trial = { ...options, helper, seccompPath, plan };
  let boundProc = false;
  const onBoundProc = (): void => void (boundProc = true);
  const problem = await tryStep(trial, onBoundProc);
  const shifted = unshiftedRoot(plan) === undefined;
  if (problem === undefined) {
    lines.push(boundProc ? boundProcLine() : workingLine(), await emulationLine(trial));
    if (boundProc) return end(shifted ? BOUND_PROC : '2-unshifted', true, plan);
    return end(shifted ? 1 : UNSHIFTED, true, plan);
  }
  if (failedAt(problem, 'overlay')) {
    const copying = { ...plan, copies: true };
    const refused = await tryStep({ ...trial, plan: copying }, onBoundProc);
    if (refused !== undefined) {
      lines.push(problemLine('trial step', problem), problemLine('trial step with copies', refused));
      return end(3, false);
    }
    lines.push(copiesLine(), ...(boundProc ? [boundProcLine()] : []));
    return end(3, true, copying);
  }
  lines.push(problemLine('trial step', problem), ...explainTrial(problem));
  if (options.user.uid !== 0) return end(6, false);
  return tryBare(trial, lines, end);
}

/** Somebody without further ids. */
async function trySingle(
  trial: Omit<Trial, 'plan'> & ProbeOptions,
  lines: DoctorLine[],
  end: (rung: Rung, usable: boolean, plan?: NamespacePlan) => DoctorReport,
): Promise<DoctorReport> {
  const owners = canListen(trial.helper) ? 'recorded' : 'told';
  const plan = planSingle(readPlanInputs(trial.user), owners);
  let boundProc = false;
  const attempt = (tried: NamespacePlan): Promise<unknown> =>
    tryStep({ ...trial, plan: tried }, () => void (boundProc = true));
  const problem = await attempt(plan);
  const copying = { ...plan, copies: true };
  const refused = failedAt(problem, 'overlay') ? await attempt(copying) : problem;
  if (refused !== undefined) {
    lines.push(problemLine('trial step', refused), ...explainTrial(refused));
    return end(6, false);
  }
  lines.push({ name: 'users', state: 'warning', text: singleText(owners) });
  if (problem !== undefined) lines.push(copiesLine());
  if (boundProc) lines.push(boundProcLine());
  return end(4, true, problem === undefined ? plan : copying);
}

/** Ids of the first user namespace; every other one has fewer. */
const ALL_IDS = 2 ** 32 - 1;

/** Why a bare step does not run. */
function bareProblem(plan: NamespacePlan, refused: unknown): DoctorLine {
  const problem = (text: string): DoctorLine => ({ name: 'chroot', state: 'problem', text });
  if (!hasCapability('MKNOD'))
    return { ...problem('this container may not make devices'), fix: 'start it with --cap-add MKNOD' };
  // In a user namespace the capability to make devices is worth nothing (mknod(2)).
  const ids = plan.uids.reduce((sum, { count }) => sum + count, 0);
  if (failedAt(refused, 'dev') && ids < ALL_IDS)
    return problem('root of this container is nobody on the machine, and may make no devices');
  return problemLine('chroot', refused);
}

/** Root whom the kernel gives no namespaces. */
async function tryBare(
  trial: Trial & ProbeOptions,
  lines: DoctorLine[],
  end: (rung: Rung, usable: boolean, plan?: NamespacePlan) => DoctorReport,
): Promise<DoctorReport> {
  const plan = planBare(readPlanInputs(trial.user));
  const refused = await tryStep({ ...trial, plan });
  if (refused !== undefined) {
    lines.push(bareProblem(plan, refused));
    return end(6, false);
  }
  if (isConfinedRoot(trial.user.uid)) {
    lines.push({ name: 'chroot', state: 'warning', text: BARE_TEXT });
    return end(5, true, plan);
  }
  lines.push({
    name: 'chroot',
    state: 'problem',
    text: `nothing confines root here, and nothing would confine steps: ${BARE_TEXT}`,
    fix: 'where that is wanted: --isolation=chroot, or TSBUILD_ISOLATION=chroot',
  });
  return end(5, false, plan);
}

/** The report as text for a terminal, one line per finding, but for what is to be typed. */
export function formatDoctor(report: DoctorReport): string {
  const marks = { ok: 'ok     ', warning: 'warning', problem: 'problem' } as const;
  const verdict = report.usable
    ? `RUN steps work here (rung ${report.rung}: ${RUNGS[report.rung]})`
    : `RUN steps do not work here (rung ${report.rung}: ${RUNGS[report.rung]}); Dockerfiles without RUN can be built`;
  const findings = report.lines.flatMap(({ name, state, text, fix }) => [
    `${marks[state]}  ${name}: ${text}`,
    ...(fix === undefined ? [] : formatFix(fix)),
  ]);
  return `${[...findings, verdict].join('\n')}\n`;
}

/** What is to be copied stands at the beginning of its lines. */
function formatFix(fix: string): readonly string[] {
  const [first = '', ...more] = fix.split('\n');
  return more.length === 0 ? [`         fix: ${first}`] : ['         fix:', first, ...more];
}

const RUNGS: Readonly<Record<Rung, string>> = {
  1: 'user namespace with all ids, overlay',
  [UNSHIFTED]: 'as rung 1, but root of a step is root of the container around tsbuild',
  [BOUND_PROC]: 'as rung 1, inside a container that hides parts of /proc',
  '2-unshifted': 'as rung 2, but root of a step is root of the container around tsbuild',
  3: 'namespaces, and copies of layers in place of overlays',
  4: 'namespaces with one id, owners remembered',
  5: 'no user namespaces, but chroot for root',
  6: 'nothing that steps could run in',
};

function workingLine(): DoctorLine {
  return { name: 'trial step', state: 'ok', text: 'namespaces, overlay and seccomp work' };
}

function boundProcLine(): DoctorLine {
  return { name: 'trial step', state: 'warning', text: boundProcText, fix: BOUND_PROC_FIX };
}

function copiesLine(): DoctorLine {
  return {
    name: 'overlay',
    state: 'warning',
    text: COPIES_TEXT,
    fix: 'put the store on a volume: docker run -v tsbuild:/var/lib/tsbuild -e TSBUILD_ROOT=/var/lib/tsbuild',
  };
}

async function emulationLine(trial: Trial): Promise<DoctorLine> {
  const { text, fix } = await findEmulated(
    trial.storeRoot,
    async (program) => (await tryStep(trial, () => undefined, program)) === undefined,
  );
  return { name: 'other platforms', state: 'ok', text, ...(fix === undefined ? {} : { fix }) };
}
