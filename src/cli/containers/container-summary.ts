import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Container, ContainerState } from '../../containers/index.ts';
import { CPU_PERIOD, type ResourceLimits } from '../../limits/index.ts';
import type { TmpfsMount } from '../../sandbox/index.ts';
import { exposedBy } from './container-ports.ts';
import { networkNames } from './container-rows.ts';
import { askedPort, portName, type PublishedPort } from '../../network/index.ts';
import { failureText } from '../failure-text.ts';

const NO_TIME = '0001-01-01T00:00:00Z';

/** Nanoseconds, as docker has durations in documents. */
const nano = (ms: number): number => ms * 1_000_000;

/** What `docker inspect` says of a container, as far as it is true of one here. */
export function summarizeContainer(container: Container, state: ContainerState): Readonly<Record<string, unknown>> {
  const { id, name, directory, record } = container;
  const { step, image, restart, health } = record;
  const [path = '', ...args] = step.args;
  const binds = (step.mounts ?? []).flatMap((mount) => (mount.type === 'bind' ? [mount] : []));
  const memories = (step.mounts ?? []).flatMap((mount) => (mount.type === 'tmpfs' ? [mount] : []));
  const attached = record.attach ?? (record.detached ? [] : [...(step.stdin ? ['stdin'] : []), 'stdout', 'stderr']);
  const running = state.status === 'running' || state.status === 'paused' || state.status === 'restarting';
  return {
    Id: id,
    Created: record.created,
    Path: path,
    Args: args,
    State: {
      Status: state.status,
      Running: running,
      Paused: state.status === 'paused',
      Restarting: state.status === 'restarting',
      OOMKilled: state.oomKilled ?? false,
      Dead: false,
      Pid: state.pid,
      ExitCode: state.exitCode,
      Error: state.lost ? 'its supervisor was killed, and the container with it' : failureText(state),
      StartedAt: state.started || NO_TIME,
      FinishedAt: state.finished || NO_TIME,
      ...(health === undefined ? {} : { Health: readHealth(directory, state) }),
    },
    Image: image.id,
    Name: `/${name}`,
    RestartCount: state.restarts,
    Driver: 'overlay',
    Platform: record.imageConfig.os,
    LogPath: join(directory, 'log'),
    HostnamePath: '',
    HostConfig: {
      AutoRemove: record.autoRemove,
      Binds: binds.map(
        ({ source, target, volume, readonly: isReadonly }) => `${volume ?? source}:${target}${isReadonly ? ':ro' : ''}`,
      ),
      LogConfig: { Type: record.log?.maxFiles === 0 ? 'none' : 'k8s-file', Config: new Map() },
      PortBindings: askedBindings(record.ports),
      NetworkMode: networkNames(container)[0] ?? step.network,
      PidMode:
        record.processesOf === undefined
          ? step.processes === 'host'
            ? 'host'
            : ''
          : `container:${record.processesOf}`,
      IpcMode:
        record.ipcOf === undefined
          ? typeof step.ipc === 'string'
            ? step.ipc
            : 'private'
          : `container:${record.ipcOf}`,
      UTSMode: step.uts ?? '',
      CgroupnsMode: 'private',
      RestartPolicy: { Name: restart.name, MaximumRetryCount: restart.most },
      Init: step.init ?? false,
      Privileged: step.security === 'insecure',
      CapAdd: (step.capAdd ?? []).map(capabilityName),
      CapDrop: (step.capDrop ?? []).map(capabilityName),
      Devices: (step.mounts ?? []).flatMap((mount) =>
        mount.type === 'device'
          ? [{ PathOnHost: mount.source, PathInContainer: mount.target, CgroupPermissions: 'rwm' }]
          : [],
      ),
      Tmpfs: new Map(memories.map((mount) => [mount.target, tmpfsText(mount)])),
      GroupAdd: (step.groups ?? []).map(String),
      ReadonlyRootfs: step.readonlyRoot ?? false,
      PidsLimit: step.processLimit ?? 0,
      ...summarizeLimits(record.resources),
      ShmSize: step.shmSize ?? 64 * 2 ** 20,
      ExtraHosts: (step.extraHosts ?? []).map(({ host, ip }) => `${host}:${ip}`),
      SecurityOpt: [
        ...(step.noNewPrivileges ? ['no-new-privileges'] : []),
        ...(step.unfiltered ? ['seccomp=unconfined'] : []),
        ...(step.unmasked ? ['systempaths=unconfined'] : []),
      ],
      Sysctls: new Map(Object.entries(step.sysctls ?? {})),
      Ulimits: (step.ulimits ?? []).map(({ name: limit, soft, hard }) => ({ Name: limit, Soft: soft, Hard: hard })),
    },
    Mounts: [
      ...binds.map(({ source, target, volume, readonly: isReadonly }) => ({
        Type: volume === undefined ? 'bind' : 'volume',
        ...(volume === undefined ? {} : { Name: volume, Driver: 'local' }),
        Source: source,
        Destination: target,
        Mode: isReadonly ? 'ro' : '',
        RW: !isReadonly,
        Propagation: 'rprivate',
      })),
      ...memories.map(({ target, readonly: isReadonly = false }) => ({
        Type: 'tmpfs',
        Source: '',
        Destination: target,
        Mode: '',
        RW: !isReadonly,
        Propagation: '',
      })),
    ],
    Config: {
      Hostname: step.hostname,
      Domainname: step.sysctls?.['kernel.domainname'] ?? '',
      User: step.user,
      AttachStdin: attached.includes('stdin'),
      AttachStdout: attached.includes('stdout'),
      AttachStderr: attached.includes('stderr'),
      ExposedPorts: new Map(exposedBy(record).map((port) => [port, {}])),
      Tty: step.tty ?? false,
      OpenStdin: step.stdin ?? false,
      Env: step.env,
      Cmd: step.args,
      Image: image.name,
      WorkingDir: step.cwd,
      Entrypoint: record.imageConfig.config.Entrypoint ?? null,
      Labels: new Map(Object.entries(record.labels)),
      StopSignal: record.stopSignal,
      StopTimeout: record.stopTimeout,
      ...(health === undefined
        ? {}
        : {
            Healthcheck: {
              Test: ['CMD', ...health.test],
              Interval: nano(health.interval),
              Timeout: nano(health.timeout),
              StartPeriod: nano(health.startPeriod),
              StartInterval: nano(health.startInterval),
              Retries: health.retries,
            },
          }),
    },
  };
}

/** In docker's form. */
const capabilityName = (name: string): string => (name === 'ALL' ? name : `CAP_${name}`);

/** What was said of a tmpfs, in words of `--tmpfs`. */
function tmpfsText({ size, mode, uid, gid, noexec, readonly: isReadonly }: TmpfsMount): string {
  return [
    ...(isReadonly ? ['ro'] : []),
    // `noexec` is docker's default, of which nothing is said.
    ...(noexec ? [] : ['exec']),
    ...(size === undefined ? [] : [`size=${size}`]),
    ...(mode === undefined ? [] : [`mode=${mode.toString(8)}`]),
    ...(uid === undefined ? [] : [`uid=${uid}`]),
    ...(gid === undefined ? [] : [`gid=${gid}`]),
  ].join(',');
}

/** Ports as they were asked for; where any will do, none is named. */
function askedBindings(ports: readonly PublishedPort[] = []): ReadonlyMap<string, unknown> {
  const asked = [...Map.groupBy(ports, portName)].map(([name, same]): [string, unknown] => [
    name,
    same.map((port) => ({ HostIp: port.hostIp ?? '', HostPort: port.hostPort === 0 ? '' : askedPort(port) })),
  ]);
  return new Map(asked);
}

/** What the checks have said. */
function readHealth(directory: string, { health = 'starting' }: ContainerState): unknown {
  try {
    return { ...(JSON.parse(readFileSync(join(directory, 'health.json'), 'utf8')) as object), Status: health };
  } catch {
    return { Status: health, FailingStreak: 0, Log: [] };
  }
}

/** In docker's numbers: 0 where nothing was said. What `--cpus` is, is also told as a quota, as podman does. */
function summarizeLimits(limits: ResourceLimits = {}): Readonly<Record<string, number | string>> {
  const { memory = 0, memorySwap = 2 * memory, cpuQuota = 0, cpuShares = 0, cpusetCpus = '', cpusetMems = '' } = limits;
  const cpuPeriod = limits.cpuPeriod ?? (cpuQuota === 0 ? 0 : CPU_PERIOD);
  return {
    Memory: memory,
    MemorySwap: memorySwap,
    NanoCpus: cpuQuota === 0 ? 0 : Math.round((cpuQuota / cpuPeriod) * 1e9),
    CpuShares: cpuShares,
    CpuPeriod: cpuPeriod,
    CpuQuota: cpuQuota,
    CpusetCpus: cpusetCpus,
    CpusetMems: cpusetMems,
  };
}
