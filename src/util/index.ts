export { ByteReader } from './byte-reader.ts';
export { leafKey } from './cache-key.ts';
export { type Canonical, canonicalDigest } from './canonical.ts';
export { collect } from './collect.ts';
export { makeDirectories, makeDirectory } from './directories.ts';
export { type ArchiveCompression, COMPRESSION_MAGICS, SNIFF_BYTES, sniffCompression } from './compression-magic.ts';
export { type LightCrypto, useLightCrypto } from './light-crypto.ts';
export { type Digest, Hasher, hexOf, isDigest, parseDigest, randomHex, randomHostId, sha256 } from './digest.ts';
export {
  atPlace,
  type ErrorCode,
  type ErrorOptions,
  errnoOf,
  exitCodeOf,
  firstError,
  fromErrno,
  isTsbuildError,
  messageOf,
  reasonOf,
  messageWithHint,
  TsbuildError,
} from './errors.ts';
export { formatSourceExcerpt } from './excerpt.ts';
export { exhausted } from './disk-space.ts';
export { checkOwned, ownPackage, packageRoot } from './own-package.ts';
export { redactUrls } from './redact.ts';
export { onRoom, roomAgain } from './room-again.ts';
export { parseEpoch } from './epoch.ts';
export { InvalidSignatureError } from './invalid-signature.ts';
export { goBool } from './go-bool.ts';
export { HIDDEN, sanitize, sanitizeLine } from './sanitize.ts';
export { SharedWork } from './shared-work.ts';
export { formatBytes, formatDuration, parseDuration, parseSize } from './size.ts';
export type { Diagnostic, SourceFile, SourceRange } from './source.ts';
export { parseStrictJson, type StrictJsonOptions } from './json.ts';
export { editDistance, suggest } from './suggest.ts';
export { version } from './version.ts';
export { statIfThere } from './stat-if-there.ts';
export { WriteBehind } from './write-behind.ts';
