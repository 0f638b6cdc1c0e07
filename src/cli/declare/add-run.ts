import { type Command, Option } from 'commander';
import { DETACH_KEYS_HELP } from './add-inside.ts';
import { lifeOptions, processOptions } from '../options/container-options.ts';
import type { CliContext } from '../context.ts';

const IMAGE = 'a name or id of the local store, a path to an archive or layout, or a name that a registry has';
const COMMAND = "what to run instead of the image's command";

/** `tsbuild run`. Options end at the image: what follows is the container's. */
export function addRun(program: Command, context: CliContext, done: (code: number) => void): void {
  const run = program
    .command('run')
    .description('run a command in a new container of an image')
    .argument('<image>', IMAGE)
    .argument('[command...]', COMMAND)
    .passThroughOptions()
    .option('-d, --detach', 'run it in the background, and print its id')
    .option('--wait-healthy', 'with -d: wait until it is healthy')
    .option('--wait-timeout <duration>', 'no longer than this')
    .option('--detach-keys <keys>', DETACH_KEYS_HELP)
    .option('-q, --quiet', 'do not show how the image is prepared')
    .addOption(new Option('--sig-proxy').hideHelp())
    .option('--no-sig-proxy', 'keep signals to this command');
  lifeOptions(processOptions(run)).action(async (image: string, command: string[], options) => {
    const { runCommand } = await import('../commands/run.ts');
    done(await runCommand(context, image, command, options));
  });
}

/** `tsbuild create`: as many options again, which the other need not wait for. */
export function addCreate(program: Command, context: CliContext, done: (code: number) => void): void {
  const create = program
    .command('create')
    .description('make a container of an image, and start nothing')
    .argument('<image>', IMAGE)
    .argument('[command...]', COMMAND)
    .passThroughOptions()
    .option('-q, --quiet', 'do not show how the image is prepared');
  lifeOptions(processOptions(create)).action(async (image: string, command: string[], options) => {
    const { createCommand } = await import('../commands/create.ts');
    done(await createCommand(context, image, command, options));
  });
}
