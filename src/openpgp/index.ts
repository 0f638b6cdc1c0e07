/** OpenPGP signatures of files (RFC 9580): read, and verified with keys that are named. Nothing is signed or encrypted. */
export { DetachedSignature, isOpenpgpSignature, type VerifyOptions } from './detached.ts';
