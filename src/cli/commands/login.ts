import {
  authFileName,
  checkLogin,
  CredentialFinder,
  type CredentialPlaces,
  type FoundCredential,
  type LoginPlace,
  type LoginTarget,
  parseLoginTarget,
  type PasswordCredential,
  removeAllLogins,
  removeLogin,
  storeLogin,
  userRegistryOptions,
} from '../../registry/index.ts';
import type { Task } from '../../events/index.ts';
import { isTsbuildError, sanitizeLine, TsbuildError } from '../../util/index.ts';
import { type CliContext, interruptible, print } from '../context.ts';
import { ask, isInteractive, readSecret } from '../prompt.ts';
import { type RegistryFlags, registryOptions } from '../options/registry-flags.ts';
import { credentialsOf, sessionOptions } from '../session-options.ts';

/** Options of `tsbuild login`. */
export interface LoginOptions extends RegistryFlags {
  readonly username?: string;
  readonly password?: string;
  readonly passwordStdin?: boolean;
  readonly getLogin?: boolean;
  readonly verbose?: boolean;
}

const HUB = 'docker.io';

/** `tsbuild login` */
export async function loginCommand(
  context: CliContext,
  registry: string = HUB,
  options: LoginOptions,
): Promise<number> {
  using interrupt = interruptible();
  const task: Task = { signal: interrupt.signal, events: () => undefined };
  const target = parseLoginTarget(registry);
  const warn = (message: string): void => void context.stderr.write(`warning: ${sanitizeLine(message)}\n`);
  const places = await placesOf(context, interrupt.signal, warn, options.authfile);
  const finder = new CredentialFinder(places, warn);
  if (options.getLogin) return await showLogin(context, task, target, finder);
  requireSense(options);

  const check = async (credential: FoundCredential['credential']): Promise<boolean> =>
    checkLogin(task, target, credential, {
      ...(await userRegistryOptions({
        ...sessionOptions(context, interrupt.signal, warn),
        ...registryOptions(context, options, target.host),
      })),
    });
  const isBare = options.username === undefined && options.password === undefined && !options.passwordStdin;
  const known = isBare ? await finder.find(task, target.host, target.path) : undefined;
  if (known !== undefined && (await isAccepted(known, check, warn))) {
    await print(context, `Already logged in to ${target.key}, with ${known.where}\n`);
    return 0;
  }
  if (options.password !== undefined)
    warn(
      'a password on the command line is seen by other users of this machine, and kept by the shell: use --password-stdin',
    );
  const credential = await enter(context, target, options);
  if (!(await check(credential)))
    warn(`${target.host} did not ask for credentials: nobody knows whether they are right`);
  const place = await storeLogin(task, target, credential, places);
  await print(context, `Login succeeded: ${target.key} as ${sanitizeLine(credential.username, 100)}\n`);
  await print(context, `Credentials are in ${placeText(place)}\n`);
  if (options.verbose)
    await print(
      context,
      `Auth files, in the order in which they count:\n${places.files.map((file) => `  ${file}\n`).join('')}`,
    );
  warnOf(context, place, target, warn);
  if (place.helper === undefined) await warnOfOthers(task, place, target, places, warn);
  return 0;
}

/** Where credentials may be, by the environment and by registries.conf. */
async function placesOf(
  context: CliContext,
  signal: AbortSignal,
  warn: (message: string) => void,
  authFile: string | undefined,
): Promise<CredentialPlaces> {
  const { config } = await userRegistryOptions(sessionOptions(context, signal, warn));
  const { credentialHelpers } = config ?? {};
  return { ...credentialsOf(context, authFile), ...(credentialHelpers === undefined ? {} : { credentialHelpers }) };
}

/** What an interrupted or a mistyped login would only find out later. */
function requireSense({ username, password, passwordStdin }: LoginOptions): void {
  const fail = (why: string, hint: string): TsbuildError =>
    new TsbuildError('TSB_USAGE', `Cannot log in: ${why}`, { hint });
  if (password !== undefined && passwordStdin) throw fail('-p and --password-stdin exclude each other', 'leave -p out');
  if (passwordStdin && !username) throw fail('--password-stdin needs a user name', 'add -u NAME');
  if (password === '') throw fail('the password is empty', 'is the variable that it comes from set?');
  if (username === '') throw fail('the user name is empty', 'is the variable that it comes from set?');
  if (username?.includes(':')) throw fail('a user name has no colon', 'give the password with --password-stdin');
}

async function showLogin(
  context: CliContext,
  task: Task,
  { host, path, key }: LoginTarget,
  finder: CredentialFinder,
): Promise<number> {
  const found = await finder.find(task, host, path);
  if (found === undefined)
    throw new TsbuildError('TSB_NOT_FOUND', `Not logged in to ${key}`, { hint: `tsbuild login ${key}` });
  const { credential } = found;
  await print(context, `${'username' in credential ? sanitizeLine(credential.username, 200) : '<token>'}\n`);
  return 0;
}

/** Whether what is known still opens the door. Without a network nobody can tell, which is no reason to ask for a password. */
async function isAccepted(
  { credential, where }: FoundCredential,
  check: (credential: FoundCredential['credential']) => Promise<boolean>,
  warn: (message: string) => void,
): Promise<boolean> {
  try {
    await check(credential);
    return true;
  } catch (error) {
    if (!isTsbuildError(error, 'TSB_REGISTRY')) throw error;
    warn(`the credentials of ${where} are refused`);
    return false;
  }
}

async function enter(context: CliContext, { key }: LoginTarget, options: LoginOptions): Promise<PasswordCredential> {
  const needsPerson = options.username === undefined || (options.password === undefined && !options.passwordStdin);
  if (needsPerson && !isInteractive(context))
    throw new TsbuildError('TSB_USAGE', 'Cannot log in: standard input is no terminal to ask on', {
      hint: `tsbuild login -u NAME --password-stdin ${key} < token.txt`,
    });
  const username = options.username ?? (await ask(context, `User name for ${key}: `, { secret: false })).trim();
  const password =
    options.password ??
    (options.passwordStdin
      ? await readSecret(context, '--password-stdin')
      : await ask(context, `Password for ${sanitizeLine(username, 100)} (or token; it is not shown): `, {
          secret: true,
        }));
  if (username === '' || password === '') throw new TsbuildError('TSB_USAGE', 'Cannot log in: nothing was entered');
  requireSense({ username });
  return { username, password };
}

function placeText({ file, helper }: LoginPlace): string {
  return helper === undefined ? file : `the credential helper ${helper}, which ${file} names`;
}

/** What keeps a login from meaning what it says. */
function warnOf(
  context: CliContext,
  { file, helper, wasShared }: LoginPlace,
  { key }: LoginTarget,
  warn: (message: string) => void,
): void {
  const { inline, files } = credentialsOf(context);
  if (wasShared) warn(`until now other users could read ${file}`);
  if (helper === undefined)
    warn('the password is kept there as it is; with credsStore or credHelpers in that file a helper keeps it');
  if (inline !== undefined)
    warn(`the variable DOCKER_AUTH_CONFIG is set: what it has for ${key} goes before what is stored`);
  if (helper === undefined && !files.includes(file))
    warn(`${file} is read only where --authfile or REGISTRY_AUTH_FILE names it`);
}

/** Helpers know registries only, so that those of one may go before what is stored for a part of it. */
async function warnOfOthers(
  task: Task,
  { file }: LoginPlace,
  { host, path, key }: LoginTarget,
  places: CredentialPlaces,
  warn: (message: string) => void,
): Promise<void> {
  const { inline: _told, ...stored } = places;
  // What is not installed was told of when the registry was asked, or is when it is.
  const found = await new CredentialFinder(stored, () => undefined).find(task, host, path);
  if (found === undefined)
    warn(`${file} does not count: "credential-helpers" of registries.conf is without "containers-auth.json"`);
  else if (found.where !== authFileName(file))
    warn(`${found.where} has other credentials for ${key}, which go before what is stored`);
}

/** Options of `tsbuild logout`. */
export interface LogoutOptions {
  readonly all?: boolean;
  readonly authfile?: string;
}

/** `tsbuild logout` */
export async function logoutCommand(
  context: CliContext,
  registry: string | undefined,
  options: LogoutOptions,
): Promise<number> {
  using interrupt = interruptible();
  const task: Task = { signal: interrupt.signal, events: () => undefined };
  if (options.all && registry !== undefined)
    throw new TsbuildError('TSB_USAGE', 'Cannot log out: --all and the name of a registry exclude each other');
  const warn = (message: string): void => void context.stderr.write(`warning: ${sanitizeLine(message)}\n`);
  const places = await placesOf(context, interrupt.signal, warn, options.authfile);
  const target = parseLoginTarget(registry ?? HUB);
  const removed = options.all ? await removeAllLogins(task, places) : await removeLogin(task, target, places);
  const name = options.all ? 'all registries' : target.key;
  for (const place of removed) await print(context, `Removed the credentials for ${name} from ${placeText(place)}\n`);
  if (removed.length === 0) await print(context, `Not logged in to ${options.all ? 'any registry' : target.key}\n`);
  if (places.inline !== undefined)
    context.stderr.write('warning: the variable DOCKER_AUTH_CONFIG is set, and may have credentials, too\n');
  return 0;
}
