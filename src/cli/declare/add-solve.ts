import { type Command, Option } from 'commander';
import type { CliContext } from '../context.ts';
import { isolationOption } from '../options/isolation-option.ts';
import { resourceOptions } from '../options/resource-options.ts';
import { collect } from '../options/options.ts';
import { cacheOptions, failureOption, outputOptions, timeOptions } from './output-options.ts';

/** `tsbuild solve`, with the options of `buildctl build` under their names. */
export function addSolve(program: Command, context: CliContext, done: (code: number) => void): void {
  const command = program
    .command('solve')
    .description("build a graph in BuildKit's format (LLB) that another program made")
    .argument(
      '[definition]',
      'file with the definition as bytes, as "buildctl debug dump-llb" lists it, or as "tsbuild llb --format=json" writes it; "-" is standard input',
      '-',
    );
  resourceOptions(timeOptions(cacheOptions(outputOptions(command))), 'a step')
    .option('--local <NAME=DIR>', 'directory that a local source of the graph stands for', collect)
    .option('--oci-layout <ID=DIR>', 'OCI layout that the images of a source of the graph are in', collect)
    .option(
      '--image-config <file>',
      "config for the image, as JSON in OCI's form: a graph does not say how its image is run (default: an empty one)",
    )
    .option('--platform <os/arch>', 'platform of the image (default: as the config or the result of the graph has it)')
    .option('--no-cache', 'run every step again')
    .option(
      '--pull',
      'ask the registry for newer images, also for those in the local store (--pull=never: ask for none)',
    )
    .addOption(new Option('--pull-never').hideHelp())
    .option(
      '--offline',
      'ask no registry, web server or git repository: build from the store (steps keep their network)',
    )
    .option(
      '--source-policy <file>',
      'rules on which sources may be used, and which others in their place (default: $EXPERIMENTAL_BUILDKIT_SOURCE_POLICY)',
      collect,
    )
    .option('--source-policy-file <file>', 'same as --source-policy, as buildctl calls it', collect)
    .option('--pids-limit <number>', 'processes that a step may have at a time (default: 2048; -1: no limit)')
    .option(
      '--allow <entitlement>',
      'allow what a graph may not do by itself: network.host, security.insecure, device[=NAME[,alias=ALIAS]]',
      collect,
    )
    .option('--secret <id=ID[,src=PATH|,env=NAME]>', 'secret for steps that mount it', collect)
    .option(
      '--ssh <ID[=SOCKET|KEY,…]>',
      'SSH agent or private key files for steps and git (default: $SSH_AUTH_SOCK)',
      collect,
    )
    .option(
      '--source-date-epoch <seconds>',
      'time to put into the image instead of the present (default: $SOURCE_DATE_EPOCH)',
    )
    .addOption(isolationOption())
    .addOption(failureOption())
    .option('--jobs <n>', 'how many steps may run at a time (default: number of CPUs, at least 4)')
    .option('--import-cache <REF|type=TYPE,…>', 'same as --cache-from, as buildctl calls it', collect)
    .option('--export-cache <REF|type=TYPE,…>', 'same as --cache-to, as buildctl calls it', collect)
    .action(async (file: string, options) => {
      const { solveCommand } = await import('../commands/solve.ts');
      done(await solveCommand(context, file, options));
    });
}
