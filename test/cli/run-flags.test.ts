import { spawnSync } from 'node:child_process';
import { CommanderError } from 'commander';
import { describe, expect, test } from 'vitest';
import { foreignOption } from '../../src/cli/unknown-options.ts';
import { programPath } from '../support/program.ts';

/** All that `docker run --help` (28.2) has. */
const DOCKER = (
  'add-host annotation attach blkio-weight blkio-weight-device cap-add cap-drop cgroup-parent cgroupns cidfile ' +
  'cpu-count cpu-percent cpu-period cpu-quota cpu-rt-period cpu-rt-runtime cpu-shares cpus cpuset-cpus ' +
  'cpuset-mems detach detach-keys device device-cgroup-rule device-read-bps device-read-iops device-write-bps ' +
  'device-write-iops disable-content-trust dns dns-option dns-search domainname entrypoint env env-file expose ' +
  'gpus group-add health-cmd health-interval health-retries health-start-interval health-start-period ' +
  'health-timeout help hostname init interactive io-maxbandwidth io-maxiops ip ip6 ipc isolation kernel-memory ' +
  'label label-file link link-local-ip log-driver log-opt mac-address memory memory-reservation memory-swap ' +
  'memory-swappiness mount name network network-alias no-healthcheck oom-kill-disable oom-score-adj pid ' +
  'pids-limit platform privileged publish publish-all pull quiet read-only restart rm runtime security-opt ' +
  'shm-size sig-proxy stop-signal stop-timeout storage-opt sysctl tmpfs tty ulimit use-api-socket user userns uts ' +
  'volume volume-driver volumes-from workdir'
).split(' ');

/** All that `podman run --help` (4.3, Debian 12) has. */
const PODMAN = (
  'add-host annotation arch attach authfile blkio-weight blkio-weight-device cap-add cap-drop cgroup-conf ' +
  'cgroup-parent cgroupns cgroups chrootdirs cidfile conmon-pidfile cpu-period cpu-quota cpu-rt-period ' +
  'cpu-rt-runtime cpu-shares cpus cpuset-cpus cpuset-mems detach detach-keys device device-cgroup-rule ' +
  'device-read-bps device-read-iops device-write-bps device-write-iops disable-content-trust dns dns-option ' +
  'dns-search entrypoint env env-file env-host env-merge expose gidmap group-add health-cmd health-interval ' +
  'health-on-failure health-retries health-start-period health-timeout help hostname hostuser http-proxy ' +
  'image-volume init init-path interactive ip ip6 ipc label label-file log-driver log-opt mac-address memory ' +
  'memory-reservation memory-swap memory-swappiness mount name network network-alias no-healthcheck no-hosts ' +
  'oom-kill-disable oom-score-adj os passwd passwd-entry personality pid pidfile pids-limit platform pod ' +
  'pod-id-file preserve-fds privileged publish publish-all pull quiet read-only read-only-tmpfs replace requires ' +
  'restart rm rmi rootfs sdnotify seccomp-policy secret security-opt shm-size sig-proxy stop-signal stop-timeout ' +
  'subgidname subuidname sysctl systemd timeout tls-verify tmpfs tty tz uidmap ulimit umask unsetenv unsetenv-all ' +
  'user userns uts variant volume volumes-from workdir'
).split(' ');

/** Understood and without effect, and so not in the help. */
const SILENT = ['disable-content-trust', 'sig-proxy'];

const { stdout } = spawnSync(programPath(), ['run', '--help'], { encoding: 'utf8' });
const ours = new Set([...stdout.matchAll(/^ +(?:-\w, )?--([a-z0-9-]+)/gm)].map(([, name]) => name ?? ''));

describe.each([
  ['docker', DOCKER],
  ['podman', PODMAN],
] as const)('flags of %s run', (_name, flags) => {
  test('are there, or are refused with what to do instead', () => {
    const neither = flags.filter((flag) => {
      const error = new CommanderError(1, 'commander.unknownOption', `error: unknown option '--${flag}'`);
      return !ours.has(flag) && !SILENT.includes(flag) && foreignOption('run', error)?.hint === undefined;
    });
    expect(neither).toEqual([]);
  });
});

test('what people type most is there', () => {
  const usual =
    'add-host cap-add cap-drop cidfile cpu-quota cpu-shares cpus cpuset-cpus detach detach-keys device dns entrypoint env env-file expose group-add health-cmd hostname init ' +
    'interactive label log-driver memory mount name network no-healthcheck pids-limit platform privileged publish publish-all pull quiet read-only restart ' +
    'rm security-opt shm-size stop-signal stop-timeout tmpfs tty ulimit user userns volume volumes-from workdir';
  expect(usual.split(' ').filter((flag) => !ours.has(flag))).toEqual([]);
});
