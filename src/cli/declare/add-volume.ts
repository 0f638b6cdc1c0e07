import { type Command, Option } from 'commander';
import type { CliContext } from '../context.ts';
import { collect } from '../options/options.ts';

/** `tsbuild volume create`, `ls`, `inspect`, `rm`, `prune`. */
export function addVolume(program: Command, context: CliContext, done: (code: number) => void): void {
  const volume = program.command('volume').description('directories that containers share and leave behind');
  volume
    .command('create')
    .description('make a volume; one that is there stays')
    .argument('[name]', 'default: one is made up')
    .option('--label <NAME[=VALUE]>', 'label of the volume', collect)
    .addOption(new Option('-d, --driver <driver>', 'local is the only one').choices(['local']))
    .action(async (name: string | undefined, options) => {
      const { volumeCreateCommand } = await import('../commands/volume.ts');
      done(await volumeCreateCommand(context, name, options));
    });
  volume
    .command('ls')
    .alias('list')
    .description('list the volumes')
    .option('-q, --quiet', 'print only names')
    .option('--format <format>', 'table, json, a Go template, or table and a template')
    .option('-f, --filter <filter>', 'name=, label=NAME[=VALUE], driver=, dangling=true', collect)
    .action(async (options) => {
      const { volumeLsCommand } = await import('../commands/volume.ts');
      done(await volumeLsCommand(context, options));
    });
  volume
    .command('inspect')
    .description('describe volumes')
    .argument('<name...>', 'names')
    .option('-f, --format <format>', 'a Go template, for example {{.Mountpoint}}')
    .action(async (names: string[], options) => {
      const { volumeInspectCommand } = await import('../commands/volume.ts');
      done(await volumeInspectCommand(context, names, options));
    });
  volume
    .command('rm')
    .alias('remove')
    .description('remove volumes that no container has')
    .argument('<name...>', 'names')
    .option('-f, --force', 'do not mind those that are not there')
    .action(async (names: string[], options) => {
      const { volumeRmCommand } = await import('../commands/volume.ts');
      done(await volumeRmCommand(context, names, options));
    });
  volume
    .command('prune')
    .description('remove the volumes without a name that no container has')
    .option('-a, --all', 'those with a name, too')
    .option('-f, --force', 'needed with --all: what is in them is gone')
    .option('--filter <filter>', 'label=NAME[=VALUE]', collect)
    .action(async (options) => {
      const { volumePruneCommand } = await import('../commands/volume.ts');
      done(await volumePruneCommand(context, options));
    });
}
