import { type Command, Option } from 'commander';
import { buildkitResourceOption, resourceOptions } from '../options/resource-options.ts';
import { collect } from '../options/options.ts';

/** What the argument of a build is. */
export const CONTEXT =
  'directory with the files that COPY and ADD read, git repository, address of an archive, or "-" for standard input';

/** Options that decide what the graph is; `build` and `llb` share them. */
export function graphOptions(command: Command): Command {
  buildkitResourceOption(resourceOptions(command, 'a RUN step'));
  command.option(
    '-f, --file <path>',
    'the Dockerfile (default: Dockerfile in the context); "-" reads it from standard input',
  );
  // As with docker, an empty one is none: a variable that is not set.
  command.on('option:file', (path: string) => {
    if (path === '') command.setOptionValue('file', undefined);
  });
  return command
    .option('--target <stage>', 'the stage to build (default: the last)')
    .option('--platform <os/arch,…>', 'the platforms to build for (default: this machine)', collect)
    .option('--build-arg <NAME[=VALUE]>', 'value of an ARG; without a value it is taken from the environment', collect)
    .option('--label <NAME=VALUE>', 'label to set on the image', collect)
    .option(
      '--build-context <NAME=VALUE>',
      'another context for FROM, COPY --from and mounts: a directory, docker-image://REF, oci-layout://DIR, a git repository or a web address',
      collect,
    )
    .option('--no-cache', 'run every step again')
    .option('--no-cache-filter <stage,…>', 'run the steps of these stages again', collect)
    .option(
      '--pull',
      'ask the registry for newer base images, also for those in the local store (--pull=never: ask for none)',
    )
    .addOption(new Option('--pull-never').hideHelp())
    .option(
      '--network <mode>',
      'network of RUN steps: default (their own, with a way outside), none, host, record (write what servers answer to tsbuild.lock) or locked (only what was recorded)',
    )
    .option('--add-host <NAME=IP>', 'line for /etc/hosts of RUN steps', collect)
    .option('--hostname <name>', 'host name of RUN steps (default: buildkitsandbox)')
    .option('--shm-size <size>', 'size of /dev/shm in RUN steps, e.g. 128m')
    .option('--ulimit <NAME=SOFT[:HARD]>', 'resource limit of RUN steps', collect)
    .option('--pids-limit <number>', 'processes that a RUN step may have at a time (default: 2048; -1: no limit)')
    .option(
      '--allow <entitlement>',
      'allow what a Dockerfile may not do by itself: network.host, security.insecure, device[=NAME[,alias=ALIAS]], frontend (run the image that # syntax= names), network.post (what --network=record may send)',
      collect,
    )
    .option('--secret <id=ID[,src=PATH|,env=NAME]>', 'secret for RUN --mount=type=secret', collect)
    .option(
      '--ssh <ID[=SOCKET|KEY,…]>',
      'SSH agent or private key files for RUN --mount=type=ssh and git (default: $SSH_AUTH_SOCK)',
      collect,
    )
    .option(
      '--source-date-epoch <seconds>',
      'time to put into the image instead of the present (default: $SOURCE_DATE_EPOCH)',
    )
    .option('--locked', 'use images, web addresses and git references only as tsbuild.lock has them')
    .option('--lock-file <path>', 'the lock file (default: tsbuild.lock in the context, used where it exists)')
    .option(
      '--source-policy <file>',
      'rules on which images, git repositories and web addresses may be used, and which others in their place (default: $EXPERIMENTAL_BUILDKIT_SOURCE_POLICY)',
      collect,
    )
    .option('--offline', 'ask no registry, web server or git repository: build from the store (RUN keeps its network)')
    .option('--strict', 'treat warnings about what BuildKit does silently as errors');
}

/** Of commands that read a context to build it. */
export function contextPermsOption(): Option {
  return new Option(
    '--context-perms <auto|preserve>',
    'auto: files of the context that git tracks are 0644 or 0755, whatever the umask was (default: preserve; auto with --reproducible)',
  );
}

/** Of commands that build. */
export function progressOption(): Option {
  return new Option('--progress <style>', 'how to show progress')
    .choices(['auto', 'tty', 'plain', 'quiet', 'rawjson'])
    .env('BUILDKIT_PROGRESS')
    .default('auto');
}
