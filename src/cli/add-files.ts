import type { Command } from 'commander';
import type { CliContext } from './context.ts';

/** Commands on what is in the files of a container. */
export const FILE_COMMANDS: readonly string[] = ['cp'];

/** Commands on what is in the files of a container. */
export function addFiles(program: Command, context: CliContext, done: (code: number) => void): void {
  program
    .command('cp')
    .description('copy files between a container, whether it runs or not, and this machine')
    .argument('<source>', 'NAME:PATH, a path of this machine, or "-": a tar archive from standard input')
    .argument('<destination>', 'the same; "-": a tar archive to standard output')
    .option('-a, --archive', 'keep owners (default: root of the container, or you)')
    .option('-L, --follow-link', 'of a symbolic link, copy what it leads to')
    .option('-q, --quiet', 'do not say how much was copied')
    .action(async (from: string, to: string, options) => {
      const { cpCommand } = await import('./commands/cp.ts');
      done(await cpCommand(context, from, to, options));
    });
}
