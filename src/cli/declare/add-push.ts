import { type Command, Option } from 'commander';
import type { CliContext } from '../context.ts';
import { addRegistryFlags } from '../options/registry-flags.ts';

/** `tsbuild push`, with the options of `docker push` and `podman push` under their names. */
export function addPush(program: Command, context: CliContext, done: (code: number) => void): void {
  const command = program
    .command('push')
    .description('push an image of the local store to a registry')
    .argument('<name>', 'a name or id of the local store')
    .argument('[destination]', 'where it goes: [docker://]REGISTRY/NAME[:TAG] (default: where its name says)')
    .option('-a, --all-tags', 'push all tags that the store has of NAME')
    .option('--all-platforms', 'push all platforms (the default)')
    .option('--platform <os/arch>', 'push only this platform of an image with several')
    .option('--compression <kind>', 'compress all layers so: gzip, zstd or none (default: as they are)')
    .addOption(new Option('--compression-format <kind>').hideHelp())
    .addOption(new Option('--force-compression').hideHelp())
    .option('--compression-level <n>', 'level of the compression')
    .option('--digestfile <path>', 'write the digest to a file')
    .option('-q, --quiet', 'print nothing but what was pushed')
    .addOption(
      new Option('--progress <style>', 'how to show progress')
        .choices(['auto', 'tty', 'plain', 'quiet', 'rawjson'])
        .env('BUILDKIT_PROGRESS')
        .default('auto'),
    )
    // Nothing is signed, and no signatures are copied.
    .addOption(new Option('--remove-signatures').hideHelp())
    .addOption(new Option('--disable-content-trust').hideHelp());
  addRegistryFlags(command).action(async (name: string, destination: string | undefined, options) => {
    const { pushCommand } = await import('../commands/push.ts');
    done(await pushCommand(context, name, destination, options));
  });
}
