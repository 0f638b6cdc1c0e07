import { spawnSync } from 'node:child_process';
import { readFileSync, statfsSync } from 'node:fs';
import { TsbuildError } from '../util/index.ts';
import type { Isolation } from './isolation-name.ts';
import {
  isPlan,
  planBare,
  type PlanInputs,
  planNamespace,
  planSingle,
  planWithoutSteps,
  requirePlan,
  UNSHIFTED,
  unshiftedRoot,
} from './namespace-plan.ts';
import { failedAt, tryStep } from './trial-step.ts';
import type { NamespacePlan } from './types.ts';

/** What a choice is made from. */
export interface IsolationOptions {
  readonly isolation: Isolation;
  readonly inputs: PlanInputs;
  readonly helperPath: string;
  readonly seccompPath: string;
  /** An existing directory on the file system of the store. */
  readonly storeRoot: string;
}

/**
 * How steps and files of images are kept apart from this machine. Where nothing is unusual this costs no process: namespaces are only
 * tried by a root who lacks CAP_SYS_ADMIN, and overlays on file systems that are known to refuse them.
 * @throws TsbuildError `TSB_SANDBOX` where the machine does not allow what is asked for
 */
export async function chooseIsolation(options: IsolationOptions): Promise<NamespacePlan> {
  const { isolation, inputs, helperPath } = options;
  if (isolation === 'chroot') return planBare(inputs);
  if (hasOneId(isolation, inputs)) {
    if (isolation !== 'single-id' && namespaceRefusal(helperPath) !== 0) return planWithoutSteps(inputs);
    const plan = planSingle(inputs, canListen(helperPath) ? 'recorded' : 'told');
    const copies = await needsCopies(options, plan);
    return { ...plan, ...(isolation === 'none' ? { steps: false } : {}), ...(copies ? { copies } : {}) };
  }
  const plan = mustBeBare(isolation, inputs, () => helperPath) ? planBare(inputs) : requirePlan(inputs);
  if (isolation === 'none')
    return { ...plan, steps: false, ...((await needsCopies(options, plan)) ? { copies: true } : {}) };
  if (isolation === 'copy') return { ...plan, copies: true };
  if (isolation === 'userns') return { ...plan, proc: 'own' };
  if (isolation === 'userns-noproc') return { ...plan, proc: 'around' };
  return (await needsCopies(options, plan)) ? { ...plan, copies: true } : plan;
}

/**
 * Whether files of images all belong to one id: where there are no others, or where that is asked for. Reads what the plan is made from.
 */
export function hasOneId(isolation: Isolation, inputs: PlanInputs): boolean {
  if (isolation === 'single-id') return true;
  return (isolation === 'auto' || isolation === 'none') && !isPlan(planNamespace(inputs));
}

/** Whether there are no namespaces for a root who may do without, where nothing else is asked for. The helper is needed for nobody else. */
export function mustBeBare(isolation: Isolation, inputs: PlanInputs, findHelper: () => string): boolean {
  const mayBeBare = isolation === 'auto' || isolation === 'none';
  return mayBeBare && isConfinedRoot(inputs.uid) && namespaceRefusal(findHelper()) !== 0;
}

/** Whether somebody can answer what steps ask the kernel for (native/src/probe.c). */
export function canListen(helperPath: string): boolean {
  const { status, stdout } = spawnSync(helperPath, ['listening'], { env: {}, encoding: 'utf8', timeout: 5000 });
  return status === 0 && Number(stdout) === 1;
}

/** What is to be said of a plan that is not the strongest, as a warning. */
export function isolationNotice(plan: NamespacePlan): string | undefined {
  if (plan.steps === false) return undefined;
  if (plan.how === 'none') return `Less isolation than usual (rung 5): ${BARE_TEXT}`;
  if (plan.owners !== undefined) {
    const slower = plan.copies ? ` (${COPIES_TEXT})` : '';
    const { lacks } = plan;
    const why = lacks === undefined ? '' : `${lacks.message} (fix: ${lacks.fix}): `;
    return `Less isolation than usual (rung 4): ${why}${singleText(plan.owners)}${slower}`;
  }
  const unshifted = unshiftedRoot(plan);
  const rung = plan.copies ? '3' : UNSHIFTED;
  const copies = plan.copies ? ` (${COPIES_TEXT})` : '';
  if (unshifted !== undefined) return `Less isolation than usual (rung ${rung}): ${unshifted}${copies}`;
  return plan.copies ? `Slower than usual (rung 3): ${COPIES_TEXT}` : undefined;
}

/** What a bare step is kept from, and what not. */
export const BARE_TEXT =
  'steps run one at a time as root of this container, in a directory of their own (chroot) but among its processes, on its network and with nothing that keeps them from its files; secrets are files there while a step runs';

/** What it means that there is one id. */
export function singleText(owners: 'recorded' | 'told'): string {
  const always = 'there is one id for all users of an image, so that nothing keeps the users of a step apart';
  return owners === 'recorded'
    ? `${always}; owners of files are remembered`
    : `${always}, and owners that steps set are lost: something else listens to system calls here (seccomp), or the kernel cannot`;
}

/** What copies mean. */
export const COPIES_TEXT =
  'the file system of the store takes no overlays, so that layers are copied; TSBUILD_ROOT on a volume avoids it';

/** Numbers of capabilities (capabilities(7)). */
type CapabilityName = 'SYS_CHROOT' | 'SYS_ADMIN' | 'MKNOD';
const CAPABILITIES: Readonly<Record<CapabilityName, number>> = { SYS_CHROOT: 18, SYS_ADMIN: 21, MKNOD: 27 };

/** Whether this process has a capability. */
export function hasCapability(name: CapabilityName): boolean {
  const set = /^CapEff:\s*([0-9a-f]+)$/m.exec(readText('/proc/self/status'))?.[1] ?? '0';
  return ((BigInt(`0x${set}`) >> BigInt(CAPABILITIES[name])) & 1n) === 1n;
}

/**
 * Whether this is root of a container that confines it: it may not do what root of a machine may. Then a step that is kept from nothing can
 * do no more than this container was started to be able to; root of a machine is never taken for that, whatever it lacks.
 */
export function isConfinedRoot(uid: number): boolean {
  return uid === 0 && hasCapability('SYS_CHROOT') && !hasCapability('SYS_ADMIN');
}

/** The errno with which the kernel refuses namespace A, 0 where it does not. */
export function namespaceRefusal(helperPath: string): number {
  const { status, stdout } = spawnSync(helperPath, ['namespaces'], { env: {}, encoding: 'utf8', timeout: 5000 });
  // Whoever cannot be asked is not taken for a refusal: what is wrong shows when it is used.
  return status === 0 ? Number(stdout) : 0;
}

/** `f_type` of file systems whose directories overlayfs does not take as its upper ones, or not from a user namespace (statfs(2)). */
const WITHOUT_OVERLAYS: ReadonlySet<number> = new Set([
  0x79_4c_76_30, // overlayfs
  0x61_75_66_73, // aufs
  0x69_69, // nfs
  0xff_53_4d_42, // cifs
  0xfe_53_4d_42, // smb2
  0x65_73_55_46, // fuse
  0x65_73_55_43, // fuse control
  0x01_02_19_97, // 9p
  0xf1_5f, // ecryptfs
  0x2f_c1_2f_c1, // zfs
]);

async function needsCopies(
  { storeRoot, helperPath, seccompPath }: IsolationOptions,
  plan: NamespacePlan,
): Promise<boolean> {
  if (plan.how === 'none' || !WITHOUT_OVERLAYS.has(statfsSync(storeRoot).type)) return false;
  const problem = await tryStep({ storeRoot, helper: helperPath, seccompPath, plan });
  return failedAt(problem, 'overlay');
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** @throws TsbuildError `TSB_SANDBOX` where a plan allows no steps */
export function refuseSteps(plan: NamespacePlan, command: string): void {
  if (plan.steps !== false) return;
  const what = `Cannot run ${JSON.stringify(command)}`;
  if (plan.how === 'none')
    throw new TsbuildError('TSB_SANDBOX', `${what}: steps run in user namespaces, which this machine does not allow`, {
      hint: '"tsbuild doctor" says what to type; Dockerfiles without RUN are built',
    });
  throw new TsbuildError('TSB_SANDBOX', `${what}: --isolation=none runs no steps`);
}
