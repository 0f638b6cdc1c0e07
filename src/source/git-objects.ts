import type { Task } from '../events/index.ts';
import { TsbuildError } from '../util/index.ts';
import { type GitRun, runGit } from './git-command.ts';
import type { GitObjects, GitRawObject } from './git-types.ts';
import type { FactStore } from './image-types.ts';

const FACT_KIND = 'git.objects';
/** Larger ones are not remembered. Bytes. */
const MAX_REMEMBERED = 64 * 1024;

/** Reads what a hash stands for out of a repository: a commit, or a tag and its commit. */
export async function readObjects(task: Task, run: GitRun, sha: string): Promise<GitObjects> {
  const kind = (await runGit(task, run, ['cat-file', '-t', sha])).toString('latin1').trim();
  if (kind !== 'commit' && kind !== 'tag')
    throw new TsbuildError('TSB_CONTEXT', `Cannot use ${sha} as a commit: it is a ${kind}`);
  const read = async (type: GitRawObject['kind'], name: string): Promise<GitRawObject> => ({
    kind: type,
    sha: name,
    raw: await runGit(task, run, ['cat-file', type, name]),
  });
  const commit = await read('commit', await peel(task, run, sha));
  return kind === 'tag' ? { commit, tag: await read('tag', sha) } : { commit };
}

/** The commit that a hash stands for: of a tag that of what it points at, however far. */
export async function peel(task: Task, run: GitRun, sha: string): Promise<string> {
  return (await runGit(task, run, ['rev-parse', '--verify', `${sha}^{commit}`])).toString('latin1').trim();
}

/** What was read before. Whoever uses it holds it against its hash. */
export function recallObjects(facts: FactStore, sha: string): GitObjects | undefined {
  const value = facts.get(FACT_KIND, sha)?.value;
  if (!Array.isArray(value)) return undefined;
  const [commitSha, commit, tag] = value as readonly unknown[];
  if (typeof commitSha !== 'string' || typeof commit !== 'string') return undefined;
  return {
    commit: { kind: 'commit', sha: commitSha, raw: Buffer.from(commit, 'base64') },
    ...(typeof tag === 'string' ? { tag: { kind: 'tag', sha, raw: Buffer.from(tag, 'base64') } } : {}),
  };
}

/** Remembers what was read: a hash stands for the same for ever. */
export function rememberObjects(facts: FactStore, sha: string, { commit, tag }: GitObjects): void {
  if (commit.raw.length + (tag?.raw.length ?? 0) > MAX_REMEMBERED) return;
  const parts = [commit.sha, commit.raw.toString('base64'), ...(tag ? [tag.raw.toString('base64')] : [])];
  facts.put(FACT_KIND, sha, parts);
}
