import { isAbsolute } from 'node:path';
import { type AuthFilePaths, authFilePaths } from './auth-file.ts';
import type { HelperOptions } from './credential-helper.ts';
import type { CredentialSources } from './credentials.ts';

/** Variables that helpers get: who and where the user is, where keyrings and agents are, proxies, and how helpers of clouds are told who to be. */
const HELPER_VARIABLES =
  /^(?:HOME|USER|LOGNAME|LANG|LANGUAGE|LC_\w+|TZ|TERM|TMPDIR|XDG_\w+|DBUS_SESSION_BUS_ADDRESS|DISPLAY|WAYLAND_DISPLAY|XAUTHORITY|GNUPGHOME|GPG_TTY|PASSWORD_STORE_\w+|SSL_CERT_(?:FILE|DIR)|(?:https?|no|all)_proxy|(?:HTTPS?|NO|ALL)_PROXY|(?:AWS|AZURE|ACR|GOOGLE|CLOUDSDK|DOCKER)_\w+)$/;

/** All that a command needs to know of where credentials are. */
export interface CredentialPlaces extends CredentialSources, AuthFilePaths {
  readonly helpers: HelperOptions;
}

/**
 * Where a user's credentials are.
 * @param env the environment, which only the command line reads
 * @param authFile the one file that counts (`--authfile`)
 */
export function credentialPlaces(
  env: Readonly<Record<string, string | undefined>>,
  user: { readonly home: string; readonly uid: number },
  authFile?: string,
): CredentialPlaces {
  const paths = authFile === undefined ? authFilePaths(env, user) : { files: [authFile], loginFile: authFile };
  const { PATH = '/usr/local/bin:/usr/bin:/bin', DOCKER_AUTH_CONFIG: inline } = env;
  const searchPath = PATH.split(':').filter(isAbsolute).join(':');
  const given = Object.entries(env).filter(
    (entry): entry is [string, string] =>
      entry[1] !== undefined && HELPER_VARIABLES.test(entry[0]) && entry[0] !== 'DOCKER_AUTH_CONFIG',
  );
  return {
    ...paths,
    helpers: { searchPath, env: { HOME: user.home, ...Object.fromEntries(given), PATH: searchPath } },
    ...(inline && authFile === undefined ? { inline } : {}),
  };
}
