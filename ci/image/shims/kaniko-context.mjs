// Where kaniko's executor takes its context from.
import { UsageError } from './flags.mjs';

/** kaniko's own default. */
const DEFAULT = '/workspace';
const BUCKET = 'fetch the archive in a step before, and give --context=tar://FILE or a directory';

/**
 * @param {(name: string) => string | boolean | undefined} last the last value of a flag
 * @param {Readonly<Record<string, string | undefined>>} env
 * @returns {{ args: readonly string[], notes: readonly string[], stdin?: string, environment: Readonly<Record<string, string>> }}
 */
export function contextOf(last, env) {
  const context = String(last('--context') ?? DEFAULT);
  const below = last('--context-sub-path');
  const within = typeof below === 'string' ? below.replace(/^\/+/, '') : undefined;
  const [, scheme, rest = ''] = /^([a-z0-9+]+):\/\/(.*)$/s.exec(context) ?? [undefined, 'dir', context];
  switch (scheme) {
    case 'dir':
      return { args: [within === undefined ? rest : `${rest}/${within}`], notes: [], environment: {} };
    case 'tar':
      if (within !== undefined) throw new UsageError('--context-sub-path cannot be used with an archive', BUCKET);
      return { args: ['-'], notes: [], environment: {}, ...(rest === 'stdin' ? {} : { stdin: rest }) };
    case 'git':
    case 'https':
    case 'http':
      if (scheme === 'git' || /\.git(#|$)/.test(rest)) return gitOf(scheme, rest, within, last, env);
      if (within !== undefined) throw new UsageError('--context-sub-path cannot be used with an archive', BUCKET);
      return { args: [context], notes: [], environment: {} };
    default:
      throw new UsageError(`Contexts at ${scheme}:// are not supported`, BUCKET);
  }
}

/**
 * `git://host/path[#reference[#commit]]`, which kaniko reads over https, or over http where $GIT_PULL_METHOD says so.
 * @param {string} scheme
 * @param {string} rest
 * @param {string | undefined} within
 * @param {(name: string) => string | boolean | undefined} last
 * @param {Readonly<Record<string, string | undefined>>} env
 */
function gitOf(scheme, rest, within, last, env) {
  const [address = '', reference, commit] = rest.split('#');
  const options = Object.fromEntries(
    String(last('--git') ?? '')
      .split(',')
      .filter(Boolean)
      .map((option) => option.split('=')),
  );
  const notes = ['single-branch', 'insecure-skip-tls']
    .filter((name) => options[name] === 'true')
    .map((name) => `--git ${name} is ignored: only what the reference names is fetched, and certificates are verified`);
  const { GIT_USERNAME: user = '', GIT_PASSWORD: password = '', GIT_TOKEN: token = '' } = env;
  const method = scheme === 'git' ? (env['GIT_PULL_METHOD'] ?? 'https') : scheme;
  const wanted = commit ?? reference ?? options['branch'] ?? '';
  const fragment = wanted === '' && within === undefined ? '' : `#${wanted}${within === undefined ? '' : `:${within}`}`;
  const host = address.replace(/^[^/]*@/, '');
  const url = `${method}://${host.endsWith('.git') ? host : `${host}.git`}${fragment}`;
  const secret = token === '' ? password : token;
  if (secret === '') return { args: [url], notes, environment: {} };
  // Not in the address, where lists of processes show it: git sends it as a header, to this host alone.
  const pair = Buffer.from(`${user === '' ? 'x-access-token' : user}:${secret}`).toString('base64');
  return {
    args: [`--secret=id=GIT_AUTH_HEADER.${host.split('/')[0]},env=TSBUILD_GIT_AUTH`, url],
    notes,
    environment: { TSBUILD_GIT_AUTH: `basic ${pair}` },
  };
}
