import { type Command, Option } from 'commander';
import type { CliContext } from '../context.ts';
import { collect } from '../options/options.ts';

/** `tsbuild cache mounts`: the directories of `RUN --mount=type=cache`. */
export function addCache(program: Command, context: CliContext, done: (code: number) => void): void {
  const mounts = program
    .command('cache')
    .description('look after cache mounts')
    .command('mounts')
    .description('the directories that RUN --mount=type=cache keeps');
  mounts
    .command('ls')
    .description('list the cache mounts of the store')
    .addOption(new Option('--format <format>', 'how to print it').choices(['table', 'json']).default('table'))
    .action(async (options) => {
      const { listMounts } = await import('../commands/cache-mounts.ts');
      done(await listMounts(context, options));
    });
  mounts
    .command('rm')
    .description('remove cache mounts from the store')
    .argument('[id...]', 'id= of the mount in the Dockerfile, or its target where it has none')
    .option('-a, --all', 'all of them')
    .action(async (ids: string[], options) => {
      const { removeMounts } = await import('../commands/cache-mounts.ts');
      done(await removeMounts(context, ids, options));
    });
  mounts
    .command('export')
    .description('send cache mounts of the store to a shared cache, as a build with mounts=true does')
    .argument('[id...]', 'which (default: all)')
    .requiredOption('--cache-to <REF|type=TYPE,…>', 'where they go, as for "tsbuild build"', collect)
    .action(async (ids: string[], options) => {
      const { exportMountsCommand } = await import('../commands/cache-mounts-travel.ts');
      done(await exportMountsCommand(context, ids, options));
    });
  mounts
    .command('import')
    .description('bring cache mounts from a shared cache into the store')
    .argument('<id...>', 'which')
    .requiredOption('--cache-from <REF|type=TYPE,…>', 'where they are; the first that has one gives it', collect)
    .option('--replace', 'also where the store has files in it')
    .action(async (ids: string[], options) => {
      const { importMountsCommand } = await import('../commands/cache-mounts-travel.ts');
      done(await importMountsCommand(context, ids, options));
    });
}
