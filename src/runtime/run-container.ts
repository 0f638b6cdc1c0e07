import { chownSync, existsSync, mkdirSync, rmdirSync, rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { isatty } from 'node:tty';
import {
  encodeStep,
  type ExitStatus,
  type ExtraHost,
  type HelperAhead,
  type HelperStreams,
  type LoneHelper,
  type LoneStep,
  type MountSpec,
  type NamespacePlan,
  type NetworkMode,
  LoneRemover,
  resolvConfOfHost,
  refuseSteps,
  runAlone,
  type RunAloneOptions,
  type StepSpec,
  type Ulimit,
  DEFAULT_PROCESS_LIMIT,
  type Emulation,
  foreignFailure,
} from '../sandbox/index.ts';
import { type Limiter, outOfMemory, type ResourceLimits, unlimited, withStandIns } from '../limits/index.ts';
import { type LoneNetwork, loneNetwork, type NoUserNetwork, type PublishedPort } from '../network/index.ts';
import { fromErrno, isTsbuildError, TsbuildError } from '../util/index.ts';
import { type ImageConfig, normalizePlatform, type Platform } from '../image/index.ts';
import { type ContainerEnd, endOf } from './container-end.ts';
import { argumentsOf, environmentOf } from './container-process.ts';
import { parseVolume } from './volume.ts';

/** A container to run. */
export interface RunContainerOptions {
  /** Layer directories, bottom first. */
  readonly layers: readonly string[];
  readonly config: ImageConfig;
  /** Words after the image: they replace CMD. */
  readonly command?: readonly string[];
  /** Replaces ENTRYPOINT and drops the image's CMD; empty takes ENTRYPOINT away. */
  readonly entrypoint?: string;
  /** `NAME=value`, or `NAME` to pass the caller's on; lines of env files (`parseEnvFile`) come first. */
  readonly env?: readonly string[];
  readonly callerEnv: Readonly<Record<string, string | undefined>>;
  /** `source:target[:ro]` each. */
  readonly volumes?: readonly string[];
  /** Directory that relative volume sources are relative to. */
  readonly cwd: string;
  readonly mounts?: readonly MountSpec[];
  readonly workdir?: string;
  readonly user?: string;
  readonly hostname: string;
  readonly readonly?: boolean;
  /** `-i`: passes standard input on. */
  readonly interactive?: boolean;
  /** Of this process's own streams, those that the container prints to; what goes to another is lost. Default: both. */
  readonly attach?: readonly string[];
  /** `-t`: gives the container a terminal. */
  readonly tty?: boolean;
  /** Nobody is at this terminal: whether there is one does not matter. */
  readonly detached?: boolean;
  /** A small init process as PID 1. */
  readonly init?: boolean;
  /** `isolated` is a network of its own, which leads outside where the machine has what that takes. */
  readonly network?: NetworkMode;
  /** With an isolated network. */
  readonly ports?: readonly PublishedPort[];
  /** Hardware address in an isolated network. */
  readonly mac?: string;
  /** Told which port of the machine a published one got. */
  readonly onPort?: (port: PublishedPort, hostPort: number) => void;
  /** Told why an isolated network leads nowhere. */
  readonly onLeadsNowhere?: (why: NoUserNetwork) => void;
  readonly extraHosts?: readonly ExtraHost[];
  readonly ulimits?: readonly Ulimit[];
  /** Processes that the container may have at a time; 0 for no limit. Default 2048. */
  readonly processLimit?: number;
  /** What it may use of the machine, and what holds that; without the one the other means nothing. */
  readonly resources?: ResourceLimits;
  readonly limiter?: Limiter;
  /** See `StepSpec`. */
  readonly sysctls?: Readonly<Record<string, string>>;
  /** Bytes of /dev/shm. */
  readonly shmSize?: number;
  readonly noNewPrivileges?: boolean;
  /** No filter of system calls; nothing of /proc and /sys hidden. See `StepSpec`. */
  readonly unfiltered?: boolean;
  readonly unmasked?: boolean;
  /** See `StepSpec`. */
  readonly capAdd?: readonly string[];
  readonly capDrop?: readonly string[];
  /** All capabilities, and no filter. */
  readonly privileged?: boolean;
  /** `--userns=keep-id`, see `StepSpec`. */
  readonly keepIds?: { readonly uid: number; readonly gid: number };
  /** See `StepSpec`. */
  readonly processes?: 'host';
  readonly ipc?: 'host' | 'none' | 'shareable';
  readonly uts?: 'host';
  /** Further groups: ids, or names of the image's /etc/group. */
  readonly groups?: readonly (number | string)[];
  /** Content of /etc/resolv.conf instead of the machine's. */
  readonly resolvConf?: string;
  /** Gets `fs` and `work` for what the container writes; both are gone afterwards. On the file system of the layers. */
  readonly scratchDir: string;
  readonly helperPath: string;
  readonly seccompPath: string;
  readonly plan: NamespacePlan;
  /** Told when the container gets the /proc around it, because the kernel refuses it a new one. */
  readonly onBoundProc?: () => void;
  /** Signals to this process are passed on. Default: yes; a program that only has a container run keeps its own. */
  readonly attendsSignals?: boolean;
  /** The program's standard input and output. It is closed here when the program has it. */
  readonly conversation?: Socket;
  /** Told what the container prints, instead of this process's own streams. */
  readonly onOutput?: (stream: 1 | 2, data: Uint8Array) => void;
  /** Who executes the programs of images for other platforms than this machine's. */
  readonly emulation: Emulation;
  /** Ends the container at once. */
  readonly signal?: AbortSignal;
  /** Its helper, started with {@link containerStreams}. For a container whose network nothing is started for. */
  readonly ahead?: HelperAhead;
}

/** Directories of one container. */
interface Scratch extends AsyncDisposable {
  readonly upper: string;
  readonly work: string;
  /** Where it has an emulator. */
  readonly formatsDir?: string;
  /** Where the image is copied to, where it cannot be mounted. */
  readonly treeDir: string;
}

/** Signals of this process that are meant for the container. */
const FORWARDED = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGWINCH', 'SIGALRM'] as const;

/** Docker's client gives up at the third: PID 1 ignores signals that it has no handler for. */
const LAST_INTERRUPT = 3;

/**
 * Runs a container in the foreground on this process's own standard streams and waits for its end. Signals to this process go
 * to the container meanwhile. Does not throw: what went wrong is in the result.
 */
export async function runContainer(options: RunContainerOptions): Promise<ContainerEnd> {
  try {
    const spec = containerSpec(options);
    using signals = new SignalForwarder(options.attendsSignals ?? true);
    await using scratch = makeScratch(options, spec);
    const { plan, helperPath, seccompPath, onBoundProc } = options;
    refuseSteps(plan, spec.args.join(' '));
    const limits = { ...options.resources, processes: spec.processLimit ?? 0 };
    await using held = options.limiter?.begin(limits) ?? unlimited;
    const ulimits = withStandIns(held.ulimits, spec.ulimits ?? []);
    const network = spec.network === 'isolated' ? ownNetwork(options, spec.resolvConf) : undefined;
    const encoded = encodeStep(
      {
        ...spec,
        ulimits,
        cgroups: held.cgroups,
        upper: scratch.upper,
        work: scratch.work,
        discard: true,
        ...network?.spec,
      },
      {
        plan,
        seccompPath,
        ...(scratch.formatsDir === undefined ? {} : { formatsDir: scratch.formatsDir }),
        tree: { dir: scratch.treeDir, apply: spec.lowers },
      },
    );
    let filesInMemory: number | undefined;
    const { conversation, onOutput, ahead } = options;
    const step = runAlone({
      helperPath,
      plan,
      encoded,
      stdio: containerStreams(options),
      ...(ahead ? { ahead } : {}),
      ...(onBoundProc ? { onBoundProc } : {}),
      onUsage: (_usage, files) => (filesInMemory = files),
      ...network?.options,
    });
    conversation?.destroy();
    if (onOutput) passOn(step.child, onOutput);
    const status = await attended(step, signals, options.signal);
    const end = endOf(status, foreignFailure(options.emulation, platformOf(options.config), spec.emulator, status));
    if (end.exitCode === 0 || end.error !== undefined || held.counts().killed === 0) return end;
    const { text, hint } = outOfMemory(limits.memory ?? 0, filesInMemory, 'container');
    return { ...end, error: new TsbuildError('TSB_STEP', `The container ran ${text}`, { hint }) };
  } catch (error) {
    const known = isTsbuildError(error) ? error : fromErrno(error, 'Cannot run the container', 'TSB_SANDBOX');
    return { exitCode: 125, error: known };
  }
}

/** What a container in the foreground reads and writes. */
export function containerStreams({
  conversation,
  onOutput,
  interactive,
  attach,
}: Pick<RunContainerOptions, 'conversation' | 'onOutput' | 'interactive' | 'attach'>): HelperStreams {
  const output = (name: 'stdout' | 'stderr'): 'pipe' | 'inherit' | 'ignore' =>
    attach !== undefined && !attach.includes(name) ? 'ignore' : onOutput ? 'pipe' : 'inherit';
  return conversation
    ? [conversation, conversation, output('stderr')]
    : [interactive ? 'inherit' : 'ignore', output('stdout'), output('stderr')];
}

/**
 * The step that a container is, but for where it writes.
 * @throws TsbuildError `TSB_USAGE`
 */
export function containerSpec(
  options: Omit<RunContainerOptions, 'scratchDir' | 'helperPath' | 'seccompPath' | 'plan'>,
): Omit<StepSpec, 'upper' | 'work'> {
  const { config } = options.config;
  const tty = options.tty ?? false;
  if (tty && options.interactive && !options.detached && !isatty(0))
    throw new TsbuildError('TSB_USAGE', 'Cannot give the container a terminal: standard input is not one', {
      hint: 'leave out -t, or -i',
    });
  const workdir = options.workdir ?? (config.WorkingDir || '/');
  if (!workdir.startsWith('/'))
    throw new TsbuildError('TSB_USAGE', `Cannot use working directory "${workdir}": it is not an absolute path`);
  const network = options.network ?? 'host';
  if (network === 'host') requireOwnNetwork(options.sysctls);
  const resolvConf = options.resolvConf ?? (network === 'host' ? resolvConfOfHost() : undefined);
  const { keepIds } = options;
  const request = { ...options, config, tty };
  const emulator = options.emulation.emulatorFor(options.config);
  return {
    lowers: options.layers,
    prepareUpper: true,
    readonlyRoot: options.readonly ?? false,
    mounts: [...(options.mounts ?? []), ...(options.volumes ?? []).map((text) => parseVolume(text, options.cwd))],
    args: argumentsOf(request),
    env: environmentOf(request),
    cwd: workdir,
    user: options.user ?? (keepIds === undefined ? (config.User ?? '') : `${keepIds.uid}:${keepIds.gid}`),
    hostname: options.hostname,
    ownsNames: true,
    network,
    security: options.privileged ? 'insecure' : 'sandbox',
    tty,
    stdin: options.interactive ?? options.conversation !== undefined,
    init: options.init ?? false,
    noNewPrivileges: options.noNewPrivileges ?? false,
    ...(options.unfiltered ? { unfiltered: true } : {}),
    ...(options.unmasked ? { unmasked: true } : {}),
    capAdd: options.capAdd ?? [],
    capDrop: options.capDrop ?? [],
    groups: options.groups ?? [],
    ...(keepIds === undefined ? {} : { keepIds }),
    extraHosts: options.extraHosts ?? [],
    ulimits: options.ulimits ?? [],
    processLimit: options.processLimit ?? DEFAULT_PROCESS_LIMIT,
    ...(resolvConf === undefined ? {} : { resolvConf }),
    ...(emulator === undefined ? {} : { emulator }),
    ...(options.processes === undefined ? {} : { processes: options.processes }),
    ...(options.ipc === undefined ? {} : { ipc: options.ipc }),
    ...(options.uts === undefined ? {} : { uts: options.uts }),
    ...(options.shmSize === undefined ? {} : { shmSize: options.shmSize }),
    ...(options.sysctls === undefined ? {} : { sysctls: options.sysctls }),
  };
}

/** @throws TsbuildError `TSB_USAGE` for what would change the machine's own network */
function requireOwnNetwork(sysctls: Readonly<Record<string, string>> = {}): void {
  const name = Object.keys(sysctls).find((each) => each.startsWith('net.'));
  if (name === undefined) return;
  throw new TsbuildError('TSB_USAGE', `Cannot use --sysctl ${name}: it is not allowed in the network of the machine`, {
    hint: 'give the container a network of its own: --network private, bridge or none',
  });
}

/** What a network of the container's own takes. */
function ownNetwork(
  { plan, scratchDir, ports = [], mac, onPort, onLeadsNowhere }: RunContainerOptions,
  given: string | undefined,
): {
  readonly spec: Partial<StepSpec>;
  readonly options: Partial<RunAloneOptions>;
} {
  requireNamespaces(plan);
  const network: LoneNetwork = loneNetwork(plan, scratchDir, { ports, mac, isWaitedFor: true });
  const { path, resolvConf, publish, leadsNowhere } = network;
  if (leadsNowhere) onLeadsNowhere?.(leadsNowhere);
  return {
    // Who named name servers means them.
    spec: { networkPath: path, ...(given !== undefined || resolvConf === undefined ? {} : { resolvConf }) },
    options: {
      beside: network.arguments,
      ...(publish ? { before: publish } : {}),
      onPort: (index, hostPort) => {
        const port = ports[index];
        if (port) onPort?.(port, hostPort);
      },
    },
  };
}

/** @throws TsbuildError `TSB_SANDBOX` where there are none, and so no network of the container's own */
function requireNamespaces({ how }: NamespacePlan): void {
  if (how !== 'none') return;
  throw new TsbuildError(
    'TSB_SANDBOX',
    'Cannot give the container a network of its own: this machine allows no namespaces',
    {
      hint: 'leave -p and -P out: with --network=host, what listens in the container listens on the machine',
    },
  );
}

function makeScratch({ plan, scratchDir, helperPath }: RunContainerOptions, { emulator }: Partial<StepSpec>): Scratch {
  const paths = { upper: `${scratchDir}/fs`, work: `${scratchDir}/work`, treeDir: `${scratchDir}/tree` };
  const used = plan.copies ? Object.values(paths) : [paths.upper, paths.work];
  for (const path of used) {
    mkdirSync(path, { recursive: true });
    if (plan.idShift > 0) chownSync(path, plan.idShift, plan.idShift);
  }
  // A mount point within the container's namespace alone, where the mount goes with it.
  const formatsDir = emulator === undefined ? undefined : `${scratchDir}/formats`;
  if (formatsDir !== undefined) mkdirSync(formatsDir, { recursive: true });
  return {
    ...paths,
    ...(formatsDir === undefined ? {} : { formatsDir }),
    async [Symbol.asyncDispose]() {
      // Mostly the step has done so.
      await new LoneRemover({ helperPath, plan }).remove(used.filter((path) => existsSync(path)));
      if (formatsDir !== undefined) rmdirSync(formatsDir);
      // What a network of its own was bound to.
      rmSync(`${scratchDir}/network`, { force: true });
    },
  };
}

function passOn({ stdout, stderr }: LoneHelper, take: (stream: 1 | 2, data: Uint8Array) => void): void {
  stdout?.on('data', (data: Uint8Array) => take(1, data));
  stderr?.on('data', (data: Uint8Array) => take(2, data));
}

function platformOf({ os, architecture, variant }: ImageConfig): Platform {
  return normalizePlatform({ os, architecture, ...(variant ? { variant } : {}) });
}

/** Waits for the end, with signals passed on. */
async function attended(
  step: LoneStep,
  signals: SignalForwarder,
  signal: AbortSignal | undefined,
): Promise<ExitStatus> {
  const kill = (): void => signals.kill();
  signals.attach(step.child);
  signal?.addEventListener('abort', kill);
  if (signal?.aborted) kill();
  try {
    return await step.ended;
  } catch (error) {
    if (signal?.aborted) throw new TsbuildError('TSB_CANCELED', 'The container was ended', { cause: error });
    if (signals.killed) return { kind: 'signaled', signal: 'SIGKILL' };
    throw error;
  } finally {
    signal?.removeEventListener('abort', kill);
  }
}

/**
 * Passes signals of this process on to a child. While it exists, none of them ends this process: an impatient user must not
 * interrupt the cleaning up.
 */
class SignalForwarder implements Disposable {
  killed = false;
  #child: LoneHelper | undefined;
  #interrupts = 0;
  readonly #forward = (name: NodeJS.Signals): void => {
    if ((name === 'SIGINT' || name === 'SIGTERM') && ++this.#interrupts >= LAST_INTERRUPT) this.kill();
    else this.#child?.kill(name);
  };

  /** @param attends whether signals to this process are for the child */
  constructor(attends: boolean) {
    if (attends) for (const name of FORWARDED) process.on(name, this.#forward);
  }

  attach(child: LoneHelper): void {
    this.#child = child;
  }

  kill(): void {
    this.killed = true;
    this.#child?.kill('SIGKILL');
  }

  [Symbol.dispose](): void {
    for (const name of FORWARDED) process.off(name, this.#forward);
  }
}
