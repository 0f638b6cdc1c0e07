import type { Command } from 'commander';
import type { CliContext } from './context.ts';
import { tlsVerifyOption } from './options.ts';

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
    .option('--get-login', 'print the user name that is known, and do nothing else')
    .option('-v, --verbose', 'also list the auth files that count')
    .action(async (registry: string | undefined, options) => {
      const { loginCommand } = await import('./commands/login.ts');
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
      const { logoutCommand } = await import('./commands/login.ts');
      done(await logoutCommand(context, registry, options));
    });
}
