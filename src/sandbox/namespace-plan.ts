import { readFileSync } from 'node:fs';
import { OWNER_LIMIT } from '../sys/index.ts';
import { TsbuildError } from '../util/index.ts';
import { findProgram } from './find-program.ts';
import {
  firstFreeSubId,
  identityMap,
  isMapped,
  mappedFromZero,
  parseSubIds,
  partsMapped,
  rootlessMap,
} from './subids.ts';
import type { NamespacePlan } from './types.ts';

/**
 * Root's range where /etc/subuid names none: high enough that nobody else uses it, and all that is left up to 2^31, for files
 * in archives and images that were made with ids of a directory service.
 */
const ROOT_SHIFT = 1_879_048_192;
const ROOT_IDS = 2 ** 31 - ROOT_SHIFT;
/** Ids that images may name: those up to 2^31, as everywhere else. */
const MOST_IDS = 2 ** 31;
/** The usual size of containers. */
const IDS_PER_IMAGE = 65_536;

/** How a container gets the ids from 0 up to this one. */
const withIds = (end: number): string =>
  `start the container with more ids, for example: podman run --uidmap 0:100000:${end} --gidmap 0:100000:${end}`;

/** What a plan is made from; everything is read from the machine when absent. */
export interface PlanInputs {
  readonly uid: number;
  readonly gid: number;
  readonly userName: string;
  readonly subuid: string;
  readonly subgid: string;
  /** Content of /proc/self/uid_map and gid_map. */
  readonly uidMap: string;
  readonly gidMap: string;
  readonly newuidmap: string | undefined;
  readonly newgidmap: string | undefined;
  /** Setuid programs give this process nothing (`no_new_privs`). */
  readonly noNewPrivileges: boolean;
}

/** Why no namespace with a full range of ids can be made. */
export interface PlanProblem {
  readonly problem: 'no-newuidmap' | 'no-name' | 'no-new-privileges' | 'no-subids' | 'few-subids' | 'no-ids';
  readonly message: string;
  /** A command or action for the user. */
  readonly fix: string;
}

/** Reads the inputs of a plan from the machine. */
export function readPlanInputs(user: {
  readonly uid: number;
  readonly gid: number;
  readonly name: string;
}): PlanInputs {
  const read = (path: string): string => {
    try {
      return readFileSync(path, 'utf8');
    } catch {
      return '';
    }
  };
  return {
    uid: user.uid,
    gid: user.gid,
    userName: user.name,
    subuid: read('/etc/subuid'),
    subgid: read('/etc/subgid'),
    uidMap: read('/proc/self/uid_map'),
    gidMap: read('/proc/self/gid_map'),
    newuidmap: findProgram('newuidmap'),
    newgidmap: findProgram('newgidmap'),
    noNewPrivileges: /^NoNewPrivs:\s*1$/m.test(read('/proc/self/status')),
  };
}

/**
 * How namespace A is made for a user.
 *
 * Root maps every id it has onto itself, and images' ids are shifted into root's subordinate range, so that no process of a
 * step is ever the machine's root. Other users map 0 to themselves and the rest to their subordinate ids.
 */
export function planNamespace(inputs: PlanInputs): NamespacePlan | PlanProblem {
  return inputs.uid === 0 ? planForRoot(inputs) : planForUser(inputs);
}

/** Root keeps its own ids, so that it can read what only root may, and has a range for steps. */
function planForRoot(inputs: PlanInputs): NamespacePlan | PlanProblem {
  const uids = identityMap(inputs.uidMap);
  const gids = identityMap(inputs.gidMap);
  const user = { name: inputs.userName, uid: 0 };
  const own = parseSubIds(inputs.subuid, user)[0];
  const ownGroup = parseSubIds(inputs.subgid, user)[0];
  const agreed = own !== undefined && own.start === ownGroup?.start ? own : undefined;
  const fits = (start: number, count: number): boolean => isMapped(uids, start, count) && isMapped(gids, start, count);

  const shift = agreed?.start ?? ROOT_SHIFT;
  const count = agreed === undefined ? ROOT_IDS : Math.min(agreed.count, ownGroup?.count ?? agreed.count);
  if (fits(shift, count)) return { how: 'direct', uids, gids, idShift: shift, idCount: count };
  // In a container, root's own ids end early: the upper part of what it has stands in for a range.
  const mapped = Math.min(mappedFromZero(uids), mappedFromZero(gids));
  if (mapped >= 2 * IDS_PER_IMAGE)
    return { how: 'direct', uids, gids, idShift: mapped - IDS_PER_IMAGE, idCount: IDS_PER_IMAGE };
  if (mapped > 1) return { how: 'direct', uids, gids, idShift: 0, idCount: mapped };
  return {
    problem: 'no-ids',
    message: 'root has only one id here, so that files of an image cannot keep their owners',
    fix: 'run tsbuild where more ids are mapped (see /proc/self/uid_map)',
  };
}

/**
 * Root without a namespace of its own: files of images have their own ids, and steps are the root that this process is.
 * @throws TsbuildError `TSB_SANDBOX` for everybody else
 */
export function planBare(inputs: Pick<PlanInputs, 'uid' | 'uidMap' | 'gidMap'>): NamespacePlan {
  const hint = 'it is meant for root of a container; "tsbuild doctor" says what else this machine allows';
  if (inputs.uid !== 0) throw new TsbuildError('TSB_SANDBOX', 'Cannot run steps by chroot: only root can', { hint });
  const uids = identityMap(inputs.uidMap);
  const gids = identityMap(inputs.gidMap);
  const idCount = Math.min(mappedFromZero(uids), mappedFromZero(gids), MOST_IDS);
  return { how: 'none', uids, gids, idShift: 0, idCount, copies: true };
}

/**
 * One id for everything, where there are no subordinate ones: what images own by others is remembered (native/src/owner.c), and steps are
 * told that they have become whoever they ask to be (native/src/fakes.c).
 * @throws TsbuildError `TSB_SANDBOX` for a root who has more ids
 */
export function planSingle(inputs: PlanInputs, owners: 'recorded' | 'told'): NamespacePlan {
  const usual = planNamespace(inputs);
  if (inputs.uid === 0 && isPlan(usual))
    throw new TsbuildError('TSB_SANDBOX', 'Cannot run steps with one id as root: it would be root of this machine', {
      hint: 'leave --isolation out: root has ids to spare',
    });
  const only = (outside: number): NamespacePlan['uids'] => [{ inside: 0, outside, count: 1 }];
  const { uid, gid } = inputs;
  return {
    how: 'direct',
    uids: only(uid),
    gids: only(gid),
    idShift: 0,
    idCount: OWNER_LIMIT,
    owners,
    ...(isPlan(usual) ? {} : { lacks: usual }),
  };
}

/** Layers alone, for who has one id and no namespace: files of images are the user's own, and remember whose they would be. */
export function planWithoutSteps(inputs: PlanInputs): NamespacePlan {
  return { ...planSingle(inputs, 'recorded'), how: 'none', copies: true, steps: false };
}

/** A user is root in its own namespace, with its sub-ids for everybody else of an image. */
function planForUser(inputs: PlanInputs): NamespacePlan | PlanProblem {
  const user = { name: inputs.userName, uid: inputs.uid };
  const [ownUids, ownGids] = [identityMap(inputs.uidMap), identityMap(inputs.gidMap)];
  const subuids = parseSubIds(inputs.subuid, user);
  const subgids = parseSubIds(inputs.subgid, user);
  // In a container, /etc/subuid may speak of ids that it has not got, which nobody can map.
  const uids = rootlessMap(inputs.uid, partsMapped(subuids, ownUids));
  const gids = rootlessMap(inputs.gid, partsMapped(subgids, ownGids));
  const first = firstFreeSubId([inputs.subuid, inputs.subgid], IDS_PER_IMAGE);
  const free = `${first}-${first + IDS_PER_IMAGE - 1}`;
  const areThere = [ownUids, ownGids].every((own) => own.length === 0 || isMapped(own, first, IDS_PER_IMAGE));
  const before = areThere ? '' : `${withIds(first + IDS_PER_IMAGE)}; then: `;
  const fix = `${before}sudo usermod --add-subuids ${free} --add-subgids ${free} ${inputs.userName}`;
  if (inputs.newuidmap === undefined || inputs.newgidmap === undefined)
    return {
      problem: 'no-newuidmap',
      message: 'the programs newuidmap and newgidmap are not installed',
      fix: 'sudo apt-get install uidmap',
    };
  if (inputs.userName === String(inputs.uid)) {
    const name = `user${inputs.uid}`;
    const passwd = `echo ${name}:x:${inputs.uid}:${inputs.gid}::/tmp:/bin/sh | sudo tee -a /etc/passwd`;
    const ranges = `echo ${name}:${first}:${IDS_PER_IMAGE} | sudo tee -a /etc/subuid /etc/subgid`;
    return {
      problem: 'no-name',
      message: `user ${inputs.uid} has no name in /etc/passwd, and newuidmap gives ids to users with names alone`,
      fix: `${before}${passwd} && ${ranges}`,
    };
  }
  if (subuids.length === 0 || subgids.length === 0)
    return {
      problem: 'no-subids',
      message: `/etc/${subuids.length === 0 ? 'subuid' : 'subgid'} gives user "${inputs.userName}" no subordinate ids`,
      fix,
    };
  if (uids.length === 1 || gids.length === 1)
    return {
      problem: 'no-ids',
      message: `the subordinate ids that /etc/subuid and /etc/subgid give user "${inputs.userName}" are not there in this container`,
      fix: withIds(Math.max(...[...subuids, ...subgids].map(({ start, count }) => start + count))),
    };
  if (inputs.noNewPrivileges)
    return {
      problem: 'no-new-privileges',
      message: 'newuidmap is a setuid program, which gives nothing in a process with no_new_privs',
      fix: 'in a systemd unit: NoNewPrivileges=no; in Kubernetes: allowPrivilegeEscalation: true',
    };
  const idCount = Math.min(mappedFromZero(uids), mappedFromZero(gids));
  if (idCount < 1000)
    return {
      problem: 'few-subids',
      message: `user "${inputs.userName}" has only ${idCount - 1} subordinate ids, and images commonly use up to 65534`,
      fix,
    };
  const { newuidmap, newgidmap } = inputs;
  return { how: 'newidmap', uids, gids, idShift: 0, idCount, newuidmap, newgidmap };
}

/** The rung on which a step's ids are not shifted although root runs it. */
export const UNSHIFTED = '1-unshifted';

/**
 * What is to be said wherever steps run on the weakest rung for root: too few ids are mapped to shift a step's, so that root of a step is
 * root of whatever contains tsbuild. Undefined everywhere else.
 */
export function unshiftedRoot(plan: NamespacePlan): string | undefined {
  return plan.how === 'direct' && plan.idShift === 0 && plan.owners === undefined
    ? `steps run as root of this container: only ${plan.idCount} ids are mapped in it, and ${2 * IDS_PER_IMAGE} would keep them apart`
    : undefined;
}

/** Whether `plan` is a plan. */
export function isPlan(plan: NamespacePlan | PlanProblem): plan is NamespacePlan {
  return 'how' in plan;
}

/**
 * The plan for a user.
 * @throws TsbuildError `TSB_SANDBOX` with the command to type where there is none.
 */
export function requirePlan(inputs: PlanInputs): NamespacePlan {
  const plan = planNamespace(inputs);
  if (isPlan(plan)) return plan;
  throw new TsbuildError('TSB_SANDBOX', `Cannot make a user namespace for image files: ${plan.message}`, {
    hint: plan.fix,
  });
}
