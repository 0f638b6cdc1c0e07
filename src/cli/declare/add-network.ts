import { type Command, Option } from 'commander';
import type { CliContext } from '../context.ts';
import { collect } from '../options/options.ts';

type Done = (code: number) => void;

/** `tsbuild network create`, `ls`, `inspect`, `rm`, `prune`, `connect`, `disconnect`. */
export function addNetwork(program: Command, context: CliContext, done: Done): void {
  const network = program.command('network').description('networks in which containers find each other by name');
  addCreate(network, context, done);
  network
    .command('ls')
    .alias('list')
    .description('list the networks')
    .option('-q, --quiet', 'print only ids')
    .option('--no-trunc', 'do not shorten ids')
    .option('--format <format>', 'table, json, a Go template, or table and a template')
    .option(
      '-f, --filter <filter>',
      'name=, id=, label=NAME[=VALUE], driver=, type=, scope=, until=TIME, dangling=true',
      collect,
    )
    .action(async (options) => {
      const { networkLsCommand } = await import('../commands/network.ts');
      done(await networkLsCommand(context, options));
    });
  network
    .command('inspect')
    .description('describe networks, and who is in them')
    .argument('<network...>', 'names or ids')
    .option('-f, --format <format>', 'a Go template, for example {{.Internal}}')
    .addOption(new Option('-v, --verbose').hideHelp())
    .action(async (names: string[], options) => {
      const { networkInspectCommand } = await import('../commands/network.ts');
      done(await networkInspectCommand(context, names, options));
    });
  network
    .command('rm')
    .alias('remove')
    .description('remove networks that no container is in')
    .argument('<network...>', 'names or ids')
    .option('-f, --force', 'do not mind those that are not there')
    .action(async (names: string[], options) => {
      const { networkRmCommand } = await import('../commands/network.ts');
      done(await networkRmCommand(context, names, options));
    });
  network
    .command('prune')
    .description('remove all networks that no container is in')
    .option('-f, --force', 'is not needed: nothing is asked')
    .option('--filter <filter>', 'label=NAME[=VALUE], until=TIME', collect)
    .action(async (options) => {
      const { networkPruneCommand } = await import('../commands/network.ts');
      done(await networkPruneCommand(context, options));
    });
  addMembers(network, context, done);
}

function addCreate(network: Command, context: CliContext, done: Done): void {
  network
    .command('create')
    .description('make a network')
    .argument('<name>', 'what it is to be called')
    .option('-d, --driver <driver>', 'bridge is the only one', 'bridge')
    .option(
      '--subnet <subnet>',
      'its addresses, such as 10.89.7.0/24; once for each family (default: one that is free)',
      collect,
    )
    .option('--gateway <address>', "the network's own address (default: the first)", collect)
    .option('--ip-range <subnet>', 'a part of a --subnet, from which containers get addresses; once for each', collect)
    .option('--internal', 'with no way outside')
    .option('--ipv6', 'also with IPv6')
    .option('--label <NAME[=VALUE]>', 'label of the network', collect)
    .option('-o, --opt <NAME=VALUE>', 'kept and shown; none has a meaning here', collect)
    .addOption(new Option('--attachable').hideHelp())
    .option('--ignore', 'do not mind when it is there already')
    .option('--scope <id>', 'what it goes with: "tsbuild down --scope ID" removes it (default: $TSBUILD_SCOPE)')
    .action(async (name: string, options) => {
      const { networkCreateCommand } = await import('../commands/network.ts');
      done(await networkCreateCommand(context, name, options));
    });
}

function addMembers(network: Command, context: CliContext, done: Done): void {
  network
    .command('connect')
    .description('have a container join a network, whether it runs or not')
    .argument('<network>', 'name or id')
    .argument('<container>', 'name or id')
    .option('--alias <name>', 'a further name of the container there', collect)
    .option('--ip <address>', 'its address there')
    .option('--ip6 <address>', 'its IPv6 address there')
    .option('--mac-address <address>', 'its hardware address there')
    .action(async (name: string, container: string, options) => {
      const { networkConnectCommand } = await import('../commands/network-members.ts');
      done(await networkConnectCommand(context, name, container, options));
    });
  network
    .command('disconnect')
    .description('have a container leave a network')
    .argument('<network>', 'name or id')
    .argument('<container>', 'name or id')
    .option('-f, --force', 'do not mind when it is not there')
    .action(async (name: string, container: string, options) => {
      const { networkDisconnectCommand } = await import('../commands/network-members.ts');
      done(await networkDisconnectCommand(context, name, container, options));
    });
}
