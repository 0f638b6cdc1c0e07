import { git, type State } from '../../llb/index.ts';
import { redactUrls } from '../../util/index.ts';
import { parseGitRef } from './git-ref.ts';

/**
 * The state of a git repository that a build context names; undefined when it is none.
 * @throws TsbuildError `TSB_DOCKERFILE` when it is one with wrong options
 */
export function gitContext(
  url: string,
  options: { readonly keepGitDir?: boolean | undefined; readonly mtime?: string | undefined },
): State | undefined {
  const found = parseGitRef(url);
  if (found === undefined) return undefined;
  const remote = found.likeLocalPath ? { ...found.remote, url: `https://${found.remote.url}` } : found.remote;
  return git(remote, {
    ref: found.ref,
    subdir: found.subdir,
    keepGitDir: (found.keepGitDir ?? false) || options.keepGitDir,
    checksum: found.checksum,
    skipSubmodules: found.submodules === false,
    mtime: found.mtime || options.mtime,
    fetchByCommit: found.fetchByCommit,
    name: `[internal] load git source ${redactUrls(url)}`,
  });
}
