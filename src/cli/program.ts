import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { Command, CommanderError, Option } from 'commander';
import { exitCodeOf, sanitize, suggest, TsbuildError, version } from '../util/index.ts';
import { addCache } from './declare/add-cache.ts';
import { addFiles, FILE_COMMANDS } from './declare/add-files.ts';
import { addLife, LIFE_COMMANDS, addLogs } from './declare/add-life.ts';
import { addCreate, addRun } from './declare/add-run.ts';
import { addNetwork } from './declare/add-network.ts';
import { addVolume } from './declare/add-volume.ts';
import { addCopy, addPull } from './declare/add-copy.ts';
import { addPush } from './declare/add-push.ts';
import { addDebug } from './declare/add-debug.ts';
import { addSolve } from './declare/add-solve.ts';
import { addServe } from './declare/add-serve.ts';
import { addExplain } from './declare/add-explain.ts';
import { addReport } from './declare/add-report.ts';
import { addVerify } from './declare/add-verify.ts';
import { cacheOptions, failureOption, outputOptions, timeOptions } from './declare/output-options.ts';
import { CONTEXT, contextPermsOption, graphOptions } from './declare/graph-options.ts';
import type { CliContext } from './context.ts';
import { isolationOption } from './options/isolation-option.ts';
import { collect } from './options/options.ts';
import { addInspect, addLogin, addSearch, addTag } from './declare/registry-commands.ts';
import { reportError } from './report.ts';
import { withoutValues } from './switches.ts';
import { addUnsupported } from './unsupported.ts';
import { ownsH, withoutVainHelp } from './vain-help.ts';
import { firstWord } from './words.ts';

/**
 * Runs one command line and gives the exit code: 0 done, 1 failed, 2 wrong usage, 130 or 143 interrupted; `run` gives the
 * container's own. What a command needs is imported when it runs, so that `--help` and small commands start fast.
 */
export async function runCli(args: readonly string[], context: CliContext): Promise<number> {
  let code = 0;
  const setCode = (result: number): void => {
    code = result;
  };
  // What commander says of wrong usage, until it is known whether there is something better.
  const said: string[] = [];
  let command = '';
  try {
    const words = await firstWord(args, COMMANDS);
    command = words[0] ?? '';
    const make = (): Command => createProgram(context, setCode, commandOf(words), (text) => said.push(text));
    const program = make();
    checkCommand(words, context.cwd);
    const own = program.commands.find((each) => each.name() === command);
    const plain = own === undefined ? words : withoutValues(words, own, PASS_THROUGH.has(command));
    await program.parseAsync([...withoutVainHelp(plain, make)], { from: 'user' });
    return code;
  } catch (thrown) {
    let error = thrown;
    if (error instanceof CommanderError) {
      const { foreignOption } = await import('./unknown-options.ts');
      const better = foreignOption(command, error);
      if (better === undefined) {
        // Words of the command line are in it, which scripts make of names from outside.
        context.stderr.write(sanitize(said.join('')));
        return error.exitCode === 0 ? 0 : failureCode(command, USAGE);
      }
      error = better;
    }
    await reportError(context, error, { debug: args.includes('--debug') || args.includes('-D') });
    return failureCode(command, exitCodeOf(error));
  }
}

/** What wrong usage ends with. */
const USAGE = 2;

/** `run` passes on what a container ended with, which 1 and 2 may be: all that goes wrong before is 125, as docker and podman have it, for `create` too. */
function failureCode(command: string, code: number): number {
  return command === 'run' || command === 'create' ? 125 : code;
}

/**
 * Since `build` is the default command, a mistyped command would be taken for a context.
 * @param words with the command first; one that was typed without is one word longer
 * @throws TsbuildError `TSB_USAGE` when the first of several words is neither a command nor a path but near a command
 */
function checkCommand([command, first = '', second]: readonly string[], cwd: string): void {
  if (command !== 'build' || second === undefined || !/^[a-z]+$/.test(first) || existsSync(resolve(cwd, first))) return;
  const near = suggest(first, COMMANDS);
  if (near === undefined) return;
  throw new TsbuildError('TSB_USAGE', `Unknown command ${JSON.stringify(first)}`, {
    hint: `did you mean "tsbuild ${near}"?`,
  });
}

type Done = (code: number) => void;

/** The commands, by the function that adds them. */
const groups: readonly (readonly [readonly string[], (program: Command, context: CliContext, done: Done) => void])[] = [
  [['build'], addBuild],
  [['llb'], addLlb],
  [['solve'], addSolve],
  [['debug', 'shell'], addDebug],
  [['run'], addRun],
  [['create'], addCreate],
  [LIFE_COMMANDS, addLife],
  [FILE_COMMANDS, addFiles],
  [['volume'], addVolume],
  [['network'], addNetwork],
  [['images', 'rmi', 'import', 'save'], addImages],
  [['login', 'logout'], addLogin],
  [['tag', 'untag'], addTag],
  [['inspect', 'history'], addInspect],
  [['search'], addSearch],
  [['push'], addPush],
  [['pull'], addPull],
  [['copy'], addCopy],
  [['logs'], addLogs],
  [['report'], addReport],
  [['verify'], addVerify],
  [['explain'], addExplain],
  [['serve'], addServe],
  [['du', 'prune', 'store'], addStore],
  [['cache'], addCache],
  [['doctor'], addDoctor],
];

/** Options end at the image or container: what follows is for what runs in it. */
const PASS_THROUGH: ReadonlySet<string> = new Set(['run', 'create', 'exec']);

/** All commands. */
const COMMANDS: readonly string[] = [...groups.flatMap(([names]) => names), 'help'];

/** The command that the words name, when nothing is needed of the others: describing all of them takes longer than a cached build should. */
function commandOf(words: readonly string[]): string | undefined {
  const [first = ''] = words;
  return first === 'help' || !COMMANDS.includes(first) ? undefined : first;
}

/** @param only a command; the others are left out */
function createProgram(
  context: CliContext,
  done: Done,
  only: string | undefined,
  writeErr: (text: string) => void,
): Command {
  const program = new Command('tsbuild')
    .description('Builds OCI images from Dockerfiles without a daemon and without root.')
    .version(`tsbuild ${version}`, '-v, --version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .option('-D, --debug', 'show stack traces of failures, and what warnings mean')
    .showSuggestionAfterError()
    .showHelpAfterError('Run "tsbuild --help" or "tsbuild COMMAND --help" for what is possible.')
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => context.stdout.write(text),
      writeErr,
    });
  for (const [names, add] of groups) if (only === undefined || names.includes(only)) add(program, context, done);
  for (const command of program.commands) {
    command
      .copyInheritedSettings(program)
      // Options of the program go before the command; this one is also understood behind it.
      .addOption(new Option('-D, --debug', 'show stack traces of failures, and what warnings mean').hideHelp())
      .exitOverride()
      .showHelpAfterError(`Run "tsbuild ${command.name()} --help" for what is possible.`);
    if (ownsH(command)) command.helpOption('--help', 'show help');
  }
  return program;
}

/** `tsbuild build`, with the options of `docker build` under their names, so that scripts can be kept. */
function addBuild(program: Command, context: CliContext, done: Done): void {
  const command = program
    .command('build')
    .description('build an image from a Dockerfile (the default command: "tsbuild ." builds)');
  timeOptions(cacheOptions(outputOptions(addUnsupported(graphOptions(command)))))
    .argument('[context...]', `${CONTEXT}; with --check also Dockerfiles and patterns of Dockerfiles (default: ".")`)
    .option(
      '--reproducible',
      'one digest wherever it is built: times from the commit of the context or from the base image, permissions as git knows them (default: $TSBUILD_REPRODUCIBLE)',
    )
    .addOption(contextPermsOption())
    .option(
      '--update-lock',
      'look up what images, web addresses and git references are now, and write tsbuild.lock; --update-lock=NAME: only this one',
    )
    .addOption(new Option('--update-lock-name <name>').argParser(collect).hideHelp())
    .option(
      '--raw-output',
      'under CI, leave commands to the runner (##vso[…], ::set-output …) in what is shown as they are',
    )
    .addOption(isolationOption())
    .option(
      '--explain',
      'say at the end why each step ran: what has changed since the build before (see also "tsbuild explain")',
    )
    .option('--jobs <n>', 'how many steps may run at a time (default: number of CPUs, at least 4)')
    .option(
      '--check',
      "only check the Dockerfile, same as --call=check; of several: --check '**/Dockerfile*' '!vendor', and -f takes a pattern, too",
    )
    .option(
      '--fix',
      'with --check: rewrite what has one right answer, show what was changed, and check the rest; a Dockerfile from standard input is written to standard output',
    )
    .option(
      '--unsafe-fixes',
      'with --fix: also rewrite what changes the image: MAINTAINER to LABEL, JSON arguments in single quotes',
    )
    .addOption(failureOption())
    .option('--call <method>', 'build, check, outline or targets; with ",format=json" as JSON')
    .action(async (paths: string[], options) => {
      const { buildCommand } = await import('./commands/build.ts');
      done(await buildCommand(context, paths, options));
    });
}

/** `tsbuild llb`: the graph of a build, without building it. */
function addLlb(program: Command, context: CliContext, done: Done): void {
  graphOptions(
    program
      .command('llb')
      .description("write the build graph of a Dockerfile to standard output, in BuildKit's format"),
  )
    .argument('[context]', CONTEXT, '.')
    .addOption(
      new Option('--format <format>', 'binary definition, or something to read')
        .choices(['binary', 'json', 'dot', 'mermaid'])
        .default('binary'),
    )
    .action(async (path: string, options) => {
      const { llbCommand } = await import('./commands/llb.ts');
      done(await llbCommand(context, path, options));
    });
}

/** `tsbuild images`, `rmi`, `import` and `save`. */
function addImages(program: Command, context: CliContext, done: Done): void {
  program
    .command('images')
    .description('list the images of the local store')
    .argument('[name]', 'only images whose name contains this')
    .option('--format <format>', 'table, json, a Go template, or table and a template')
    .option('-q, --quiet', 'print only image ids')
    .option(
      '-f, --filter <filter>',
      'reference=PATTERN, label=NAME[=VALUE], before=IMAGE, since=IMAGE, until=TIME',
      collect,
    )
    .option('--digests', 'show digests of manifests')
    .option('--no-trunc', 'do not shorten ids')
    .addOption(new Option('-a, --all').hideHelp())
    .action(async (name: string | undefined, options) => {
      const { imagesCommand } = await import('./commands/images.ts');
      done(await imagesCommand(context, name, options));
    });
  program
    .command('rmi')
    .description('remove images from the local store')
    .argument('<image...>', 'names or ids')
    .option('-f, --force', 'also of an image that a running command uses')
    .action(async (images: string[], options) => {
      const { rmiCommand } = await import('./commands/images.ts');
      done(await rmiCommand(context, images, options));
    });
  program
    .command('import')
    .description(
      'bring an image into the local store: an OCI archive or layout, a docker archive, or the tar of a root file system',
    )
    .argument('<file|directory>', '"-" reads standard input')
    .argument('[name[:tag]]', 'name for the image')
    .option('-t, --tag <name[:tag]>', 'a further name', collect)
    .action(async (path: string, name: string | undefined, options) => {
      const { importCommand } = await import('./commands/images.ts');
      done(await importCommand(context, path, name, options));
    });
  program
    .command('save')
    .description('write images of the local store to an archive')
    .argument('<image...>', 'names or ids')
    .option('-o, --output <path>', 'the file (default: standard output)')
    .addOption(new Option('--format <format>', 'kind of archive').choices(['oci', 'docker']).default('oci'))
    .action(async (images: string[], options) => {
      const { saveCommand } = await import('./commands/images.ts');
      done(await saveCommand(context, images, options));
    });
}

/** `tsbuild du`, `prune` and `store check`. */
function addStore(program: Command, context: CliContext, done: Done): void {
  const format = (): Option =>
    new Option('--format <format>', 'how to print it').choices(['table', 'json']).default('table');
  program
    .command('du')
    .description('show what the store keeps on disk')
    .addOption(format())
    .action(async (options) => {
      const { duCommand } = await import('./commands/store.ts');
      done(await duCommand(context, options));
    });
  program
    .command('prune')
    .description('free disk space: remove what no image needs and no build of the last day used')
    .option('-a, --all', 'remove every cached result, whenever it was used')
    .option('--images', 'remove the images of the local store as well')
    .option('--keep-storage <size>', 'keep this much of what was used last, e.g. 10g')
    .option('--max-size <size>', 'make the whole store so small on disk, index and all: what was used longest ago goes')
    .option('--min-free <size>', 'the same until so much of the disk is free')
    .option(
      '--keep-duration <duration>',
      'keep what was used in this time (default: 24h, without --all and limits of size)',
    )
    .option(
      '--filter <filter>',
      'only what is so: type=exec.cachemount, type!=TYPE, description~=PATTERN, id=ID, shared=false; until=DURATION is --keep-duration',
      collect,
    )
    .option('--limits', 'keep the store within the limits of the settings, as builds do')
    .option(
      '--cache <REF|type=TYPE,…>',
      'of a shared cache (as --cache-to names it) instead of the store: what was not used for --keep-duration, or until --max-size is met',
      collect,
    )
    .option('--dry-run', 'say what would go, and remove nothing')
    .option('-f, --force', 'accepted for the sake of scripts; there is no question')
    .addOption(format())
    .action(async (options) => {
      if (options.cache) {
        const { pruneCaches } = await import('./commands/prune-cache.ts');
        return done(await pruneCaches(context, options));
      }
      const { pruneCommand } = await import('./commands/prune.ts');
      return done(await pruneCommand(context, options));
    });
  program
    .command('store')
    .description('look after the store')
    .command('check')
    .description('verify every blob, record and directory of the store')
    .option('--repair', 'remove what is damaged, so that it is fetched or built again')
    .addOption(format())
    .action(async (options) => {
      const { checkCommand } = await import('./commands/store.ts');
      done(await checkCommand(context, options));
    });
}

/** `tsbuild doctor`. */
function addDoctor(program: Command, context: CliContext, done: Done): void {
  program
    .command('doctor')
    .description('say what this machine allows, and what would lift the limits')
    .addOption(new Option('--format <format>', 'how to print it').choices(['text', 'json']).default('text'))
    .action(async (options) => {
      const { doctor } = await import('./commands/doctor.ts');
      done(await doctor(context, options));
    });
}
