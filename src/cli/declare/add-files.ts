import { type Command, Option } from 'commander';
import type { CliContext } from '../context.ts';
import { collect } from '../options/options.ts';

const CONTAINER = 'name or id';

/** Commands on what is in the files of a container. */
export const FILE_COMMANDS: readonly string[] = ['cp', 'diff', 'commit', 'export'];

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
      const { cpCommand } = await import('../commands/cp.ts');
      done(await cpCommand(context, from, to, options));
    });
  program
    .command('diff')
    .description('list what a container has added (A), changed (C) and deleted (D)')
    .argument('<container>', CONTAINER)
    .option('--format <format>', 'table, json, or a Go template')
    .action(async (name: string, options) => {
      const { diffCommand } = await import('../commands/diff.ts');
      done(await diffCommand(context, name, options));
    });
  program
    .command('commit')
    .description('make an image of what a container has written')
    .argument('<container>', CONTAINER)
    .argument('[image]', 'NAME[:TAG] for the image')
    .option('-a, --author <author>', 'who made it')
    .option('-c, --change <instruction>', 'instruction of a Dockerfile, such as CMD or ENV', collect)
    .option('-m, --message <text>', 'comment in its history')
    .option('-p, --pause', 'halt the container meanwhile (the default; --pause=false: do not)')
    .addOption(new Option('--no-pause').hideHelp())
    .option('-q, --quiet', 'print nothing but the id')
    .action(async (name: string, image: string | undefined, options) => {
      const { commitCommand } = await import('../commands/commit.ts');
      done(await commitCommand(context, name, image, options));
    });
  program
    .command('export')
    .description('write the files of a container to a tar archive, without what is mounted in it')
    .argument('<container>', CONTAINER)
    .option('-o, --output <path>', 'the file (default: standard output)')
    .action(async (name: string, options) => {
      const { exportCommand } = await import('../commands/export.ts');
      done(await exportCommand(context, name, options));
    });
}
