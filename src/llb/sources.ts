import { joinPath } from './go-path.ts';
import { DiffNode } from './merge-node.ts';
import { type OpOptions, Output } from './node.ts';
import { SourceNode } from './source-node.ts';
import { scratch, State } from './state.ts';

/** When an image reference is looked up anew. */
export type ResolveMode = 'default' | 'pull' | 'local';

/**
 * A source has no inputs: identifier and attributes are all that it is. `caps` are what a daemon must be able to do;
 * BuildKit's client puts them into the metadata, and so the bytes agree.
 */
function sourceState(
  identifier: string,
  attrs: Readonly<Record<string, string | undefined>>,
  caps: readonly string[],
  options: OpOptions,
): State {
  const node = new SourceNode(identifier, attrs, caps, options);
  return State.of(new Output(node, { platform: options.platform }));
}

/** How an image is looked up. */
export interface ImageOptions extends OpOptions {
  readonly resolveMode?: ResolveMode;
}

/** @param reference normalized, e.g. `docker.io/library/alpine:latest@sha256:…` */
export function image(reference: string, options: ImageOptions = {}): State {
  const { resolveMode = 'default', ...rest } = options;
  const caps = resolveMode === 'pull' ? ['source.image', 'source.image.resolvemode'] : ['source.image'];
  const attrs = { 'image.resolvemode': resolveMode === 'default' ? undefined : resolveMode };
  return sourceState(`docker-image://${reference}`, attrs, caps, rest);
}

/** Which layout an image is in, by names that the build request gives a meaning. */
export interface OciLayoutOptions extends OpOptions {
  readonly sessionId?: string | undefined;
  readonly storeId?: string | undefined;
}

/** An image in an OCI layout. @param reference as `name@sha256:…` */
export function ociLayout(reference: string, options: OciLayoutOptions = {}): State {
  const { sessionId, storeId, ...rest } = options;
  const attrs = { 'oci.session': sessionId, 'oci.store': storeId };
  return sourceState(`oci-layout://${reference}`, attrs, ['source.ocilayout'], rest);
}

/** What of a directory is needed. All of it is identity: another list of patterns is another source. */
export interface LocalOptions extends OpOptions {
  readonly sessionId?: string;
  readonly includePatterns?: readonly string[];
  readonly excludePatterns?: readonly string[];
  /** Only these paths are needed, and what their symbolic links lead to. */
  readonly followPaths?: readonly string[];
  /** BuildKit's daemon reuses what it was sent for the same hint; here it only makes the digests agree. */
  readonly sharedKeyHint?: string;
  /** How BuildKit's daemon finds out what has to be sent again. */
  readonly differ?: { readonly type: 'none' | 'metadata'; readonly required: boolean };
}

/** A directory of the machine that tsbuild runs on, by the name under which the build request has it. */
export function local(name: string, options: LocalOptions = {}): State {
  const { sessionId, includePatterns, excludePatterns, followPaths, sharedKeyHint, differ, ...rest } = options;
  const caps = ['source.local'];
  if (sessionId) caps.push('source.local.sessionid');
  if (includePatterns?.length) caps.push('source.local.includepatterns');
  if (followPaths?.length) caps.push('source.local.followpaths');
  if (excludePatterns?.length) caps.push('source.local.excludepatterns');
  if (sharedKeyHint) caps.push('source.local.sharedkeyhint');
  if (differ?.required) caps.push('source.local.differ');
  const attrs = {
    'local.session': sessionId,
    'local.includepattern': listAttr(includePatterns),
    'local.followpaths': listAttr(followPaths),
    'local.excludepatterns': listAttr(excludePatterns),
    'local.sharedkeyhint': sharedKeyHint,
    'local.differ': differ?.type,
  };
  return sourceState(`local://${name}`, attrs, caps, rest);
}

/** A list as Go's JSON encoder writes it, which escapes a few characters more. */
function listAttr(items: readonly string[] | undefined): string | undefined {
  if (items === undefined || items.length === 0) return undefined;
  return JSON.stringify(items).replace(
    /[<>&\u2028\u2029]/g,
    (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** How a file is fetched and what it becomes. */
export interface HttpOptions extends OpOptions {
  /** What the content must have, `sha256:…`; then nobody asks the server whether it is still the same. */
  readonly checksum?: string | undefined;
  /** Name of the file in the result; default from the response or the URL. */
  readonly filename?: string | undefined;
  /** Permission bits of the file, default 0600. */
  readonly mode?: number | undefined;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  /** Id of the secret that is sent as `Authorization`. */
  readonly authHeaderSecret?: string | undefined;
  readonly headers?: { readonly accept?: string; readonly userAgent?: string };
}

/** One file from a web server. */
export function http(url: string, options: HttpOptions = {}): State {
  const { checksum, filename, mode, uid, gid, authHeaderSecret, headers, ...rest } = options;
  const caps = ['source.http'];
  if (checksum) caps.push('source.http.checksum');
  if (mode) caps.push('source.http.perm');
  // BuildKit's constant has this slip of the pen, and the bytes of definitions have it from there.
  if (uid || gid) caps.push('soruce.http.uidgid');
  if (authHeaderSecret) caps.push('source.http.auth');
  if (headers) caps.push('source.http.header');
  const attrs = {
    'http.checksum': checksum,
    'http.filename': filename,
    'http.perm': mode ? `0${(mode & 0o777).toString(8)}` : undefined,
    'http.uid': uid ? String(uid) : undefined,
    'http.gid': gid ? String(gid) : undefined,
    'http.authheadersecret': authHeaderSecret,
    'http.header.accept': headers?.accept,
    'http.header.user-agent': headers?.userAgent,
  };
  return sourceState(url, attrs, caps, rest);
}

/** Which commit, and what of it. */
export interface GitOptions extends OpOptions {
  /** Branch, tag or commit; the remote's default branch when absent. */
  readonly ref?: string | undefined;
  /** Only this directory of the tree, which becomes the root. */
  readonly subdir?: string | undefined;
  /** `.git` stays in the result. */
  readonly keepGitDir?: boolean | undefined;
  /** The commit, or the beginning of its id, that `ref` must have come to. */
  readonly checksum?: string | undefined;
  readonly skipSubmodules?: boolean | undefined;
  /** `checkout` or `commit`. */
  readonly mtime?: string | undefined;
  /** The commit that `checksum` names is fetched itself; `ref` only says which branch it is taken for. */
  readonly fetchByCommit?: boolean | undefined;
  /** Id of the secret with a token for https remotes. */
  readonly authTokenSecret?: string | undefined;
  readonly authHeaderSecret?: string | undefined;
  /** For ssh remotes. */
  readonly knownSshHosts?: string | undefined;
  /** Id of the agent that ssh asks. */
  readonly sshSocket?: string | undefined;
}

/** What identifies a git repository whatever protocol it is reached by. */
export interface GitRemote {
  /** The URL without fragment. */
  readonly url: string;
  readonly host: string;
  readonly path: string;
  readonly ssh: boolean;
}

/** The tree of a git commit. */
export function git(remote: GitRemote, options: GitOptions = {}): State {
  const {
    ref,
    subdir,
    keepGitDir,
    checksum,
    skipSubmodules,
    mtime,
    fetchByCommit,
    authTokenSecret = 'GIT_AUTH_TOKEN',
    authHeaderSecret = 'GIT_AUTH_HEADER',
    knownSshHosts,
    sshSocket,
    ...rest
  } = options;
  const caps = ['source.git', 'source.git.fullurl'];
  if (keepGitDir) caps.push('source.git.keepgitdir');
  if (checksum) caps.push('source.git.checksum');
  if (skipSubmodules) caps.push('source.git.skipsubmodules');
  if (mtime) caps.push('source.git.mtime');
  if (fetchByCommit) caps.push('source.git.fetchbycommit');
  if (remote.ssh) caps.push('source.git.knownsshhosts', 'source.git.mountsshsock');
  const attrs = {
    'git.keepgitdir': keepGitDir ? 'true' : undefined,
    'git.fullurl': remote.url,
    'git.authtokensecret': authTokenSecret,
    'git.authheadersecret': authHeaderSecret,
    'git.knownsshhosts': remote.ssh ? knownSshHosts : undefined,
    'git.mountsshsock': remote.ssh ? sshSocket || 'default' : undefined,
    'git.checksum': checksum,
    'git.skipsubmodules': skipSubmodules ? 'true' : undefined,
    'git.mtime': mtime,
    'git.fetchbycommit': fetchByCommit ? 'true' : undefined,
  };
  const fragment = ref || subdir ? `#${ref ?? ''}${subdir ? `:${subdir}` : ''}` : '';
  return sourceState(`git://${remote.host}${joinPath('/', remote.path)}${fragment}`, attrs, caps, rest);
}

/** What has to be laid on `lower` to get `upper`. */
export function diff(lower: State, upper: State, options: OpOptions = {}): State {
  if (lower.output === undefined) return upper.output === undefined ? scratch() : upper;
  return lower.withOutput(new Output(new DiffNode(lower.output, upper.output, options)));
}
