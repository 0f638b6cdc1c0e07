import { type Command, Option } from 'commander';
import type { CliContext } from '../context.ts';
import { addInside, DETACH_KEYS_HELP, INSIDE_COMMANDS } from './add-inside.ts';
import { collect } from '../options/options.ts';
import { addUpdate } from './add-update.ts';

type Done = (code: number) => void;

const OWN_COMMANDS = [
  'ps',
  'start',
  'stop',
  'restart',
  'kill',
  'rm',
  'wait',
  'pause',
  'unpause',
  'rename',
  'update',
  'down',
  'port',
  'container-prune',
] as const;

/** Commands on containers that are there. */
export const LIFE_COMMANDS: readonly string[] = [...OWN_COMMANDS, ...INSIDE_COMMANDS];

const CONTAINERS = 'names or ids';

/** Commands on containers that are there. */
export function addLife(program: Command, context: CliContext, done: Done): void {
  addPs(program, context, done);
  addStart(program, context, done);
  addStop(program, context, done);
  addInside(program, context, done);
  addUpdate(program, context, done);
  program
    .command('rm')
    .description('remove containers, with all that they have written')
    .argument('<container...>', CONTAINERS)
    .option('-f, --force', 'kill those that run, and do not mind those that are not there')
    .option('-v, --volumes', 'also the volumes without a name that were made for them')
    .action(async (names: string[], options) => {
      const { rmCommand } = await import('../commands/rm.ts');
      done(await rmCommand(context, names, options));
    });
  program
    // Docker's "container prune", which is what people type.
    .command('container-prune', { hidden: true })
    .description('remove all containers that do not run')
    .option('-f, --force', 'do not ask')
    .option('--filter <filter>', 'label=NAME[=VALUE], until=TIME', collect)
    .action(async (options) => {
      const { pruneContainersCommand } = await import('../commands/rm.ts');
      done(await pruneContainersCommand(context, options));
    });
  program
    .command('wait')
    .description('wait until containers have ended, and print their exit codes')
    .argument('<container...>', CONTAINERS)
    .action(async (names: string[]) => {
      const { waitCommand } = await import('../commands/stop.ts');
      done(await waitCommand(context, names));
    });
  program
    .command('down')
    .description('stop and remove all containers of a scope, with their volumes without a name')
    .option('--scope <id>', 'what they were made with (default: $TSBUILD_SCOPE)')
    .option('-t, --time <seconds>', 'time between the signal and SIGKILL')
    .action(async (options) => {
      const { downCommand } = await import('../commands/down.ts');
      done(await downCommand(context, options));
    });
  program
    .command('rename')
    .description('give a container another name')
    .argument('<container>', 'name or id')
    .argument('<name>', 'the new one')
    .action(async (name: string, to: string) => {
      const { renameCommand } = await import('../commands/rename.ts');
      done(await renameCommand(context, name, to));
    });
  program
    .command('port')
    .description('where the published ports of a container are')
    .argument('<container>', 'name or id')
    .argument('[port]', 'only this one: 80, 53/udp')
    .action(async (name: string, port: string | undefined) => {
      const { portCommand } = await import('../commands/port.ts');
      done(await portCommand(context, name, port));
    });
  for (const [name, verb] of [
    ['pause', 'halt'],
    ['unpause', 'go on with'],
  ] as const)
    program
      .command(name)
      .description(`${verb} all processes of containers`)
      .argument('<container...>', CONTAINERS)
      .action(async (names: string[]) => {
        const { pauseCommand } = await import('../commands/stop.ts');
        done(await pauseCommand(context, names, name === 'pause'));
      });
}

function addPs(program: Command, context: CliContext, done: Done): void {
  program
    .command('ps')
    .description('list containers')
    .option('-a, --all', 'also those that do not run')
    .option('-q, --quiet', 'print only ids')
    .option('-n, --last <number>', 'only the newest, whatever they do')
    .option('-l, --latest', 'only the newest one, whatever it does')
    .option('--no-trunc', 'do not shorten ids and commands')
    .option('-s, --size', 'what each has written, and that with its image')
    .option('--format <format>', 'table, json, a Go template, or table and a template')
    .option(
      '-f, --filter <filter>',
      'id=, name=, label=NAME[=VALUE], status=, exited=CODE, health=, ancestor=IMAGE, before=, since=, scope=, network=, volume=, publish=PORT, expose=PORT',
      collect,
    )
    .action(async (options) => {
      const { psCommand } = await import('../commands/ps.ts');
      done(await psCommand(context, options));
    });
}

function addStart(program: Command, context: CliContext, done: Done): void {
  program
    .command('start')
    .description('start containers that were made or have ended')
    .argument('<container...>', CONTAINERS)
    .option('-a, --attach', 'show what it prints, pass signals on, and end with its exit code')
    .option('-i, --interactive', 'pass standard input on')
    .option('--detach-keys <keys>', DETACH_KEYS_HELP)
    .action(async (names: string[], options) => {
      const { startCommand } = await import('../commands/start.ts');
      done(await startCommand(context, names, options));
    });
}

function addStop(program: Command, context: CliContext, done: Done): void {
  const stopOptions = (command: Command): Command =>
    command
      .argument('<container...>', CONTAINERS)
      .option('-s, --signal <signal>', 'instead of the one that the container was made with')
      .option('-t, --time <seconds>', 'time between that and SIGKILL; -1: no SIGKILL')
      .addOption(new Option('--timeout <seconds>').hideHelp());
  const given = (options: { time?: string; timeout?: string }): { time?: string } => ({
    ...options,
    ...(options.timeout === undefined ? {} : { time: options.timeout }),
  });
  stopOptions(program.command('stop').description('end containers: a signal, and SIGKILL after a time')).action(
    async (names: string[], options) => {
      const { stopCommand } = await import('../commands/stop.ts');
      done(await stopCommand(context, names, given(options)));
    },
  );
  stopOptions(program.command('restart').description('stop containers and start them again')).action(
    async (names: string[], options) => {
      const { restartCommand } = await import('../commands/stop.ts');
      done(await restartCommand(context, names, given(options)));
    },
  );
  program
    .command('kill')
    .description('send a signal to containers')
    .argument('<container...>', CONTAINERS)
    .option('-s, --signal <signal>', 'which one', 'SIGKILL')
    .action(async (names: string[], options) => {
      const { killCommand } = await import('../commands/stop.ts');
      done(await killCommand(context, names, options));
    });
}

/** `tsbuild logs`: of a container, or of a step that failed. */
export function addLogs(program: Command, context: CliContext, done: Done): void {
  program
    .command('logs')
    .description('show what a container has printed, or the complete output of a build step that failed')
    .argument(
      '[container|step]',
      "a container's name or id; else id of a step's log, or a part of its name. Without: lists the logs of steps",
    )
    .option('-f, --follow', 'go on as long as the container runs')
    .option('-n, --tail <lines>', 'only the last lines')
    .option('-t, --timestamps', 'with the time of each line')
    .option(
      '--since <time>',
      'only what was printed after this: RFC 3339, seconds since 1970, or a duration such as 10m',
    )
    .option('--until <time>', 'only what was printed before this')
    .addOption(new Option('--details').hideHelp())
    .addOption(
      new Option('--format <format>', 'how to print the list of steps').choices(['table', 'json']).default('table'),
    )
    .action(async (name: string | undefined, options) => {
      const { logsCommand } = await import('../commands/logs.ts');
      done(await logsCommand(context, name, options));
    });
}
