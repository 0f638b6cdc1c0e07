import fs from 'node:fs';
import { join } from 'node:path';
import { changeGroups, type Controller, type HeldGroup, kernelFiles, type ResourceLimits } from '../limits/index.ts';
import { TsbuildError } from '../util/index.ts';
import { request } from './control.ts';
import { isSupervised } from './state.ts';
import type { Container, RestartPolicy } from './types.ts';

/** What can be changed of a container that is there. */
export interface ContainerUpdate {
  /** All of its limits, as they are to be. */
  readonly resources: ResourceLimits;
  /** 0 for no limit. */
  readonly processLimit: number;
  readonly restart: RestartPolicy;
}

/** In the container's directory: the groups that its supervisor was started with. Absent for none. */
const GROUPS = 'groups.json';

/** A policy as the supervisor has it: whether somebody has stopped the container, it knows by itself. */
export function restartWord({ name }: RestartPolicy): string {
  return name === 'unless-stopped' ? 'always' : name;
}

/** Before a supervisor is started. */
export function writeGroups({ directory }: Container, groups: readonly HeldGroup[]): void {
  const file = join(directory, GROUPS);
  if (groups.length === 0) fs.rmSync(file, { force: true });
  else fs.writeFileSync(file, JSON.stringify(groups), { mode: 0o600 });
}

function readGroups({ directory }: Container): readonly HeldGroup[] {
  try {
    return JSON.parse(fs.readFileSync(join(directory, GROUPS), 'utf8')) as readonly HeldGroup[];
  } catch {
    return [];
  }
}

/**
 * Makes what runs of a container what it is to be; of one that does not run there is nothing to do. The caller has its lock, and writes down
 * what it is from then on.
 * @throws TsbuildError `TSB_SANDBOX` when no group holds such a limit, or the kernel refuses
 */
export async function updateRunning(container: Container, update: ContainerUpdate): Promise<void> {
  if (!(await isSupervised(container))) return;
  const { record } = container;
  const { resources = {}, step, restart } = record;
  const { processLimit = 0 } = step;
  const now = { ...resources, processes: processLimit };
  const next = { ...update.resources, processes: update.processLimit };
  if (JSON.stringify(now) !== JSON.stringify(next)) {
    const groups = readGroups(container);
    // Processes have a limit of their own besides (RLIMIT_NPROC), which nobody can raise from outside.
    const raises = processLimit > 0 && (next.processes === 0 || next.processes > processLimit);
    const counts = groups.some(({ controllers }) => controllers.includes('pids'));
    if (next.processes !== processLimit && (raises || !counts))
      throw refusal(container, raises ? 'its number of processes can only be lowered' : LACKS.pids);
    const [missing] = changeGroups(kernelFiles, groups, now, next);
    if (missing !== undefined) throw refusal(container, LACKS[missing]);
  }
  if (restart.name === update.restart.name && restart.most === update.restart.most) return;
  const end = await request(container, 'R', `${restartWord(update.restart)} ${update.restart.most}`);
  // It may have ended meanwhile, which is no failure. Supervisors of an older tsbuild do not know the request.
  if (end?.error !== undefined) throw refusal(container, 'its supervisor is of an older tsbuild');
}

const LACKS: Readonly<Record<Controller, string>> = {
  memory: 'it was started without a group (cgroup) that limits memory',
  cpu: 'it was started without a group (cgroup) that limits CPU time',
  cpuset: 'it was started without a group (cgroup) that limits which CPUs it runs on',
  pids: 'it was started without a group (cgroup) that limits processes',
};

function refusal({ name }: Container, why: string): TsbuildError {
  return new TsbuildError('TSB_SANDBOX', `Cannot update container ${name} while it runs: ${why}`, {
    hint: `tsbuild stop ${name}, then update it and start it again; "tsbuild doctor" says which limits hold here`,
  });
}
