import type { CliContext } from '../context.ts';
import { type Command, Option } from 'commander';
import { collect, tlsVerifyOption } from '../options/options.ts';
import { addRegistryFlags } from '../options/registry-flags.ts';

type Done = (code: number) => void;

/** `tsbuild login` and `logout`. */
export function addLogin(program: Command, context: CliContext, done: Done): void {
  const login = program
    .command('login')
    .description('check credentials for a registry, and keep them')
    .argument('[registry]', 'host[:port], or a namespace or repository of one (default: docker.io)')
    .option('-u, --username <name>', 'user name (default: asked for)')
    .option('-p, --password <password>', 'password or token; others can see it here: use --password-stdin')
    .option('--password-stdin', 'read the password from standard input')
    .option('--authfile <path>', 'the auth file to use (default: see docs/registries.md)')
    .option('--cert-dir <path>', 'directory with certificates for the registry: *.crt, *.cert with *.key')
    .option('--get-login', 'print the user name that is known, and do nothing else')
    .option('-v, --verbose', 'also list the auth files that count')
    .action(async (registry: string | undefined, options) => {
      const { loginCommand } = await import('../commands/login.ts');
      done(await loginCommand(context, registry, options));
    });
  tlsVerifyOption(login);
  program
    .command('logout')
    .description('remove the credentials for a registry')
    .argument('[registry]', 'as for login (default: docker.io)')
    .option('-a, --all', 'remove the credentials for all registries')
    .option('--authfile <path>', 'the only auth file to look into')
    .action(async (registry: string | undefined, options) => {
      const { logoutCommand } = await import('../commands/login.ts');
      done(await logoutCommand(context, registry, options));
    });
}

/** `tsbuild tag` and `untag`. */
export function addTag(program: Command, context: CliContext, done: Done): void {
  program
    .command('tag')
    .description('give an image of the local store more names')
    .argument('<image>', 'a name or id')
    .argument('<name...>', 'the new names')
    .action(async (image: string, names: string[]) => {
      const { tagCommand } = await import('../commands/images.ts');
      done(await tagCommand(context, image, names));
    });
  program
    .command('untag')
    .description('take names from an image of the local store')
    .argument('<image>', 'a name or id')
    .argument('[name...]', 'the names to take (default: all)')
    .action(async (image: string, names: string[]) => {
      const { untagCommand } = await import('../commands/images.ts');
      done(await untagCommand(context, image, names));
    });
}

/** `tsbuild inspect` and `history`. */
export function addInspect(program: Command, context: CliContext, done: Done): void {
  const image =
    'a name or id of the local store, a path to an archive or layout, or with docker:// or --remote a name that a registry has';
  const inspect = program
    .command('inspect')
    .description('describe containers, images, networks and volumes: what docker, podman and skopeo say of them')
    .argument('<name...>', `a container, network or volume, or ${image}`)
    .option('-f, --format <format>', 'json, or a Go template, for example {{.Id}} or {{json .Config}}')
    .option(
      '--layers',
      'what each layer adds: its largest files and directories, and what later layers overwrite or delete',
    )
    .option('--raw', 'print the manifest or index as it is')
    .option('--config', 'print the config of the image (--raw: as it is)')
    .option('--platform <os/arch>', 'which platform of the image (default: this machine)')
    .option('--remote', 'ask the registry, and not the local store; nothing is pulled')
    .addOption(new Option('--type <type>', 'what the names mean').choices(['container', 'image', 'network', 'volume']))
    .option('-s, --size', 'of containers: what each has written, and that with its image');
  addRegistryFlags(inspect).action(async (names: string[], options) => {
    const { inspectCommand } = await import('../commands/inspect.ts');
    done(await inspectCommand(context, names, options));
  });
  const history = program
    .command('history')
    .description('show the steps that an image was made by, the newest first')
    .argument('<image>', image)
    .option('--format <format>', 'table, json, a Go template, or table and a template')
    .option('--no-trunc', 'do not shorten ids and instructions')
    .option('-q, --quiet', 'print only image ids')
    .addOption(new Option('-H, --human', 'sizes and times for people (--human=false: bytes and dates)').default(true))
    .addOption(new Option('--no-human').hideHelp())
    .option('--platform <os/arch>', 'which platform of the image (default: this machine)')
    .option('--remote', 'ask the registry, and not the local store; nothing is pulled');
  addRegistryFlags(history).action(async (name: string, options) => {
    const { historyCommand } = await import('../commands/history.ts');
    done(await historyCommand(context, name, options));
  });
}

/** `tsbuild search`. */
export function addSearch(program: Command, context: CliContext, done: Done): void {
  const search = program
    .command('search')
    .description('look for repositories in a registry')
    .argument(
      '<term>',
      'part of a name, or HOST/PART (default: the registries of registries.conf for short names, else docker.io)',
    )
    .option('--limit <number>', 'how many to show (default: 25, of tags 1000)')
    .option('-f, --filter <filter>', 'stars=NUMBER, is-official=true or is-automated=true', collect)
    .option('--format <format>', 'table, json, a Go template, or table and a template')
    .option('--no-trunc', 'do not shorten descriptions')
    .option('--list-tags', 'list the tags of the repository that the term names');
  addRegistryFlags(search).action(async (term: string, options) => {
    const { searchCommand } = await import('../commands/search.ts');
    done(await searchCommand(context, term, options));
  });
}
