/** Signatures that sources must have: of commits and tags of git. */
export { type CommitDemands, type CommitObjects, verifyCommit } from './verify-commit.ts';
