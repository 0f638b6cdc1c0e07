import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { dirname, join } from 'node:path';
import type { Duplex } from 'node:stream';
import { type LoneNetwork, loneNetwork, type NoUserNetwork, type PublishedPort } from '../network/index.ts';
import {
  concludeStep,
  encodeFields,
  encodeStep,
  enterArguments,
  type ExitStatus,
  type NamespacePlan,
  readLines,
  readStatusLine,
  resolvConfOfHost,
  type StepReport,
  type StepSpec,
} from '../sandbox/index.ts';
import { type Limiter, withStandIns } from '../limits/index.ts';
import { TsbuildError } from '../util/index.ts';
import { type JoinedNamespaces, sharesProcesses } from './join-namespaces.ts';
import type { JoinedNetworks } from './join-networks.ts';
import { eventFacts, eventFile } from './events.ts';
import { PortFile } from './port-file.ts';
import { restartWord, writeGroups } from './update.ts';
import type { Container, ContainerRecord } from './types.ts';

/** What a container is started with. */
export interface SupervisorOptions {
  readonly container: Container;
  /** Layer directories, bottom first. */
  readonly layers: readonly string[];
  readonly helperPath: string;
  readonly seccompPath: string;
  readonly plan: NamespacePlan;
  /** Where the supervisor puts the directory of a container that is removed at its end. */
  readonly garbage: string;
  /** Where names of containers are. */
  readonly names: string;
  /** The program is started when the first client is attached, so that it misses nothing. */
  readonly waitForClient?: boolean;
  /** Whether the container has never run. */
  readonly first: boolean;
  /** Directories of volumes that go with a container which is removed at its end. */
  readonly volumes: readonly string[];
  readonly onBoundProc?: () => void;
  /** What holds its limits. */
  readonly limiter: Limiter;
  /** Told which port of the machine a published one got. */
  readonly onPort?: (port: PublishedPort, hostPort: number) => void;
  /** Told why a network of the container's own leads nowhere. */
  readonly onLeadsNowhere?: (why: NoUserNetwork) => void;
  /** The networks that it shares with others, made ready. */
  readonly joined?: JoinedNetworks;
  /** Namespaces of other containers, made ready. */
  readonly shared?: JoinedNamespaces;
}

/** A supervisor that was started. */
export interface StartedSupervisor {
  /** Resolves when clients can connect. @throws TsbuildError when there will be no supervisor */
  readonly listening: Promise<void>;
  /**
   * How the first start went: undefined when the program runs.
   * @throws TsbuildError `TSB_SANDBOX`, `TSB_STEP` when the container could not be set up
   */
  readonly started: Promise<ExitStatus | undefined>;
}

/** What errors of the supervisor go to, within the container's directory. */
const OWN_LOG = 'supervisor.log';

/** What a log may be where nothing else was asked for. */
export const LOG_LIMITS: NonNullable<ContainerRecord['log']> = { maxBytes: 64 * 2 ** 20, maxFiles: 2 };

/**
 * Starts a container: a supervisor of its own, which lives on when this process ends. It is the helper in namespace A, as for a step; see
 * native/src/contain.c.
 */
export function startSupervisor(options: SupervisorOptions): StartedSupervisor {
  const { container, helperPath, plan } = options;
  const ownLog = fs.openSync(join(container.directory, OWN_LOG), 'w', 0o600);
  const { joined } = options;
  const network = joined?.network ?? ownNetwork(options);
  const { shared } = options;
  const supervise = [helperPath, 'contain'];
  const contain = shared ? [helperPath, ...shared.arguments(supervise)] : supervise;
  const command = network ? [helperPath, ...network.arguments(contain)] : contain;
  const beside = [...(joined?.beside ?? []), ...(shared?.beside ?? [])];
  const entered = enterArguments(
    {
      plan,
      parentPid: process.pid,
      detached: true,
      beside,
      sharesProcesses: sharesProcesses(container.record),
    },
    command,
  );
  const child = spawn(helperPath, network?.publish?.([helperPath, ...entered]) ?? entered, {
    env: {},
    cwd: '/',
    // A session of its own: no terminal's signals reach it.
    detached: true,
    stdio: ['ignore', ownLog, ownLog, 'pipe', 'pipe'],
  });
  fs.closeSync(ownLog);
  const ports = new PortFile(container);
  const report: StepReport = {
    ...(options.onBoundProc ? { onBoundProc: options.onBoundProc } : {}),
    onPort: (index, hostPort) => {
      const port = ports.take(index, hostPort);
      if (port) options.onPort?.(port, hostPort);
    },
  };
  const listening = Promise.withResolvers<void>();
  const started = Promise.withResolvers<ExitStatus | undefined>();
  // Nobody may wait for one of them.
  listening.promise.catch(() => undefined);
  started.promise.catch(() => undefined);
  let ran = false;
  const description = child.stdio[3] as Duplex;
  const told = child.stdio[4] as Duplex;
  description.on('error', () => undefined);
  try {
    description.end(encodeSupervisor(options, child.pid ?? 0, network));
  } catch (error) {
    child.kill('SIGKILL');
    listening.reject(error);
    started.reject(error);
  }
  child.unref();
  child.once('error', (cause) => {
    const error = new TsbuildError('TSB_SANDBOX', `Cannot start the sandbox helper: ${cause.message}`, { cause });
    listening.reject(error);
    started.reject(error);
  });
  readLines(told, (line) => {
    if (line === 'listening') listening.resolve();
    else if (line === 'ran') ran = true;
    else readStatusLine(report, line);
  });
  told.once('close', () => {
    description.destroy();
    if (ran) {
      started.resolve(undefined);
      return;
    }
    try {
      const status = concludeStep(report, report.error === undefined ? null : 0, readOwnLog(container.directory));
      listening.resolve();
      // Without an error, it ended before anybody could say that it ran.
      started.resolve(status.kind === 'not-executed' ? status : undefined);
    } catch (error) {
      listening.reject(error);
      started.reject(error);
    }
  });
  return { listening: listening.promise, started: started.promise };
}

function readOwnLog(directory: string): string {
  try {
    return fs.readFileSync(join(directory, OWN_LOG), 'utf8');
  } catch {
    return '';
  }
}

/** The step, with what only this start knows. @param supervisor its number */
function stepOf(
  { container, layers, first, limiter, joined, shared }: SupervisorOptions,
  supervisor: number,
  network: LoneNetwork | undefined,
): StepSpec {
  const { step, resources = {} } = container.record;
  const { groups, ulimits } = limiter.keep({ ...resources, processes: step.processLimit ?? 0 }, supervisor);
  writeGroups(container, groups);
  const resolvConf =
    joined?.network.resolvConf ??
    step.resolvConf ??
    (network ? network.resolvConf : step.network === 'host' ? resolvConfOfHost() : undefined);
  return {
    ...step,
    cgroups: groups.map((group) => group.directory),
    ulimits: withStandIns(ulimits, step.ulimits ?? []),
    lowers: layers,
    upper: join(container.directory, 'fs'),
    work: join(container.directory, 'work'),
    prepareUpper: first,
    ...(resolvConf === undefined ? {} : { resolvConf }),
    ...(network === undefined ? {} : { networkPath: network.path }),
    ...(joined === undefined ? {} : { hosts: joined.hosts }),
    ...shared?.step,
  };
}

/** The root of a container as its program would find it, and nothing that is executed in it. @param first it has never run */
export function stepToHold({ record, directory }: Container, layers: readonly string[], first: boolean): StepSpec {
  // Nor of namespaces of others, which it has only while it runs.
  const { emulator: _emulator, sysctls: _sysctls, processes: _processes, ipc: _ipc, uts: _uts, ...step } = record.step;
  return {
    ...step,
    network: 'none',
    tty: false,
    stdin: false,
    hold: true,
    lowers: layers,
    upper: join(directory, 'fs'),
    work: join(directory, 'work'),
    prepareUpper: first,
  };
}

/** What a network of the container's own takes. It lives with the supervisor, through every start of the program. */
function ownNetwork({ container, plan, onLeadsNowhere }: SupervisorOptions): LoneNetwork | undefined {
  const { step, ports = [], mac } = container.record;
  if (step.network !== 'isolated') return undefined;
  const network = loneNetwork(plan, container.directory, { ports, mac });
  if (network.leadsNowhere) onLeadsNowhere?.(network.leadsNowhere);
  return network;
}

function encodeSupervisor(options: SupervisorOptions, supervisor: number, network: LoneNetwork | undefined): Buffer {
  const { container, plan, seccompPath } = options;
  const { record, directory } = container;
  const { health, restart, log = LOG_LIMITS } = record;
  const fields: (readonly [string, string | number | boolean])[] = [
    ['directory', directory],
    ['garbage', options.garbage],
    ['names', options.names],
    ['events', eventFile(dirname(directory))],
    ['event-facts', eventFacts(container)],
    ['remove', record.autoRemove],
    ['wait-for-client', options.waitForClient ?? false],
    ['log-limit', log.maxBytes],
    ['log-files', log.maxFiles],
    ['restart', restartWord(restart)],
    ['restart-most', restart.most],
  ];
  // Those without a name, which nobody can ask for when it is gone.
  for (const path of options.volumes) fields.push(['volume', path]);
  if (health !== undefined) {
    for (const word of health.test) fields.push(['health-test', word]);
    fields.push(
      ['health-interval', health.interval],
      ['health-timeout', health.timeout],
      ['health-start-period', health.startPeriod],
      ['health-start-interval', health.startInterval],
      ['health-retries', health.retries],
    );
  }
  const step = encodeStep(stepOf(options, supervisor, network), {
    plan,
    seccompPath,
    formatsDir: join(directory, 'formats'),
  });
  return Buffer.concat([encodeFields(fields), step]);
}
