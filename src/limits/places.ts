import { basename, dirname } from 'node:path';
import type { Hierarchy } from './hierarchies.ts';
import type { KernelFiles } from './kernel-files.ts';
import { isOwnGroup, parentOf } from './owners.ts';
import type { Controller } from './types.ts';

/** A group in which groups can be made for steps. */
export interface Place {
  readonly version: 1 | 2;
  readonly directory: string;
  /** What its groups can limit. */
  readonly controllers: readonly Controller[];
  /**
   * Of version 2: its controllers must be handed down first, for which there may be no processes in it; these are this process and its
   * children, which go into a group of their own.
   */
  readonly prepare?: { readonly move: readonly number[] };
}

/** Why something cannot be limited by groups: there are none, this user may not make any, other programs are in the same one, or it was not given. */
export type Obstacle = 'none' | 'forbidden' | 'shared' | 'not-given';

/** Where groups can be made, and what stands in the way of the rest. */
export interface Places {
  readonly places: readonly Place[];
  readonly missing: ReadonlyMap<Controller, Obstacle>;
}

/**
 * Where this process may make groups that limit steps. Nothing is changed. No place lets a step out of a limit that this process is under.
 * @param self number of this process
 */
export function findPlaces(
  files: KernelFiles,
  hierarchies: readonly Hierarchy[],
  wanted: readonly Controller[],
  self: number,
): Places {
  const places: Place[] = [];
  const missing = new Map<Controller, Obstacle>();
  const second = hierarchies.find(({ version }) => version === 2);
  const unified: Controller[] = [];
  for (const controller of wanted) {
    const first = hierarchies.find((one) => one.version === 1 && one.controllers.includes(controller));
    if (first === undefined) unified.push(controller);
    else if (!mayMakeGroups(files, first.own)) missing.set(controller, 'forbidden');
    else places.push({ version: 1, directory: first.own, controllers: [controller] });
  }
  if (unified.length > 0 && second !== undefined) {
    const { place, obstacle } = placeInUnified(files, second, unified, self);
    if (place) places.push(place);
    for (const name of unified)
      if (!place?.controllers.includes(name)) missing.set(name, place ? 'not-given' : obstacle);
  } else for (const name of unified) missing.set(name, 'none');
  return { places: together(places), missing };
}

/** Controllers of version 1 may be mounted together, and are then limited by one group. */
function together(places: readonly Place[]): readonly Place[] {
  const byDirectory = new Map<string, Place>();
  for (const place of places) {
    const other = byDirectory.get(place.directory);
    const controllers = [...(other?.controllers ?? []), ...place.controllers];
    byDirectory.set(place.directory, { ...place, controllers });
  }
  return [...byDirectory.values()];
}

/** A group can be made in it and a process be moved from it: cgroups(7), "delegation". */
function mayMakeGroups(files: KernelFiles, directory: string): boolean {
  return files.isWritable(directory) && files.isWritable(`${directory}/cgroup.procs`);
}

/**
 * In a tree of version 2 only groups without processes hand controllers down. In this order: this process's own group, where it does or,
 * with nobody but us in it, can be made to; else the nearest group above that does, where nothing below it sets a limit that a step would
 * get out of.
 */
function placeInUnified(
  files: KernelFiles,
  { top, own }: Hierarchy,
  wanted: readonly Controller[],
  self: number,
): { readonly place?: Place; readonly obstacle: Obstacle } {
  const names = (directory: string, file: string): readonly Controller[] => {
    const given = (files.read(`${directory}/${file}`) ?? '').split(/\s+/);
    return wanted.filter((name) => given.includes(name));
  };
  const candidates: Place[] = [];
  let obstacle: Obstacle = 'forbidden';
  const add = (directory: string, controllers: readonly Controller[], prepare?: Place['prepare']): void => {
    candidates.push({ version: 2, directory, controllers, ...(prepare ? { prepare } : {}) });
  };
  if (mayMakeGroups(files, own)) {
    add(own, names(own, 'cgroup.subtree_control'));
    const processes = (files.read(`${own}/cgroup.procs`) ?? '').split('\n').filter(Boolean).map(Number);
    const move = own === top && isRoot(files, own) ? [] : processes;
    const isShared = !move.every((pid) => isKin(files, pid, self));
    if (isShared) obstacle = 'shared';
    else if (!isOwnGroup(basename(own)) && files.isWritable(`${own}/cgroup.subtree_control`)) {
      obstacle = 'not-given';
      add(own, names(own, 'cgroup.controllers'), { move });
    }
  }
  for (let at = own; at !== top && !isLimited(files, at);) {
    at = dirname(at);
    if (mayMakeGroups(files, at)) add(at, names(at, 'cgroup.subtree_control'));
  }
  const most = Math.max(0, ...candidates.map(({ controllers }) => controllers.length));
  const place = most === 0 ? undefined : candidates.find(({ controllers }) => controllers.length === most);
  return { ...(place ? { place } : {}), obstacle };
}

/** The root of all groups, which may have processes beside groups: it alone lacks this file. */
function isRoot(files: KernelFiles, directory: string): boolean {
  return files.read(`${directory}/cgroup.type`) === undefined;
}

/** What sets one; but for `pids.max`, which systemd gives to every unit and steps have of their own. */
const LIMITS = ['memory.max', 'memory.high', 'memory.swap.max', 'cpu.max', 'cpuset.cpus', 'cpuset.mems', 'io.max'];

function isLimited(files: KernelFiles, directory: string): boolean {
  return LIMITS.some((file) => !/^(max\b.*)?$/s.test(files.read(`${directory}/${file}`)?.trim() ?? ''));
}

/** Whether a process is this one or descends from it. */
function isKin(files: KernelFiles, pid: number, self: number): boolean {
  let at: number | undefined = pid;
  // As deep as processes can be nested by anybody's will; a number that came again cannot make a circle of it.
  for (let depth = 0; at !== undefined && at > 1 && depth < 1000; depth++) {
    if (at === self) return true;
    at = parentOf(files, at);
  }
  return at === self;
}
