import { type Command, Option } from 'commander';
import type { CliContext } from '../context.ts';
import { collect } from '../options/options.ts';
import { progressOption } from './graph-options.ts';
import { addRegistryFlags } from '../options/registry-flags.ts';

type Done = (code: number) => void;

/** `tsbuild pull`, with the options of `docker pull` and `podman pull` under their names. */
export function addPull(program: Command, context: CliContext, done: Done): void {
  const command = program
    .command('pull')
    .description('bring images from registries into the local store; their layers are unpacked when a step needs them')
    .argument('<name...>', '[docker://]NAME[:TAG|@DIGEST]')
    .option('--platform <os/arch>', 'which platform of the image (default: this machine)')
    .option('--all-platforms', 'all platforms, and what else the index has')
    .option('-a, --all-tags', 'all tags of the repository')
    .addOption(
      new Option('--policy <policy>', 'when to ask the registry; newer: what is here will do when it cannot be reached')
        .choices(['always', 'missing', 'never', 'newer'])
        .default('always'),
    )
    .option('-q, --quiet', 'print nothing but the ids of the images')
    .addOption(progressOption())
    .addOption(new Option('--disable-content-trust').hideHelp());
  addRegistryFlags(command).action(async (names: string[], options) => {
    const { pullCommand } = await import('../commands/pull.ts');
    done(await pullCommand(context, names, options));
  });
}

/** `tsbuild copy`, with the options of `skopeo copy` under their names. */
export function addCopy(program: Command, context: CliContext, done: Done): void {
  const command = program
    .command('copy')
    .description('copy an image between registries, OCI layouts, archives and the local store, as it is')
    .argument(
      '<source>',
      '[docker://]NAME, oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:NAME] or store:NAME; a bare name is one of the store if it has it',
    )
    .argument('<destination>', 'the same; a bare name is one of a registry')
    .option('-a, --all', 'all images of an index, and what else it has (the default)')
    // As push and pull call it.
    .addOption(new Option('--all-platforms').implies({ all: true }).hideHelp())
    .addOption(
      new Option('--multi-arch <which>', 'of an index: all, the image for this machine, or the index alone').choices([
        'all',
        'system',
        'index-only',
      ]),
    )
    .option('--platform <os/arch>', 'only the image for this platform')
    .option('--no-referrers', 'leave out what refers to the image: signatures, attestations')
    .addOption(
      new Option('-f, --format <form>', 'write manifests in this form, which changes digests').choices(['oci', 'v2s2']),
    )
    .option('--preserve-digests', 'fail where a digest would change (by --format alone)')
    .option('--additional-tag <tag>', 'another tag or name at the destination', collect)
    .option('--digestfile <path>', 'write the digest of the copy to a file')
    .option('-q, --quiet', 'print nothing but what was copied')
    .addOption(progressOption())
    // Signatures are among what refers to an image.
    .addOption(new Option('--remove-signatures').hideHelp())
    // How skopeo does it makes no difference here.
    .addOption(new Option('--dest-precompute-digests').hideHelp())
    .addOption(new Option('--dest-oci-accept-uncompressed-layers').hideHelp())
    .addOption(new Option('--insecure-policy').hideHelp());
  for (const [side, what] of [
    ['src', 'read from'],
    ['dest', 'written to'],
  ] as const)
    command
      .option(`--${side}-creds <user:password>`, `credentials for the registry that is ${what}`)
      .option(`--${side}-no-creds`, 'use none, whatever is kept')
      .option(`--${side}-authfile <path>`, 'file with credentials for it')
      .option(`--${side}-cert-dir <path>`, 'directory with certificates for it')
      .option(`--${side}-tls-verify`, `verify its certificate (--${side}-tls-verify=false: do not)`)
      .addOption(new Option(`--no-${side}-tls-verify`).hideHelp())
      .addOption(new Option(`--${side}-username <name>`).hideHelp())
      .addOption(new Option(`--${side}-password <password>`).hideHelp());
  addRegistryFlags(command).action(async (source: string, destination: string, options) => {
    const { copyCommand } = await import('../commands/copy.ts');
    done(await copyCommand(context, source, destination, options));
  });
}
