import { join } from 'node:path';
import type { StepSpec } from '../sandbox/index.ts';
import { TsbuildError } from '../util/index.ts';
import { isLive } from './state.ts';
import type { Containers } from './table.ts';
import type { Container, ContainerRecord } from './types.ts';

/** The namespaces of other containers that one shares, at its start. */
export interface JoinedNamespaces {
  /** The command of the helper that makes them known, and goes on with another one. */
  readonly arguments: (command: readonly string[]) => readonly string[];
  readonly step: Pick<StepSpec, 'processes' | 'ipc'>;
  /** Where the user namespace is found that it has to be in: `EnterOptions.beside`. */
  readonly beside: readonly string[];
}

/** Whether a container's processes are in a pid namespace of others. */
export function sharesProcesses({ step, processesOf }: Pick<ContainerRecord, 'step' | 'processesOf'>): boolean {
  return processesOf !== undefined || step.processes !== undefined;
}

/**
 * Makes ready what a container needs for the namespaces of others that it shares.
 * @returns undefined for one that shares none, or the machine's
 * @throws TsbuildError when another container is gone or does not run, or is where this one cannot be
 */
export async function joinNamespaces(
  containers: Containers,
  container: Container,
): Promise<JoinedNamespaces | undefined> {
  const { processesOf, ipcOf } = container.record;
  if (processesOf === undefined && ipcOf === undefined) return undefined;
  const directory = join(container.directory, 'shared');
  const beside: string[] = [];
  const flagsFor = async (id: string | undefined, what: 'processes' | 'memory'): Promise<readonly string[]> => {
    if (id === undefined) return [];
    const { other, pid } = await runningOf(containers, container, id, what);
    beside.push(other.directory);
    return [what === 'processes' ? '--processes' : '--ipc', String(pid)];
  };
  const flags = [...(await flagsFor(processesOf, 'processes')), ...(await flagsFor(ipcOf, 'memory'))];
  checkFamily(containers, container);
  return {
    arguments: (command) => ['share', '--at', directory, ...flags, '--', ...command],
    step: {
      ...(processesOf === undefined ? {} : { processes: { directory } }),
      ...(ipcOf === undefined ? {} : { ipc: { directory } }),
    },
    beside,
  };
}

async function runningOf(
  containers: Containers,
  container: Container,
  id: string,
  what: 'processes' | 'memory',
): Promise<{ readonly other: Container; readonly pid: number }> {
  const flag = what === 'processes' ? '--pid' : '--ipc';
  const other = containers.lookUp(id);
  if (other === undefined)
    throw new TsbuildError(
      'TSB_NOT_FOUND',
      `Cannot start ${container.name}: it shares the ${what} of container ${id.slice(0, 12)}, which is not there any more`,
      { hint: `make ${container.name} anew, with another ${flag}: "tsbuild rm ${container.name}" takes this one away` },
    );
  const { pid, ...state } = await containers.state(other);
  if (isLive({ pid, ...state }) && pid !== 0) return { other, pid };
  throw new TsbuildError(
    'TSB_STEP',
    `Cannot start ${container.name}: it shares the ${what} of ${other.name}, which is not running`,
    { hint: `start that first: tsbuild start ${other.name}` },
  );
}

/**
 * What shares a namespace with others has to be beside them: in one user namespace. All that are in networks are in one; of others, each is in
 * its own.
 * @throws TsbuildError `TSB_STEP`
 */
function checkFamily(containers: Containers, container: Container): void {
  const { networks, networkOf, processesOf, ipcOf } = container.record;
  const places = [networkOf, processesOf, ipcOf].flatMap((id) => {
    const other = id === undefined ? undefined : containers.lookUp(id);
    return other === undefined ? [] : [{ other, family: familyOf(containers, other) }];
  });
  const own = networks === undefined ? places[0]?.family : 'networks';
  const stranger = places.find(({ family }) => family !== own);
  if (stranger === undefined) return;
  throw new TsbuildError(
    'TSB_STEP',
    `Cannot start ${container.name}: what it shares is not all in one user namespace, ${stranger.other.name} is in another one`,
    {
      hint: `have them in one network, or share that as well: --network container:${stranger.other.name}`,
    },
  );
}

function familyOf(containers: Containers, container: Container, depth = 0): string {
  const { networks, networkOf, processesOf, ipcOf } = container.record;
  if (networks !== undefined) return 'networks';
  const id = networkOf ?? processesOf ?? ipcOf;
  const other = id === undefined || depth > 100 ? undefined : containers.lookUp(id);
  return other === undefined ? container.id : familyOf(containers, other, depth + 1);
}
