import { chmodSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Bench, RunOptions, Running } from './bench.ts';

const SERVERS = fileURLToPath(new URL('outside-world.mjs', import.meta.url));

/** How the machine is set up that a command runs on. */
export interface World {
  /** Programs that are not installed there. */
  readonly without?: readonly string[];
  /** A shell script in the place of pasta. */
  readonly pasta?: string;
  /** No device for interfaces of programs, as on a machine where it was forbidden. Default: everybody may use it. */
  readonly noTun?: boolean;
  /** No way to anywhere. */
  readonly offline?: boolean;
}

/**
 * A machine in namespaces of its own: an interface with a default route to a "far" machine, something that listens on its loopback
 * interface, a resolver there, and a device for tunnels that everybody may use. Each wait is for an event, and everything dies with the shell.
 */
const SCRIPT = `
set -e
dir=$1; node=$2; servers=$3; shift 3
mount --make-rprivate /
mount -t tmpfs -o mode=0755 net /dev/net
[ -n "$NO_TUN" ] || mknod -m 0666 /dev/net/tun c 10 200
for program in $WITHOUT; do
  for path in /usr/bin/$program /bin/$program; do [ ! -e "$path" ] || mount --bind /dev/null "$path"; done
done
if [ -e "$dir/pasta" ]; then
  cp /usr/bin/pasta "$dir/pasta.real"
  mount --bind "$dir/pasta" /usr/bin/pasta
fi
mount --bind "$dir/resolv.conf" /etc/resolv.conf
mkfifo "$dir/pid" "$dir/go" "$dir/up"
ip link set lo up
if [ -z "$OFFLINE" ]; then
  ip link add out0 type veth peer name far0
  unshare --net sh -c 'echo $$ > "$1/pid"; read -r go < "$1/go"
    ip link set lo up; ip addr add 198.51.100.2/24 dev far0; ip link set far0 up
    echo 0 > /proc/sys/net/ipv4/ip_unprivileged_port_start
    exec $WHO setpriv --pdeathsig KILL "$2" "$3" far > "$1/up" 2> /dev/null' sh "$dir" "$node" "$servers" &
  read -r far < "$dir/pid"
  ip link set far0 netns "$far"
  ip addr add 198.51.100.1/24 dev out0
  ip link set out0 up
  ip route add default via 198.51.100.2
  echo go > "$dir/go"
  read -r up < "$dir/up"
fi
echo 0 > /proc/sys/net/ipv4/ip_unprivileged_port_start
$WHO setpriv --pdeathsig KILL "$node" "$servers" near > "$dir/up" 2> /dev/null &
read -r up < "$dir/up"
readlink /proc/self/ns/net > "$dir/namespace"
exec "$@"
`;

let worlds = 0;

/** Starts a command as the bench's identity on such a machine. For root alone, who makes it. */
export function inWorld(
  bench: Bench,
  world: World,
  command: readonly string[],
  options: RunOptions = {},
): Running & { readonly dir: string } {
  const dir = bench.path(`world${worlds++}`);
  mkdirSync(dir);
  writeFileSync(`${dir}/resolv.conf`, 'nameserver 127.0.0.53\n');
  if (world.pasta !== undefined) {
    // It runs as an id that is nobody's.
    chmodSync(bench.dir, 0o711);
    writeFileSync(`${dir}/starts`, '');
    chmodSync(`${dir}/starts`, 0o666);
    writeFileSync(`${dir}/pasta`, `#!/bin/sh\nreal=${dir}/pasta.real\ndir=${dir}\n${world.pasta}\n`);
    chmodSync(`${dir}/pasta`, 0o755);
  }
  const env = {
    ...options.env,
    // The kernel asks whether a parent may send the signal of its death: servers are the same user as the command.
    WHO: bench.who.prefix.join(' '),
    WITHOUT: (world.without ?? []).join(' '),
    NO_TUN: world.noTun ? '1' : '',
    OFFLINE: world.offline ? '1' : '',
  };
  const script = ['unshare', '--net', '--mount', 'sh', '-c', SCRIPT, 'sh', dir, process.execPath, SERVERS];
  const running = bench.start([...script, ...bench.who.prefix, ...command], { ...options, env, asSelf: true });
  return { ...running, dir };
}

/** Processes that are in the network of such a machine, with their command lines. */
export function processesIn(world: {
  readonly dir: string;
}): readonly { readonly pid: number; readonly command: string }[] {
  const namespace = readFileSync(`${world.dir}/namespace`, 'utf8').trim();
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0)
    .flatMap((pid) => {
      try {
        if (readlinkSync(`/proc/${pid}/ns/net`) !== namespace) return [];
        return [{ pid, command: readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ').trim() }];
      } catch {
        // It ended meanwhile.
        return [];
      }
    });
}
