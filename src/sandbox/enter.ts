import type { NamespacePlan } from './types.ts';

/** What the helper prepares before it starts a program in namespace A. */
export interface EnterOptions {
  readonly plan: NamespacePlan;
  /** An existing directory that gets a tmpfs which only the namespace sees. */
  readonly privateTmpfs?: string;
  /** The process that the namespace must not outlive, or that only starts it. */
  readonly parentPid: number;
  /** The namespace lives on when that process ends. */
  readonly detached?: boolean;
  /** It gets no pid namespace, so that the command can start processes in those of others. */
  readonly sharesProcesses?: boolean;
  /** Directories with a socket of a process whose user namespace is taken instead of a new one: the first that listens. */
  readonly beside?: readonly string[];
}

/** Arguments of the helper that run `command` in namespace A. */
export function enterArguments(options: EnterOptions, command: readonly string[]): readonly string[] {
  const { plan } = options;
  if (plan.how === 'none') return ['here', '--parent', String(options.parentPid), '--', ...command];
  const ranges = (flag: string, map: NamespacePlan['uids']): string[] =>
    map.flatMap(({ inside, outside, count }) => [flag, `${inside}:${outside}:${count}`]);
  return [
    'enter',
    '--parent',
    String(options.parentPid),
    ...(options.detached ? ['--detached', '1'] : []),
    ...(options.sharesProcesses ? ['--shares-processes', '1'] : []),
    ...(options.beside ?? []).flatMap((directory) => ['--beside', directory]),
    ...ranges('--uid', plan.uids),
    ...ranges('--gid', plan.gids),
    ...(plan.owners === undefined ? [] : ['--deny-setgroups', '1']),
    ...(plan.newuidmap === undefined ? [] : ['--newuidmap', plan.newuidmap]),
    ...(plan.newgidmap === undefined ? [] : ['--newgidmap', plan.newgidmap]),
    ...(options.privateTmpfs === undefined ? [] : ['--tmpfs', options.privateTmpfs]),
    '--',
    ...command,
  ];
}
