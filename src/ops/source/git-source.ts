import { copyAll } from '../../fileop/index.ts';
import type { SourceOp } from '../../llb/index.ts';
import type { CacheMap } from '../../solver/index.ts';
import { type GitAccess, type GitCommit, type GitRequest, parseGitUrl } from '../../source/index.ts';
import { ContextTree } from '../../tree/index.ts';
import { canonicalDigest, type Digest, redactUrls, TsbuildError } from '../../util/index.ts';
import type { Task } from '../../events/index.ts';
import type { SourcePieces } from './source-pieces.ts';
import { fillDirectory } from '../file/fill-directory.ts';
import type { OpResult } from '../result.ts';
import { StepOutput } from '../step-output.ts';

/** Identity of a checkout: the commit and what of it is wanted. The address counts only where it becomes part of the files. */
export async function gitMap(
  pieces: SourcePieces,
  task: Task,
  vertex: Digest,
  source: SourceOp,
): Promise<CacheMap<OpResult>> {
  await using held = new AsyncDisposableStack();
  const { request, commit } = await find(pieces, task, source, held);
  const { keepGitDir, subdir, submodules } = request;
  const name = `${redactUrls(request.url)}${request.ref === '' ? '' : `#${request.ref}`}`;
  pieces.report.notes.source(vertex, { what: 'source', name, value: commit.commit ?? commit.sha });
  return {
    digest: canonicalDigest('tsbuild.git.v1', {
      commit: keepGitDir ? commit.sha : (commit.commit ?? commit.sha),
      gitDir: keepGitDir ? [parseGitUrl(request.url).url, commit.ref ?? ''] : null,
      subdir,
      submodules,
      commitTime: commitTimes(source),
    }),
    deps: [],
  };
}

/** Checks the commit out and makes its files a layer, owned by root. */
export async function runGitSource(
  pieces: SourcePieces,
  task: Task,
  vertex: Digest,
  source: SourceOp,
): Promise<OpResult> {
  await using held = new AsyncDisposableStack();
  const { request, commit } = await find(pieces, task, source, held);
  const output = new StepOutput(pieces, task, vertex);
  const tree = await (
    await pieces.origins.remote.git()
  ).checkout(task, request, commit, (data) => output.write(2, data));
  output.end();
  try {
    const copy = {
      ...copyAll,
      output: 0,
      // They name directories that are not in the layer.
      excludePatterns: tree.submodules && !request.keepGitDir ? ['**/.git'] : [],
      ...(commitTimes(source) ? { timestamp: BigInt(tree.commitTime) * 1_000_000_000n } : {}),
    };
    const input = { kind: 'local', tree: ContextTree.open(tree.dir, { xattrs: false }) } as const;
    const description = `git snapshot for ${parseGitUrl(request.url).url}#${request.ref}`;
    const [made] = await fillDirectory(pieces, task, { kind: 'file', actions: [copy] }, [input], {
      description,
      type: 'source.git.checkout',
    });
    if (!made) throw new TsbuildError('TSB_INTERNAL', 'A checkout made no layer');
    return made;
  } finally {
    pieces.origins.remote.discard(tree.temporary);
  }
}

/** When the commit was made, in seconds since the epoch. */
export async function gitTime(pieces: SourcePieces, task: Task, source: SourceOp): Promise<number> {
  await using held = new AsyncDisposableStack();
  const { request, commit } = await find(pieces, task, source, held);
  return await (await pieces.origins.remote.git()).commitTime(task, request, commit);
}

/** The commit that a source op stands for now. */
export async function gitCommit(pieces: SourcePieces, task: Task, source: SourceOp): Promise<GitCommit> {
  await using held = new AsyncDisposableStack();
  return (await find(pieces, task, source, held)).commit;
}

/** What a source op wants, and the commit that this is now. An agent that git may use listens until `held` is disposed. */
async function find(
  pieces: SourcePieces,
  task: Task,
  source: SourceOp,
  held: AsyncDisposableStack,
): Promise<{ readonly request: GitRequest; readonly commit: GitCommit }> {
  const request = await requestOf(pieces, source, held);
  return { request, commit: await (await pieces.origins.remote.git()).resolve(task, request) };
}

function commitTimes(source: SourceOp): boolean {
  return source.attrs.get('git.mtime') === 'commit';
}

async function requestOf(pieces: SourcePieces, source: SourceOp, held: AsyncDisposableStack): Promise<GitRequest> {
  const { attrs, identifier } = source;
  const [, place = '', fragment = ''] = /^git:\/\/([^#]*)(?:#(.*))?$/s.exec(identifier) ?? [];
  const full = attrs.get('git.fullurl') || place;
  const url = /^[a-z][a-z0-9+.-]*:\/\/|^[^@:/]+@[^:/]+:/i.test(full) ? full : `https://${full}`;
  const colon = fragment.indexOf(':');
  if (attrs.has('git.bundle') || attrs.has('git.checkoutbundle'))
    throw new TsbuildError('TSB_LLB', 'Cannot use a git source that comes as a bundle: it is not supported');
  return {
    url,
    ref: colon < 0 ? fragment : fragment.slice(0, colon),
    subdir: colon < 0 ? '' : fragment.slice(colon + 1),
    checksum: attrs.get('git.checksum') ?? '',
    fetchByCommit: attrs.get('git.fetchbycommit') === 'true',
    keepGitDir: attrs.get('git.keepgitdir') === 'true',
    submodules: attrs.get('git.skipsubmodules') !== 'true',
    access: await accessOf(pieces, attrs, url, held),
  };
}

async function accessOf(
  pieces: SourcePieces,
  attrs: ReadonlyMap<string, string>,
  url: string,
  held: AsyncDisposableStack,
): Promise<GitAccess> {
  const { host, ssh } = parseGitUrl(url);
  if (ssh) {
    const socket = held.use(await pieces.credentials.ssh.serve(attrs.get('git.mountsshsock') || 'default'));
    const knownHosts = attrs.get('git.knownsshhosts');
    return { ...(socket ? { sshSocket: socket.address } : {}), ...(knownHosts === undefined ? {} : { knownHosts }) };
  }
  const header = attrs.get('git.authheadersecret') ?? '';
  const token = attrs.get('git.authtokensecret') ?? '';
  const candidates: readonly (readonly [string, (value: string) => string])[] = [
    ...(header === '' ? [] : [[`${header}.${host}`, plain] as const]),
    ...(token === '' ? [] : [[`${token}.${host}`, tokenHeader] as const]),
    ...(header === '' ? [] : [[header, plain] as const]),
    ...(token === '' ? [] : [[token, tokenHeader] as const]),
  ];
  for (const [name, form] of candidates) {
    const data = pieces.credentials.secrets.get(name);
    if (data) return { authorization: form(Buffer.from(data).toString('utf8').trim()) };
  }
  return {};
}

function plain(value: string): string {
  return value;
}

/** A token as a password, which all forges take. */
function tokenHeader(token: string): string {
  return `basic ${Buffer.from(`x-access-token:${token}`).toString('base64')}`;
}
