import { type Command, Option } from 'commander';
import type { Isolation } from '../../sandbox/index.ts';
import type { NetworkOptions } from './container-network.ts';
import { isolationOption } from './isolation-option.ts';
import type { MountOptions } from './mount-options.ts';
import { collect } from './options.ts';
import { TsbuildError } from '../../util/index.ts';
import type { ShareOptions } from './share-options.ts';
import { cpuOptions, type ResourceOptions, resourceOptions } from './resource-options.ts';

/** What runs in a container: options of `run` and `create`. */
export interface ProcessOptions extends ResourceOptions, MountOptions, NetworkOptions, ShareOptions {
  readonly env?: readonly string[];
  readonly envFile?: readonly string[];
  readonly workdir?: string;
  readonly user?: string;
  readonly entrypoint?: string;
  readonly interactive?: boolean;
  readonly tty?: boolean;
  readonly init?: boolean;
  readonly addHost?: readonly string[];
  readonly platform?: string;
  readonly isolation?: Isolation;
  readonly pidsLimit?: string;
  readonly ulimit?: readonly string[];
  readonly shmSize?: string;
  readonly securityOpt?: readonly string[];
  readonly capAdd?: readonly string[];
  readonly capDrop?: readonly string[];
  readonly privileged?: boolean;
  readonly groupAdd?: readonly string[];
  readonly userns?: string;
  readonly dns?: readonly string[];
  readonly dnsSearch?: readonly string[];
  readonly dnsOption?: readonly string[];
  /** Docker's older name of that. */
  readonly dnsOpt?: readonly string[];
  readonly domainname?: string;
}

/** How a container lives: options of `run` and `create`. */
export interface LifeOptions {
  readonly name?: string;
  readonly rm?: boolean;
  readonly restart?: string;
  readonly stopSignal?: string;
  readonly stopTimeout?: string;
  readonly cidfile?: string;
  readonly label?: readonly string[];
  readonly labelFile?: readonly string[];
  readonly pull?: 'always' | 'missing' | 'never';
  readonly healthCmd?: string;
  readonly healthInterval?: string;
  readonly healthTimeout?: string;
  readonly healthRetries?: string;
  readonly healthStartPeriod?: string;
  readonly healthStartInterval?: string;
  /** `--no-healthcheck` */
  readonly healthcheck?: boolean;
  readonly logDriver?: string;
  readonly logOpt?: readonly string[];
  readonly attach?: readonly string[];
  readonly interactive?: boolean;
  readonly scope?: string;
}

/** Docker's other word would show control groups of the machine. @throws TsbuildError `TSB_USAGE` */
function parseCgroupns(text: string): string {
  if (text === 'private') return text;
  const why = text === 'host' ? 'no container sees the control groups of the machine' : 'invalid CGROUP mode';
  throw new TsbuildError('TSB_USAGE', `Cannot use --cgroupns ${JSON.stringify(text)}: ${why}`, {
    hint: 'leave it out: every container has a private one',
  });
}

/** Adds what says what runs in a container. */
export function processOptions(command: Command): Command {
  return cpuOptions(resourceOptions(command, 'the container'))
    .option(
      '-e, --env <NAME[=VALUE]>',
      'environment variable; without a value it is taken from the environment',
      collect,
    )
    .option('--env-file <path>', 'file with environment variables', collect)
    .option(
      '-v, --volume <HOST:CONTAINER[:ro]>',
      'mount a host directory or file; NAME:CONTAINER: a volume, which is made if need be',
      collect,
    )
    .option('--mount <fields>', 'type=bind|volume|tmpfs,source=…,target=…[,readonly][,volume-subpath=…]', collect)
    .option('--tmpfs <CONTAINER[:options]>', 'a directory in memory: size=…, mode=…, uid=…, gid=…, exec', collect)
    .option('--volumes-from <CONTAINER[:ro]>', 'the volumes and directories that another container has', collect)
    .option(
      '--device <HOST[:CONTAINER]>',
      'a device of the machine, or VENDOR/CLASS=NAME: one that a specification names (CDI)',
      collect,
    )
    .option('--gpus <gpus>', 'all, a number of them, or device=ID: devices of nvidia.com/gpu (CDI)')
    .option('--pid <mode>', "container:NAME, to share that container's processes, or host: the machine's")
    .option('--ipc <mode>', 'private (default), shareable, none, host, or container:NAME: shared memory and queues')
    .option('--uts <mode>', 'host: the host name of the machine')
    .option('--cgroupns <mode>', 'private: what every container has', parseCgroupns)
    .option('-w, --workdir <path>', 'working directory')
    .option('-u, --user <name|uid[:group|gid]>', 'user to run as')
    .option('--entrypoint <program>', "program to run instead of the image's entrypoint")
    .option('--read-only', 'mount the root file system read-only; /run, /tmp and /var/tmp are in memory')
    .option('-h, --hostname <name>', 'host name of the container')
    .option('--domainname <name>', 'NIS domain name of the container')
    .option('-i, --interactive', 'pass standard input to the container')
    .option('-t, --tty', 'give the container a terminal')
    .option('--init', 'a small init process as PID 1, which passes signals on and reaps')
    .option(
      '-p, --publish <[[IP:]HOST:]CONTAINER[/udp]>',
      'pass connections to a port of the machine on; HOST may be a range, of which one is taken',
      collect,
    )
    .option('-a, --attach <stream>', 'be at this of its streams only: stdin, stdout or stderr', collect)
    .option('-P, --publish-all', 'publish what the image exposes, at ports that are free')
    .option('--expose <PORT[/udp]>', 'a port for -P, beside those of the image', collect)
    .addOption(new Option('--disable-content-trust').hideHelp())
    .option(
      '--network <network>',
      'a network of "tsbuild network create", host, none, private or container:NAME (default: bridge with published ports, else host)',
      collect,
    )
    .addOption(new Option('--net <network>').argParser(collect).hideHelp())
    .option('--network-alias <name>', 'a further name of the container in its networks', collect)
    .addOption(new Option('--net-alias <name>').argParser(collect).hideHelp())
    .option('--ip <address>', 'its address in the network')
    .option('--ip6 <address>', 'its IPv6 address in the network')
    .option('--mac-address <address>', 'its hardware address in the network; without --network, in one of its own')
    .option('--add-host <NAME=IP>', 'line for /etc/hosts', collect)
    .option('--pids-limit <number>', 'processes that the container may have at a time (default: 2048; -1: no limit)')
    .option('--ulimit <NAME=SOFT[:HARD]>', 'resource limit', collect)
    .option('--sysctl <NAME=VALUE>', 'parameter of the kernel in its own namespaces: net.core.somaxconn=1024', collect)
    .option('--shm-size <size>', 'size of /dev/shm (default: 64m)')
    .option(
      '--security-opt <option>',
      'no-new-privileges; seccomp=unconfined (no filter of system calls); systempaths=unconfined (nothing of /proc hidden)',
      collect,
    )
    .option('--cap-add <name>', 'a capability beside the default ones, or ALL', collect)
    .option('--cap-drop <name>', 'a capability that it is not to have, or ALL', collect)
    .option('--privileged', 'all capabilities and no filter of system calls; never more than you may do yourself')
    .option('--group-add <gid|name>', 'a further group of the user', collect)
    .option(
      '--userns <mode>',
      'keep-id: you have your own id in the container, and are its user unless -u says otherwise',
    )
    .option('--dns <address>', 'name server, instead of those of the machine', collect)
    .option('--dns-search <domain>', 'domain in which names are looked up', collect)
    .option('--dns-option <option>', 'option for /etc/resolv.conf', collect)
    .addOption(new Option('--dns-opt <option>').argParser(collect).hideHelp())
    .option('--platform <os/arch>', 'which platform of the image to run')
    .addOption(isolationOption());
}

/** Adds what says how a container lives. */
export function lifeOptions(command: Command): Command {
  return command
    .option('--name <name>', 'name of the container (default: one is made up)')
    .option('--rm', 'remove the container when it ends')
    .option('--restart <policy>', 'start it again when it ends: no, on-failure[:N], always, unless-stopped')
    .option('--stop-signal <signal>', "what stop sends (default: the image's STOPSIGNAL, else SIGTERM)")
    .option('--stop-timeout <seconds>', 'time between that and SIGKILL (default: 10; -1: no SIGKILL)')
    .option('--cidfile <path>', "write the container's id to a file that must not exist")
    .option('-l, --label <NAME[=VALUE]>', 'label of the container', collect)
    .option('--label-file <path>', 'file with labels, a line each', collect)
    .addOption(
      new Option('--pull <policy>', 'when a registry is asked for the image')
        .choices(['always', 'missing', 'never'])
        .default('missing'),
    )
    .option('--health-cmd <command>', 'shell command that says whether the container is healthy')
    .option('--health-interval <duration>', 'time between two checks (default: 30s)')
    .option('--health-timeout <duration>', 'time that a check may take (default: 30s)')
    .option('--health-retries <number>', 'failures in a row that make it unhealthy (default: 3)')
    .option('--health-start-period <duration>', 'time from the start in which failures do not count (default: 0s)')
    .option('--health-start-interval <duration>', 'time between two checks until it is over (default: 5s)')
    .option('--no-healthcheck', "leave out the image's HEALTHCHECK")
    .addOption(
      new Option('--log-driver <driver>', 'none, or a file of the store, for which the others stand').choices([
        'k8s-file',
        'json-file',
        'local',
        'none',
      ]),
    )
    .option('--log-opt <NAME=VALUE>', 'max-size=SIZE (default: 64m), max-file=N (default: 2)', collect)
    .option(
      '--scope <id>',
      'what the container goes with: "tsbuild down --scope ID" removes it (default with -d: $TSBUILD_SCOPE)',
    );
}
