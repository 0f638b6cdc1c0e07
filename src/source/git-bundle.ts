import { closeSync, mkdirSync, openSync, readSync } from 'node:fs';
import type { Task } from '../events/index.ts';
import { sanitizeLine, TsbuildError } from '../util/index.ts';
import { GitFailure, type GitRun, runGit } from './git-command.ts';
import { fetchCommit, type FetchOptions, hasCommit } from './git-fetch.ts';
import type { GitBundle, GitCommit } from './git-types.ts';
import { isCommitHash } from './git-url.ts';

/** Bytes of a bundle's start in which its capabilities have to be. */
const START_BYTES = 4096;

/** A repository of this machine with what a bundle holds. */
export interface StagedBundle {
  readonly bundle: GitBundle;
  readonly run: GitRun;
  /** What its references point at, as `git ls-remote` lists them. */
  readonly refs: string;
}

/**
 * Unpacks a bundle into a repository of its own, beside `run.dir`. Nothing of it becomes the name of anything there.
 * @throws TsbuildError `TSB_CONTEXT` for what is no bundle, or builds on commits that it does not hold
 */
export async function stageBundle(task: Task, run: GitRun, bundle: GitBundle): Promise<StagedBundle> {
  const staged = { ...run, dir: `${run.dir}.bundle` };
  const path = await bundle.bring();
  mkdirSync(staged.dir);
  try {
    const format = isSha256(path) ? ['--object-format=sha256'] : [];
    await runGit(task, staged, ['init', '--quiet', '--template=', ...format]);
    const output = await runGit(task, staged, ['bundle', 'unbundle', path]);
    return { bundle, run: staged, refs: output.toString('utf8').replaceAll(/^([0-9a-f]+) /gm, '$1\t') };
  } catch (error) {
    if (!(error instanceof GitFailure)) throw error;
    throw new TsbuildError('TSB_CONTEXT', `Cannot read git bundle ${bundle.digest}: git: ${error.message}`, {
      cause: error,
      hint: 'a bundle with all history is expected, as "git bundle create FILE REF" or a graph with git.checkoutbundle makes it',
    });
  }
}

/**
 * Brings a commit of a bundle into a repository, as from a remote one.
 * @throws TsbuildError `TSB_NOT_FOUND` when it is not in the bundle
 */
export async function fetchFromBundle(
  task: Task,
  run: GitRun,
  { bundle, run: staged }: StagedBundle,
  commit: GitCommit,
  options: FetchOptions,
): Promise<void> {
  if (!(await hasCommit(task, staged, commit.sha))) throw missing(bundle, `commit ${commit.sha}`);
  if (commit.ref !== undefined) await runGit(task, staged, ['update-ref', commit.ref, commit.sha]);
  // Only here, and only from what was just made, may git read a repository of this machine.
  const local = { ...run, environment: { ...run.environment, protocols: 'file' } };
  await fetchCommit(task, local, commit, { ...options, from: `file://${staged.dir}/.git` });
}

/** The commit of a bundle that a hash, or the start of one, stands for: of a tag its commit. @throws TsbuildError `TSB_NOT_FOUND` */
export async function commitInBundle(task: Task, { bundle, run }: StagedBundle, start: string): Promise<string> {
  try {
    const sha = (await runGit(task, run, ['rev-parse', '--verify', '--quiet', `${start}^{commit}`])).toString().trim();
    if (isCommitHash(sha)) return sha;
  } catch (error) {
    if (!(error instanceof GitFailure)) throw error;
  }
  throw missing(bundle, `a commit ${start}`);
}

/** Says what a bundle lacks. */
export function missing({ digest }: GitBundle, what: string): TsbuildError {
  return new TsbuildError(
    'TSB_NOT_FOUND',
    `Cannot load ${sanitizeLine(what, 300)}: git bundle ${digest} does not have it`,
    {
      hint: 'git.checksum names the commit that the bundle was made for, "git bundle list-heads FILE" its references',
    },
  );
}

/** Whether its hashes are SHA-256 (gitformat-bundle). */
function isSha256(path: string): boolean {
  const fd = openSync(path, 'r');
  try {
    const start = Buffer.alloc(START_BYTES);
    const text = start.toString('latin1', 0, readSync(fd, start, 0, START_BYTES, 0));
    return /^# v3 git bundle\n(?:@[^\n]*\n)*?@object-format=sha256\n/.test(text);
  } finally {
    closeSync(fd);
  }
}
