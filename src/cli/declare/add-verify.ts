import { type Command, Option } from 'commander';
import type { CliContext } from '../context.ts';
import { CONTEXT, contextPermsOption, graphOptions, progressOption } from './graph-options.ts';
import { collect } from '../options/options.ts';

/** `tsbuild verify`. */
export function addVerify(program: Command, context: CliContext, done: (code: number) => void): void {
  graphOptions(
    program
      .command('verify')
      .description(
        'build an image again in an empty store, and say what differs, down to the byte; exit code 1 when something does',
      ),
  )
    .argument(
      '<image>',
      'a name or id of the local store, a path to an archive or layout, or a name that a registry has',
    )
    .argument('[context]', CONTEXT, '.')
    .addOption(contextPermsOption())
    .option('--annotation <[TYPE:]NAME=VALUE>', 'annotation that the image was built with', collect)
    .addOption(progressOption())
    .addOption(new Option('--format <format>', 'how to print it').choices(['text', 'json']).default('text'))
    .action(async (image: string, path: string, options) => {
      const { verifyCommand } = await import('../commands/verify.ts');
      done(await verifyCommand(context, image, path, options));
    });
}
