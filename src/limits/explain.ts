import type { Obstacle } from './places.ts';
import { formatCpus, formatMemory } from './parse.ts';
import type { Controller, ResourceLimits } from './types.ts';

/** Why not, for people. */
const REASONS: Readonly<Record<Obstacle, string>> = {
  none: 'there are no cgroups here',
  forbidden: 'tsbuild may not make cgroups here',
  shared: 'other programs are in the same cgroup',
  'not-given': 'the cgroup that tsbuild is in was not given these controllers',
};

/**
 * One line on what holds in another way than it should, or not at all; undefined where all is as it was asked for.
 * @param missing what no group limits
 */
export function shortfall(limits: ResourceLimits, missing: ReadonlyMap<Controller, Obstacle>): string | undefined {
  const parts: string[] = [];
  if (missing.has('memory'))
    parts.push(
      `memory=${formatMemory(limits.memory ?? 0)} holds for what each process allocates, not for all of them together`,
    );
  if (missing.has('cpu'))
    parts.push(
      limits.cpuQuota ? `cpus=${formatCpus(limits)} is not enforced` : 'the share of CPU time is not enforced',
    );
  if (missing.has('cpuset')) parts.push('the choice of CPUs is not enforced');
  const [obstacle] = missing.values();
  if (parts.length === 0 || obstacle === undefined) return undefined;
  return `${parts.join(', ')}: ${REASONS[obstacle]} (tsbuild doctor says what would lift that)`;
}

/**
 * What somebody can type to have groups.
 * @param version of the trees of this machine; undefined without any
 * @param isRoot who may do what the kernel allows, so that the tree is read-only for him: a container's
 */
export function liftingLimits(obstacle: Obstacle, version: 1 | 2 | undefined, isRoot: boolean): string {
  if (version === undefined || obstacle === 'none' || (isRoot && obstacle === 'forbidden'))
    return 'limit the container around tsbuild instead (docker run --memory 4g --cpus 2), or give it a cgroup tree of its own that is writable';
  if (version === 1)
    return 'run tsbuild as root, or boot with systemd.unified_cgroup_hierarchy=1, where users can have cgroups of their own';
  if (obstacle === 'not-given')
    return 'put the lines [Service] and Delegate=cpu cpuset io memory pids into /etc/systemd/system/user@.service.d/delegate.conf, then type: sudo systemctl daemon-reload';
  return 'systemd-run --user --scope -p Delegate=yes tsbuild build .';
}
