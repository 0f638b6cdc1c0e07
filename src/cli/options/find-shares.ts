import { type Container, type ContainerRecord, Containers } from '../../containers/index.ts';
import type { NewContainer, Session } from '../../engine/index.ts';
import { TsbuildError } from '../../util/index.ts';
import type { ProcessOptions } from './container-options.ts';
import { parseNetworkChoice } from './network-request.ts';
import { parseShares } from './share-options.ts';

/** What is written down of namespaces that a container shares. */
export interface FoundShares {
  readonly record: Pick<ContainerRecord, 'processesOf' | 'ipcOf'>;
  /** The machine's, where the other container's are. */
  readonly process: Pick<NewContainer['process'], 'processes' | 'ipc'>;
}

/**
 * Looks up the containers whose namespaces are to be shared. Whether they run is found out at the start.
 * @throws TsbuildError `TSB_NOT_FOUND`, `TSB_USAGE`
 */
export function findShares(session: Session, options: ProcessOptions): FoundShares {
  const shares = parseShares(options);
  const containers = new Containers(session.store);
  const processes = shares.processesOf === undefined ? undefined : containers.find(shares.processesOf);
  const memory = shares.ipcOf === undefined ? undefined : containers.find(shares.ipcOf);
  if (shares.processes !== undefined || processes !== undefined) checkNetwork(options);
  if (processes !== undefined) checkIds(processes, options);
  if (memory !== undefined) checkShareable(memory);
  const seesMachine = processes?.record.step.processes === 'host';
  const hasMachines = memory?.record.step.ipc === 'host';
  return {
    record: {
      ...(processes === undefined || seesMachine ? {} : { processesOf: processes.id }),
      ...(memory === undefined || hasMachines ? {} : { ipcOf: memory.id }),
    },
    process: { ...(seesMachine ? { processes: 'host' } : {}), ...(hasMachines ? { ipc: 'host' } : {}) },
  };
}

/** What connects such a network ends with a pid namespace around it. */
function checkNetwork(options: ProcessOptions): void {
  if (parseNetworkChoice(options).kind !== 'private') return;
  throw new TsbuildError('TSB_USAGE', 'Cannot use --pid with --network private', {
    hint: 'name a network of "tsbuild network create", bridge, none, host or container:NAME',
  });
}

function checkIds({ name, record }: Container, { userns }: ProcessOptions): void {
  const kept = record.step.keepIds !== undefined;
  if (kept === (userns !== undefined)) return;
  throw new TsbuildError(
    'TSB_USAGE',
    `Cannot use --pid container:${name}${kept ? ' without' : ' with'} --userns=keep-id: whose processes a container shares, it has the ids of`,
    { hint: kept ? 'add --userns=keep-id, as that container has it' : 'leave --userns out' },
  );
}

function checkShareable({ name, record }: Container): void {
  const { ipc } = record.step;
  if (record.ipcOf !== undefined || ipc === 'shareable' || ipc === 'host') return;
  throw new TsbuildError('TSB_USAGE', `Cannot use --ipc container:${name}: non-shareable IPC`, {
    hint: `make ${name} with --ipc shareable`,
  });
}
