import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { isTsbuildError, messageOf } from '../util/index.ts';
import { isPlan, type PlanProblem, unshiftedRoot } from './namespace-plan.ts';
import type { NamespacePlan } from './types.ts';

/** One finding. */
export interface DoctorLine {
  readonly name: string;
  readonly state: 'ok' | 'warning' | 'problem';
  readonly text: string;
  /** A command to type, a file to write, or what else to do; of several lines where it is a file. */
  readonly fix?: string;
}

/** Whether the kernel is new enough. */
export function kernelLine(): DoctorLine {
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
export function scopeLine(helper: string): DoctorLine {
  const said = spawnSync(helper, ['landlock'], { env: {}, encoding: 'utf8', timeout: 5000 });
  const version = said.status === 0 ? Number(said.stdout) || 0 : 0;
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

/**
 * Switches of distributions that turn user namespaces off for ordinary programs.
 * @param read what a file says; undefined where there is none
 */
export function userNamespaceLines(
  helper: string,
  read: (path: string) => string | undefined = readText,
): readonly DoctorLine[] {
  const switches = [
    { path: '/proc/sys/user/max_user_namespaces', bad: '0', fix: sysctl('user.max_user_namespaces=15000') },
    { path: '/proc/sys/kernel/unprivileged_userns_clone', bad: '0', fix: sysctl('kernel.unprivileged_userns_clone=1') },
    { path: '/proc/sys/kernel/apparmor_restrict_unprivileged_userns', bad: '1', fix: appArmorProfile(helper) },
  ];
  return switches
    .filter(({ path, bad }) => read(path)?.trim() === bad)
    .map(({ path, bad, fix }) => ({
      name: 'user namespaces',
      state: 'warning',
      text: `${path} is ${bad}, which keeps ordinary programs from using them`,
      fix,
    }));
}

/** For now and for the next start of the machine. Of several, none takes the place of another. */
function sysctl(setting: string): string {
  return `sudo sysctl -w ${setting} && echo ${setting} | sudo tee -a /etc/sysctl.d/99-tsbuild.conf`;
}

/** Lets this one program make user namespaces, as Ubuntu's own profiles do (apparmor.d(5)). */
export function appArmorProfile(helper: string): string {
  return [
    "sudo tee /etc/apparmor.d/tsbuild-helper <<'END' && sudo apparmor_parser -r /etc/apparmor.d/tsbuild-helper",
    'abi <abi/4.0>,',
    'include <tunables/global>',
    `profile tsbuild-helper "${helper}" flags=(unconfined) {`,
    '  userns,',
    '}',
    'END',
  ].join('\n');
}

/** Which ids steps have. */
export function idLine(plan: NamespacePlan | PlanProblem): DoctorLine {
  if (!isPlan(plan)) return { name: 'ids', state: 'warning', text: plan.message, fix: plan.fix };
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

/** Where a pod's files are, in every container that Kubernetes starts with a service account. */
const IN_POD = '/var/run/secrets/kubernetes.io';

/** How the surrounding container is started so that it may make user namespaces. @param isPod whether Kubernetes has started it */
export function containerFix(isPod: boolean = existsSync(IN_POD)): string {
  if (!isPod)
    return 'in a container: start it with --security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined';
  return [
    'in the pod, whose root is then nobody on its node:',
    'spec:',
    '  hostUsers: false',
    '  containers:',
    '    - securityContext:',
    '        procMount: Unmasked',
    '        capabilities: { add: [SYS_ADMIN] }',
  ].join('\n');
}

/** What a trial that failed says about user namespaces. */
export function explainTrial(error: unknown): readonly DoctorLine[] {
  const text = messageOf(error);
  if (/user namespace.*(EPERM|EACCES|not permitted|denied)/i.test(text))
    return [
      {
        name: 'user namespaces',
        state: 'problem',
        text: 'the kernel or a security module refuses to make one',
        fix: containerFix(),
      },
    ];
  if (/user namespace.*(ENOSPC|no space)/i.test(text))
    return [
      {
        name: 'user namespaces',
        state: 'problem',
        text: 'their number is limited to none',
        fix: sysctl('user.max_user_namespaces=15000'),
      },
    ];
  return [];
}

/** Something that could not be found out, or fails. */
export function problemLine(name: string, error: unknown): DoctorLine {
  const hint = isTsbuildError(error) ? error.hint : undefined;
  return { name, state: 'problem', text: messageOf(error), ...(hint === undefined ? {} : { fix: hint }) };
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
