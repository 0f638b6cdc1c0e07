import type { GitRemote } from '../../llb/index.ts';
import { cleanPath } from '../../patterns/index.ts';
import { dockerfileError } from '../dockerfile/failure.ts';
import { goQuote } from '../dockerfile/text.ts';
import { goBool } from '../../util/index.ts';

/** A git repository as build contexts and ADD name it. */
export interface GitRef {
  readonly remote: GitRemote;
  readonly ref: string;
  readonly subdir: string;
  readonly checksum: string;
  /** Could as well be a local path: `github.com/foo/bar`. Taken as git for build contexts only. */
  readonly likeLocalPath: boolean;
  readonly keepGitDir: boolean | undefined;
  readonly submodules: boolean | undefined;
  readonly mtime: string;
  readonly fetchByCommit: boolean;
}

type Query = ReadonlyMap<string, readonly string[]>;
interface ParsedUrl {
  readonly scheme: string;
  readonly remote: GitRemote;
  readonly fragment: string;
  readonly query: Query;
}

const SCP_STYLE = /^([a-zA-Z0-9-_]+)@([a-zA-Z0-9-.]+):(.*?)(?:\?(.*?))?(?:#(.*))?$/s;

/**
 * Reads git references: `https://host/repo.git#ref:subdir`, `git@host:repo`, `ssh://…`, `git://…`, with the query keys ref,
 * tag, branch, subdir, checksum, commit, keep-git-dir, submodules, mtime and fetch-by-commit.
 * @returns undefined when it is no git reference
 * @throws TsbuildError `TSB_DOCKERFILE` when it is one and wrong
 */
export function parseGitRef(text: string): GitRef | undefined {
  if (text.startsWith('./') || text.startsWith('../')) return undefined;
  const likeLocalPath = text.startsWith('github.com/');
  const parsed = parseUrl(likeLocalPath ? `https://${text}` : text);
  if (parsed === undefined) return undefined;
  const { scheme, remote } = parsed;
  if (!likeLocalPath && scheme.startsWith('http') && !remote.path.endsWith('.git')) return undefined;
  const colon = parsed.fragment.indexOf(':');
  const fragmentRef = colon < 0 ? parsed.fragment : parsed.fragment.slice(0, colon);
  const fragmentDir = colon < 0 ? '' : cleanPath(`/${parsed.fragment.slice(colon + 1)}`).slice(1);
  const url = likeLocalPath ? remote.url.slice('https://'.length) : remote.url;
  return readQuery(parsed.query, { ...remote, url }, fragmentRef, fragmentDir, likeLocalPath);
}

function parseUrl(text: string): ParsedUrl | undefined {
  const protocol = /^([a-zA-Z0-9]+):\/\//.exec(text)?.[1]?.toLowerCase();
  if (protocol === undefined) return parseScpStyle(text);
  if (!['http', 'https', 'ssh', 'git'].includes(protocol)) return undefined;
  const match = /^[^:]+:\/\/(?:([^@/?#]*)@)?([^/?#]*)([^?#]*)(?:\?([^#]*))?(?:#(.*))?$/s.exec(text);
  // Go's URL parser refuses control characters and blanks in hosts.
  // eslint-disable-next-line no-control-regex
  if (match === null || /[\u0000-\u0020\u007f]/.test(text.replace(/#.*$/s, ''))) return undefined;
  const [, user, host = '', path = '', query = '', fragment = ''] = match;
  const url = `${protocol}://${user === undefined ? '' : `${user}@`}${host}${path}`;
  return {
    scheme: protocol,
    remote: { url, host, path: decode(path), ssh: protocol === 'ssh' },
    fragment: decode(fragment),
    query: parseQuery(query),
  };
}

/** `user@host:path`, as scp and git have it. */
function parseScpStyle(text: string): ParsedUrl | undefined {
  const match = SCP_STYLE.exec(text);
  if (match === null) return undefined;
  const [, user = '', host = '', path = '', query = '', fragment = ''] = match;
  return {
    scheme: 'ssh',
    remote: { url: `${user}@${host}:${path}`, host, path, ssh: true },
    fragment,
    query: parseQuery(query),
  };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** BuildKit's `?ref=…&subdir=…`, which says the same as a fragment. */
function parseQuery(text: string): Query {
  const query = new Map<string, string[]>();
  for (const [key, value] of new URLSearchParams(text)) query.set(key, [...(query.get(key) ?? []), value]);
  return query;
}

const SWITCHES = new Set(['submodules', 'keep-git-dir', 'fetch-by-commit']);

function readQuery(query: Query, remote: GitRemote, ref: string, subdir: string, likeLocalPath: boolean): GitRef {
  let checksum = '';
  let mtime = '';
  let tag = '';
  let branch = '';
  const switches = new Map<string, boolean>();
  for (const [key, values] of query) {
    if (values.length > 1) throw dockerfileError(`query ${goQuote(key)} has multiple values`);
    const value = values[0] ?? '';
    if (value === '' && !SWITCHES.has(key)) throw dockerfileError(`query ${goQuote(key)} has no value`);
    if (SWITCHES.has(key)) {
      const on = value === '' ? true : goBool(value);
      if (on === undefined) throw dockerfileError(`invalid ${key} value: ${goQuote(value)}`);
      switches.set(key, on);
    } else if (key === 'ref') ref = agree('ref', ref, value);
    else if (key === 'subdir') subdir = agree('subdir', subdir, value);
    else if (key === 'tag') tag = value;
    else if (key === 'branch') branch = value;
    else if (key === 'checksum' || key === 'commit') checksum = value;
    else if (key === 'mtime') {
      if (value !== 'checkout' && value !== 'commit') {
        throw dockerfileError(`invalid mtime value: ${goQuote(value)} (must be "checkout" or "commit")`);
      }
      mtime = value;
    } else throw dockerfileError(`unexpected query ${goQuote(key)}`);
  }
  if (tag !== '') ref = agree('ref', ref, tag.startsWith('refs/tags/') ? tag : `refs/tags/${tag}`);
  if (branch !== '') {
    if (tag !== '') throw dockerfileError('branch conflicts with tag');
    ref = agree('ref', ref, branch.startsWith('refs/heads/') ? branch : `refs/heads/${branch}`);
  }
  return {
    remote,
    ref,
    subdir,
    checksum,
    likeLocalPath,
    keepGitDir: switches.get('keep-git-dir'),
    submodules: switches.get('submodules'),
    mtime,
    fetchByCommit: switches.get('fetch-by-commit') ?? false,
  };
}

/**
 * Said twice, it must be the same.
 * @throws TsbuildError `TSB_DOCKERFILE`
 */
function agree(what: string, known: string, value: string): string {
  if (known !== '' && known !== value)
    throw dockerfileError(`${what} conflicts: ${goQuote(known)} vs ${goQuote(value)}`);
  return value;
}
