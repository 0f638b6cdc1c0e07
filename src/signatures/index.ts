/** Signatures that sources must have: commits and tags of git, and files from the web. */
export { type CommitDemands, type CommitObjects, verifyCommit } from './verify-commit.ts';
export { type FileDemands, verifyFile } from './verify-file.ts';
