import { type Command, Option } from 'commander';
import type { CliContext } from '../context.ts';

/** `tsbuild explain`. */
export function addExplain(program: Command, context: CliContext, done: (code: number) => void): void {
  program
    .command('explain')
    .description('say for each step of the last build why it ran or came from the cache, without building')
    .argument('[step]', 'only this one: a line of the Dockerfile, or a part of the instruction; with all that differs')
    .option('--context <path>', 'the last build of this context instead of the last of all')
    .option('--target <stage>', 'the last build of this target')
    .addOption(new Option('--format <format>', 'how to print it').choices(['text', 'json']).default('text'))
    .action(async (step: string | undefined, options) => {
      const { explainCommand } = await import('../commands/explain.ts');
      done(await explainCommand(context, step, options));
    });
}
