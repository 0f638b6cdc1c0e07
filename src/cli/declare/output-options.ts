import { type Command, Option } from 'commander';
import { reportOption } from './add-report.ts';
import { progressOption } from './graph-options.ts';
import { collect } from '../options/options.ts';

/** Where results go and how they are told; `build` and `solve` share these. */
export function outputOptions(command: Command): Command {
  return command
    .option('-t, --tag <name[:tag]>', 'name for the image in the local store', collect)
    .option(
      '-o, --output <DEST|type=TYPE,…>',
      'where the result goes: type=image, registry, oci, docker, local or tar with dest=PATH ("-" is standard output); a bare path is a directory for the files',
      collect,
    )
    .option('--push', 'push the image to the registries that its names are of, same as -o type=registry')
    .option('--load', 'keep the image in the local store besides writing other outputs (the default without -o)')
    .option(
      '--rewrite-timestamp',
      'set later times of files in new layers to --source-date-epoch, in every image that is written',
    )
    .option('--annotation <[TYPE:]NAME=VALUE>', 'annotation for the manifest or index', collect)
    .option('--iidfile <path>', 'write the image id to a file')
    .option('--metadata-file <path>', 'write what was built to a file, as JSON')
    .addOption(reportOption())
    .option(
      '--max-size <size>',
      'keep the store within so much of the disk, e.g. 20g: what was not used for longest goes (default: the settings, else no limit)',
    )
    .option('-q, --quiet', 'print nothing but the image id')
    .addOption(progressOption());
}

/** What happens when a step fails. */
export function failureOption(): Option {
  return new Option(
    '--on-failure <what>',
    'shell: open a shell in the sandbox of a step that failed, with its files, mounts and variables',
  ).choices(['shell']);
}

/** How long it may take; `build` and `solve` share these. */
export function timeOptions(command: Command): Command {
  return command
    .option('--timeout <duration>', 'how long the build may take, e.g. 30m; exit code 124 after it (default: no limit)')
    .option(
      '--step-timeout <duration>',
      'how long each RUN step may take, e.g. 10m; "# tsbuild: timeout=20m" above a RUN is for that one (default: no limit)',
    );
}

/** Caches of other machines. */
export function cacheOptions(command: Command): Command {
  return command
    .option(
      '--cache-from <REF|type=TYPE,…>',
      'cache of other builds to use besides the store: type=registry,ref=REF, also of an image with a cache in it, type=local,src=DIR, type=s3,bucket=NAME,region=NAME, type=gha, or type=azblob,account_url=URL; scope=NAME and verify-key=FILE say of whom; mounts=true (or ids) also brings cache mounts',
      collect,
    )
    .option(
      '--cache-to <REF|type=TYPE,…>',
      'where to write a cache of this build, step by step: type=registry,ref=REF, type=local,dest=DIR[,max-size=SIZE], type=s3, type=gha and type=azblob as for --cache-from, or type=inline, which is the image itself; mode=max keeps the layers of all stages, not only those of the result; scope=NAME and key=FILE say whose it is; mounts=true (or ids) also sends cache mounts; type=buildkit writes the form of BuildKit',
      collect,
    );
}
