import { CPU_PERIOD } from '../../../limits/index.ts';
import {
  EnvList,
  type LinuxResources,
  type MountOptions,
  type NetworkMode,
  type RunOptions,
  scratch,
} from '../../../llb/index.ts';
import { chompHeredoc, parseHeredocWord } from '../../dockerfile/parser/heredoc.ts';
import type { RunCommand } from '../../dockerfile/types.ts';
import { dockerfileError } from '../../dockerfile/failure.ts';
import { addHistory } from '../image-config.ts';
import type { Lowering } from '../lowering.ts';
import { displayName, stepName } from '../names.ts';
import type { StageState } from '../stage-state.ts';
import { withShell } from './processes.ts';
import { proxyFromArgs } from './proxy.ts';
import { lowerMounts } from './run-mounts.ts';
import { NETWORK_KEY, type StepSettings, stepSettings, TIMEOUT_KEY } from '../step-settings.ts';

/** RUN: a step on the stage's tree. */
export function lowerRun(
  lowering: Lowering,
  state: StageState,
  command: RunCommand,
  sources: readonly StageState[],
): void {
  // A command may read any file.
  state.paths.add('/');
  const { options } = lowering;
  const { env } = state.state.meta;
  const line = commandLine(lowering, state, command);
  const args = command.prependShell ? withShell(state.image, line.args) : line.args;
  const lowered = lowerMounts(lowering, state, command, sources);
  const shm: readonly MountOptions[] = options.shmSize ? [{ dest: '/dev/shm', tmpfs: { size: options.shmSize } }] : [];
  const settings = stepSettings(command.comments, command.ranges);
  const network = networkOf(command, settings) ?? state.state.meta.network;
  if (args.length === 0) throw dockerfileError('arguments are required');
  requireEntitlements(lowering, command, settings);
  const text = displayName(lowering, `${command.original}${line.suffix}`, maskSecrets(command, env), {
    rawQuotes: true,
    skipUnset: true,
  });
  const run: RunOptions = {
    args,
    mounts: [...line.mounts, ...lowered.mounts, ...shm],
    secrets: lowered.secrets,
    ssh: lowered.ssh,
    devices: [
      ...(options.devices ?? []),
      ...command.devices.map(({ name, required }) => ({ name, optional: !required })),
    ],
    proxyEnv: proxyFromArgs(lowering.buildArgs),
    meta: {
      network,
      security: command.security,
      extraHosts: options.extraHosts ?? [],
      ulimits: options.ulimits ?? [],
      cgroupParent: options.cgroupParent ?? '',
    },
    ignoreCache: state.ignoreCache,
    description: {
      'com.docker.dockerfile.v1.command': command.original,
      ...(settings.timeoutMs === undefined ? {} : { [TIMEOUT_KEY]: String(settings.timeoutMs) }),
      ...(isRecorded(settings) ? { [NETWORK_KEY]: settings.network } : {}),
    },
    location: lowering.location(command.ranges),
    name: stepName(state, text, lowering.shown(state.state.meta.platform), env),
    ...resourcesOf(options.linuxResources, settings),
  };
  state.state = state.state.run(run);
  const history = [...argsOf(state, env), ...args].join(' ');
  addHistory(state.image, `RUN ${history} # buildkit`, lowering, { layer: true });
}

interface Line {
  readonly args: readonly string[];
  /** Added to the name of the step. */
  readonly suffix: string;
  readonly mounts: readonly MountOptions[];
}

/** Where a heredoc that is a script of its own is put. */
const PIPES = '/dev/pipes/';

function commandLine(lowering: Lowering, state: StageState, command: RunCommand): Line {
  const [word] = command.cmdLine;
  const [file] = command.files;
  if (file === undefined) return { args: command.cmdLine, suffix: '', mounts: [] };
  if (word === undefined || command.cmdLine.length !== 1 || !command.prependShell) {
    throw dockerfileError(`parsing produced an invalid run command: ${command.cmdLine.join(' ')}`);
  }
  if (parseHeredocWord(word) === undefined) {
    // Heredocs with other text: the shell gets all of it as it was written.
    const bodies = command.files.map(({ name, data }) => `\n${data}${name}`);
    return { args: [word + bodies.join('')], suffix: '', mounts: [] };
  }
  const data = file.chomp ? chompHeredoc(file.data) : file.data;
  const suffix = ` (${summarize(file.data)})`;
  if (state.image.os === 'windows' || !data.startsWith('#!')) return { args: [data], suffix, mounts: [] };
  const script = scratch().file(
    [{ kind: 'mkfile', path: file.name, mode: 0o755, data: Buffer.from(data), options: {} }],
    { name: '[internal] preparing inline document', platform: state.platform ?? lowering.platform },
  );
  return {
    args: [PIPES + file.name],
    suffix,
    mounts: [{ dest: PIPES, source: script.output, selector: '/', readonly: true }],
  };
}

function summarize(body: string): string {
  const lines = body.trim().replaceAll('\r\n', '\n').split('\n');
  return `${lines[0] ?? ''}${lines.length > 1 ? '...' : ''}`;
}

/** Secrets that are put in the environment are stars in names. */
function maskSecrets(command: RunCommand, env: EnvList): EnvList {
  let masked = env;
  for (const mount of command.mounts) {
    if (mount.type === 'secret' && mount.env !== undefined) masked = masked.set(mount.env, '****');
  }
  return masked;
}

/** `|2 a=1 b=` for the history: the arguments in scope, in the order of their declaration. */
function argsOf(state: StageState, env: EnvList): readonly string[] {
  const args = [...state.buildArgs.values()];
  if (args.length === 0) return [];
  return [`|${args.length}`, ...args.map(({ key, value }) => `${key}=${env.get(key) ?? value ?? ''}`)];
}

/** The network of the flag, else of the comment above; undefined for that of all steps. */
function networkOf(command: RunCommand, settings: StepSettings): NetworkMode | undefined {
  if (command.network !== 'default') return command.network;
  const { network } = settings;
  return network === 'none' || network === 'host' ? network : undefined;
}

function isRecorded(settings: StepSettings): settings is StepSettings & { readonly network: 'record' | 'locked' } {
  return settings.network === 'record' || settings.network === 'locked';
}

/** The limits of all steps, with those of the comment above in their place. */
function resourcesOf(
  all: LinuxResources | undefined,
  { memory, cpuQuota }: StepSettings,
): Pick<RunOptions, 'linuxResources'> {
  if (memory === undefined && cpuQuota === undefined) return all === undefined ? {} : { linuxResources: all };
  return {
    linuxResources: {
      ...(all ?? NO_LIMITS),
      ...(memory === undefined ? {} : { memory, memorySwap: 0 }),
      ...(cpuQuota === undefined ? {} : { cpuQuota, cpuPeriod: cpuQuota === 0 ? 0 : CPU_PERIOD }),
    },
  };
}

const NO_LIMITS: LinuxResources = {
  memory: 0,
  memorySwap: 0,
  cpuShares: 0,
  cpuPeriod: 0,
  cpuQuota: 0,
  cpusetCpus: '',
  cpusetMems: '',
};

/** What the Dockerfile asks for; a network that the user chose for all steps needs no further word. */
function requireEntitlements(lowering: Lowering, command: RunCommand, settings: StepSettings): void {
  const { usage } = lowering;
  if (networkOf(command, settings) === 'host') usage.require('network.host', command.ranges);
  if (command.security === 'insecure') usage.require('security.insecure', command.ranges);
}
