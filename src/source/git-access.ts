import { existsSync, writeFileSync } from 'node:fs';
import type { GitEnvironment } from './git-command.ts';
import type { GitRequest, GitSourceOptions } from './git-types.ts';
import type { GitUrl } from './git-url.ts';

/**
 * What git may use to get at a repository: the credentials of the request for its own host, an agent, and known host keys. The
 * user's own keys and configuration play no part: what a Dockerfile names must not be read with them unasked.
 * @param dir private directory for a file of known hosts
 */
export function gitEnvironment(
  options: GitSourceOptions,
  request: GitRequest,
  url: GitUrl,
  dir: string,
): GitEnvironment {
  const { access } = request;
  const authorization = url.ssh ? undefined : (access.authorization ?? basic(url.credentials));
  return {
    proxies: options.proxies ?? {},
    sshCommand: sshCommand(options, access.knownHosts, dir),
    sshSocket: access.sshSocket,
    secretConfig: authorization === undefined ? [] : credentialSettings(scopeOf(url.url), authorization),
  };
}

/** git would go on sending the header wherever a redirect leads (GIT-07), so that none is followed with it. */
function credentialSettings(scope: string, authorization: string): readonly (readonly [string, string])[] {
  return [
    [`http.${scope}.extraHeader`, `Authorization: ${authorization.replaceAll(/[\r\n]/g, '')}`],
    [`http.${scope}.followRedirects`, 'false'],
  ];
}

function basic(credentials: string | undefined): string | undefined {
  if (credentials === undefined) return undefined;
  const decoded = credentials
    .split(':')
    .map((part) => decode(part))
    .join(':');
  return `Basic ${Buffer.from(decoded).toString('base64')}`;
}

/** A token is for the one repository; on github.com for others too, since submodules are mostly from there (as actions/checkout has it). */
function scopeOf(url: string): string {
  return /^https:\/\/(www\.)?github\.com\//.exec(url)?.[0] ?? url;
}

/** Fails closed on an unknown or changed host key (GIT-10). */
function sshCommand({ home }: GitSourceOptions, knownHosts: string | undefined, dir: string): string {
  const files = [`${home}/.ssh/known_hosts`, '/etc/ssh/ssh_known_hosts'].filter((path) => existsSync(path));
  if (knownHosts !== undefined) {
    const path = `${dir}/known_hosts`;
    writeFileSync(path, knownHosts, { mode: 0o600 });
    files.splice(0, files.length, path);
  }
  // ssh splits the option's value at blanks, unless quoted for itself; the shell is git's.
  const list = (files.length === 0 ? ['/dev/null'] : files)
    .map((path) => `"${path.replaceAll(/["\\%]/g, (found) => (found === '%' ? '%%' : `\\${found}`))}"`)
    .join(' ');
  const options = [
    `UserKnownHostsFile=${list}`,
    'GlobalKnownHostsFile=/dev/null',
    'StrictHostKeyChecking=yes',
    'BatchMode=yes',
    'IdentityFile=/dev/null',
    'ConnectTimeout=10',
    'ServerAliveInterval=10',
    'ServerAliveCountMax=2',
    'ForwardAgent=no',
    'ClearAllForwardings=yes',
  ];
  return ['ssh', '-F', '/dev/null', ...options.flatMap((option) => ['-o', option])].map(quote).join(' ');
}

function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
