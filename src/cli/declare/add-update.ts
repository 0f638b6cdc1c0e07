import type { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { cpuOptions, resourceOptions } from '../options/resource-options.ts';

/** `tsbuild update` */
export function addUpdate(program: Command, context: CliContext, done: (code: number) => void): void {
  const update = program
    .command('update')
    .description('change the limits of containers, and whether they are started again; those that run, too')
    .argument('<container...>', 'names or ids');
  cpuOptions(resourceOptions(update, 'the container'))
    .option('--pids-limit <number>', 'processes that the container may have at a time (-1: no limit)')
    .option('--restart <policy>', 'start it again when it ends: no, on-failure[:N], always, unless-stopped')
    .action(async (names: string[], options) => {
      const { updateCommand } = await import('../commands/update.ts');
      done(await updateCommand(context, names, options));
    });
}
