export { leafKey } from './cache-key.ts';
export { type Canonical, canonicalDigest } from './canonical.ts';
export { makeDirectories } from './directories.ts';
export { type ArchiveCompression, COMPRESSION_MAGICS, SNIFF_BYTES, sniffCompression } from './compression-magic.ts';
export { type Digest, Hasher, hexOf, isDigest, parseDigest, randomHex, sha256 } from './digest.ts';
export {
  type ErrorCode,
  type ErrorOptions,
  errnoOf,
  exitCodeOf,
  firstError,
  fromErrno,
  isTsbuildError,
  messageOf,
  TsbuildError,
} from './errors.ts';
export {
  type Compression,
  compressionOf,
  type ContainerConfig,
  type Descriptor,
  type HealthcheckConfig,
  type HistoryEntry,
  type ImageConfig,
  type ImageIndex,
  type Manifest,
  mediaTypes,
  type OciPlatform,
  toOciPlatform,
} from './oci.ts';
export { formatSourceExcerpt } from './excerpt.ts';
export { cleanPath, relativePattern } from './patterns/clean.ts';
export { BadPatternError, hasWildcards, matchPath } from './patterns/file-match.ts';
export { type MatchInfo, PatternMatcher } from './patterns/pattern-matcher.ts';
export { formatPlatform, hostPlatform, normalizePlatform, parsePlatform, type Platform } from './platform.ts';
export { redactUrls } from './redact.ts';
export { sanitize, sanitizeLine } from './sanitize.ts';
export { formatBytes, parseDuration, parseSize } from './size.ts';
export type { Diagnostic, SourceFile, SourceRange } from './source.ts';
export { parseStrictJson, type StrictJsonOptions } from './json.ts';
export { editDistance, suggest } from './suggest.ts';
export type { BuildEvent, DiagnosticEvent, LogEvent, StatusEvent, Task, VertexEvent, VertexState } from './task.ts';
export { version } from './version.ts';
export { WriteBehind } from './write-behind.ts';
