import { type Stats, statSync } from 'node:fs';
import { resolve } from 'node:path/posix';
import type { ContainerEdits, DeviceNode, RegisteredDevice } from '../../cdi/index.ts';
import type { MountSpec, StepSpec } from '../../sandbox/index.ts';
import { splitDevice } from '../../tree/index.ts';
import { errnoOf, fromErrno, TsbuildError } from '../../util/index.ts';
import type { StepDevice } from './devices.ts';

/**
 * A step with devices: their variables, nodes, mounts and groups, those of a specification once and before those of its devices.
 * Variables and mounts replace what the step has under the same name.
 * @param warn told of an optional device that the step has to do without
 * @param to what the step is, for messages
 * @throws TsbuildError `TSB_STEP` for a required device that cannot be given
 */
export function withDevices<Spec extends Pick<StepSpec, 'env' | 'mounts' | 'groups'>>(
  spec: Spec,
  devices: readonly StepDevice[],
  warn: (message: string) => void,
  to: 'step' | 'container' = 'step',
): Spec {
  // A set, since devices of one specification share its common edits.
  const edits = new Set<ContainerEdits>();
  for (const { device, optional } of devices) {
    const problem = findProblem(device, to);
    if (problem === undefined) edits.add(device.common).add(device.edits);
    else if (optional) warn(`${problem.message}; it is optional and left out`);
    else throw problem;
  }
  const env = new Map(spec.env.map((variable) => [nameOf(variable), variable]));
  const mounts = new Map(spec.mounts?.map((mount) => [resolve(mount.target), mount]));
  const groups = new Set(spec.groups);
  for (const edit of edits) {
    for (const variable of edit.env) env.set(nameOf(variable), variable);
    for (const mount of mountsOf(edit)) mounts.set(resolve(mount.target), mount);
    for (const gid of edit.additionalGids) groups.add(gid);
  }
  return { ...spec, env: [...env.values()], mounts: [...mounts.values()], groups: [...groups] };
}

/** The names of devices without those that `withDevices` leaves out. */
export function namesOfGiven(devices: readonly StepDevice[]): readonly string[] {
  return devices
    .filter(({ device, optional }) => !optional || findProblem(device, 'step') === undefined)
    .map(({ device }) => device.name);
}

/** The name in `NAME=value`. */
function nameOf(variable: string): string {
  return variable.split('=', 1)[0] ?? '';
}

/** Device nodes are mounted and not made: nobody in a user namespace may make one. */
function mountsOf(edit: ContainerEdits): readonly MountSpec[] {
  return [
    ...edit.deviceNodes.map(({ hostPath, path }): MountSpec => ({ type: 'device', source: hostPath, target: path })),
    ...edit.mounts.map(({ hostPath, containerPath, readonly }): MountSpec => ({
      type: 'bind',
      source: hostPath,
      target: containerPath,
      readonly,
    })),
  ];
}

/** Why a step cannot have a device. */
function findProblem({ name, common, edits }: RegisteredDevice, to: 'step' | 'container'): TsbuildError | undefined {
  const what = `Cannot give device ${JSON.stringify(name)} to the ${to}`;
  const [unsupported] = [...common.unsupported, ...edits.unsupported];
  if (unsupported !== undefined)
    return new TsbuildError(
      'TSB_STEP',
      `${what}: its specification wants more than a sandbox can be given: ${unsupported}`,
      {
        hint: unsupported.startsWith('hook ')
          ? `programs of the machine are not run for ${to}s: make a specification without hooks (nvidia-ctk cdi generate --disable-hook=all), and do in the ${to} what they do, e.g. ldconfig`
          : 'make a specification without it',
      },
    );
  for (const node of [...common.deviceNodes, ...edits.deviceNodes]) {
    const problem = findNodeProblem(node, what);
    if (problem !== undefined) return problem;
  }
  for (const { hostPath } of [...common.mounts, ...edits.mounts]) {
    const stat = look(hostPath, what);
    if (stat instanceof TsbuildError) return stat;
  }
  return undefined;
}

/** A node must be what the specification says, for the key of the step is made of the specification. */
function findNodeProblem({ hostPath, type, major, minor }: DeviceNode, what: string): TsbuildError | undefined {
  const stat = look(hostPath, what);
  if (stat instanceof TsbuildError) return stat;
  const fail = (why: string): TsbuildError =>
    new TsbuildError('TSB_STEP', `${what}: ${JSON.stringify(hostPath)} ${why}`);
  const isBlock = stat.isBlockDevice();
  if (!isBlock && !stat.isCharacterDevice()) return fail('is not a device');
  if (type !== undefined && (type === 'b') !== isBlock)
    return fail(`is a ${isBlock ? 'block' : 'character'} device, and its specification expects the other kind`);
  const [hostMajor, hostMinor] = splitDevice(BigInt(stat.rdev));
  if (major !== undefined && (major !== hostMajor || (minor ?? 0) !== hostMinor))
    return fail(`is ${hostMajor}:${hostMinor}, and its specification expects ${major}:${minor ?? 0}`);
  return undefined;
}

/** What stands there, links followed, or why nothing can be said of it. */
function look(path: string, what: string): Stats | TsbuildError {
  try {
    return statSync(path);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return fromErrno(error, `${what}: cannot use ${JSON.stringify(path)}`, 'TSB_STEP');
  }
}
