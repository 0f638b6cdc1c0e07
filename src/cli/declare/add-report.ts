import { type Command, Option } from 'commander';
import type { CliContext } from '../context.ts';
import { collect } from '../options/options.ts';

/** `tsbuild report`. */
export function addReport(program: Command, context: CliContext, done: (code: number) => void): void {
  program
    .command('report')
    .description(
      'show what happened in the last build: its timeline, steps, logs, layers and warnings, as a page or as JSON',
    )
    .argument('[build]', 'id of a build, or the beginning of one, as --list shows it (default: the last)')
    .addOption(
      new Option('--format <format>', 'form of the report (default: by the name of the file, or html)').choices([
        'html',
        'json',
      ]),
    )
    .option('-o, --output <path>', 'the file (default: standard output)')
    .option('--list', 'list the builds that are remembered')
    .action(async (build: string | undefined, options) => {
      const { reportCommand } = await import('../commands/report.ts');
      done(await reportCommand(context, build, options));
    });
}

/** Of `tsbuild build`. */
export function reportOption(): Option {
  return new Option(
    '--report <FILE.html|FILE.json|json>',
    'write a report of the build, also of one that fails: a page, or the same facts as JSON; "json" is standard output',
  ).argParser(collect);
}
