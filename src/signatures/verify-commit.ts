import { isSshSignature, verifySshSignature } from '../ssh/index.ts';
import { DetachedSignature, isOpenpgpSignature } from '../openpgp/index.ts';
import { InvalidSignatureError, TsbuildError } from '../util/index.ts';
import { type GitObject, signedObject } from './git-object.ts';

/** What a source demands of the signatures of its commit: BuildKit's `git.sig.…`. */
export interface CommitDemands {
  /** An SSH public key, or OpenPGP ones in their armour. */
  readonly publicKey: string;
  /** Keys that have expired by now sign nothing, whenever they did. */
  readonly rejectExpired: boolean;
  /** The tag itself must be signed. */
  readonly requireSignedTag: boolean;
  /** The commit must be signed, even where the tag is. */
  readonly ignoreSignedTag: boolean;
}

/** A commit, and the tag that it was asked for by, where that is an object. */
export interface CommitObjects {
  readonly commit: GitObject;
  readonly tag?: GitObject;
}

/**
 * Holds a commit to what a source demands of its signatures. As in BuildKit: a signed tag speaks for its commit, and where the tag is not
 * signed by the right key the commit may still be.
 * @param now milliseconds since the epoch
 * @throws TsbuildError `TSB_SIGNATURE`
 */
export function verifyCommit({ commit, tag }: CommitObjects, demands: CommitDemands, now: number): void {
  const { requireSignedTag, ignoreSignedTag } = demands;
  let wrongTag: TsbuildError | undefined;
  if (tag && !ignoreSignedTag) {
    wrongTag = problemOf(tag, demands, now);
    if (!wrongTag) return;
  }
  if (requireSignedTag)
    throw (
      wrongTag ??
      new TsbuildError(
        'TSB_SIGNATURE',
        `Cannot verify the signature of commit ${commit.sha}: git.sig.requiresignedtag wants a signed tag, and ${tag ? 'git.sig.ignoresignedtag passes over it' : 'it was not asked for by one'}`,
        { hint: 'name the tag after "#", or leave the attribute out so that the signature of the commit counts' },
      )
    );
  const wrong = problemOf(commit, demands, now);
  if (!wrong) return;
  if (!wrongTag) throw wrong;
  const ofTag = wrongTag.message.replace(/^.*?: /, '');
  throw new TsbuildError(
    'TSB_SIGNATURE',
    `${wrong.message}; nor of its tag: ${ofTag}`,
    wrong.hint === undefined ? {} : { hint: wrong.hint },
  );
}

/** Why the signature of an object does not hold; undefined when it does. */
function problemOf(object: GitObject, demands: CommitDemands, now: number): TsbuildError | undefined {
  try {
    const { data, signature } = signedObject(object);
    if (signature === undefined)
      throw new InvalidSignatureError('it is not signed', 'sign it: "git commit -S", "git tag -s"');
    verify(data, signature, demands, now);
    return undefined;
  } catch (error) {
    if (!(error instanceof InvalidSignatureError)) throw error;
    const what = `Cannot verify the signature of ${object.kind} ${object.sha}`;
    return new TsbuildError('TSB_SIGNATURE', `${what}: ${error.message}`, {
      hint: error.hint ?? 'is git.sig.pubkey the key of whom you trust to sign it?',
    });
  }
}

/** @throws InvalidSignatureError */
function verify(data: Buffer, signature: string, { publicKey, rejectExpired }: CommitDemands, now: number): void {
  if (isSshSignature(signature)) return verifySshSignature(signature, data, publicKey, 'git');
  if (!isOpenpgpSignature(signature))
    throw new InvalidSignatureError('its signature is of a kind that is not known; SSH and OpenPGP are');
  const detached = new DetachedSignature(signature, publicKey, { rejectExpired, now: now / 1000 });
  detached.update(data);
  detached.finish();
}
