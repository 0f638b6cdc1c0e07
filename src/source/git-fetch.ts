import type { Task } from '../events/index.ts';
import { TsbuildError } from '../util/index.ts';
import { GitFailure, type GitRun, runGit } from './git-command.ts';
import { isHopeless } from './git-failure.ts';
import type { GitCommit } from './git-types.ts';

/** How a commit is brought. */
export interface FetchOptions {
  /** Options of `git fetch` that leave out what is not needed. */
  readonly filter?: readonly string[];
  /** With everything that led to the commit. */
  readonly history?: boolean;
  /** A repository of this machine that stands in for the remote one. */
  readonly from?: string;
}

/**
 * Brings a commit into the repository: by its name, by its hash where the name has moved on or there is none, and else with
 * everything that the server has.
 */
export async function fetchCommit(
  task: Task,
  run: GitRun,
  { ref, sha }: GitCommit,
  { filter = [], history = false, from = 'origin' }: FetchOptions = {},
): Promise<void> {
  const only = [...(history ? [] : ['--depth=1']), '--no-tags', ...filter];
  const attempts: (readonly string[])[] = [];
  if (ref !== undefined) attempts.push([...only, '--force', '--', from, `${ref}:${ref}`]);
  attempts.push([...only, '--', from, sha], ['--tags', '--force', '--', from, '+refs/heads/*:refs/remotes/origin/*']);
  let failure: GitFailure | undefined;
  for (const attempt of attempts) {
    try {
      await fetchDeepIfNeedBe(task, run, attempt);
    } catch (error) {
      if (!(error instanceof GitFailure) || isHopeless(error)) throw error;
      failure ??= error;
      continue;
    }
    if (await hasCommit(task, run, sha)) return;
  }
  if (failure && !/not our ref|unadvertised object|couldn't find remote ref/.test(failure.said)) throw failure;
  throw new TsbuildError(
    'TSB_NOT_FOUND',
    `Cannot load commit ${sha}: the repository does not have it${ref === undefined ? '' : `, and ${JSON.stringify(ref)} is another one now`}`,
  );
}

function fetchDeepIfNeedBe(task: Task, run: GitRun, args: readonly string[]): Promise<unknown> {
  return runDeepIfNeedBe(task, run, ['fetch', '--progress', '--update-head-ok', ...args]);
}

/** Servers that only hand out files ("dumb" HTTP) cannot leave history out: then all of it is asked for. */
export async function runDeepIfNeedBe(task: Task, run: GitRun, args: readonly string[]): Promise<void> {
  try {
    await runGit(task, run, args);
  } catch (error) {
    if (!(error instanceof GitFailure) || !/shallow|--depth/.test(error.said)) throw error;
    await runGit(
      task,
      run,
      args.filter((arg) => arg !== '--depth=1' && !arg.startsWith('--filter=')),
    );
  }
}

/** Whether the repository has the commit, or a tag of one. */
export async function hasCommit(task: Task, run: GitRun, sha: string): Promise<boolean> {
  try {
    await runGit(task, run, ['cat-file', '-e', `${sha}^{commit}`]);
    return true;
  } catch (error) {
    if (error instanceof GitFailure) return false;
    throw error;
  }
}
