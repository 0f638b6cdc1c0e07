import type { CommitDemands } from '../../signatures/index.ts';
import type { GitCommit, GitRequest, GitSource } from '../../source/index.ts';
import { TsbuildError } from '../../util/index.ts';
import type { Task } from '../../events/index.ts';
import { GIT_SIGNATURE } from './signature-attributes.ts';

/**
 * What a source demands of signatures: as in BuildKit, any of the attributes makes it demand one.
 * @throws TsbuildError `TSB_LLB` without a key
 */
export function demandsOf(attrs: ReadonlyMap<string, string>): CommitDemands | undefined {
  const given = Object.values(GIT_SIGNATURE).filter((name) => attrs.has(name));
  if (given.length === 0) return undefined;
  const publicKey = attrs.get(GIT_SIGNATURE.publicKey) ?? '';
  if (publicKey === '')
    throw new TsbuildError('TSB_LLB', `Cannot verify the signature of a git source: it has ${given[0]} and no key`, {
      hint: `put an SSH public key, or OpenPGP keys in their armour, into ${GIT_SIGNATURE.publicKey}`,
    });
  const isSet = (name: string): boolean => attrs.get(name) === 'true';
  return {
    publicKey,
    rejectExpired: isSet(GIT_SIGNATURE.rejectExpired),
    requireSignedTag: isSet(GIT_SIGNATURE.requireSignedTag),
    ignoreSignedTag: isSet(GIT_SIGNATURE.ignoreSignedTag),
  };
}

/**
 * Holds the commit of a request to what its source demands. This comes before its key, and so before anything that the cache has of it:
 * the key says nothing of signatures, as in BuildKit.
 * @param now milliseconds since the epoch
 * @throws TsbuildError `TSB_SIGNATURE`, and what fetching the commit throws
 */
export async function holdToDemands(
  task: Task,
  git: GitSource,
  request: GitRequest,
  commit: GitCommit,
  demands: CommitDemands,
  now: number,
): Promise<void> {
  const [{ verifyCommit }, objects] = await Promise.all([
    import('../../signatures/index.ts'),
    git.objects(task, request, commit),
  ]);
  verifyCommit(objects, demands, now);
}
