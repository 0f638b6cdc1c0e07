import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import type { SessionOptions } from '../../engine/index.ts';
import { parseDuration, TsbuildError } from '../../util/index.ts';
import type { CliContext } from '../context.ts';
import { named } from './named.ts';
import { tlsVerifyOption } from './options.ts';
import { credentialsOf } from '../session-options.ts';

/** Options about a registry that podman, skopeo and buildah have, as commander gives them. */
export interface RegistryFlags {
  readonly authfile?: string;
  readonly creds?: string;
  /** The registry is asked as nobody, whatever credentials are kept. */
  readonly noCreds?: boolean;
  readonly certDir?: string;
  readonly tlsVerify?: boolean;
  readonly retry?: string;
  readonly retryTimes?: string;
  readonly retryDelay?: string;
}

/** Adds the options of commands that speak to one registry. */
export function addRegistryFlags(command: Command): Command {
  return tlsVerifyOption(command)
    .option('--authfile <path>', 'file with credentials (default: those of docker and podman)')
    .option('--creds <user:password>', 'credentials for the registry; seen by everybody who lists processes')
    .option('--cert-dir <path>', 'directory with certificates for the registry: *.crt, *.cert with *.key')
    .option('--retry <n>', 'how often a request that failed is repeated (default: 2)')
    .addOption(new Option('--retry-times <n>').hideHelp())
    .option('--retry-delay <duration>', 'how long to wait before the first repetition (default: 1s)');
}

/**
 * What these options mean for a session.
 * @param host the registry that they are about
 * @throws TsbuildError `TSB_USAGE`
 */
export function registryOptions(
  context: CliContext,
  flags: RegistryFlags,
  host: string | undefined,
): Partial<SessionOptions> {
  const { cwd } = context;
  const retries = flags.retry ?? flags.retryTimes;
  const tries = retries === undefined ? undefined : parseRetries(retries);
  const backoff = flags.retryDelay === undefined ? undefined : parseDelay(flags.retryDelay);
  return {
    ...(flags.authfile === undefined ? {} : { credentialSources: credentialsOf(context, flags.authfile) }),
    ...(flags.noCreds ? { credentialSources: { files: [] } } : {}),
    ...(flags.creds === undefined || host === undefined
      ? {}
      : { credentials: { host, credential: parseCredentials(flags.creds) } }),
    ...(flags.certDir === undefined || host === undefined
      ? {}
      : { certificateDirs: [{ host, dir: resolve(cwd, flags.certDir) }] }),
    ...(flags.tlsVerify === undefined || host === undefined
      ? {}
      : { [flags.tlsVerify ? 'secureHosts' : 'insecureHosts']: new Set([host]) }),
    ...(tries === undefined && backoff === undefined
      ? {}
      : { registryTries: { attempts: tries ?? 3, ...(backoff === undefined ? {} : { backoffMs: backoff }) } }),
  };
}

function parseRetries(text: string): number {
  if (/^\d{1,2}$/.test(text)) return Number(text) + 1;
  throw new TsbuildError('TSB_USAGE', `Cannot use --retry ${JSON.stringify(text)}: expected a number up to 99`);
}

/** @returns ms */
function parseDelay(text: string): number {
  return /^\d{1,6}$/.test(text) ? Number(text) * 1000 : (named('--retry-delay', text, parseDuration) ?? 0);
}

/** `USER:PASSWORD`. The error does not quote it. */
function parseCredentials(text: string): { readonly username: string; readonly password: string } {
  const colon = text.indexOf(':');
  if (colon > 0) return { username: text.slice(0, colon), password: text.slice(colon + 1) };
  throw new TsbuildError('TSB_USAGE', 'Cannot use --creds: expected USER:PASSWORD', {
    hint: 'there is no question for a password; "tsbuild login" has one',
  });
}
