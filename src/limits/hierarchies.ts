import type { KernelFiles } from './kernel-files.ts';

/** A tree of groups that this process is in. */
export interface Hierarchy {
  readonly version: 1 | 2;
  /** Controllers of version 1. Those of version 2 differ from group to group: `cgroup.controllers` has them. */
  readonly controllers: readonly string[];
  /** Where it is mounted. */
  readonly top: string;
  /** Directory of the group that this process is in, at or beneath `top`. */
  readonly own: string;
}

/** The trees of groups that can be seen here, with this process's place in each (cgroups(7)). */
export function readHierarchies(files: KernelFiles): readonly Hierarchy[] {
  const mounts = mountsOf(files.read('/proc/self/mountinfo') ?? '');
  return (files.read('/proc/self/cgroup') ?? '').split('\n').flatMap((line): Hierarchy[] => {
    const [number, names, path] = splitInThree(line);
    if (path === undefined || (names === '' && number !== '0')) return [];
    const version = number === '0' && names === '' ? 2 : 1;
    const controllers = names === '' ? [] : names.split(',');
    for (const mount of mounts) {
      const isIts = version === mount.version && controllers.every((name) => mount.options.includes(name));
      const rest = isIts ? within(path, mount.root) : undefined;
      if (rest !== undefined)
        return [{ version, controllers, top: mount.point, own: rest === '/' ? mount.point : mount.point + rest }];
    }
    return [];
  });
}

/** Paths have colons, too. */
function splitInThree(line: string): readonly [string, string, string | undefined] {
  const match = /^(\d+):([^:]*):(\/.*)$/.exec(line);
  return [match?.[1] ?? '', match?.[2] ?? '', match?.[3]];
}

/** A group as seen from the one that is mounted: containers may see only theirs. Undefined where it lies elsewhere. */
function within(path: string, root: string): string | undefined {
  if (path.split('/').includes('..')) return undefined;
  if (root === '/') return path;
  if (path === root) return '/';
  return path.startsWith(`${root}/`) ? path.slice(root.length) : undefined;
}

interface CgroupMount {
  readonly version: 1 | 2;
  readonly root: string;
  readonly point: string;
  readonly options: readonly string[];
}

/** Lines of proc_pid_mountinfo(5) that are about cgroups. */
function mountsOf(text: string): readonly CgroupMount[] {
  return text.split('\n').flatMap((line): CgroupMount[] => {
    const [before = '', after = ''] = line.split(' - ');
    const [, , , root = '', point = ''] = before.split(' ').map(unescaped);
    const [type, , options = ''] = after.split(' ');
    if (type !== 'cgroup' && type !== 'cgroup2') return [];
    return [{ version: type === 'cgroup' ? 1 : 2, root, point, options: options.split(',') }];
  });
}

/** White space and backslashes are octal numbers there. */
function unescaped(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
