import { copyAll } from '../../fileop/index.ts';
import type { SourceOp } from '../../llb/index.ts';
import type { CacheMap } from '../../solver/index.ts';
import { bundledRef, type GitCommit, type GitRequest, parseGitUrl } from '../../source/index.ts';
import { ContextTree } from '../../tree/index.ts';
import { canonicalDigest, type Digest, redactUrls, TsbuildError } from '../../util/index.ts';
import type { Task } from '../../events/index.ts';
import { demandsOf, holdToDemands } from './git-demands.ts';
import { gitRequest } from './git-request.ts';
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
  const { request, commit } = await find(pieces, task, vertex, source, held);
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
      // What the bundle calls the commit is in it.
      bundle: request.checkoutBundle ? Object.values(bundledRef(request, commit)) : undefined,
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
  const { request, commit } = await find(pieces, task, vertex, source, held);
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
export async function gitTime(pieces: SourcePieces, task: Task, vertex: Digest, source: SourceOp): Promise<number> {
  await using held = new AsyncDisposableStack();
  const { request, commit } = await find(pieces, task, vertex, source, held);
  return await (await pieces.origins.remote.git()).commitTime(task, request, commit);
}

/** The commit that a source op stands for now. */
export async function gitCommit(
  pieces: SourcePieces,
  task: Task,
  vertex: Digest,
  source: SourceOp,
): Promise<GitCommit> {
  await using held = new AsyncDisposableStack();
  return (await find(pieces, task, vertex, source, held)).commit;
}

/** What a source op wants, and the commit that this is now, signed as the op demands. An agent that git may use listens until `held` is disposed. */
async function find(
  pieces: SourcePieces,
  task: Task,
  vertex: Digest,
  source: SourceOp,
  held: AsyncDisposableStack,
): Promise<{ readonly request: GitRequest; readonly commit: GitCommit }> {
  const demands = demandsOf(source.attrs);
  const request = await gitRequest(pieces, task, vertex, source, held);
  const git = await pieces.origins.remote.git();
  const commit = await git.resolve(task, request);
  if (demands) await holdToDemands(task, git, request, commit, demands, pieces.report.now());
  return { request, commit };
}

function commitTimes(source: SourceOp): boolean {
  return source.attrs.get('git.mtime') === 'commit';
}
