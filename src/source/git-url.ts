import { redactUrls, TsbuildError } from '../util/index.ts';

/** A repository's address, in parts. */
export interface GitUrl {
  /** Without credentials: this is what programs are told and what is kept. */
  readonly url: string;
  readonly host: string;
  readonly ssh: boolean;
  /** `user:password` of an HTTP address. */
  readonly credentials?: string;
}

/**
 * Reads a repository's address. What git would take for an option, a local path or another transport is refused (GIT-01:
 * `--upload-pack=…`, `ext::sh …`, `ssh://-oProxyCommand=…`, `file://…`).
 * @throws TsbuildError `TSB_CONTEXT`
 */
export function parseGitUrl(text: string): GitUrl {
  const fail = (why: string): TsbuildError =>
    new TsbuildError('TSB_CONTEXT', `Cannot use git repository ${JSON.stringify(redactUrls(text))}: ${why}`);
  // eslint-disable-next-line no-control-regex
  if (/[\u0000-\u0020\u007f]/.test(text)) throw fail('its address has blanks or control characters');
  const scp = /^([^@:/]+)@([^:/]+):(.+)$/.exec(text);
  if (scp) {
    const [, user = '', host = '', path = ''] = scp;
    if (!/^[\w.-]+$/.test(user) || !/^[\w.-]+$/.test(host) || [user, host, path].some((part) => part.startsWith('-')))
      throw fail('its address is malformed');
    return { url: text, host, ssh: true };
  }
  const match = /^([a-z0-9+.-]+):\/\/(?:([^@/?#]*)@)?((?:\[[0-9a-fA-F:.]+\]|[^/?#:@]*)(?::\d+)?)(\/.*)?$/.exec(text);
  const [, scheme = '', user, host = '', path = ''] = match ?? [];
  if (match && !['http', 'https', 'ssh', 'git'].includes(scheme))
    throw fail(`"${scheme}" is none of http, https, ssh and git`);
  if (!match || host === '' || host.startsWith(':') || host.startsWith('-') || (user ?? '').startsWith('-'))
    throw fail('its address is malformed');
  // A password is of no use there, and is not kept.
  if (scheme === 'ssh')
    return {
      url: `ssh://${user === undefined ? '' : `${user.split(':', 1)[0] ?? ''}@`}${host}${path}`,
      host,
      ssh: true,
    };
  const credentials = user === undefined || user === '' ? {} : { credentials: user.includes(':') ? user : `${user}:` };
  return { url: `${scheme}://${host}${path}`, host, ssh: false, ...(scheme === 'git' ? {} : credentials) };
}

/** Whether a text is a full commit hash, SHA-1 or SHA-256. */
export function isCommitHash(text: string): boolean {
  return /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(text);
}
