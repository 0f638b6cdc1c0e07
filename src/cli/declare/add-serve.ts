import type { Command } from 'commander';
import type { CliContext } from '../context.ts';

/** `tsbuild serve`. */
export function addServe(program: Command, context: CliContext, done: (code: number) => void): void {
  program
    .command('serve')
    .description('serve the images of the local store as a registry, until interrupted')
    .option('--addr <host:port>', 'where to listen; port 0 takes any that is free', '127.0.0.1:5000')
    .option('--read-only', 'take nothing from clients')
    .option('--htpasswd <file>', 'who may read and write: names and bcrypt hashes, as "htpasswd -B" writes them')
    .option('--tls-cert <file>', 'certificate chain (PEM), for https')
    .option('--tls-key <file>', 'its key (PEM)')
    .option('--anonymous-write', 'let everybody who reaches the address write, without a password')
    .option('-q, --quiet', 'do not list requests')
    .action(async (options) => {
      const { serveCommand } = await import('../commands/serve.ts');
      done(await serveCommand(context, options));
    });
}
