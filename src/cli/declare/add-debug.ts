import type { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { CONTEXT, graphOptions, progressOption } from './graph-options.ts';
import { cacheOptions, timeOptions } from './output-options.ts';

/** `tsbuild debug` and `tsbuild shell`. */
export function addDebug(program: Command, context: CliContext, done: (code: number) => void): void {
  program
    .command('debug')
    .description(
      'do the last build again and open a shell in the step that fails, or in the one that is named before it runs',
    )
    .argument('[step]', 'a part of the name of a step, for example "RUN make" or "[build 3/5]"')
    .addOption(progressOption())
    .action(async (step: string | undefined, options) => {
      const { debugCommand } = await import('../commands/debug.ts');
      done(await debugCommand(context, step, options));
    });
  const shell = program
    .command('shell')
    .description('build a stage and open a shell in a container of it')
    .argument('<stage>', 'name or number of the stage')
    .argument('[context]', CONTEXT, '.');
  timeOptions(cacheOptions(graphOptions(shell)))
    .option('-c, --command <command>', 'what to run instead of waiting for input')
    .addOption(progressOption())
    .option('--jobs <n>', 'how many steps may run at a time (default: number of CPUs, at least 4)')
    .action(async (stage: string, path: string, options) => {
      const { shellCommand } = await import('../commands/debug.ts');
      done(await shellCommand(context, stage, path, options));
    });
}
