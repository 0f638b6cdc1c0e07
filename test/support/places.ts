import { existsSync, realpathSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Bench, Outcome, RunOptions } from './bench.ts';

/** Somewhere that tsbuild is started in, and where its store and files are there. */
export interface Place {
  /** A directory that the place may write to. */
  readonly dir: string;
  readonly run: (command: readonly string[], options?: RunOptions) => Promise<Outcome>;
}

/**
 * A container of Debian's podman as it comes, but for what machines with cgroups of two kinds and low limits need (`--runtime runc`, no
 * ulimits). Its files are the machine's beneath an overlay that is thrown away, but for what it gets at `dir`.
 * @param user `UID:GID`, of which /etc/passwd need know nothing
 */
export function podmanPlace(bench: Bench, user: string): Place {
  const conf = bench.path('containers.conf');
  writeFileSync(conf, '[containers]\ndefault_ulimits = []\n');
  const storage = ['--root', bench.path('podman'), '--runroot', bench.path('runroot'), '--storage-driver', 'vfs'];
  const engine = ['--events-backend=file', '--cgroup-manager=cgroupfs', '--runtime=runc'];
  const dir = '/var/tmp/place';
  return {
    dir,
    run: (command, options = {}) => {
      const script = `mkdir -p ${dir} && cd ${dir} && exec "$@"`;
      const what = ['run', '--rm', '--network=none', `--user=${user}`, '--rootfs', '/:O', 'sh', '-c', script, 'sh'];
      const all = ['podman', ...storage, ...engine, ...what, ...command];
      return bench.start(all, { ...options, env: { CONTAINERS_CONF: conf }, asSelf: true }).ended;
    },
  };
}

/**
 * A container of `tsbuild run` as it comes, of the base image: its programs are the machine's, which it gets to read, as it does the bench's files.
 * @param options of `run`, beside these
 */
export function tsbuildPlace(bench: Bench, options: readonly string[]): Place {
  const [program = ''] = bench.command([]);
  const root = dirname(dirname(program));
  const node = dirname(process.execPath);
  const read = ['/usr', '/lib', '/lib64', node, root, realpathSync(join(root, 'node_modules')), bench.dir];
  const volumes = read.filter((path) => existsSync(path)).flatMap((path) => ['-v', `${path}:${path}:ro`]);
  const dir = '/var/place';
  const path = `PATH=${node}:/usr/sbin:/usr/bin:/sbin:/bin`;
  return {
    dir,
    run: (command, more = {}) => {
      const script = `mkdir -p ${dir} && cd ${dir} && exec "$@"`;
      const words = ['run', '--rm', '--network=none', '-e', path, ...options, ...volumes];
      return bench.tsbuild([...words, 'base:1', 'sh', '-c', script, 'sh', ...command], more);
    },
  };
}

/** What systemd does before it starts the program of a unit (systemd.exec(5)). `$1` is its StateDirectory. */
const UNIT = `
state=$1; shift
mount --make-rprivate / || exit
awk '{ print $5 }' /proc/self/mountinfo | sort -u | while read -r at; do
  case $at in /proc | /proc/* | /sys | /sys/* | /dev | /dev/*) ;; *) mount -o remount,bind,ro "$at" 2>/dev/null ;; esac
done
mount --bind "$state" "$state" && mount -o remount,bind,rw "$state" || exit
cd "$state" && exec setpriv --no-new-privs "$@"
`;

/**
 * A unit with `ProtectSystem=strict`, `NoNewPrivileges=yes` and a `StateDirectory=`, made of the same mounts and the same bit: where the tests
 * run there need be no systemd.
 * @param state its directory, the user's own
 */
export function unitPlace(bench: Bench, state: string, user: { readonly uid: number; readonly gid: number }): Place {
  const who = user.uid === 0 ? [] : [`--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups'];
  return {
    dir: state,
    run: (command, options = {}) =>
      bench.start(['unshare', '--mount', 'sh', '-c', UNIT, 'sh', state, ...who, ...command], {
        ...options,
        cwd: '/',
        asSelf: true,
      }).ended,
  };
}
