import { copyImage, type CopyRequest, isStoredImage, openSession, type SessionOptions } from '../../engine/index.ts';
import { hostPlatform, parsePlatform } from '../../image/index.ts';
import { type ManifestFormat, parsePlace, type Place, type Selection } from '../../transfer/index.ts';
import { TsbuildError } from '../../util/index.ts';
import { type CliContext, interruptible, lateStdout, print } from '../context.ts';
import { type RegistryFlags, registryOptions } from '../options/registry-flags.ts';
import { sessionOptions } from '../session-options.ts';
import { startProgress, writeResult } from '../building/build-display.ts';

/** Options of one side, by the names that `--src-…` and `--dest-…` have. */
interface SideFlags {
  readonly srcCreds?: string;
  readonly srcNoCreds?: boolean;
  readonly srcAuthfile?: string;
  readonly srcCertDir?: string;
  readonly srcTlsVerify?: boolean;
  readonly srcUsername?: string;
  readonly srcPassword?: string;
  readonly destCreds?: string;
  readonly destNoCreds?: boolean;
  readonly destAuthfile?: string;
  readonly destCertDir?: string;
  readonly destTlsVerify?: boolean;
  readonly destUsername?: string;
  readonly destPassword?: string;
}

/** Options of `copy` as commander gives them. */
export interface CopyOptions extends RegistryFlags, SideFlags {
  readonly all?: boolean;
  readonly multiArch?: 'all' | 'system' | 'index-only';
  readonly platform?: string;
  readonly referrers: boolean;
  readonly removeSignatures?: boolean;
  readonly format?: ManifestFormat;
  readonly preserveDigests?: boolean;
  readonly additionalTag?: readonly string[];
  readonly digestfile?: string;
  readonly quiet?: boolean;
  readonly progress: string;
}

/** `tsbuild copy` */
export async function copyCommand(
  context: CliContext,
  from: string,
  to: string,
  options: CopyOptions,
): Promise<number> {
  using interrupt = interruptible();
  await using session = openSession(sessionOptions(context, interrupt.signal));
  const source = parsePlace(from, context.cwd, (name) => isStoredImage(session, name));
  const dest = parsePlace(to, context.cwd, () => false);
  const selection = parseSelection(options, dest);
  const request: CopyRequest = {
    source,
    dest,
    selection,
    referrers: options.referrers && !options.removeSignatures,
    ...(options.format === undefined ? {} : { format: options.format }),
    ...(options.preserveDigests ? { preserveDigests: true } : {}),
    ...(options.additionalTag === undefined ? {} : { tags: options.additionalTag }),
    sourceRegistry: sideOptions(context, options, 'src', source),
    destRegistry: sideOptions(context, options, 'dest', dest),
    stdout: lateStdout(context),
  };
  const progress = startProgress(context, { progress: options.progress, quiet: options.quiet ?? false }, 'Copying');
  let copied;
  try {
    copied = await copyImage(session, { signal: interrupt.signal, events: progress.events.bind(progress) }, request);
  } finally {
    await progress.close();
  }
  const { digest } = copied.image.root;
  if (options.digestfile !== undefined) writeResult(context, options.digestfile, digest);
  const isTaken = dest.kind === 'archive' && ['-', '/dev/stdout'].includes(dest.path);
  if (!isTaken) await print(context, `${copied.shown}@${digest}\n`);
  return 0;
}

/** @throws TsbuildError `TSB_USAGE` for options that contradict each other */
function parseSelection({ all, multiArch, platform }: CopyOptions, dest: Place): Selection {
  const given = [all && '--all', multiArch && `--multi-arch=${multiArch}`, platform && '--platform'].filter(Boolean);
  if (given.length > 1 && !(all && multiArch === 'all' && platform === undefined))
    throw new TsbuildError('TSB_USAGE', `Cannot copy with ${given.join(' and ')}: they exclude each other`, {
      hint: 'leave out all but one',
    });
  if (platform !== undefined) return { what: 'one', platform: parsePlatform(platform), strict: true };
  if (multiArch === 'system') return { what: 'one', platform: hostPlatform() };
  if (multiArch === 'index-only') return { what: 'index' };
  // Docker's archives have one platform.
  if (given.length === 0 && dest.kind === 'archive' && dest.form === 'docker')
    return { what: 'one', platform: hostPlatform() };
  return { what: 'all' };
}

/** What the options say of the registry on one side: those for that side, or else those for both. */
function sideOptions(
  context: CliContext,
  options: CopyOptions,
  side: 'src' | 'dest',
  place: Place,
): Partial<SessionOptions> {
  const { authfile, creds, certDir, tlsVerify } = options;
  const own = side === 'src' ? sourceFlags(options) : destFlags(options);
  const both = defined({ authfile, creds, certDir, tlsVerify });
  const { retry, retryTimes, retryDelay } = options;
  const flags: RegistryFlags = { ...defined({ retry, retryTimes, retryDelay }), ...both, ...defined(own) };
  return registryOptions(context, flags, place.kind === 'registry' ? place.reference.host : undefined);
}

type Side = { readonly [K in keyof RegistryFlags]: RegistryFlags[K] | undefined };

function sourceFlags(options: SideFlags): Side {
  const { srcAuthfile, srcCertDir, srcTlsVerify, srcNoCreds, srcCreds, srcUsername, srcPassword } = options;
  return {
    authfile: srcAuthfile,
    certDir: srcCertDir,
    tlsVerify: srcTlsVerify,
    noCreds: srcNoCreds,
    creds: credsOf('src', { creds: srcCreds, noCreds: srcNoCreds, username: srcUsername, password: srcPassword }),
  };
}

function destFlags(options: SideFlags): Side {
  const { destAuthfile, destCertDir, destTlsVerify, destNoCreds, destCreds, destUsername, destPassword } = options;
  return {
    authfile: destAuthfile,
    certDir: destCertDir,
    tlsVerify: destTlsVerify,
    noCreds: destNoCreds,
    creds: credsOf('dest', { creds: destCreds, noCreds: destNoCreds, username: destUsername, password: destPassword }),
  };
}

/** Who somebody is on one side. */
interface SideCredentials {
  readonly creds: string | undefined;
  readonly noCreds: boolean | undefined;
  readonly username: string | undefined;
  readonly password: string | undefined;
}

/** @throws TsbuildError `TSB_USAGE` for a half, and for what excludes another: nobody must be asked as somebody else */
function credsOf(side: 'src' | 'dest', { creds, noCreds, username, password }: SideCredentials): string | undefined {
  const given = [
    creds !== undefined && `--${side}-creds`,
    noCreds && `--${side}-no-creds`,
    username !== undefined && `--${side}-username`,
  ].filter((flag) => typeof flag === 'string');
  if (given.length > 1)
    throw new TsbuildError('TSB_USAGE', `Cannot copy with ${given.join(' and ')}: they exclude each other`, {
      hint: 'leave out all but one',
    });
  const [missing, there] = username === undefined ? ['username', 'password'] : ['password', 'username'];
  if ((username === undefined) !== (password === undefined))
    throw new TsbuildError('TSB_USAGE', `Cannot copy with --${side}-${there} without --${side}-${missing}`);
  return username === undefined ? creds : `${username}:${password}`;
}

/** Without what is undefined, so that it hides nothing that is beneath. */
function defined(flags: Side): RegistryFlags {
  return Object.fromEntries(Object.entries(flags).filter(([, value]) => value !== undefined));
}
