import { type Command, Option } from 'commander';
import type { CliContext } from '../context.ts';
import { collect } from '../options/options.ts';

const CONTAINER = 'name or id';
/** What `--help` says of the option, of everything that has a terminal. */
export const DETACH_KEYS_HELP = 'keys that leave the container alone (default: ctrl-p,ctrl-q)';

/** Commands on what happens inside of a container that runs. */
export const INSIDE_COMMANDS: readonly string[] = ['exec', 'attach', 'top', 'stats', 'events'];

/** Commands on what happens inside of a container that runs. */
export function addInside(program: Command, context: CliContext, done: (code: number) => void): void {
  program
    .command('exec')
    .description('run a further command in a container that runs')
    .argument('<container>', CONTAINER)
    .argument('<command...>', 'program and arguments')
    .passThroughOptions()
    .option('-d, --detach', 'do not wait for it, and leave its output')
    .option('-i, --interactive', 'pass standard input on')
    .option('-t, --tty', 'give it a terminal')
    .option('-e, --env <NAME[=VALUE]>', 'environment variable, beside those of the container', collect)
    .option('--env-file <path>', 'file with environment variables', collect)
    .option('-u, --user <name|uid[:group|gid]>', 'user to run as (default: that of the container)')
    .option('-w, --workdir <path>', 'working directory (default: that of the container)')
    .option('--privileged', 'all capabilities and no filter of system calls; never more than you may do yourself')
    .option('--detach-keys <keys>', DETACH_KEYS_HELP)
    .action(async (name: string, command: string[], options) => {
      const { execCommand } = await import('../commands/exec.ts');
      done(await execCommand(context, name, command, options));
    });
  program
    .command('attach')
    .description('show what a container prints from now on, and be its standard input; Ctrl-P Ctrl-Q leaves it alone')
    .argument('<container>', CONTAINER)
    .option('--no-stdin', 'do not pass standard input on')
    .addOption(new Option('--sig-proxy').hideHelp())
    .option('--no-sig-proxy', 'keep signals to this command')
    .option('--detach-keys <keys>', DETACH_KEYS_HELP)
    .action(async (name: string, options) => {
      const { attachCommand } = await import('../commands/attach.ts');
      done(await attachCommand(context, name, options));
    });
  program
    .command('stats')
    .description('show what the processes of containers use, as far as /proc tells')
    .argument('[container...]', 'names or ids (default: all that run)')
    .option('-a, --all', 'also those that do not run')
    .option('--no-stream', 'look once')
    .option('--no-trunc', 'do not shorten ids')
    .option('--format <format>', 'table, json, a Go template, or table and a template')
    .action(async (names: string[], options) => {
      const { statsCommand } = await import('../commands/stats.ts');
      done(await statsCommand(context, names, options));
    });
  program
    .command('events')
    .description('show what happens to containers')
    .option('--since <time>', 'also what happened since then: RFC 3339, seconds since 1970, or a duration such as 10m')
    .option('--until <time>', 'nothing after this')
    .option('-f, --filter <filter>', 'event=, container=, image=, label=NAME[=VALUE], type=container', collect)
    .option('--format <format>', 'json, or a Go template')
    .option('--no-stream', 'show what has happened, and end')
    .action(async (options) => {
      const { eventsCommand } = await import('../commands/events.ts');
      done(await eventsCommand(context, options));
    });
  program
    .command('top')
    .description('list the processes of a container')
    .argument('<container>', CONTAINER)
    .argument('[options...]')
    .passThroughOptions()
    .action(async (name: string, options: string[]) => {
      const { topCommand } = await import('../commands/top.ts');
      done(await topCommand(context, name, options));
    });
}
